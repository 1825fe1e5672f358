"""The one path: follow the log, apply each batch, fan it out.

Pace. One write to a stream costs tens of microseconds whatever it carries, so a loop that has a
thousand readers starves its own reads if it writes out every message as it comes. After each
fan-out the follower therefore leaves the loop to others for as long as the fan-out took: whatever
arrives meanwhile makes the next batch larger, not later. An idle server has no such debt, so a
single message waits for nothing.
"""

import asyncio
from collections.abc import Sequence

from chat_service.core.commands import Entry
from chat_service.core.errors import Unavailable
from chat_service.core.outcome import Applied
from chat_service.hub.hub import Hub
from chat_service.log.port import Log
from chat_service.logs import get
from chat_service.state.store import Store

_log = get("follower")

_LONGEST_PAUSE = 0.1
"""Seconds that the loop is left to others at most."""


class Follower:
    """Applies a log to a store and tells a hub; `run` is its one task."""

    def __init__(self, log: Log, store: Store, hub: Hub) -> None:
        self._log = log
        self._store = store
        self._hub = hub

    async def run(self) -> None:
        """Follow the log until cancelled; raises what leaves the state unsound."""
        clock = asyncio.get_running_loop().time
        free_at = 0.0
        async for batch in self._log.follow():
            applied = await self._apply(batch)
            started = clock()
            self._hub.fan_out(applied)
            # Two rounds of the loop: in the first the writers take what they got, in the second
            # the transports have taken it from them.
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            free_at = clock() + min(clock() - started, _LONGEST_PAUSE)
            await asyncio.sleep(free_at - clock())

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
