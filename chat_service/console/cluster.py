"""A cluster asked through its log: what the operator asks is appended, by whoever may do that.

What comes of an entry is decided by all that the log holds before it. So this follows the log like
a node that is new, from the newest snapshot on, with a state that is thrown away in the end; it
serves nobody, and no node has to run.
"""

import asyncio
import secrets
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

from chat_service import nats_connection
from chat_service.auth.passwords import Passwords
from chat_service.config import Config, InvalidSetting
from chat_service.console.destination import Destination, reached
from chat_service.console.entries import Console, now
from chat_service.console.port import NotDone
from chat_service.core.commands import EntryBody
from chat_service.core.outcome import Applied
from chat_service.core.rules.proofs import CONSOLE
from chat_service.desk import Desk
from chat_service.follower import Follower
from chat_service.foundation import Foundation, lay
from chat_service.hub.hub import Hub
from chat_service.log.port import Log
from chat_service.state.store import Store

_CAUGHT_UP_WITHIN: Final = 1_800.0
"""Seconds, for what may be gigabytes of a snapshot and the records behind it."""


@asynccontextmanager
async def cluster(destination: Destination) -> "AsyncIterator[ClusterConsole]":
    """Catch up with a cluster's log, made if it is missing; raises NotDone, StartupError."""
    await nats_connection.close(await reached(destination.nats))
    try:
        directory = tempfile.TemporaryDirectory(prefix="chat-")
    except OSError as error:
        raise NotDone(f"there is no place for a copy of the state: {error}") from None
    with directory as place:
        async with _observed(_config(destination, Path(place))) as console:
            yield console


class ClusterConsole(Console):
    """Appends entries to a log that its store follows."""

    def __init__(self, store: Store, passwords: Passwords, desk: Desk) -> None:
        super().__init__(store, passwords)
        self._desk = desk

    async def _submit(self, body: EntryBody, user: str = CONSOLE) -> Applied:
        return await self._desk.submit(user, body)


@asynccontextmanager
async def _observed(config: Config) -> AsyncIterator[ClusterConsole]:
    """Follow the log of a node of this Config for as long as something is asked."""
    instance = secrets.token_hex(8)
    try:
        async with asyncio.timeout(_CAUGHT_UP_WITHIN):
            foundation = await lay(config, instance)
    except TimeoutError:
        raise NotDone("JetStream does not give the log") from None
    passwords = Passwords()
    log, store = foundation.log, foundation.store
    hub = Hub(log.append, now, config.presence_limit, instance)
    log.on_refused = hub.refuse
    hub.seq = store.seq
    foundation.begin()
    following = asyncio.create_task(_follow(log, store, hub), name="follower")
    try:
        await _caught_up(foundation, following)
        yield ClusterConsole(store, passwords, Desk(hub, log, now, instance))
    finally:
        following.cancel()
        await asyncio.gather(following, return_exceptions=True)
        hub.close()
        passwords.close()
        await foundation.close()


async def _follow(log: Log, store: Store, hub: Hub) -> None:
    hub.attendance.load(await store.seats())
    await Follower(log, store, hub).run()


async def _caught_up(foundation: Foundation, following: "asyncio.Task[None]") -> None:
    """Wait until all that the log held is applied; raises NotDone."""
    reaching = asyncio.create_task(foundation.caught_up(), name="caught up")
    waits = (reaching, following)
    try:
        await asyncio.wait(waits, timeout=_CAUGHT_UP_WITHIN, return_when=asyncio.FIRST_COMPLETED)
        if following.done():
            failure = following.exception()
            raise NotDone(f"the log cannot be followed: {failure}") from failure
        if not reaching.done():
            raise NotDone("it takes too long to catch up with the log")
    finally:
        reaching.cancel()


def _config(destination: Destination, data: Path) -> Config:
    nats = destination.nats
    try:
        return Config(
            data=data,
            node=nats.name,
            nats=nats.servers,
            nats_creds=nats.credentials,
            nats_ca=nats.ca,
            nats_cert=nats.cert,
            nats_key=nats.key,
            nats_stream=destination.stream,
            nats_replicas=destination.replicas,
        )
    except InvalidSetting as error:
        raise NotDone(f"{error.fields[0]}: {error.reason}") from None
