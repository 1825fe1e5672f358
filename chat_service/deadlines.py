"""The timers of one session: to say hello in time, and to go when its credential ends."""

import asyncio
from collections.abc import Callable
from typing import Final

_LONGEST: Final = 86_400.0
"""Seconds for which a timer is set at a time: one that is far off would overflow."""


class Deadlines:
    """What is due, in seconds from when it is set. Each is set anew, or not at all."""

    __slots__ = ("_expiry", "_hello")

    def __init__(self) -> None:
        self._hello: asyncio.TimerHandle | None = None
        self._expiry: asyncio.TimerHandle | None = None

    def hello(self, seconds: float, missing: Callable[[float], None]) -> None:
        """Call `missing` with these seconds, unless it is said who it is within them."""
        self.said_hello()
        self._hello = asyncio.get_running_loop().call_later(seconds, missing, seconds)

    def said_hello(self) -> None:
        """Wait for no hello any longer."""
        if self._hello is not None:
            self._hello.cancel()

    def expiry(self, seconds: float, expired: Callable[[], None]) -> None:
        """Call `expired` then, however far off that is."""
        if seconds <= 0.0:
            expired()
            return
        first = min(seconds, _LONGEST)
        loop = asyncio.get_running_loop()
        self._expiry = loop.call_later(first, self.expiry, seconds - first, expired)

    def cancel(self) -> None:
        """Wait for nothing any longer."""
        self.said_hello()
        if self._expiry is not None:
            self._expiry.cancel()
