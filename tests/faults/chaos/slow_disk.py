"""`chat-server` on a disk that is slow while a file says so, and with small buffers towards NATS.

`python -m tests.faults.chaos.slow_disk FILE …` is `chat-server …`, which waits at every write and
sync to its database for as many seconds as FILE holds, while there is one.
"""

import sys
import time
from pathlib import Path

import apsw

from chat_service.cli import main
from tests.faults.chaos.small_buffers import shrink

_BASE = "unix"


class _SlowDisk(apsw.VFS):
    def __init__(self, switch: Path) -> None:
        self._switch = switch
        super().__init__("slow", _BASE, makedefault=True)

    def xOpen(  # noqa: N802  (SQLite's name)
        self, name: str | apsw.URIFilename | None, flags: list[int]
    ) -> apsw.VFSFile:
        return _SlowFile(self._switch, name, flags)


class _SlowFile(apsw.VFSFile):
    def __init__(self, switch: Path, name: str | apsw.URIFilename | None, flags: list[int]) -> None:
        super().__init__(_BASE, name, flags)
        self._switch = switch
        self._read_only = bool(flags[0] & apsw.SQLITE_OPEN_READONLY)

    def xLock(self, level: int) -> None:  # noqa: N802
        try:
            super().xLock(level)
        except apsw.IOError as error:
            if not self._read_only:
                raise
            # Who closes a file that was opened to be read tries this all the same. SQLite takes
            # that for no error, but an exception of this file system would reach its caller.
            raise apsw.BusyError from error

    def xWrite(self, data: bytes, offset: int) -> None:  # noqa: N802
        self._wait()
        super().xWrite(data, offset)

    def xSync(self, flags: int) -> None:  # noqa: N802
        self._wait()
        super().xSync(flags)

    def _wait(self) -> None:
        try:
            time.sleep(float(self._switch.read_text() or 0))
        except FileNotFoundError:
            return


if __name__ == "__main__":
    _DISK = _SlowDisk(Path(sys.argv[1]))
    shrink()
    main(sys.argv[2:])
