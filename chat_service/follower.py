"""The one path: follow the log, apply each batch, fan it out.

Pace. One write to a stream costs tens of microseconds whatever it carries, so a fan-out has to pay
off. While little is said the follower rests after each, for several times as long as it took, and
what comes meanwhile makes the next batch larger, not later. Once enough has gathered it goes on;
and where plenty has, it has the next batch committed while it still delivers the last. An idle
server has no such debt: a single message waits for nothing.
"""

import asyncio
import contextlib
import time
from collections.abc import Sequence
from typing import NamedTuple

from chat_service.core.errors import Unavailable
from chat_service.core.outcome import Applied
from chat_service.core.record import Record
from chat_service.hub.hub import Hub
from chat_service.log.port import Log
from chat_service.logs import get
from chat_service.state.store import Store

_log = get("follower")

_RESTS = 8.0
"""How many times as long as a fan-out the rest after it is."""

_LONGEST_REST = 0.08
"""Seconds that a message waits for others at most."""

_NEGLIGIBLE = 0.001
"""Seconds of a fan-out that need no rest."""

_QUIET = 0.001
"""Seconds in which nothing comes from those who have nothing more to say for now."""

_ENOUGH = 64
_PLENTY = 1_024
"""How many entries pay for a fan-out at least, and at most: of the 28 microseconds of a write each
bears half of one, or a thirtieth.
"""

_COMMIT_PRICE = 6e-6
"""Seconds that an entry costs until it is committed. Where its share of a fan-out is no more than
that, there is little to be gained by waiting for others.
"""


class _Batch(NamedTuple):
    """What came of a batch, and how many entries of the log it was."""

    applied: list[Applied]
    entries: int


class Follower:
    """Applies a log to a store and tells a hub; `run` is its one task."""

    def __init__(self, log: Log, store: Store, hub: Hub) -> None:
        self._log = log
        self._store = store
        self._hub = hub

    async def run(self) -> None:
        """Follow the log until cancelled; raises what leaves the state unsound."""
        applying: asyncio.Task[_Batch] | None = None
        debt = 0.0
        try:
            while True:
                if applying is None:
                    await self._log.gathered(1)
                    applying = self._apply_next()
                batch = await applying
                applying = self._apply_next() if self._log.has_gathered(plenty(debt)) else None
                debt = await self._deliver(batch)
                if applying is None:
                    await self._rest(debt)
        finally:
            if applying is not None:
                applying.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await applying  # which may have failed before

    async def _deliver(self, batch: _Batch) -> float:
        """Fan a batch out; returns the seconds of this thread's time that passed meanwhile.

        Most of it goes into writing. What else the loop did between the slices counts as well.
        """
        started = time.thread_time()
        woken = self._hub.fan_out(batch.applied)
        batch.applied.clear()  # while it is in the core's cache; what is sent pushes it out
        await self._hub.wake(woken)
        self._log.done(batch.entries)
        return time.thread_time() - started

    async def _rest(self, debt: float) -> None:
        """Wait until the next fan-out pays off, the last one having taken so many seconds."""
        for_plenty, for_enough = rests(debt)
        if for_plenty and not await self._gathers_plenty(plenty(debt), for_plenty):
            await self._gathers(_ENOUGH, for_enough)

    async def _gathers_plenty(self, count: int, within: float) -> bool:
        """Wait for so many entries, or until enough have come and no more seem to.

        Who has said all that may be under way at a time waits for us: then nothing comes, and there
        is nothing left to do. Tells whether either was so within so many seconds.
        """
        deadline = time.monotonic() + within
        if not await self._gathers(_ENOUGH, within):
            return False
        while (left := deadline - time.monotonic()) > 0:
            ready, started = self._log.ready, time.thread_time()
            if await self._gathers(count, min(left, _QUIET)):
                return True
            idle = time.thread_time() - started < _QUIET / 4
            if idle and self._log.ready == ready:
                return True
        return False

    async def _gathers(self, count: int, within: float) -> bool:
        """Wait for so many entries, and tell whether they came in so many seconds."""
        try:
            async with asyncio.timeout(within):
                await self._log.gathered(count)
        except TimeoutError:
            return False
        return True

    def _apply_next(self) -> asyncio.Task[_Batch]:
        return asyncio.create_task(self._apply(self._log.take()), name="apply")

    async def _apply(self, records: Sequence[Record]) -> _Batch:
        entries = sum(len(record.entries) for record in records)
        while True:
            try:
                return _Batch(await self._store.apply_records(records), entries)
            except Unavailable as refusal:
                _log.error("cannot commit", entries=entries, reason=str(refusal))
                if not self._log.durable:
                    for record in records:
                        self._hub.refuse(record.entries, refusal)
                    return _Batch([], entries)
                await asyncio.sleep(refusal.retry_after or 1.0)


def plenty(debt: float) -> int:
    """Return for how many entries a fan-out that takes `debt` seconds is cheap."""
    return min(max(_ENOUGH, int(debt / _COMMIT_PRICE)), _PLENTY)


def rests(debt: float) -> tuple[float, float]:
    """Return how long to rest after a fan-out that took `debt`, all in seconds.

    First until plenty has gathered, and then until enough has.
    """
    if debt < _NEGLIGIBLE:
        return 0.0, 0.0
    first = min(debt, _LONGEST_REST)
    return first, min(_RESTS * debt, _LONGEST_REST) - first
