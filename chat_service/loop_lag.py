"""How late the event loop is: the one figure that tells whether everybody gets a turn.

A timer that is due comes late by as long as the loop was busy with something else. What a client
waits for its turn is at most that much longer.
"""

import asyncio
import time
from collections import deque
from typing import Final

from chat_service.logs import get

_log = get("loop")

EVERY: Final = 0.05
"""Seconds between two samples."""

_REMEMBERED: Final = 12_000
"""Samples that quantiles are taken of: those of the last ten minutes."""

_WORTH_A_WARNING: Final = 1.0
"""Seconds of being late that an operator should know of."""


class LoopLag:
    """Samples the lag of the loop that it runs on."""

    def __init__(self) -> None:
        self._samples: deque[float] = deque(maxlen=_REMEMBERED)
        self.most = 0.0
        """The largest since the start, in seconds."""

    async def run(self) -> None:
        """Take samples until cancelled."""
        while True:
            due = time.monotonic() + EVERY  # the loop's own time stands still while it is busy
            await asyncio.sleep(EVERY)
            self.add(max(0.0, time.monotonic() - due))

    def add(self, lag: float) -> None:
        """Note a sample, in seconds."""
        self._samples.append(lag)
        self.most = max(self.most, lag)
        if lag > _WORTH_A_WARNING:
            _log.warning("the event loop was late", seconds=round(lag, 3))

    def quantile(self, share: float) -> float:
        """Return the lag in seconds below which that share of the recent samples is, or 0."""
        ordered = sorted(self._samples)
        return ordered[min(int(share * len(ordered)), len(ordered) - 1)] if ordered else 0.0
