import os
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

from .person import Open, Terminal
from .program import Program, Start

# The core's own log lines about scripted faults are no news.
os.environ.setdefault("GRPC_VERBOSITY", "NONE")


class RealServer:
    """A chat-server process, which can die and come back at the same address."""

    def __init__(self, data: str, *options: str) -> None:
        self._data = data
        self._options = options
        self._process: subprocess.Popen[str] | None = None
        self.address = "127.0.0.1:0"

    def start(self) -> None:
        self._process = subprocess.Popen(
            [
                *(sys.executable, "-m", "chat_service", "--data", self._data),
                *("--grpc", self.address, "--tcp", "off", "--web", "off"),
                *("--rate-commands", "off", "--rate-connects", "off"),
                *self._options,
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


@pytest.fixture
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where clients keep what they keep; nothing of whoever runs the tests shows through."""
    for name in [name for name in os.environ if name.startswith("CHAT_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setenv("PYTHON_KEYRING_BACKEND", "keyring.backends.fail.Keyring")
    return tmp_path / "state"


@pytest.fixture
def start(state: Path) -> Iterator[Start]:
    """Starts a `chat-client` in a pipe."""
    started: list[Program] = []

    def start(server: str, user: str, *options: str, **streams: Any) -> Program:
        arguments = ("-m", "chat_client", "--server", server, "--user", user, *options)
        started.append(Program(*arguments, **streams))
        return started[-1]

    yield start
    for program in started:
        program.stop()


@pytest.fixture
async def terminal(state: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Open]:
    """Opens a `chat-client` on a terminal."""
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("PROMPT_TOOLKIT_NO_CPR", "1")
    monkeypatch.delenv("NO_COLOR", raising=False)
    opened: list[Terminal] = []

    def open_terminal(server: str, user: str, *options: str) -> Terminal:
        opened.append(Terminal("--server", server, "--user", user, *options))
        return opened[-1]

    yield open_terminal
    for it in opened:
        it.stop()
