"""The lock on a data directory: one process at a time changes what lies in it."""

import fcntl
from pathlib import Path
from typing import IO

from chat_service.startup import InUse, StartupError


def lock(directory: Path) -> IO[bytes]:
    """Make a directory this process's alone; the lock ends with the process, however it ends.

    Raises InUse if it is another's, StartupError if it cannot be written to.
    """
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        file = (directory / "chat.lock").open("ab")
    except OSError as error:
        raise StartupError(f"cannot write to {directory}: {error.strerror}") from None
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        file.close()
        raise InUse(f"another server is using {directory}") from None
    return file
