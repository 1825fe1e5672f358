"""The data of a server as a whole: copied, put back, looked over, taken elsewhere."""

import asyncio
import time
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

from chat_service.console.listing import Row
from chat_service.console.port import NotDone
from chat_service.core.commands import Entry, Exit
from chat_service.startup import InUse
from chat_service.state import copies
from chat_service.state.directory_lock import lock
from chat_service.state.inspection import Findings, inspect
from chat_service.state.store import Store


class Checked(NamedTuple):
    """A database and what was found in it."""

    path: Path
    findings: Findings


def backup(data: Path, file: Path) -> int:
    """Copy a server's data to a file, whether it runs or not; returns the seq it holds.

    Raises NotDone, StartupError.
    """
    return copies.copy(_database(data), file).seq


def restore(file: Path, data: Path, *, same_log: bool) -> None:
    """Make a copy the data of a directory that has none; raises NotDone, StartupError.

    See `copies.restore` for `same_log`.
    """
    if not file.is_file():
        raise NotDone(f"there is no file {file}")
    with lock(data):
        copies.restore(file, data, same_log=same_log)


def export(data: Path, file: Path) -> int:
    """Copy a stopped server's data for a cluster to begin with; returns the seq it holds.

    Nobody is connected in the copy. Raises NotDone, StartupError.
    """
    database = _database(data)
    if file.exists():
        raise NotDone(f"{file} is there already: name another file")
    try:
        asyncio.run(_end_sessions(data))
    except InUse:
        raise NotDone(
            f"a server is running on {data}: stop it first, what it would still take would be lost"
        ) from None
    return copies.copy(database, file).seq


def check(places: Sequence[Path]) -> tuple[list[Checked], list[str]]:
    """Look databases over, each a server's data or a copy, and hold them against each other.

    Returns what was found, and what is wrong, in sentences. Raises NotDone, StartupError.
    """
    checked = [Checked(place, inspect(_database(place))) for place in places]
    wrong = [f"{it.path}: {fault}" for it in checked for fault in it.findings.faults]
    wrong += [
        f"{one.path} and {other.path} have diverged:"
        f" they differ at position {one.findings.position}, seq {one.findings.seq}"
        for one, other in _of_one_moment(checked)
        if (one.findings.content, one.findings.digest)
        != (other.findings.content, other.findings.digest)
    ]
    return checked, wrong


def check_nodes(told: Mapping[str, Any]) -> tuple[list[Row], list[str]]:
    """Return the nodes of a running cluster, as one tells of them, and what is wrong."""
    rows: list[Row] = [
        {
            "node": node["name"],
            "live": node["live"],
            "agrees": _agreement(node),
            "agreed": int(node["agreed_position"]) or None,
            "position": int(node["position"]),
            "connections": node["connections"],
            "version": node["version"],
            "instance": node["instance"],
        }
        for node in told["nodes"]
    ]
    wrong = [
        f"{row['node']} has made something else of the log than {told['node']}:"
        " give one of them a new copy"
        for row in rows
        if row["agrees"] == "no"
    ]
    return rows, wrong


def _agreement(node: Mapping[str, Any]) -> str:
    """Return whether a node has made the same of the log, as far as that is known."""
    if node["diverged"]:
        return "no"
    return "yes" if int(node["agreed_position"]) else "not compared"


def _of_one_moment(checked: Sequence[Checked]) -> Iterator[tuple[Checked, Checked]]:
    """Return the neighbours that should be equal: of one schema, at one place in one log."""

    def moment(it: Checked) -> tuple[str, int, int, int]:
        return it.findings.epoch, it.findings.position, it.findings.seq, it.findings.schema

    for one, other in pairwise(sorted(checked, key=moment)):
        if moment(one) == moment(other):
            yield one, other


async def _end_sessions(data: Path) -> None:
    """Let go of every name, as the next start would: the connections ended with the server."""
    store = Store.open(data)
    try:
        held = await store.held_names()
        at = time.time_ns() // 1000
        await store.apply(
            [Entry(session, 0, user, client, at, Exit()) for user, client, session in held]
        )
    finally:
        await store.close()


def _database(place: Path) -> Path:
    """Return the file of a directory's database, or the file that a copy is."""
    file = place / copies.DATABASE if place.is_dir() else place
    if not file.is_file():
        raise NotDone(f"there is no server's data in {place}")
    return file
