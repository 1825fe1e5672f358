"""The one path: follow the log, apply each batch, fan it out.

Pace. One write to a stream costs tens of microseconds whatever it carries. A fan-out that took long
has therefore to pay off: after it the follower waits for as long again, and then for more to
gather, up to three times as long, unless enough has. Whatever arrives meanwhile makes the next
batch larger, not later. An idle server has no such debt, so a single message waits for nothing.
"""

import asyncio
import contextlib
from collections.abc import Sequence

from chat_service.core.commands import Entry
from chat_service.core.errors import Unavailable
from chat_service.core.outcome import Applied
from chat_service.hub.hub import Hub
from chat_service.log.port import Log
from chat_service.logs import get
from chat_service.state.store import Store

_log = get("follower")

_LEAST_REST = 1.0
_MOST_REST = 3.0
"""Between which multiples of the time that a fan-out took the next one comes."""

_LONGEST_REST = 0.1
"""Seconds that a message waits for others at most."""

_NEGLIGIBLE = 0.001
"""Seconds of a fan-out that nobody notices."""

_ENOUGH = 64
"""Entries that pay for a fan-out: half a microsecond of the price of a write for each."""


class Follower:
    """Applies a log to a store and tells a hub; `run` is its one task."""

    def __init__(self, log: Log, store: Store, hub: Hub) -> None:
        self._log = log
        self._store = store
        self._hub = hub

    async def run(self) -> None:
        """Follow the log until cancelled; raises what leaves the state unsound."""
        clock = asyncio.get_running_loop().time
        async for batch in self._log.follow():
            applied = await self._apply(batch)
            started = clock()
            await self._hub.wake(self._hub.fan_out(applied))
            await self._rest(clock() - started)

    async def _rest(self, debt: float) -> None:
        least, more = rests(debt)
        await asyncio.sleep(least)
        if more:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(more):
                    await self._log.gathered(_ENOUGH)

    async def _apply(self, batch: Sequence[Entry]) -> list[Applied]:
        while True:
            try:
                return await self._store.apply(batch)
            except Unavailable as refusal:
                _log.error("cannot commit", entries=len(batch), reason=str(refusal))
                if not self._log.durable:
                    self._hub.refuse(batch, refusal)
                    return []
                await asyncio.sleep(refusal.retry_after or 1.0)


def rests(debt: float) -> tuple[float, float]:
    """Return the seconds to rest after a fan-out that took `debt`: in any case, and then at most.

    None where there is no debt to speak of.
    """
    if debt < _NEGLIGIBLE:
        return 0.0, 0.0
    least = min(debt * _LEAST_REST, _LONGEST_REST)
    return least, min(debt * _MOST_REST, _LONGEST_REST) - least
