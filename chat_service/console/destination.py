"""The cluster that an operator's command is for: its NATS servers, and the stream of its log."""

import asyncio
from typing import Final, NamedTuple

from nats.aio.client import Client

from chat_service import nats_connection
from chat_service.console.port import NotDone
from chat_service.nats_connection import NatsSettings

_REACHED_WITHIN: Final = 10.0


class Destination(NamedTuple):
    """Where a cluster's log is, or will be in so many copies."""

    nats: NatsSettings
    stream: str
    replicas: int | None


async def reached(nats: NatsSettings) -> Client:
    """Return a client that is connected; raises NotDone, StartupError."""
    try:
        async with asyncio.timeout(_REACHED_WITHIN):
            return await nats_connection.connect(nats)
    except TimeoutError:
        raise NotDone("cannot reach NATS") from None
