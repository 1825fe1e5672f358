"""Standard input and output for a program that must not stand still for either."""

import asyncio
import concurrent.futures
import errno
import os
import select
import sys
import threading
from collections.abc import AsyncIterator
from typing import Final

_CHUNK: Final = 64 * 1024
# Far above what any server takes: a longer line is cut here, and refused there.
_MAX_LINE: Final = 1024 * 1024


class StreamError(Exception):
    """Standard input or output is of no use; `str()` of it is one sentence."""


def open_missing() -> None:
    """Have standard streams: those that the program was started without lead to the null device.

    Else what is opened next, a connection for example, has a number that others take for theirs.
    """
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, os.fdopen(os.open(os.devnull, os.O_RDWR), mode))


class LineSplitter:
    """Cuts bytes into lines of text, ended by LF or CRLF, keeping at most one unfinished line."""

    def __init__(self, max_line: int = _MAX_LINE) -> None:
        self._max_line = max_line
        self._rest = bytearray()

    def feed(self, data: bytes) -> list[str]:
        """Return the lines that are complete now."""
        *ended, rest = data.split(b"\n")
        lines = []
        for piece in ended:
            self._keep(piece)
            lines.append(self._take())
        self._keep(rest)
        return lines

    def end(self) -> list[str]:
        """Return the last line, if the end has cut it short."""
        return [self._take()] if self._rest else []

    def _keep(self, piece: bytes) -> None:
        self._rest += piece[: max(0, self._max_line - len(self._rest))]

    def _take(self) -> str:
        line = self._rest.decode(errors="replace").removesuffix("\r")
        self._rest.clear()
        return line


def utf8(text: str) -> str:
    """Return a text with what was not UTF-8 replaced, where it came by Python's own decoding."""
    return text.encode(errors="surrogateescape").decode(errors="replace")


async def lines(descriptor: int) -> AsyncIterator[str]:
    """Yield the lines that a file, pipe or terminal holds, reading on only as they are taken.

    Raises StreamError where it cannot be read to its end.

    A thread reads, since the event loop cannot wait for every kind of file. It is a daemon, since
    nothing wakes it from a pipe that stays silent.
    """
    chunks: asyncio.Queue[bytes | StreamError] = asyncio.Queue(maxsize=1)
    loop = asyncio.get_running_loop()

    def read() -> None:
        chunk: bytes | StreamError = b"more"
        while chunk and isinstance(chunk, bytes):
            chunk = _read(descriptor)
            putting = chunks.put(chunk)
            try:
                asyncio.run_coroutine_threadsafe(putting, loop).result()
            except (RuntimeError, concurrent.futures.CancelledError):  # the program ended first
                putting.close()
                return

    threading.Thread(target=read, name="stdin", daemon=True).start()
    splitter = LineSplitter()
    while chunk := await chunks.get():
        if isinstance(chunk, StreamError):
            raise chunk
        for line in splitter.feed(chunk):
            yield line
    for line in splitter.end():
        yield line


def _read(descriptor: int) -> bytes | StreamError:
    """Wait for what comes next: nothing at the end, or where it was closed from the start."""
    while True:
        try:
            return os.read(descriptor, _CHUNK)
        except BlockingIOError:  # who shares it has asked not to wait; that is no end
            select.select([descriptor], [], [])
        except OSError as error:
            closed = error.errno == errno.EBADF
            return b"" if closed else StreamError(f"cannot read the input: {error.strerror}")


class Output:
    """A descriptor to write to, which may be read slowly."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._turn = asyncio.Lock()

    async def write(self, text: str) -> None:
        """Write it all at once to whoever reads.

        Raises BrokenPipeError if nobody does, StreamError if there is no room for it.
        """
        rest = memoryview(text.encode(errors="replace"))
        async with self._turn:
            while rest:
                await self._writable()
                # A pipe that is writable takes this much without blocking (POSIX, PIPE_BUF).
                try:
                    rest = rest[os.write(self._descriptor, rest[: select.PIPE_BUF]) :]
                except BlockingIOError:  # someone else has filled it first
                    continue
                except BrokenPipeError:
                    raise
                except OSError as error:
                    raise StreamError(f"cannot write the output: {error.strerror}") from None

    async def _writable(self) -> None:
        if select.select([], [self._descriptor], [], 0)[1]:
            return
        loop = asyncio.get_running_loop()
        ready = asyncio.Event()
        loop.add_writer(self._descriptor, ready.set)
        try:
            await ready.wait()
        finally:
            loop.remove_writer(self._descriptor)
