"""The real `chat-server`, as a process of its own."""

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

import pytest

COMMAND: Final = (sys.executable, "-m", "chat_service")
ON_FREE_PORTS: Final = {"--grpc": "127.0.0.1:0", "--tcp": "127.0.0.1:0", "--web": "off"}


class ServerProcess:
    """A server that was started, and has said that it is ready."""

    def __init__(self, arguments: list[str], env: dict[str, str], errors: Path) -> None:
        self._errors = errors
        with errors.open("wb") as stderr:
            self._process = subprocess.Popen(
                [*COMMAND, *arguments], env=env, stdout=subprocess.PIPE, stderr=stderr, text=True
            )
        assert self._process.stdout is not None
        self._stdout = self._process.stdout
        self.ready = self._stdout.readline()
        """The line that it printed when every listener accepted; empty if it never did."""

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def endpoints(self) -> dict[str, str]:
        """Where each listener is, by its name."""
        _, *pairs = self.ready.split()
        return dict(pair.split("=", 1) for pair in pairs)

    @property
    def log(self) -> str:
        """What it has written to stderr so far."""
        return self._errors.read_text()

    def signal(self, number: signal.Signals = signal.SIGTERM) -> None:
        self._process.send_signal(number)

    async def exit_status(self, within: float = 10.0) -> int:
        """Wait until it has ended (seconds)."""
        return await asyncio.to_thread(self._process.wait, within)

    async def stop(self) -> None:
        """Shut it down gracefully."""
        self.signal()
        assert await self.exit_status() == 0, self.log

    def kill(self) -> None:
        """End it, if it has not, without giving it time for anything."""
        self._process.kill()
        self._process.wait()

    def rest_of_stdout(self) -> str:
        """Return what it printed behind the ready line; waits for its end."""
        return self._stdout.read()

    def close(self) -> None:
        self.kill()
        self._stdout.close()


StartServer = Callable[..., ServerProcess]


@pytest.fixture
def server_process(tmp_path: Path) -> Iterator[StartServer]:
    """Return a function that starts a server, by default on free ports and data of this test.

    Its arguments are those of the command line; keywords become the environment.
    """
    processes: list[ServerProcess] = []

    def start(*arguments: str, **environment: str) -> ServerProcess:
        defaults = ON_FREE_PORTS | {"--data": str(tmp_path / "data")}
        missing = [
            it for flag in defaults if flag not in arguments for it in (flag, defaults[flag])
        ]
        env = {name: value for name, value in os.environ.items() if not name.startswith("CHAT_")}
        errors = tmp_path / f"stderr-{len(processes)}"
        processes.append(ServerProcess([*missing, *arguments], env | environment, errors))
        return processes[-1]

    yield start
    for process in processes:
        process.close()
