"""The events on their way to the caller."""

import asyncio
from collections import deque
from collections.abc import Callable, Iterable

from chat.v1 import events_pb2


class Inbox:
    """A queue that says when it is full, and keeps what it is given.

    It is `full` from `limit` events on, until the caller has taken it down to half: whoever fills
    it is to stop then, and hears by `on_room` when to go on. What it can pass the limit by is one
    frame.
    """

    def __init__(self, limit: int, on_room: Callable[[], None]) -> None:
        self._limit = limit
        self._on_room = on_room
        self._events: deque[events_pb2.Event] = deque()
        self._arrived = asyncio.Event()
        self._ended = False
        self._error: Exception | None = None
        self._kept = True
        self.full = False

    def extend(self, events: Iterable[events_pb2.Event]) -> None:
        """Add events in their order."""
        if not self._kept:
            return
        self._events.extend(events)
        self.full = self.full or len(self._events) >= self._limit
        if self._events:
            self._arrived.set()

    def discard(self) -> None:
        """Forget what is here and what comes: nobody will take it."""
        self._kept = False
        self._events.clear()
        self._make_room()

    def end(self, error: Exception | None) -> None:
        """Let the caller find the end, or `error`, behind what is here."""
        self._ended = True
        self._error = error
        self._arrived.set()

    async def get(self) -> events_pb2.Event:
        """Return the next event; raises StopAsyncIteration, or the error, at the end."""
        while not self._events:
            if self._ended:
                raise self._error or StopAsyncIteration
            self._arrived.clear()
            await self._arrived.wait()
        event = self._events.popleft()
        if self.full and len(self._events) <= self._limit // 2:
            self._make_room()
        return event

    def _make_room(self) -> None:
        self.full = False
        self._on_room()
