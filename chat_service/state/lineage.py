"""Whose history a database holds: its own, or that of a log which many nodes share.

A database that went on with another history than its own would show its clients a past that never
was. So what does not fit together is not opened.
"""

from typing import Any, Final

import apsw

from chat_service.startup import StartupError

MARK: Final = "shared"
"""The key in `meta` of data that follow a log which many nodes share.

It says so where no record was applied yet, and is no part of the content that nodes compare.
"""


def check(db: apsw.Connection, shared: str | None, place: str) -> None:
    """Make sure that a database goes on with its own history.

    `shared` is the epoch of the log that it is to follow, None where it is to have its own. A
    database without any history takes it on. Raises StartupError.
    """
    epoch, position = _meta(db, "epoch"), _meta(db, "position")
    if shared is None:
        if position or _meta(db, MARK):
            raise StartupError(
                f"{place} is the data of a cluster's node: use it with --nats as before, or"
                " restore a backup of it to go on alone"
            )
        return
    if epoch != shared:
        _adopt(db, shared, position, place)
    with db:
        db.execute("INSERT OR IGNORE INTO meta (key, value) VALUES (?, 1)", (MARK,))


def _adopt(db: apsw.Connection, shared: str, position: int, place: str) -> None:
    if position:
        raise StartupError(
            f"{place} follows another log than the stream holds: name the stream that it came"
            " from, or an empty data directory"
        )
    if not is_new(db):
        raise StartupError(
            f"{place} has the history of a single server: name an empty data directory, or move"
            " the history with chat-server export and import"
        )
    with db:
        db.execute("UPDATE meta SET value = ? WHERE key = 'epoch'", (shared,))


def release(db: apsw.Connection) -> None:
    """Let data go on alone, or under any log, that followed one which many nodes share."""
    db.execute("DELETE FROM meta WHERE key = ?", (MARK,))


def is_new(db: apsw.Connection) -> bool:
    """Tell whether nothing has ever happened to a database."""
    row: Any = db.execute(
        "SELECT (SELECT value FROM meta WHERE key = 'seq') = 0"
        " AND NOT EXISTS (SELECT 1 FROM identities) AND NOT EXISTS (SELECT 1 FROM sanctions)"
    ).fetchone()
    return bool(row[0])


def _meta(db: apsw.Connection, key: str) -> Any:
    return db.execute("SELECT value FROM meta WHERE key = ?", (key,)).get
