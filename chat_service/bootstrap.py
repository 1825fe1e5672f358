"""What a node needs before it follows a log: data from which the log goes on.

A log does not reach back for ever, and one that moved here from a single server begins with what
that had. So a node that is new, or was away for too long, takes a snapshot first.
"""

import asyncio
from pathlib import Path
from typing import Final

from chat_service.log.snapshots import NoSnapshot, Snapshot, Snapshots
from chat_service.log.stream import StreamState
from chat_service.logs import get
from chat_service.startup import StartupError
from chat_service.state import copies, inspection, schema
from chat_service.state.directory_lock import lock
from chat_service.state.inspection import Stand

_log = get("node")

_TRIES: Final = 30
_TRY_EVERY: Final = 1.0
"""Together for longer than a snapshot takes to be made, where the log has just been trimmed."""


async def bootstrap(
    directory: Path | None, stand: Stand | None, held: StreamState, snapshots: Snapshots
) -> None:
    """Put the newest snapshot in the place of data that the log does not go on from.

    `stand` is where they stand. Raises StartupError if a snapshot is needed and cannot be had, and
    leaves the data as they are.
    """
    if not await asyncio.to_thread(_needs_snapshot, directory, stand, held):
        return
    if directory is None:
        raise StartupError("the log does not reach back to its beginning: that takes --data DIR")
    position = stand.position if stand is not None else 0
    _log.info("the log does not reach back: taking a snapshot", at=position, log=held.first)
    with lock(directory):
        await _fetch_any(directory, held, snapshots)


def standing(directory: Path | None) -> Stand | None:
    """Return where the data stand; None if there are none. Raises StartupError."""
    if directory is None or not (directory / copies.DATABASE).exists():
        return None
    with lock(directory):
        return copies.brought_up(directory / copies.DATABASE)


def _needs_snapshot(directory: Path | None, stand: Stand | None, held: StreamState) -> bool:
    """Tell whether the log does not go on from here; raises StartupError for data it never had."""
    if directory is None or stand is None:
        return bool(held.base) or held.first > 1
    if stand.epoch != held.epoch:
        return False  # it is another log's, and opening it says so
    if stand.position == 0:
        _check_base(directory, held.base)
    return stand.position + 1 < held.first


def _check_base(directory: Path, base: str) -> None:
    """Make sure that data without records are those which the log began with."""
    if not base:
        raise StartupError(
            f"{directory} was changed while its node was stopped, and no other node has that: the"
            " cluster goes on without it; use an empty data directory"
        )
    if inspection.content(directory / copies.DATABASE) != base:
        raise StartupError(
            f"{directory} has the history of the server that was exported, and more: the cluster"
            " goes on without that; use an empty data directory"
        )


async def _fetch_any(directory: Path, held: StreamState, snapshots: Snapshots) -> None:
    """Put the newest snapshot that can be had in place."""
    reason = "nobody has published one yet"
    for _ in range(_TRIES):
        fitting: list[Snapshot] = []
        try:
            fitting += await _fitting(held, snapshots)
        except NoSnapshot as failure:
            reason = str(failure)
        for snapshot in fitting:
            try:
                return await _fetch(directory, snapshot, snapshots)
            except NoSnapshot as failure:  # the one before may do
                reason = str(failure)
        await asyncio.sleep(_TRY_EVERY)
    raise StartupError(
        f"the log begins at record {held.first} and there is no snapshot from which it goes on"
        f" ({reason}); start a node that has newer data, or restore a backup with --same-log"
    )


async def _fitting(held: StreamState, snapshots: Snapshots) -> list[Snapshot]:
    """Return those from which the log goes on, the newest first; raises NoSnapshot."""
    return [
        it
        for it in await snapshots.listed()
        if it.epoch == held.epoch and it.position + 1 >= held.first
    ]


async def _fetch(directory: Path, snapshot: Snapshot, snapshots: Snapshots) -> None:
    file = directory / f"{copies.DATABASE}.fetched"
    try:
        await snapshots.fetch(snapshot, file)
        await asyncio.to_thread(_put_in_place, directory, file, snapshot)
    finally:
        file.unlink(missing_ok=True)
    _log.info("took a snapshot", position=snapshot.position, seq=snapshot.seq)


def _put_in_place(directory: Path, file: Path, snapshot: Snapshot) -> None:
    schema.verify(file)
    if inspection.stand(file) != Stand(snapshot.epoch, snapshot.seq, snapshot.position):
        raise StartupError(f"the snapshot {snapshot.name} holds something else than it says")
    copies.replace(directory, file)
