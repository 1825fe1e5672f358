"""Programs run as a user runs them.

By `subprocess` and threads: the loop's own way forks, and gRPC's threads do not outlive that.
"""

import asyncio
import subprocess
import sys
from collections.abc import Callable
from typing import IO, Any, TypeVar

from .scripted import PATIENCE

T = TypeVar("T")
Start = Callable[..., "Program"]


class Program:
    def __init__(self, *arguments: object, **streams: Any) -> None:
        pipes: dict[str, Any] = {
            "stdin": subprocess.PIPE,
            "stdout": subprocess.PIPE,
            "stderr": subprocess.PIPE,
        }
        self.process: subprocess.Popen[bytes] = subprocess.Popen(
            [sys.executable, *map(str, arguments)], **pipes | streams
        )

    async def line(self) -> str:
        """Return the next line of the output."""
        return await self._read_line(self.process.stdout)

    async def error_line(self) -> str:
        return await self._read_line(self.process.stderr)

    def type(self, text: str) -> None:
        assert self.process.stdin
        self.process.stdin.write(text.encode())
        self.process.stdin.flush()

    async def status(self) -> int:
        """Wait for the end by itself."""
        return await self._patiently(self.process.wait)

    async def ended(self, typed: str = "") -> tuple[int, str, str]:
        """Type, end the input, and return the exit status and what was printed."""
        if self.process.stdin:
            self.type(typed)
            self.process.stdin.close()
        out, err = await asyncio.gather(
            self._read_all(self.process.stdout), self._read_all(self.process.stderr)
        )
        return await self.status(), out, err

    def stop(self) -> None:
        self.process.kill()
        self.process.wait()
        for stream in (self.process.stdin, self.process.stdout, self.process.stderr):
            if stream and not stream.closed:
                stream.close()

    async def _read_line(self, stream: IO[bytes] | None) -> str:
        assert stream
        return (await self._patiently(stream.readline)).decode().rstrip("\n")

    async def _read_all(self, stream: IO[bytes] | None) -> str:
        return (await self._patiently(stream.read)).decode() if stream else ""

    async def _patiently(self, blocking: Callable[[], T]) -> T:
        waiting = asyncio.create_task(asyncio.to_thread(blocking))
        done, _ = await asyncio.wait([waiting], timeout=PATIENCE)
        if not done:  # nothing else ends the thread
            self.process.kill()
            raise TimeoutError
        return waiting.result()
