"""Several processes on one host behind the same ports, each a node of its own.

The parent serves nobody. It holds the ports, so that nobody else takes them while a worker is
replaced; it starts the workers, each a `chat-server` with the same settings but for its name and
its data; and it starts one again that has died. One that ends in good order was told to by an
admin (Drain), who sees one server: all end with it. Nothing here imports grpc, which does not live
through a fork.
"""

import asyncio
import os
import random
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Final

from chat_service.config import Config, Endpoint
from chat_service.interpreter import say
from chat_service.logs import get
from chat_service.startup import StartupError

_log = get("workers")

FIRST_WAIT: Final = 0.5
LONGEST_WAIT: Final = 30.0
"""Seconds until a worker that has died is started again, the first time and at most."""

HEALTHY_AFTER: Final = 60.0
"""Seconds after which a worker's death is not held against the next one."""

_IN_GOOD_ORDER: Final = (0, -signal.SIGTERM)
"""How a worker ends that was told to; the latter if that was before it could hear it."""

_MARGIN: Final = 10.0
"""Seconds that a worker has to end beyond what its clients have."""


def supervise(config: Config, arguments: Sequence[str]) -> None:
    """Serve by workers until SIGTERM or SIGINT; raises StartupError.

    `arguments` are those of the command line, which each worker is given as well.
    """
    asyncio.run(Supervisor(config, arguments).run())


def end_with_parent() -> None:
    """Stop as at SIGTERM when standard input ends, as it does when the parent dies."""

    def wait() -> None:
        while os.read(sys.stdin.fileno(), 64):
            pass
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=wait, name="until the parent ends", daemon=True).start()


class Supervisor:
    """The workers, and the ports that they share."""

    def __init__(self, config: Config, arguments: Sequence[str]) -> None:
        self._config = config
        self._arguments = arguments
        self._stopping = False

    async def run(self) -> None:
        """Serve until told to stop; raises StartupError if a worker cannot start at first."""
        with ExitStack() as held:
            endpoints = {
                name: reserve(name, endpoint, held)
                for name, endpoint in self._listeners()
                if endpoint is not None
            }
            self._workers = [
                Worker(name, self._command(name, directory, endpoints))
                for name, directory in self._identities()
            ]
            loop = asyncio.get_running_loop()
            for number in (signal.SIGTERM, signal.SIGINT):
                loop.add_signal_handler(number, self._stop)
            await self._serve(endpoints)

    async def _serve(self, endpoints: dict[str, Endpoint]) -> None:
        running = [asyncio.create_task(it.run(), name=it.name) for it in self._workers]
        ready = asyncio.create_task(self._all_ready(), name="until ready")
        await asyncio.wait((ready, *running), return_when=asyncio.FIRST_COMPLETED)
        if ready.done():
            told = " ".join(f"{name}={endpoint}" for name, endpoint in endpoints.items())
            say(f"ready {told}")
            await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
        ready.cancel()
        if not self._stopping:
            self._end_with(next(it for it in running if it.done()).get_name())
        await asyncio.gather(*running)
        if failed := [it.name for it in self._workers if it.status not in _IN_GOOD_ORDER]:
            raise StartupError(f"{', '.join(failed)}: ended by a failure, see the log")

    def _end_with(self, first: str) -> None:
        """Stop all, since one has ended that was not told to, and is not to be started again."""
        _log.info("a worker has ended by itself: stopping all", worker=first)
        self._stop()

    async def _all_ready(self) -> None:
        for worker in self._workers:
            await worker.ready.wait()

    def _stop(self) -> None:
        """Pass on that it is over; again, it forces."""
        self._stopping = True
        for worker in self._workers:
            worker.stop(self._config.shutdown_deadline + _MARGIN)

    def _listeners(self) -> tuple[tuple[str, Endpoint | None], ...]:
        config = self._config
        return ("grpc", config.grpc), ("tcp", config.tcp), ("web", config.web)

    def _identities(self) -> Iterator[tuple[str, str]]:
        """Return the name and the data of each worker."""
        for number in range(1, self._config.workers + 1):
            data = self._config.data
            directory = ":memory:" if data is None else str(data / f"worker-{number}")
            yield f"{self._config.node}-{number}", directory

    def _command(self, name: str, directory: str, endpoints: dict[str, Endpoint]) -> list[str]:
        """Return a worker's command line: what comes later wins."""
        own = {"--node": name, "--data": directory, "--workers": "1"}
        ports = {f"--{listener}": str(endpoint) for listener, endpoint in endpoints.items()}
        flags = [word for flag in (own | ports).items() for word in flag]
        return [*_program(), *self._arguments, *flags, "--worker"]


class Worker:
    """One process after another in the same place. `run` is its one task."""

    def __init__(self, name: str, command: Sequence[str]) -> None:
        self.name = name
        self.ready = asyncio.Event()
        """Set when the first process was ready."""
        self.status = 0
        """What the last process ended with, after it was told to."""
        self._command = command
        self._wait = FIRST_WAIT
        self._process: asyncio.subprocess.Process | None = None
        self._stopping = asyncio.Event()

    async def run(self) -> None:
        """Keep a process running until it stops in good order, or cannot start at first."""
        while not self._stopping.is_set():
            started = time.monotonic()
            self.status = await self._live()
            if self._stopping.is_set() or self.status == 0 or not self.ready.is_set():
                return
            if time.monotonic() - started > HEALTHY_AFTER:
                self._wait = FIRST_WAIT
            await self._pause()
        self.status = 0  # whatever the last one died of

    def stop(self, within: float) -> None:
        """Tell it to end, and see to it that it has after some seconds."""
        self._stopping.set()
        if self._process is not None and self._process.returncode is None:
            self._process.terminate()
            asyncio.get_running_loop().call_later(within, self._force)

    async def _live(self) -> int:
        """Start a process and return its exit status."""
        try:
            # A group of its own: Ctrl-C on a terminal would tell it a second time, and that forces.
            process = self._process = await asyncio.create_subprocess_exec(
                *self._command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, process_group=0
            )
        except OSError as error:  # short of memory, processes or files, which may pass
            _log.error("worker cannot be started", worker=self.name, reason=error.strerror)
            return 1
        if self._stopping.is_set():
            process.terminate()
        assert process.stdout is not None  # noqa: S101  (it was asked for)
        if await process.stdout.readline():
            self.ready.set()
            _log.info("worker ready", worker=self.name, pid=process.pid)
        return await process.wait()

    async def _pause(self) -> None:
        """Wait until it is time for the next process, or none is wanted any more."""
        again_in = self._wait * random.uniform(0.5, 1.0)  # noqa: S311  (only spreads them)
        self._wait = min(2 * self._wait, LONGEST_WAIT)
        _log.error("worker died", worker=self.name, status=self.status, again_in=again_in)
        try:
            await asyncio.wait_for(self._stopping.wait(), again_in)
        except TimeoutError:
            return

    def _force(self) -> None:
        if self._process is not None and self._process.returncode is None:
            _log.warning("worker does not end", worker=self.name)
            self._process.kill()


def reserve(name: str, endpoint: Endpoint, held: ExitStack) -> Endpoint:
    """Hold a port that others of this user may share; returns the endpoint with its real port.

    Bound and not listening: no connection ever comes here. Raises StartupError.
    """
    try:
        found = socket.getaddrinfo(endpoint.host, endpoint.port, type=socket.SOCK_STREAM)
        for family, kind, protocol, _, address in found:
            holder = held.enter_context(socket.socket(family, kind, protocol))
            holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            holder.bind((address[0], endpoint.port, *address[2:]))
            endpoint = Endpoint(endpoint.host, holder.getsockname()[1])
    except OSError as error:
        raise StartupError(f"cannot listen on {name} {endpoint}: {error.strerror}") from None
    return endpoint


def _program() -> list[str]:
    """Return how to start this program by the same Python, from where this one was."""
    # As a script it was not looked for in the current directory, so a worker is not either.
    here = () if str(Path.cwd()) in sys.path else ("-P",)
    return [sys.executable, *here, "-m", "chat_service"]
