"""Copies of a database: made beside a running server, and put in place as a server's data.

A file that is being made has another name until it is whole and on disk, so that whoever finds one
under its name may trust it, however the process that made it ended.
"""

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import apsw

from chat_service.startup import StartupError
from chat_service.state import lineage, schema
from chat_service.state.inspection import Stand, stand

DATABASE: Final = "chat.db"
_BUSY_TIMEOUT_MS: Final = 10_000


def copy(source: Path, target: Path) -> Stand:
    """Copy a database as it is at one moment; who writes to it meanwhile is not held up.

    Returns where the copy stands. Raises StartupError if the source cannot be read or the target
    cannot be written, or is there already.
    """
    schema.verify(source)
    with _made(target) as partial:
        with _opened(source, apsw.SQLITE_OPEN_READONLY) as db:
            db.execute("VACUUM INTO ?", (str(partial),))
        return stand(partial)


def restore(backup: Path, directory: Path, *, same_log: bool) -> None:
    """Make a copy the data of a directory that has none and that is locked by the caller.

    As a rule its log is another one from here on, with an epoch of its own: what the clients have
    seen of the past that came after the copy is not part of it. `same_log` keeps the epoch, for a
    node that goes on with a log that lies elsewhere. Raises StartupError.
    """
    schema.verify(backup)
    database = directory / DATABASE
    if not database.exists():
        _check_alone(database)
    with _made(database) as partial:
        _copy_bytes(backup, partial)
        with _opened(partial) as db:
            schema.migrate(db)
            if not same_log:
                begin_log(db)


def replace(directory: Path, copied: Path) -> None:
    """Put a whole copy in the place of a directory's database, which nobody has open.

    Raises StartupError if the old one is still open elsewhere.
    """
    database = directory / DATABASE
    if database.exists():
        _close_for_good(database)
    _sync(copied)
    copied.replace(database)
    _sync(directory)


def brought_up(database: Path) -> Stand | None:
    """Return where a database stands that nobody has open, once it is in the present schema.

    None if nothing has ever happened to it. What a process that was killed has left of it is rolled
    back. Raises StartupError.
    """
    schema.verify(database)
    try:
        with _opened(database) as db:
            schema.migrate(db)
            if lineage.is_new(db):
                return None
    except apsw.Error as error:
        raise StartupError(f"cannot use {database}: {error}") from None
    return stand(database)


def begin_log(db: apsw.Connection) -> None:
    """Make what a database holds the beginning of another log, one without records so far."""
    with db:
        db.execute("UPDATE meta SET value = ? WHERE key = 'epoch'", (secrets.token_hex(8),))
        db.execute("UPDATE meta SET value = 0 WHERE key = 'position'")
        db.execute("UPDATE meta SET value = x'' WHERE key = 'digest'")
        db.execute("UPDATE meta SET value = '' WHERE key = 'record'")
        db.execute("DELETE FROM publishers")
        lineage.release(db)


def _check_alone(database: Path) -> None:
    """Make sure that no rest of another database is there, which SQLite would take for its own."""
    for rest in (database.with_name(f"{database.name}{it}") for it in ("-wal", "-journal")):
        if rest.exists():
            raise StartupError(f"{rest} is left of another database: move it away with that")


def _close_for_good(database: Path) -> None:
    """Bring what lies in the write-ahead log into the file: the log would fit no other file."""
    try:
        with _opened(database) as db:
            db.pragma("journal_mode", "delete")
    except apsw.BusyError:
        raise StartupError(f"{database} is in use") from None


@contextmanager
def _opened(
    path: Path, flags: int = apsw.SQLITE_OPEN_READWRITE | apsw.SQLITE_OPEN_CREATE
) -> Iterator[apsw.Connection]:
    db = apsw.Connection(str(path), flags=flags)
    try:
        db.set_busy_timeout(_BUSY_TIMEOUT_MS)
        yield db
    finally:
        db.close()


@contextmanager
def _made(target: Path) -> Iterator[Path]:
    """Give an empty file to fill, for its owner alone, and then put it in the target's place."""
    if target.exists():
        raise StartupError(f"{target} is there already: move it away, or name another file")
    partial = target.with_name(f"{target.name}.partial")
    try:
        partial.unlink(missing_ok=True)
        partial.touch(mode=0o600)
        yield partial
        _sync(partial)
        partial.replace(target)
        _sync(target.parent)
    except OSError as error:
        raise StartupError(f"cannot write {target}: {error.strerror}") from None
    except apsw.Error as error:
        raise StartupError(f"cannot write {target}: {error}") from None
    finally:
        partial.unlink(missing_ok=True)


def _copy_bytes(source: Path, target: Path) -> None:
    with source.open("rb") as read, target.open("wb") as written:
        while block := read.read(1024 * 1024):
            written.write(block)


def _sync(path: Path) -> None:
    """Have on disk what a file holds, or a directory's own entries."""
    number = os.open(path, os.O_RDONLY)
    try:
        os.fsync(number)
    finally:
        os.close(number)
