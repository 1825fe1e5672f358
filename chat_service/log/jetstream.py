"""The log of many nodes: a JetStream stream, which each of them appends to and follows.

What this node appends comes back to it by the stream like everybody else's, and only then has it
happened.
"""

import asyncio
import contextlib
from collections import deque
from collections.abc import Callable, Sequence
from typing import Final

from nats.aio.client import Client

from chat_service.core.commands import Entry
from chat_service.core.errors import Unavailable
from chat_service.core.record import Record
from chat_service.log.attempts import Attempts
from chat_service.log.backlog import Backlog
from chat_service.log.consumer import Consumer
from chat_service.log.port import LogLost
from chat_service.log.publisher import Publisher
from chat_service.log.stream import LogStream
from chat_service.nats_connection import UNREACHABLE, end

MAX_UNDER_WAY: Final = 8_192
"""Entries of this node that are on their way through the log before senders have to wait."""

SYNCED_WITHIN: Final = 1.0
_ASK_WITHIN: Final = 2.0


class JetStreamLog:
    """A log for many nodes. `id_` is this run of this node, `run` its one task.

    The client is somebody else's to connect and close.
    """

    durable = True
    on_refused: Callable[[Sequence[Entry], Unavailable], None]

    def __init__(self, client: Client, stream: str, id_: str) -> None:
        js = client.jetstream(timeout=_ASK_WITHIN)
        self.stream = LogStream(js, stream)
        self._backlog = Backlog()
        self._moved = asyncio.Event()
        self._attempts = Attempts(client, js, self.stream, f"{id_}-attempts")
        self._consumer = Consumer(client, js, self.stream, f"chat-{id_}", self._backlog)
        self._publisher = Publisher(
            client, js, self.stream, self._consumer, id_, self._refused, self._moved.set
        )
        self._under_way = 0
        self._returned = 0
        """The number of this node's last record that came back."""
        self._taken: deque[tuple[int, int]] = deque()
        """What was taken and is not done with: entries, and the last position of each batch."""
        self._settled = 0
        """The position up to which everything is done with."""
        self._look: asyncio.Task[int] | None = None
        self._next_look: asyncio.Task[int] | None = None

    async def run(self, epoch: str, position: int, record: str = "") -> None:
        """Append, and follow what comes behind a position, until cancelled.

        `record` is the id of the record there, if that is known. What ends it is raised by
        `gathered`.
        """
        self._settled = position
        tasks = (
            asyncio.create_task(self._publisher.run(), name="publish"),
            asyncio.create_task(self._consumer.run(epoch, position, record), name="consume"),
        )
        try:
            ended, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in ended:
                self._backlog.fail(task.exception() or LogLost("the log was left"))
        finally:
            await end(*tasks, *filter(None, (self._look, self._next_look)))

    @property
    def failing(self) -> bool:
        """Whether nothing was acknowledged for so long that what comes is refused."""
        return self._publisher.failing

    @property
    def settled(self) -> int:
        """The position up to which everything was applied here and told."""
        return self._settled

    @property
    def has_room(self) -> bool:
        """Whether the bound on entries that are on their way allows another."""
        return self._under_way < MAX_UNDER_WAY

    @property
    def ready(self) -> int:
        """How many entries are ready to be taken."""
        return self._backlog.ready

    def append(self, entry: Entry) -> None:
        """Hand an entry over, to be appended or refused."""
        self._under_way += 1
        self._publisher.append(entry)

    async def attempt(self, entries: Sequence[Entry]) -> bool:
        """Append entries at once or not at all; tells whether that was acknowledged."""
        return await self._attempts.append(entries)

    async def room(self) -> None:
        """Wait until the bound on entries that are on their way allows another."""
        while not self.has_room:
            await self._next_move()

    def has_gathered(self, count: int) -> bool:
        """Tell whether so many entries have come, or a full batch has."""
        return self._backlog.has_gathered(count)

    async def gathered(self, count: int) -> None:
        """Wait until so many entries have come, or a full batch has; raises LogLost."""
        await self._backlog.gathered(count)

    def take(self) -> Sequence[Record]:
        """Return the next batch of what has come."""
        batch = self._backlog.take()
        for record in batch:
            if record.publisher == self._publisher.id and record.number > self._returned:
                self._returned = record.number
                self._under_way -= len(record.entries)
        if batch:
            entries = sum(len(record.entries) for record in batch)
            self._taken.append((entries, batch[-1].position))
            self._moved.set()
        return batch

    def done(self, count: int) -> None:
        """Say that so many of the entries taken are done with, by whole batches."""
        while count > 0:
            entries, self._settled = self._taken.popleft()
            count -= entries
        self._moved.set()

    async def idle(self) -> None:
        """Wait until what was appended here is acknowledged and done with."""
        while not (self._publisher.is_idle and self._settled >= self._publisher.acked):
            await self._next_move()

    async def synced(self) -> None:
        """Wait until what any node was acknowledged before is done with here, a second at most."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(SYNCED_WITHIN):
                look = self._looked()
                await asyncio.wait((look,))  # which others wait for as well
                if not look.cancelled():
                    await self.reached(look.result())

    async def reached(self, position: int) -> None:
        """Wait until everything up to a position is done with."""
        while self._settled < position:
            await self._next_move()

    def _looked(self) -> asyncio.Task[int]:
        """Return a look at the end of the stream that has not begun yet.

        One that has may miss what was acknowledged since. Those who come meanwhile share the next.
        """
        if self._next_look is None:
            self._next_look = asyncio.create_task(self._look_behind(self._look), name="look")
        return self._next_look

    async def _look_behind(self, previous: asyncio.Task[int] | None) -> int:
        """Return the last position of the stream; 0 where it cannot be asked."""
        if previous is not None:
            await asyncio.wait((previous,))
        self._look, self._next_look = self._next_look, None
        try:
            return (await self.stream.look()).last
        except UNREACHABLE:
            return 0

    def _refused(self, entries: Sequence[Entry], refusal: Unavailable) -> None:
        self._under_way -= len(entries)
        self._moved.set()
        self.on_refused(entries, refusal)

    async def _next_move(self) -> None:
        self._moved.clear()
        await self._moved.wait()
