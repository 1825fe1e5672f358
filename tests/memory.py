"""What this process has in memory."""

import os
from pathlib import Path


def resident() -> int:
    """Return the bytes of memory that the process has at present."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
