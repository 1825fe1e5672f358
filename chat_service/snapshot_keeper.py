"""Keeps a snapshot of the state beside the log, for nodes that the log does not reach back for.

Every node could; the one that does what only one has to do makes it. This runs beside the path:
the copy is made on a thread of its own, of what is committed, while the node serves.
"""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Final

from chat_service.log.snapshots import NoSnapshot, Snapshot, Snapshots
from chat_service.logs import get
from chat_service.startup import StartupError
from chat_service.state import copies
from chat_service.state.inspection import Stand

_log = get("snapshots")

LOOK_EVERY: Final = 10.0
"""Seconds between two looks whether a snapshot is due."""

OLDEST: Final = 3_600.0
"""Seconds after which a snapshot is made again, if anything was said since."""

FURTHEST: Final = 50_000
"""Records behind a snapshot after which another one is made, however young it is."""


class SnapshotKeeper:
    """Keeps the newest snapshot current; `run` is its one task.

    `mine` tells whether it is this node's turn, `first` the first record that the log still has.
    """

    def __init__(
        self,
        snapshots: Snapshots,
        database: Path,
        stand: Callable[[], Stand],
        first: Callable[[], Awaitable[int]],
        mine: Callable[[], bool],
        clock: Callable[[], float],
    ) -> None:
        self._snapshots = snapshots
        self._database = database
        self._stand = stand
        self._first = first
        self._mine = mine
        self._clock = clock
        self._newest: Snapshot | None = None
        self._since = clock()

    async def run(self) -> None:
        """Make snapshots until cancelled."""
        while True:
            await asyncio.sleep(LOOK_EVERY)
            await self.look()

    async def look(self) -> None:
        """Make a snapshot if one is due and it is this node's turn; raises nothing."""
        try:
            if self._mine() and await self._is_due():
                await self._make()
        except (NoSnapshot, StartupError) as failure:
            _log.warning("no snapshot could be made", reason=str(failure))
        except Exception:  # what others may need once is no reason for a node to end
            _log.exception("no snapshot could be made")

    async def _is_due(self) -> bool:
        stand = self._stand()
        newest = next(
            (it for it in await self._snapshots.listed() if it.epoch == stand.epoch), None
        )
        if newest != self._newest:
            self._newest, self._since = newest, self._clock()
        if newest is None:
            return stand.position > 0
        behind = stand.position - newest.position
        if behind <= 0:
            return False
        old = self._clock() - self._since >= OLDEST
        return old or behind >= FURTHEST or newest.position + 1 < await self._first()

    async def _make(self) -> None:
        file = self._database.with_name(f"{self._database.name}.snapshot")
        file.unlink(missing_ok=True)  # of a node that died meanwhile
        began = self._clock()
        try:
            copied = await asyncio.to_thread(copies.copy, self._database, file)
            if not self._mine():  # a copy takes its time: another may lead, or contradict this one
                _log.info("no snapshot is handed on: it is no longer this node's turn")
                return
            snapshot = Snapshot(copied.epoch, copied.position, copied.seq)
            await self._snapshots.publish(snapshot, file)
        finally:
            file.unlink(missing_ok=True)
        seconds = round(self._clock() - began, 3)
        _log.info("made a snapshot", position=copied.position, seq=copied.seq, seconds=seconds)
