"""The log in the process: what is pending is the log, and the state's transaction its commit."""

import asyncio
from collections import deque
from collections.abc import Callable, Sequence

from chat_service.core.commands import Entry, Send
from chat_service.core.errors import Unavailable
from chat_service.core.record import Record, unplaced
from chat_service.core.text import utf8_size

MAX_PENDING = 8_192
"""Entries that wait before `room` makes senders wait, at 4 KiB of text each at most."""

MAX_BATCH = 2_048
"""Entries of a batch: large enough to pay for an fsync, small enough to keep a commit short."""

MAX_BATCH_BYTES = 256 * 1024
"""Text of a batch: readers get it all at once, and a quarter of the smallest outbox has to do."""


class EmbeddedLog:
    """A log for one node."""

    durable = False
    on_refused: Callable[[Sequence[Entry], Unavailable], None]
    """Never called: what is appended is ordered at once."""

    def __init__(self) -> None:
        self._pending: deque[Entry] = deque()
        self._pending_bytes = 0
        self._taken = 0
        """Entries that were taken and are not done with."""
        self._awaited = 1
        self._arrived = asyncio.Event()
        self._moved = asyncio.Event()
        """Set when entries were taken or are done with."""

    @property
    def has_room(self) -> bool:
        """Whether the bound on entries that wait to be taken allows another."""
        return len(self._pending) < MAX_PENDING

    @property
    def ready(self) -> int:
        """How many entries are ready to be taken."""
        return len(self._pending)

    def append(self, entry: Entry) -> None:
        """Order an entry behind all that came before."""
        self._pending.append(entry)
        self._pending_bytes += _size(entry)
        if len(self._pending) >= self._awaited or self._pending_bytes > MAX_BATCH_BYTES:
            self._arrived.set()

    async def room(self) -> None:
        """Wait until the bound on entries that wait to be taken allows another."""
        while not self.has_room:
            await self._next_move()

    def has_gathered(self, count: int) -> bool:
        """Tell whether so many entries are ready to be taken, or a full batch is."""
        return len(self._pending) >= min(count, MAX_BATCH) or self._pending_bytes > MAX_BATCH_BYTES

    async def gathered(self, count: int) -> None:
        """Wait until so many entries are ready to be taken, or a full batch is."""
        if not self.has_gathered(count):
            self._awaited = min(count, MAX_BATCH)
            self._arrived.clear()
            await self._arrived.wait()

    def take(self) -> Sequence[Record]:
        """Return what has gathered, as one batch up to the largest size."""
        if len(self._pending) <= MAX_BATCH and self._pending_bytes <= MAX_BATCH_BYTES:
            batch = list(self._pending)
            self._pending.clear()
            self._pending_bytes = 0
        else:
            batch = self._take_some()
        self._taken += len(batch)
        self._moved.set()
        return (unplaced(batch),) if batch else ()

    def _take_some(self) -> list[Entry]:
        batch: list[Entry] = []
        room = MAX_BATCH_BYTES
        while self._pending and len(batch) < MAX_BATCH:
            size = _size(self._pending[0])
            if batch and size > room:
                break
            room -= size
            batch.append(self._pending.popleft())
        self._pending_bytes -= MAX_BATCH_BYTES - room
        return batch

    def done(self, count: int) -> None:
        """Say that so many of the entries taken are done with."""
        self._taken -= count
        self._moved.set()

    async def idle(self) -> None:
        """Wait until everything appended so far is done with."""
        while self._pending or self._taken:
            await self._next_move()

    async def synced(self) -> None:
        """Return at once: what was acknowledged was applied here."""

    async def _next_move(self) -> None:
        self._moved.clear()
        await self._moved.wait()


def _size(entry: Entry) -> int:
    """Return how many bytes of text an entry has."""
    return utf8_size(entry.body.text) if isinstance(entry.body, Send) else 0
