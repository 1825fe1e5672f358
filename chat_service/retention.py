"""Retention: old events go, by age and by number, if the operator wants it so.

This is the policy, and runs beside the path: it reads what is over and proposes it to the log in
small cuts. The state takes what a cut names, between two batches of messages.
"""

import asyncio
from collections.abc import Callable
from typing import Final

from chat_service.config import Keep
from chat_service.core.commands import Entry, Trim
from chat_service.core.errors import Unavailable
from chat_service.log.port import Log
from chat_service.logs import get
from chat_service.state.store import Store

_log = get("retention")

LOOK_EVERY: Final = 10.0
"""Seconds between two looks for something to trim."""

CUT_EVERY: Final = 0.02
"""Seconds between two cuts while there is something."""


class Retention:
    """Proposes cuts, as long as that is this node's to do (`mine`); `run` is its one task."""

    def __init__(
        self,
        keep: Keep,
        log: Log,
        store: Store,
        now: Callable[[], int],
        mine: Callable[[], bool],
    ) -> None:
        self._keep = keep
        self._ledger = log
        self._store = store
        self._now = now
        self._mine = mine

    async def run(self) -> None:
        """Trim until cancelled; without anything to trim by, do nothing at all."""
        if self._keep == Keep():
            return
        last: Trim | None = None
        while True:
            cut = await self._next_cut()
            # The same again is still on its way; but if it was refused, its time comes once more.
            last = None if cut == last else cut
            if last is not None:
                self._ledger.append(Entry("", 0, "", b"", self._now(), last))
            await asyncio.sleep(CUT_EVERY if cut is not None else LOOK_EVERY)

    async def _next_cut(self) -> Trim | None:
        if not self._mine():
            return None
        age = self._keep.seconds
        before = None if age is None else self._now() - round(age * 1_000_000)
        try:
            return await self._store.overdue(before, self._keep.messages)
        except Unavailable as failure:
            _log.warning("cannot look for what to trim", reason=str(failure))
            return None
