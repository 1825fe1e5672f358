"""Logs with somebody who follows them, as a node does but for applying anything."""

import asyncio
import secrets
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from chat_service import nats_connection
from chat_service.core.commands import Entry, Send
from chat_service.core.errors import Unavailable
from chat_service.core.record import Record
from chat_service.log.jetstream import JetStreamLog
from chat_service.log.port import Log
from chat_service.nats_connection import NatsSettings


def entry(number: int, text: str = "hi") -> Entry:
    return Entry("s", number, "ann", b"", 0, Send("#lobby", text))


class Followed:
    """A log, what its follower has taken from it, and what was refused."""

    def __init__(self, log: Log) -> None:
        self.log = log
        self.taken: list[Record] = []
        self.refused: list[tuple[Entry, Unavailable]] = []
        self.lost: Exception | None = None
        self.held = asyncio.Event()
        """Cleared: the follower takes nothing."""
        self.held.set()
        log.on_refused = self._refuse

    @property
    def refs(self) -> list[int]:
        """The refs of the entries that came out, in their order."""
        return [entry.ref for record in self.taken for entry in record.entries]

    def append(self, *refs: int) -> None:
        for ref in refs:
            self.log.append(entry(ref))

    async def follow(self) -> None:
        while True:
            try:
                await self.log.gathered(1)
            except Exception as error:
                self.lost = error
                return
            await self.held.wait()
            batch = self.log.take()
            self.taken += batch
            await asyncio.sleep(0)  # as if something came of it
            self.log.done(sum(len(record.entries) for record in batch))

    def _refuse(self, entries: Sequence[Entry], refusal: Unavailable) -> None:
        self.refused += ((it, refusal) for it in entries)


@asynccontextmanager
async def followed(log: Log) -> AsyncIterator[Followed]:
    it = Followed(log)
    following = asyncio.create_task(it.follow())
    try:
        yield it
    finally:
        following.cancel()
        await asyncio.gather(following, return_exceptions=True)


@asynccontextmanager
async def shared(
    url: str, stream: str, position: int = 0, record: str = ""
) -> AsyncIterator[Followed]:
    """Join the log that a stream is, behind a position, and the record there if that is known."""
    client = await nats_connection.connect(NatsSettings(tuple(url.split(",")), "test"))
    log = JetStreamLog(client, stream, secrets.token_hex(8))
    running: asyncio.Task[None] | None = None
    try:
        held = await log.stream.open(None)
        running = asyncio.create_task(log.run(held.epoch, position, record))
        async with followed(log) as it:
            yield it
    finally:
        if running is not None:
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)
        await nats_connection.close(client)
