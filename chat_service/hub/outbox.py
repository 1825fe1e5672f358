"""A session's bounded queue of encoded events waiting to go out."""

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Final

WRITE_BYTES: Final = 256 * 1024
"""How much one write takes at most, unless a single event is larger."""


class Outbox:
    """Bounded in events and in bytes; never blocks who puts, and says when it is full.

    The transport takes what is due with `take` when `on_ready` has told it to, or waits in `get`.
    Blobs are shared between outboxes: what is counted is what this reader holds back.
    """

    __slots__ = (
        "_blobs", "_bytes", "_closed", "_events", "_max_bytes", "_max_events", "_room", "_signal",
        "on_ready",
    )  # fmt: skip

    def __init__(self, max_events: int, max_bytes: int) -> None:
        self._blobs: deque[tuple[bytes, int]] = deque()
        self._events = 0
        self._bytes = 0
        self._max_events = max_events
        self._max_bytes = max_bytes
        self._closed = False
        self._signal: asyncio.Future[None] | None = None
        self._room: asyncio.Event | None = None
        self.on_ready: Callable[[], None] | None = None

    def __len__(self) -> int:
        return self._events

    @property
    def closed(self) -> bool:
        """Whether nothing more is put here."""
        return self._closed

    @property
    def finished(self) -> bool:
        """Whether nothing more will ever come out."""
        return self._closed and not self._blobs

    @property
    def past_half(self) -> bool:
        """Whether it is time to shed what can be shed, and to wait with what can wait."""
        return 2 * self._events > self._max_events or 2 * self._bytes > self._max_bytes

    def put(self, blob: bytes, events: int = 1) -> bool:
        """Queue encoded events; False if they do not fit. `wake` tells the transport.

        Where nothing waits, any blob fits in bytes: the same page is larger in one encoding than
        in another, and who is shown it has not been slow. Nor has who is not past half, so that any
        blob fits in events there: one batch or page may have more than the smallest bound.
        """
        if self._closed or not blob:
            return True  # a session that has ended is owed nothing more
        if self._events + events > self._max_events and self.past_half:
            return False
        if self._blobs and self._bytes + len(blob) > self._max_bytes:
            return False
        self._push(blob, events)
        return True

    def close(self, last: bytes = b"") -> None:
        """Take one last event, whatever the bounds, and nothing after it."""
        if self._closed:
            return
        self._closed = True
        if last:
            self._push(last, 1)
        self._make_room()
        self.wake()

    def clear(self) -> None:
        """Drop everything that waits."""
        self._blobs.clear()
        self._events = self._bytes = 0
        self._make_room()

    def take(self) -> bytes:
        """Return the next bytes to write, up to about WRITE_BYTES; empty if nothing waits."""
        if len(self._blobs) == 1:
            blob, _ = self._blobs.popleft()
            self._events = self._bytes = 0
            self._make_room()
            return blob
        blobs: list[bytes] = []
        size = 0
        while self._blobs and (not blobs or size + len(self._blobs[0][0]) <= WRITE_BYTES):
            blob, events = self._blobs.popleft()
            blobs.append(blob)
            size += len(blob)
            self._events -= events
        self._bytes -= size
        self._make_room()
        return blobs[0] if len(blobs) == 1 else b"".join(blobs)

    async def get(self) -> bytes:
        """Wait for bytes to write; empty once the outbox is closed and all was taken."""
        while not self._blobs and not self._closed:
            self._signal = asyncio.get_running_loop().create_future()
            await self._signal
        return self.take()

    async def room(self) -> None:
        """Wait until no more than half of the bounds waits, or nothing more comes."""
        while self.past_half and not self._closed:
            self._room = self._room or asyncio.Event()
            await self._room.wait()

    def wake(self) -> None:
        """Tell the transport that something waits."""
        if self._signal is not None and not self._signal.done():
            self._signal.set_result(None)
        elif self.on_ready is not None:
            self.on_ready()

    def _make_room(self) -> None:
        if self._room is not None and (self._closed or not self.past_half):
            self._room.set()
            self._room = None

    def _push(self, blob: bytes, events: int) -> None:
        self._blobs.append((blob, events))
        self._events += events
        self._bytes += len(blob)
