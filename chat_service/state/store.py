"""The state: batches are applied on the event loop, committed on one thread and read on another.

Applying takes the interpreter nearly all the time, which only one thread has at a time: on a thread
of its own it would run no sooner, and the two would hand the interpreter back and forth. It is done
in steps between which everything else has its turn. A commit is waited for on a thread; so is what
readers ask for. (A page that the applying one needs and SQLite has not in its 64 MiB is read on the
loop.) WAL lets the reader see the last commit while the next one is being written. Without a
directory there is one connection to a database in memory, and reads wait until nothing is applied.
"""

import asyncio
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from pathlib import Path
from typing import IO, Concatenate, Final, ParamSpec, TypeVar

import apsw

from chat_service.core.commands import Entry, Trim
from chat_service.core.errors import Unavailable
from chat_service.core.events import ConversationsPage, HistoryPage
from chat_service.core.moderation import Role
from chat_service.core.outcome import Applied, Seat
from chat_service.core.record import Record, unplaced
from chat_service.startup import StartupError
from chat_service.state import directory, lineage, queries, schema, trimming
from chat_service.state.directory_lock import lock as lock_directory
from chat_service.state.machine import StateMachine
from chat_service.state.port import (
    AccountRow,
    BanRow,
    ConnectionRow,
    Credentials,
    Page,
    SignInRow,
)

P = ParamSpec("P")
T = TypeVar("T")

RETRY_AFTER = 1.0
"""Seconds after which it is worth another try when the storage has failed."""

_TURN: Final = 0.0005
"""Seconds of applying after which others get a turn."""

_BUSY_TIMEOUT: Final = 2.0
"""Seconds to wait for another process that has the file."""

_BUSY_LOOK: Final = 0.01
"""Seconds between two looks whether it still has."""

_PASSING = (
    apsw.FullError,
    apsw.IOError,
    apsw.BusyError,
    apsw.LockedError,
    apsw.ReadOnlyError,
    apsw.CantOpenError,
    apsw.PermissionsError,
)
"""Failures that leave the database sound and may be over at the next try."""


class Store:
    """An open state database. `open` makes one; `close` gives it back."""

    def __init__(self, writer: apsw.Connection, reader: apsw.Connection | None) -> None:
        self._writer = writer
        self._reader = reader or writer
        self._commit_thread = ThreadPoolExecutor(1, "state-commit")
        self._read_thread = ThreadPoolExecutor(1, "state-read") if reader else self._commit_thread
        self._applying = asyncio.Lock()
        self._machine = StateMachine(writer)
        self._lock: IO[bytes] | None = None
        self._epoch = queries.epoch(writer)

    @classmethod
    def open(cls, directory: Path | None, shared: str | None = None) -> "Store":
        """Open the database in a directory, made if missing; None keeps everything in memory.

        `shared` is the epoch of the log that it is to follow with other nodes; None: it is alone.
        Raises StartupError if the database cannot be served, and leaves the file as it is.
        """
        if directory is None:
            writer = apsw.Connection(":memory:")
            schema.migrate(writer)
            lineage.check(writer, shared, ":memory:")
            return cls(writer, None)
        lock = lock_directory(directory)
        try:
            store = cls(*_connect(directory / "chat.db", shared))
        except StartupError:
            lock.close()
            raise
        except (apsw.Error, OSError) as error:
            lock.close()
            reason = error.strerror if isinstance(error, OSError) else error
            raise StartupError(f"cannot use {directory / 'chat.db'}: {reason}") from None
        store._lock = lock
        return store

    @property
    def epoch(self) -> str:
        """The identity of the log."""
        return self._epoch

    @property
    def seq(self) -> int:
        """The seq of the last event applied."""
        return self._machine.seq

    @property
    def position(self) -> int:
        """The position of the last record applied; 0 where the log has no positions."""
        return self._machine.progress.mark().position

    @property
    def digest(self) -> bytes:
        """What says in 16 bytes all that was done up to the position; empty at position 0."""
        return self._machine.progress.mark().digest

    @property
    def record(self) -> str:
        """The id of the record at the position; empty where that is not known."""
        return self._machine.progress.mark().record

    def digest_at(self, position: int) -> bytes | None:
        """Return the digest of a position, if it is among the latest few thousand."""
        return self._machine.progress.digest_at(position)

    async def apply(self, entries: Sequence[Entry]) -> list[Applied]:
        """Commit entries that come from no log; see `apply_records`."""
        return await self.apply_records((unplaced(entries),))

    async def apply_records(self, records: Sequence[Record]) -> list[Applied]:
        """Commit a batch; raises Unavailable if nothing of it has happened but it might yet."""
        applied: list[Applied] = []
        async with self._applying:
            with _telling_what_passes():
                await self._begin()
                with closing(self._machine.steps(records)) as steps:
                    turn = time.perf_counter()
                    for step in steps:
                        applied += step
                        if time.perf_counter() - turn > _TURN:
                            await asyncio.sleep(0)
                            turn = time.perf_counter()
                await self._on_to_the_end(self._commit_thread, self._machine.commit)
        return applied

    async def _begin(self) -> None:
        """Begin a transaction, as soon as no other process has the file."""
        deadline = time.monotonic() + _BUSY_TIMEOUT
        while True:
            try:
                self._machine.begin()
            except apsw.BusyError:
                if time.monotonic() > deadline:
                    raise
                await asyncio.sleep(_BUSY_LOOK)
            else:
                return

    async def held_names(self) -> list[tuple[str, bytes, str]]:
        """Return each name that a session has, with its client and that session."""
        return await self._read(queries.held_names)

    async def missed(self, identity: int, *, after: int, rooms_after: int, upto: int) -> Page:
        """Return the next page of what an identity was to see; see `Archive.missed`."""
        return await self._read(queries.missed, identity, after, rooms_after, upto)

    async def history(self, identity: int, to: str, *, before_seq: int, limit: int) -> HistoryPage:
        """Return the latest messages before a seq; see `Archive.history`."""
        return await self._read(queries.history, identity, to, before_seq, limit)

    async def conversations(
        self, identity: int, *, before_seq: int, limit: int
    ) -> ConversationsPage:
        """Return conversations, the latest first; see `Archive.conversations`."""
        return await self._read(queries.conversations, identity, before_seq, limit)

    async def members(
        self, identity: int, room: str, *, after: str, limit: int
    ) -> list[tuple[str, Role]]:
        """Return names of a room's members; see `Archive.members`."""
        return await self._read(queries.members, identity, room, after, limit)

    async def credentials(self, name: str) -> Credentials | None:
        """Return what proves an account; see `Directory.credentials`."""
        return await self._read(directory.credentials, name)

    async def bearer(self, digest: bytes) -> str | None:
        """Return whose token has this digest; see `Directory.bearer`."""
        return await self._read(directory.bearer, digest)

    async def expiry(self, digest: bytes) -> int | None:
        """Return when an account's token ends; see `Directory.expiry`."""
        return await self._read(directory.expiry, digest)

    async def signed_in(self, digest: bytes, at: int) -> str | None:
        """Return the account whose token is good at a time; see `Directory.signed_in`."""
        return await self._read(directory.signed_in, digest, at)

    async def is_admin(self, name: str) -> bool:
        """Tell whether a name is an admin's account."""
        return await self._read(directory.is_admin, name)

    async def sign_ins(self, name: str, at: int) -> list[SignInRow]:
        """Return an account's good tokens; see `Directory.sign_ins`."""
        return await self._read(directory.sign_ins, name, at)

    async def seats(self) -> list[Seat]:
        """Return the sessions that have names, those included whose clients are expected back."""
        return await self._read(directory.seats)

    async def connections(self, user: str) -> list[ConnectionRow]:
        """Return the sessions that have names; see `Directory.connections`."""
        return await self._read(directory.connections, user)

    async def bans(self, at: int) -> list[BanRow]:
        """Return the bans from the server in force; see `Directory.bans`."""
        return await self._read(directory.bans, at)

    async def accounts(self, after: str, limit: int) -> list[AccountRow]:
        """Return accounts behind a name; see `Directory.accounts`."""
        return await self._read(directory.accounts, after, limit)

    async def count_accounts(self) -> int:
        """Return how many accounts there are."""
        return await self._read(directory.count_accounts)

    async def overdue(self, before: int | None, keep: int | None) -> Trim | None:
        """Return the next cut that retention has to make; see `trimming.overdue`."""
        return await self._read(trimming.overdue, before=before, keep=keep)

    async def close(self) -> None:
        """Finish what runs, close the database and let go of its directory."""
        async with self._applying:
            await self._on(self._read_thread, self._reader.close)
            await self._on(self._commit_thread, self._writer.close)
        self._read_thread.shutdown()
        self._commit_thread.shutdown()
        if self._lock is not None:
            self._lock.close()

    async def _read(
        self,
        query: Callable[Concatenate[apsw.Connection, P], T],
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> T:
        with _telling_what_passes():
            if self._reader is not self._writer:
                return await self._on(self._read_thread, query, self._reader, *args, **kwargs)
            async with self._applying:
                return await self._on_to_the_end(
                    self._read_thread, query, self._reader, *args, **kwargs
                )

    async def _on(
        self,
        thread: ThreadPoolExecutor,
        function: Callable[P, T],
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> T:
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(thread, lambda: function(*args, **kwargs))

    async def _on_to_the_end(
        self,
        thread: ThreadPoolExecutor,
        function: Callable[P, T],
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> T:
        """Do it all, also if cancelled meanwhile: the connection is the thread's until then."""
        doing = asyncio.ensure_future(self._on(thread, function, *args, **kwargs))
        try:
            return await asyncio.shield(doing)
        except asyncio.CancelledError:
            await asyncio.wait((doing,))
            raise


@contextmanager
def _telling_what_passes() -> Iterator[None]:
    """Raise Unavailable for a failure that may be over at the next try."""
    try:
        yield
    except _PASSING as error:
        raise Unavailable(
            f"the storage cannot take or give anything now: {error}", retry_after=RETRY_AFTER
        ) from error


def _connect(path: Path, shared: str | None) -> tuple[apsw.Connection, apsw.Connection]:
    """Return the connections of the writer and of the reader."""
    if path.exists():
        schema.verify(path)
    else:  # SQLite would let others read it; its other files take their mode from this one
        path.touch(mode=0o600)
    writer = apsw.Connection(str(path))
    try:
        _prepare(writer, shared, str(path.parent))
        reader = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READONLY)
    except BaseException:
        writer.close()
        raise
    reader.set_busy_timeout(round(_BUSY_TIMEOUT * 1000))
    return writer, reader


def _prepare(writer: apsw.Connection, shared: str | None, place: str) -> None:
    writer.set_busy_timeout(round(_BUSY_TIMEOUT * 1000))
    schema.migrate(writer)
    lineage.check(writer, shared, place)
    # Only now: a file in WAL mode may keep what tells it as ours in its log alone, out of the
    # sight of `verify`.
    writer.pragma("journal_mode", "wal")
    # What a power cut takes from the end, a log that others hold too has still.
    writer.pragma("synchronous", "full" if shared is None else "normal")
    writer.pragma("cache_size", -65_536)  # KiB
    writer.pragma("journal_size_limit", 64 * 1024 * 1024)
    with writer:
        writer.execute("UPDATE meta SET value = value WHERE key = 'epoch'")  # is it writable?
    writer.set_busy_timeout(0)  # from here on the loop would wait; see `Store._begin`
