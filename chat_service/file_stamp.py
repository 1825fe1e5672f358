"""What tells that a file is another one than it was."""

from pathlib import Path

FileStamp = tuple[int, int, int] | None
"""None of a file that cannot be looked at."""


def stamp(path: Path) -> FileStamp:
    """Return what changes when a file is written, or replaced by another."""
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_mtime_ns, status.st_size, status.st_ino
