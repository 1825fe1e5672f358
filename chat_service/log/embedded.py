"""The log in the process: what is pending is the log, and the state's transaction its commit."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Sequence

from chat_service.core.commands import Entry, Send

MAX_PENDING = 8_192
"""Entries that wait before `room` makes senders wait, at 4 KiB of text each at most."""

MAX_BATCH = 2_048
"""Entries of a batch: large enough to pay for an fsync, small enough to keep a commit short."""

MAX_BATCH_BYTES = 256 * 1024
"""Text of a batch: readers get it all at once, and a quarter of the smallest outbox has to do."""


class EmbeddedLog:
    """A log for one node."""

    durable = False

    def __init__(self) -> None:
        self._pending: deque[Entry] = deque()
        self._arrived = asyncio.Event()
        self._has_room = asyncio.Event()
        self._idle = asyncio.Event()
        self._has_room.set()
        self._idle.set()

    def append(self, entry: Entry) -> None:
        """Order an entry behind all that came before."""
        self._pending.append(entry)
        self._arrived.set()
        self._idle.clear()
        if len(self._pending) >= MAX_PENDING:
            self._has_room.clear()

    async def room(self) -> None:
        """Wait until the bound on entries under way allows another."""
        await self._has_room.wait()

    async def follow(self) -> AsyncIterator[Sequence[Entry]]:
        """Yield what has gathered, as one batch up to the largest size."""
        while True:
            if not self._pending:
                self._arrived.clear()
                self._idle.set()
                await self._arrived.wait()
            yield self._take()

    async def idle(self) -> None:
        """Wait until everything appended so far is done with."""
        await self._idle.wait()

    def _take(self) -> Sequence[Entry]:
        batch: list[Entry] = []
        size = 0
        while self._pending and len(batch) < MAX_BATCH:
            size += _size(self._pending[0])
            if batch and size > MAX_BATCH_BYTES:
                break
            batch.append(self._pending.popleft())
        if len(self._pending) < MAX_PENDING:
            self._has_room.set()
        return batch


def _size(entry: Entry) -> int:
    """Return how many bytes of text an entry has, at most."""
    if not isinstance(entry.body, Send):
        return 0
    text = entry.body.text
    return len(text) if text.isascii() else 4 * len(text)
