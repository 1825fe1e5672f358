"""The entries of one session that are on their way through the log.

Their number is bounded, and so is every wait for them. Whoever floods fills the batches that
others' entries come behind only so far, and pays for an fsync all the same.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from chat_service.core.commands import Entry, EntryBody
from chat_service.core.errors import Unavailable
from chat_service.log.port import Log

COMMIT_TIMEOUT = 10.0
"""Seconds in which what a client asked has to be answered before it is let go."""

MAX_UNANSWERED = 1024
"""Entries of one session that are under way before it is not read any further."""


class InFlight:
    """Appends a session's entries and counts those that are unanswered.

    `session` is its id, `now` gives microseconds since 1970, and `stopping` tells whether nothing
    more is to be appended for good. An entry's time is that of the bytes that asked for it.
    """

    def __init__(
        self, session: str, ledger: Log, now: Callable[[], int], stopping: Callable[[], bool]
    ) -> None:
        self.client = b""
        """The digest of the client's secret."""
        self._session = session
        self._ledger = ledger
        self._now = now
        self._at = now()
        self._stopping = stopping
        self._unanswered = 0
        self._closed = False
        self._progress: asyncio.Event | None = None  # made where somebody awaits answers

    @property
    def idle(self) -> bool:
        """Whether all entries have been answered."""
        return not self._unanswered

    def received(self) -> None:
        """Take note that bytes have come, whose commands are appended next."""
        self._at = self._now()

    def append(self, ref: int, user: str, body: EntryBody) -> None:
        """Append an entry, whether or not there is room for it."""
        self._unanswered += 1
        self._ledger.append(Entry(self._session, ref, user, self.client, self._at, body))

    def submit(self, ref: int, user: str, body: EntryBody) -> Awaitable[None] | None:
        """Append at once where there is room for it; if not, return the wait for that."""
        if self._unanswered < MAX_UNANSWERED and self._ledger.has_room:
            self.append(ref, user, body)
            return None
        return self._submit_later(ref, user, body)

    def answered(self, count: int) -> None:
        """Take note that so many have been answered."""
        self._unanswered -= count
        self._tell_progress()

    async def all_answered(self) -> None:
        """Wait until all are answered, or the session has ended; raises Unavailable."""
        if self._unanswered:
            async with in_time():
                await self._answered_but_for(0)

    def close(self) -> None:
        """End every wait, the session having ended."""
        self._closed = True
        self._tell_progress()

    async def _submit_later(self, ref: int, user: str, body: EntryBody) -> None:
        async with in_time():
            await self._answered_but_for(MAX_UNANSWERED - 1)
            if not self._ledger.has_room:
                await self._room_or_end()
        if not (self._closed or self._stopping()):
            self.append(ref, user, body)

    async def _room_or_end(self) -> None:
        """Wait until the log has room for an entry, or the session has ended."""
        ended = self._answered_but_for(-1)  # which happens in no other way
        waits = [asyncio.ensure_future(wait) for wait in (self._ledger.room(), ended)]
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for wait in waits:
                wait.cancel()

    async def _answered_but_for(self, count: int) -> None:
        """Wait until no more than so many entries are unanswered, or the session has ended."""
        while self._unanswered > count and not self._closed:
            self._progress = self._progress or asyncio.Event()
            await self._progress.wait()

    def _tell_progress(self) -> None:
        if self._progress is not None:
            self._progress.set()
            self._progress = None


@asynccontextmanager
async def in_time() -> AsyncIterator[None]:
    """Give what is waited for as long as a commit may take; raises Unavailable."""
    try:
        async with asyncio.timeout(COMMIT_TIMEOUT):
            yield
    except TimeoutError:
        raise Unavailable("the server is too slow now", retry_after=1.0) from None
