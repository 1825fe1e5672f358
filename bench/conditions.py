"""Under which conditions the figures were found: without them they mean nothing."""

import os
import platform
import subprocess
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from statistics import median

import apsw

from bench.systems.port import System


def conditions(systems: Sequence[System], work: Path) -> dict[str, str]:
    """Return what a reader has to know, in words."""
    cores = len(os.sched_getaffinity(0))
    return {
        "date": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "revision": _revision(),
        "machine": f"{_processor()}, {_memory_gib():.0f} GiB, Linux {_kernel()}",
        "cores": f"{cores} cores shared by server and load generator",
        "disk": f"{_commit_ms(work):.2f} ms for a write of 4 KiB with fdatasync (median)",
        "TCP": f"loopback, congestion control {_congestion_control()}",
        "load average before": f"{os.getloadavg()[0]:.2f}",
        "Python": f"{platform.python_version()}, grpcio {version('grpcio')},"
        f" uvloop {version('uvloop')}, SQLite {apsw.sqlite_lib_version()}",
        **{system.title: system.version() for system in systems},
    }


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


def _kernel() -> str:
    return platform.release().partition("-")[0]  # what a distribution adds says little


def _memory_gib() -> float:
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30


def _congestion_control() -> str:
    # It matters even here: some of them hold back servers that write in small pieces.
    return Path("/proc/sys/net/ipv4/tcp_congestion_control").read_text().strip()


def _revision() -> str:
    command = ("git", "describe", "--always", "--dirty", "--exclude=*")
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=10)
    except OSError:
        return "unknown"
    return done.stdout.strip() or "unknown"


def _commit_ms(work: Path) -> float:
    times: list[float] = []
    path = work / "fdatasync"
    with path.open("wb", buffering=0) as file:
        for _ in range(50):
            started = time.perf_counter()
            file.write(bytes(4096))
            os.fdatasync(file.fileno())
            times.append(time.perf_counter() - started)
    path.unlink()
    return median(times) * 1000
