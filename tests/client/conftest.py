import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

# The core's own log lines about scripted faults are no news.
os.environ.setdefault("GRPC_VERBOSITY", "NONE")


class RealServer:
    """A chat-server process, which can die and come back at the same address."""

    def __init__(self, data: str) -> None:
        self._data = data
        self._process: subprocess.Popen[str] | None = None
        self.address = "127.0.0.1:0"

    def start(self) -> None:
        self._process = subprocess.Popen(
            [
                *(sys.executable, "-m", "chat_service", "--data", self._data),
                *("--grpc", self.address, "--tcp", "off", "--web", "off"),
                *("--rate-commands", "off", "--rate-connects", "off"),
            ],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        assert self._process.stdout
        ready = self._process.stdout.readline()
        assert ready.startswith("ready grpc="), ready
        self.address = ready.split()[1].removeprefix("grpc=")

    def stop(self, *, kill: bool = False) -> None:
        if self._process is None:
            return
        if kill:
            self._process.kill()
        else:
            self._process.terminate()
        self._process.communicate(timeout=30)
        self._process = None


@pytest.fixture(scope="session")
def real_server() -> Iterator[str]:
    """The address of a server that keeps nothing; tests keep apart by their users' names."""
    server = RealServer(":memory:")
    server.start()
    yield server.address
    server.stop()


@pytest.fixture
def mortal_server(tmp_path: Path) -> Iterator[RealServer]:
    """A running server of the test's own, with a log on disk."""
    server = RealServer(str(tmp_path / "data"))
    server.start()
    yield server
    server.stop()
