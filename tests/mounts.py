"""Real file systems that are full or read-only, for tests that run as root."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest


@contextmanager
def mounted(target: Path, *options: str) -> Iterator[Path]:
    """Mount something on `target` for a while; skip the test where that is not possible."""
    if os.geteuid() != 0 or shutil.which("mount") is None:
        pytest.skip("mounting a file system takes root and mount(8)")
    done = subprocess.run(
        ["mount", *options, str(target)], capture_output=True, text=True, check=False
    )
    if done.returncode:
        pytest.skip(f"cannot mount a file system here: {done.stderr.strip()}")
    try:
        yield target
    finally:
        if subprocess.run(["umount", str(target)], check=False).returncode:
            subprocess.run(["umount", "--lazy", str(target)], check=True)
            raise AssertionError(f"something still has a file open in {target}")


@contextmanager
def small_disk(target: Path, size: int) -> Iterator[Path]:
    """Make a directory a disk of a size in bytes."""
    target.mkdir()
    with mounted(target, "-t", "tmpfs", "-o", f"size={size},mode=700", "tmpfs"):
        yield target


@contextmanager
def read_only(target: Path) -> Iterator[Path]:
    """Make a directory or a file read-only, even for root."""
    with mounted(target, "--bind", str(target)):
        subprocess.run(["mount", "-o", "remount,bind,ro", str(target)], check=True)
        yield target
