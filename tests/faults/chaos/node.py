"""A node of a cluster as a process: killed, paused, cut off from NATS, put on a slow disk."""

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Final

from tests.faults.crash.server import free_port

from .cable import Cable

READY_WITHIN: Final = 240.0
"""Seconds for a node to serve: it waits for NATS, to which something else is done meanwhile."""

STOPPED_WITHIN: Final = 40.0
DIVERGED: Final = "a node has made something else of the log"
"""What a node logs that differs from another."""


HERE: Final = Path(__file__).parents[3]


class NodeProcess:
    """One node, gRPC only and without rates, which reaches NATS over cables of its own.

    `tree` is the source that it runs, which may be another with its next start.
    """

    def __init__(self, directory: Path, name: str, stream: str, cables: Sequence[Cable]) -> None:
        self.name = name
        self.data = directory / name
        self.port = free_port()
        self.deaths = 0
        self.cables = cables
        self.tree = HERE
        self._stream = stream
        self._switch = directory / f"{name}.slow"
        self._stderr = directory / f"{name}.log"
        self._process: subprocess.Popen[str] | None = None
        self._wanted = False

    @property
    def log(self) -> str:
        """What all of its lives have logged."""
        with contextlib.suppress(FileNotFoundError):
            return self._stderr.read_text(errors="replace")
        return ""

    def last_words(self, lines: int = 40) -> str:
        return "\n".join(self.log.splitlines()[-lines:])

    def launch(self) -> None:
        """Start it and wait for nothing."""
        self._wanted = True
        servers = ",".join(f"nats://{cable.address}" for cable in self.cables)
        command = [
            *(sys.executable, "-m", "tests.faults.chaos.slow_disk", str(self._switch)),
            *("--nats", servers, "--nats-stream", self._stream, "--node", self.name),
            *(
                "--data",
                str(self.data),
                "--grpc",
                f"127.0.0.1:{self.port}",
                "--tcp",
                "off",
                "--web",
                "off",
            ),
            *("--rate-commands", "off", "--rate-connects", "off", "--rate-bytes", "off"),
        ]
        with self._stderr.open("ab") as stderr:
            self._process = subprocess.Popen(
                command,
                cwd=self.tree,
                env=running(self.tree),
                stdout=subprocess.PIPE,
                stderr=stderr,
                text=True,
            )

    async def serving(self) -> None:
        """Wait until it serves."""
        process = self._running
        assert process.stdout
        async with asyncio.timeout(READY_WITHIN):
            line = await asyncio.to_thread(process.stdout.readline)
        if not line.startswith("ready "):
            raise AssertionError(f"{self.name} did not start: {line!r}\n{self.last_words()}")

    async def start(self) -> None:
        """Start it and wait until it serves."""
        self.launch()
        await self.serving()

    async def kill(self) -> None:
        """End it with SIGKILL, whatever it is doing."""
        self._wanted = False
        self._running.kill()
        await self._gone()
        self.deaths += 1

    async def stop(self) -> None:
        """Ask it to stop and wait until it has; an exit status other than 0 is a failure."""
        self._wanted = False
        self._running.terminate()
        status = await self._gone()
        if status != 0:
            raise AssertionError(f"{self.name}: exit status {status}\n{self.last_words()}")

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Let it do nothing, its connections staying open."""
        self._running.send_signal(signal.SIGSTOP)
        try:
            yield
        finally:
            self._running.send_signal(signal.SIGCONT)

    @contextmanager
    def on_slow_disk(self, seconds: float) -> Iterator[None]:
        """Make every write and sync take so long."""
        self._switch.write_text(str(seconds))
        try:
            yield
        finally:
            self._switch.unlink()

    @contextmanager
    def held_up(self, *, up: bool = False, down: bool = False) -> Iterator[None]:
        """Let bytes to NATS wait on their way up or down."""
        with ExitStack() as troubles:
            for cable in self.cables:
                troubles.enter_context(cable.held(up=up, down=down))
            yield

    @contextmanager
    def cut_off(self, *, silently: bool) -> Iterator[None]:
        """Separate it from NATS."""
        with ExitStack() as troubles:
            for cable in self.cables:
                troubles.enter_context(cable.silent() if silently else cable.cut())
            yield

    def close(self) -> None:
        """End it, if it runs."""
        if self._process is not None:
            self._process.kill()
            self._process.communicate(timeout=STOPPED_WITHIN)
            self._process = None

    @property
    def died(self) -> bool:
        """Whether it has ended without being asked to."""
        return self._wanted and self._running.poll() is not None

    @property
    def _running(self) -> subprocess.Popen[str]:
        assert self._process, f"{self.name} does not run"
        return self._process

    async def _gone(self) -> int:
        process = self._running
        await asyncio.to_thread(process.communicate, timeout=STOPPED_WITHIN)
        self._process = None
        return process.returncode


def running(tree: Path) -> dict[str, str]:
    """Return the environment in which Python takes the service from a source, not as installed."""
    return os.environ | {"PYTHONPATH": os.pathsep.join((str(tree), str(tree / "proto")))}
