"""A server as a process: its start, its end, and what the kernel knows of it."""

import os
import re
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final, Self

from bench.errors import LoadError

HOST: Final = "127.0.0.1"
_START_TIMEOUT: Final = 120.0
_TICKS: Final = os.sysconf("SC_CLK_TCK")
_PAGE: Final = os.sysconf("SC_PAGE_SIZE")
_NUMBER: Final = re.compile(r"[0-9]+(\.[0-9]+)?")


FindAddress = Callable[[Path], str]
"""Reads a log and returns where the server listens, empty as long as it does not."""


class ServerProcess:
    """A running server, which may listen at a second address, for clients of another kind."""

    def __init__(
        self,
        command: Sequence[str],
        directory: Path,
        find_address: FindAddress,
        find_other: FindAddress | None = None,
    ) -> None:
        self._log = directory / "server.log"
        env = {name: value for name, value in os.environ.items() if not name.startswith("CHAT_")}
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(command, env=env, stdout=log, stderr=subprocess.STDOUT)
        try:
            self.address = self._wait(find_address)
            self.other_address = self._wait(find_other) if find_other else ""
        except BaseException:
            self.stop()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self.stop()

    @property
    def pid(self) -> int:
        """The process's id."""
        return self._process.pid

    def cpu_seconds(self) -> float:
        """Return the CPU time, user and system, of all threads so far."""
        return self.cpu_seconds_of(self.pid)

    @staticmethod
    def cpu_seconds_of(pid: int) -> float:
        """Return the CPU time of a process."""
        # The name in parentheses may hold anything; utime and stime are fields 14 and 15 (proc(5)).
        stat = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        return (int(stat[11]) + int(stat[12])) / _TICKS

    def rss_bytes(self) -> int:
        """Return the memory that is resident."""
        return int(Path(f"/proc/{self._process.pid}/statm").read_text().split()[1]) * _PAGE

    def parting_figures(self) -> dict[str, float]:
        """Return the numbers that it has logged with the word `stopped`, once it has."""
        words = _last_with("stopped", self._log.read_text(errors="replace"))
        pairs = (word.split("=", 1) for word in words if "=" in word)
        return {key: float(value) for key, value in pairs if _NUMBER.fullmatch(value)}

    def stop(self) -> None:
        """End the process."""
        self._process.terminate()
        try:
            self._process.wait(15)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def _wait(self, find_address: FindAddress) -> str:
        given_up = time.monotonic() + _START_TIMEOUT
        while not (address := find_address(self._log)):
            if self._process.poll() is not None or time.monotonic() > given_up:
                raise LoadError(f"the server did not start: {self._log.read_text()[-1000:]}")
            time.sleep(0.05)
        return address


def _last_with(word: str, log: str) -> list[str]:
    """Return the words of the last line that has this one."""
    lines = (line.split() for line in reversed(log.splitlines()))
    return next((words for words in lines if word in words), [])


def python_module(module: str, *arguments: str) -> list[str]:
    """Return the command that runs a module with this Python."""
    return [sys.executable, "-m", module, *arguments]


def free_port() -> int:
    """Return a port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        port: int = probe.getsockname()[1]
        return port


def accepting(port: int) -> FindAddress:
    """Return a `find_address` for servers that are ready when their port accepts."""

    def find(_log: Path) -> str:
        try:
            socket.create_connection((HOST, port), timeout=1).close()
        except OSError:
            return ""
        return f"{HOST}:{port}"

    return find


def announced(key: str) -> FindAddress:
    """Return a `find_address` for servers that print `ready key=HOST:PORT`."""

    def find(log: Path) -> str:
        for line in log.read_text().splitlines():
            if line.startswith("ready "):
                return dict(pair.split("=", 1) for pair in line.split()[1:])[key]
        return ""

    return find


def executable(name: str) -> str:
    """Return the path of a program, beside this Python or on PATH; empty if there is none."""
    path = os.pathsep.join(
        (str(Path(sys.executable).parent), os.environ.get("PATH", ""), "/usr/sbin")
    )
    return shutil.which(name, path=path) or ""


def first_line(*command: str) -> str:
    """Return the first line that a command prints."""
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=10)
    return next(iter((done.stdout + done.stderr).splitlines()), "")
