"""Three nodes on a cluster of three NATS servers, and people who come to any of them."""

from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any, Final

import pytest

from chat_service.node import Node
from tests.cluster.nodes import Cluster, cluster
from tests.cluster.servers import NatsServers
from tests.transports.stream import Stream

Enter = Callable[..., Awaitable[Stream]]
OpenStream = Callable[[Node], Stream]

UNLIMITED: Final[dict[str, Any]] = dict.fromkeys(
    ("rate_connects", "rate_commands", "rate_bytes", "rate_registrations")
)


@pytest.fixture
async def trio(nats_cluster: NatsServers, stream: str, tmp_path: Path) -> AsyncIterator[Cluster]:
    """Three nodes that share a log, and limit nobody's rate."""
    async with cluster(nats_cluster, stream, tmp_path, **UNLIMITED) as nodes:
        yield nodes


@pytest.fixture
async def open_stream(trio: Cluster) -> AsyncIterator[OpenStream]:
    """Return a function that opens a stream to a node."""
    streams: list[Stream] = []

    def open_one(to: Node) -> Stream:
        streams.append(Stream.open(to))
        return streams[-1]

    yield open_one
    for stream in streams:
        await stream.hang_up()


@pytest.fixture
def enter(open_stream: OpenStream) -> Enter:
    """Return a function that lets a user into a node."""

    async def enter_one(to: Node, user: str, client_id: str = "", **fields: Any) -> Stream:
        return await open_stream(to).enter(user, client_id, **fields)

    return enter_one
