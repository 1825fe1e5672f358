"""What a node stands on: the log, the state that follows it, and the signals.

Alone, all of that is in the process; as one of many, it is what the nodes share over NATS. Nothing
above this knows which.
"""

import asyncio
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final, Protocol

from nats.aio.client import Client

from chat_service import nats_connection
from chat_service.bootstrap import bootstrap, standing
from chat_service.config import Config
from chat_service.core.commands import Entry
from chat_service.log.embedded import EmbeddedLog
from chat_service.log.jetstream import JetStreamLog
from chat_service.log.port import Log
from chat_service.log.snapshots import Snapshots
from chat_service.log.stream import DOUBT, FORGOTTEN, StreamState, payload_lack
from chat_service.nats_connection import UNREACHABLE, NatsSettings
from chat_service.replay import replay
from chat_service.signals.local import LocalSignals
from chat_service.signals.nats import NatsSignals
from chat_service.signals.port import Signals
from chat_service.snapshot_keeper import SnapshotKeeper
from chat_service.startup import StartupError
from chat_service.state.copies import DATABASE
from chat_service.state.inspection import Stand
from chat_service.state.store import Store

_LOOK_EVERY: Final = 1.0
_ASK_WITHIN: Final = 5.0


class Foundation(Protocol):
    """What a node stands on; opened before anything else and closed after everything else."""

    log: Log
    signals: Signals
    store: Store

    def begin(self) -> None:
        """Let the log take and give, now that somebody is there to follow it."""

    async def caught_up(self) -> None:
        """Wait until what was in the log at the start is applied."""

    def log_works(self) -> bool:
        """Tell whether entries get into the log now."""

    async def attempt(self, entries: Sequence[Entry]) -> bool:
        """Append entries at once or not at all; tells whether that was acknowledged."""

    async def keep_snapshots(self, mine: Callable[[], bool]) -> None:
        """Keep a copy of the state for nodes to come, while it is this one's turn."""

    async def close(self) -> None:
        """Give everything back."""


async def lay(config: Config, instance: str) -> Foundation:
    """Open what a node stands on; `instance` is this run of it. Raises StartupError."""
    if config.nats is None:
        return Alone(await asyncio.to_thread(Store.open, config.data))
    client = await nats_connection.connect(_settings(config, config.nats))
    try:
        _check_payload(client)
        log = JetStreamLog(client, config.nats_stream, instance)
        stand = await asyncio.to_thread(standing, config.data)
        applied = 0 if stand is None else stand.position
        held = await log.stream.open(config.nats_replicas, applied=applied)
        snapshots = Snapshots(client.jetstream(timeout=_ASK_WITHIN), log.stream.name, held.replicas)
        await bootstrap(config.data, stand, held, snapshots)
        store = await asyncio.to_thread(Store.open, config.data, held.epoch)
    except BaseException:
        await nats_connection.close(client)
        raise
    shared = Shared(client, log, store, held, snapshots, config.data)
    try:
        await shared.check()
    except BaseException:
        await shared.close()
        raise
    return shared


class Alone:
    """The foundation of a node on its own."""

    def __init__(self, store: Store) -> None:
        self.log: Log = EmbeddedLog()
        self.signals: Signals = LocalSignals()
        self.store = store

    def begin(self) -> None:
        """Do nothing: what is appended is there."""

    async def caught_up(self) -> None:
        """Return at once: there is no log but the state."""

    def log_works(self) -> bool:
        """Return True: where the log fails, so does the state."""
        return True

    async def attempt(self, entries: Sequence[Entry]) -> bool:
        """Append entries, which nothing keeps from the log."""
        for entry in entries:
            self.log.append(entry)
        return True

    async def keep_snapshots(self, mine: Callable[[], bool]) -> None:
        """Do nothing: there is no other node."""

    async def close(self) -> None:
        """Close the state."""
        await self.signals.close()
        await self.store.close()


class Shared:
    """The foundation of one of many nodes."""

    def __init__(
        self,
        client: Client,
        log: JetStreamLog,
        store: Store,
        held: StreamState,
        snapshots: Snapshots,
        data: Path | None,
    ) -> None:
        self.log: Log = log
        self.signals: Signals = NatsSignals(client, f"{log.stream.name}.signals")
        self.store = store
        self._shared_log = log
        self._client = client
        self._held = held
        self._snapshots = snapshots
        self._data = data
        self._running: asyncio.Task[None] | None = None

    async def check(self) -> None:
        """Raise StartupError where the stream does not go on where the state is."""
        loop = asyncio.get_running_loop()
        until = loop.time() + DOUBT
        position = self.store.position
        while position > self._held.last and loop.time() < until:
            await asyncio.sleep(_LOOK_EVERY)
            self._held = await self._shared_log.stream.open(None, applied=position)
        if position > self._held.last:
            raise StartupError(
                f"the stream ends at record {self._held.last}, and the data has applied {position}:"
                f" {FORGOTTEN}"
            )
        if position + 1 < self._held.first:
            raise StartupError(
                f"the stream begins at record {self._held.first} by now, and the data has applied"
                f" {position} only: start again"
            )

    def begin(self) -> None:
        """Append to the stream, and follow it."""
        store = self.store
        running = self._shared_log.run(self._held.epoch, store.position, store.record)
        self._running = asyncio.create_task(running, name="log")

    async def caught_up(self) -> None:
        """Wait until what the stream held at the start is applied."""
        await replay(self._shared_log, self._held.last)

    def log_works(self) -> bool:
        """Tell whether records were acknowledged lately, as far as there were any."""
        return self._client.is_connected and not self._shared_log.failing

    async def attempt(self, entries: Sequence[Entry]) -> bool:
        """Append entries at once or not at all; tells whether that was acknowledged."""
        return await self._shared_log.attempt(entries)

    async def keep_snapshots(self, mine: Callable[[], bool]) -> None:
        """Keep a copy of the state for nodes to come, while it is this one's turn."""
        if self._data is None:
            return  # there is no file to copy
        keeper = SnapshotKeeper(
            self._snapshots, self._data / DATABASE, self._stand, self._first, mine, time.monotonic
        )
        await keeper.run()

    def _stand(self) -> Stand:
        return Stand(self.store.epoch, self.store.seq, self.store.position)

    async def _first(self) -> int:
        """Return the first record that the stream still has, as far as it can be asked."""
        with suppress(*UNREACHABLE):
            self._held = await self._shared_log.stream.look()
        return self._held.first

    async def close(self) -> None:
        """Leave the stream, close the state and the connection."""
        if self._running is not None:
            self._running.cancel()
            await asyncio.gather(self._running, return_exceptions=True)
        await self.signals.close()
        await self.store.close()
        await nats_connection.close(self._client)


def _check_payload(client: Client) -> None:
    if lack := payload_lack(client):
        raise StartupError(lack)


def _settings(config: Config, servers: tuple[str, ...]) -> NatsSettings:
    return NatsSettings(
        servers,
        config.node,
        config.nats_creds,
        config.nats_ca,
        config.nats_cert,
        config.nats_key,
    )
