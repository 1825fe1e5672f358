"""A disk that fails on demand, laid under SQLite as its default file system."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import PurePath
from typing import Any, Self

import apsw

BASE = "unix"

Fails = Callable[[str], bool]


def never(_file: str) -> bool:
    return False


def in_the_log(file: str) -> bool:
    """Whether a file is the write-ahead log, on which commits rest.

    Not so the database itself: what fails in a checkpoint SQLite keeps to itself, but an exception
    of this file system would reach whoever has just committed.
    """
    return file.endswith("-wal")


class FlakyDisk(apsw.VFS):
    """Serves all databases that are opened inside of `installed`."""

    def __init__(self) -> None:
        self.sync_fails: Fails = never
        """Told a file's name, whether its next fsync fails."""
        self.write_fails: Fails = never
        """Likewise of a write."""
        self.failures = 0
        """How often something has failed."""
        super().__init__("flaky", BASE, makedefault=True)

    @classmethod
    @contextmanager
    def installed(cls) -> Iterator[Self]:
        disk = cls()
        try:
            yield disk
        finally:
            disk.unregister()

    def works(self) -> None:
        """Fail no more."""
        self.sync_fails = self.write_fails = never

    def xOpen(  # noqa: N802  (SQLite's name)
        self, name: str | apsw.URIFilename | None, flags: list[int]
    ) -> apsw.VFSFile:
        return _File(self, name, flags)

    def check(self, fails: Fails, file: str, code: int) -> None:
        if fails(file):
            self.failures += 1
            raise apsw.exception_for(code)


class _File(apsw.VFSFile):
    def __init__(
        self, disk: FlakyDisk, name: str | apsw.URIFilename | None, flags: list[int]
    ) -> None:
        super().__init__(BASE, name, flags)
        self._disk = disk
        path = name.filename() if isinstance(name, apsw.URIFilename) else name
        self._name = PurePath(path or "").name

    def xSync(self, flags: int) -> None:  # noqa: N802
        self._disk.check(self._disk.sync_fails, self._name, apsw.SQLITE_IOERR_FSYNC)
        super().xSync(flags)

    def xWrite(self, data: Any, offset: int) -> None:  # noqa: N802
        self._disk.check(self._disk.write_fails, self._name, apsw.SQLITE_IOERR_WRITE)
        super().xWrite(data, offset)
