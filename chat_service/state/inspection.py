"""A database looked over from outside: is it whole, where does it stand, and what is in it."""

from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import blake2b
from pathlib import Path
from typing import Any, Final, NamedTuple

import apsw

from chat_service.startup import StartupError
from chat_service.state import lineage, schema

_MOST_FAULTS: Final = 10
_BUSY_TIMEOUT_MS: Final = 10_000


class Stand(NamedTuple):
    """Where a database stands: in which log, after which of its events and records."""

    epoch: str
    seq: int
    position: int


class Findings(NamedTuple):
    """What was found, all of it as of one moment."""

    schema: int
    epoch: str
    seq: int
    position: int
    """The last record of a shared log that was applied; 0 for a log of one node alone."""
    digest: str
    """What all records so far did, in order; empty for a log of one node alone."""
    content: str
    """The digest of all that it holds."""
    faults: tuple[str, ...]
    """What is wrong with the file, the first of it; empty if it is sound."""


def inspect(path: Path) -> Findings:
    """Look a database over, beside a server or without one; raises StartupError if it is none."""
    schema.verify(path)
    with _opened(path) as db:
        return _findings(db)


def stand(path: Path) -> Stand:
    """Return where a database stands, without looking it over; raises StartupError."""
    with _opened(path) as db:
        return _stand(db)


def content(path: Path) -> str:
    """Return the digest of a database's content; raises StartupError."""
    with _opened(path) as db:
        return content_digest(db)


@contextmanager
def _opened(path: Path) -> Iterator[apsw.Connection]:
    """Give a database of which all that is read is of one moment."""
    try:
        db = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READONLY)
        try:
            db.set_busy_timeout(_BUSY_TIMEOUT_MS)
            db.execute("BEGIN")
            yield db
        finally:
            db.close()
    except apsw.Error as error:
        raise StartupError(f"cannot read {path}: {error}") from None


def content_digest(db: apsw.Connection) -> str:
    """Return a digest of every row of every table, in the order of the primary keys.

    Whether the log is a shared one is left out: a log begins with what a server alone has had.
    """
    whole = blake2b(digest_size=16)
    for table in _tables(db):
        whole.update(f"\n{table}\n".encode())
        keys = ", ".join(_primary_key(db, table))
        for row in db.execute(f"SELECT * FROM {table} ORDER BY {keys}"):  # noqa: S608  (our names)
            if (table, row[0]) != ("meta", lineage.MARK):
                whole.update(repr(row).encode())
    return whole.hexdigest()


def _findings(db: apsw.Connection) -> Findings:
    epoch, seq, position = _stand(db)
    digest = db.execute("SELECT value FROM meta WHERE key = 'digest'").get if position else b""
    return Findings(
        int(db.pragma("user_version")),
        epoch,
        seq,
        position,
        digest.hex(),
        content_digest(db),
        tuple(_faults(db)),
    )


def _stand(db: apsw.Connection) -> Stand:
    meta: dict[str, Any] = dict(db.execute("SELECT key, value FROM meta"))
    return Stand(meta["epoch"], meta["seq"], meta.get("position", 0))  # which came with schema 3


def _faults(db: apsw.Connection) -> Iterator[str]:
    for (found,) in db.execute(f"PRAGMA integrity_check({_MOST_FAULTS})"):
        if found != "ok":
            yield from found.splitlines()
    for table, row, parent, _ in db.execute("PRAGMA foreign_key_check"):
        yield f"row {row} of {table} points to nothing in {parent}"


def _tables(db: apsw.Connection) -> list[str]:
    listed = db.execute(
        "SELECT name FROM sqlite_schema"
        " WHERE type = 'table' AND name NOT LIKE 'sqlite_%' ORDER BY name"
    )
    return [name for (name,) in listed]


def _primary_key(db: apsw.Connection, table: str) -> list[str]:
    columns = db.execute("SELECT name FROM pragma_table_info(?) WHERE pk ORDER BY pk", (table,))
    return [name for (name,) in columns]
