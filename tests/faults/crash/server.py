"""A server process that can be killed and comes back at the same address on the same data."""

import asyncio
import contextlib
import itertools
import random
import socket
import subprocess
import sys
from pathlib import Path
from types import TracebackType
from typing import Self

READY_WITHIN = 30.0
STOPPED_WITHIN = 30.0
_BELOW_EPHEMERAL = range(20_000, 32_000)


class ServerProcess:
    """`chat-server` as users run it, gRPC only and without rates; its end is the block's end."""

    def __init__(self, directory: Path) -> None:
        self.data = directory / "data"
        self.port = free_port()
        self.deaths = 0
        self._stderr = directory / "server.log"
        self._process: subprocess.Popen[str] | None = None

    async def start(self) -> None:
        """Start it and wait until it serves."""
        self.launch()
        process = self._running
        assert process.stdout
        async with asyncio.timeout(READY_WITHIN):
            line = (await asyncio.to_thread(process.stdout.readline)).strip()
        if line != f"ready grpc=127.0.0.1:{self.port}":
            raise AssertionError(f"the server did not start: {line!r}\n{self.last_words()}")

    def launch(self) -> None:
        """Start it and wait for nothing."""
        command = [
            *(sys.executable, "-m", "chat_service", "--data", str(self.data)),
            *("--grpc", f"127.0.0.1:{self.port}", "--tcp", "off", "--web", "off"),
            *("--rate-commands", "off", "--rate-connects", "off", "--rate-bytes", "off"),
        ]
        with self._stderr.open("ab") as stderr:
            # Not asyncio's: the loop's fork runs gRPC's handlers, in a child that they can crash.
            self._process = subprocess.Popen(
                command, stdout=subprocess.PIPE, stderr=stderr, text=True
            )

    async def kill(self) -> None:
        """End it with SIGKILL, whatever it is doing."""
        self._running.kill()
        await self._gone()
        self.deaths += 1

    def terminate(self) -> None:
        """Ask it to stop."""
        self._running.terminate()

    async def stopped(self) -> None:
        """Wait until it has stopped as asked; an exit status other than 0 is a failure."""
        status = await self._gone()
        if status != 0:
            raise AssertionError(f"exit status {status}\n{self.last_words()}")

    def last_words(self, lines: int = 60) -> str:
        """Return the end of what all of its lives have logged."""
        with contextlib.suppress(FileNotFoundError):
            return "\n".join(self._stderr.read_text(errors="replace").splitlines()[-lines:])
        return ""

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._process is not None:
            self._process.kill()
            await self._gone()
        if error is not None:
            error.add_note(f"what the server logged last:\n{self.last_words()}")

    @property
    def _running(self) -> subprocess.Popen[str]:
        assert self._process, "it does not run"
        return self._process

    async def _gone(self) -> int:
        process = self._running
        await asyncio.to_thread(process.communicate, timeout=STOPPED_WITHIN)
        self._process = None
        return process.returncode


def free_port() -> int:
    """Return a port that nobody listens on and that the system hands to nobody else meanwhile."""
    ports = random.Random()
    for _ in itertools.repeat(None, 100):
        port = ports.choice(_BELOW_EPHEMERAL)
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port
    raise AssertionError("no free port")
