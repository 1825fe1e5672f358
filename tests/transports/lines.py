"""Clients of the line protocol: a socket, and the programs that people use."""

import asyncio
import socket
import struct
from collections.abc import Callable
from contextlib import suppress
from typing import Self

from chat_service.node import Node
from chat_service.wire.telnet import TelnetFilter
from tests.waiting import until

PROMPT = "* what is your name?"


class Lines:
    """One TCP connection and every line that came over it, but for what only telnet reads."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.lines: list[str] = []
        self.raw = b""
        """Every byte that came, telnet's included."""
        self.ended = False
        """Whether the server has said that nothing more will come."""
        self.reset = False
        """Whether the connection broke instead."""
        self._reader = reader
        self._writer = writer
        self._reading = asyncio.create_task(self._read())

    @classmethod
    async def open(cls, node: Node) -> Self:
        """Connect."""
        endpoint = node.endpoints["tcp"]
        return cls(*await asyncio.open_connection(endpoint.host, endpoint.port))

    async def enter(self, name: str) -> Self:
        """Say a name and be welcomed."""
        self.send(f"{name}\n")
        await self.hears_like(lambda line: line.startswith(f"* welcome, {name}:"))
        return self

    async def sign_in(self, name: str, password: str) -> Self:
        """Say a name and, when asked, its password, and be welcomed."""
        self.send(f"{name}\n")
        await self.hears(f"* password for {name}?")
        self.send(f"{password}\n")
        await self.hears_like(lambda line: line.startswith(f"* welcome, {name}:"))
        return self

    async def register(self, password: str) -> Self:
        """Make the guest's name an account."""
        self.send(f"/register\n{password}\n{password}\n")
        await self.hears_like(lambda line: " is registered now" in line)
        return self

    def send(self, text: str | bytes) -> None:
        """Send text as it is: whoever wants a line ends it."""
        self._writer.write(text if isinstance(text, bytes) else text.encode())

    async def send_apart(self, *parts: bytes) -> None:
        """Send each part in a packet of its own."""
        for part in parts:
            self._writer.write(part)
            await self._writer.drain()
            await asyncio.sleep(0.02)

    async def hears(self, line: str, *, within: float = 10.0) -> None:
        """Wait for a line."""
        await self.hears_like(lambda it: it == line, what=line, within=within)

    async def hears_like(
        self, wanted: Callable[[str], bool], *, what: str = "a line", within: float = 10.0
    ) -> str:
        """Wait for a line that is as wanted; fails at once if the connection ends without it."""

        def found() -> list[str]:
            return [line for line in self.lines if wanted(line)]

        await until(lambda: found() or self.ended, within=within, what=f"{what} in {self.lines}")
        assert found(), f"ended without {what} after {self.lines}"
        return found()[0]

    async def until_done(self) -> None:
        """Wait until everything sent so far was executed and answered."""
        heard = self._count("* you are in: ")
        self.send("/rooms\n")
        await until(lambda: self._count("* you are in: ") > heard, what=f"{self.lines}")

    async def until_ended(self, *, within: float = 10.0) -> None:
        """Wait until the server has closed its side."""
        await until(lambda: self.ended, within=within, what=f"the end behind {self.lines}")

    def end_input(self) -> None:
        """Say that nothing more comes from this side."""
        self._writer.write_eof()

    def pause_reading(self) -> None:
        """Leave what comes in the kernel's buffers."""
        self._writer.transport.pause_reading()  # type: ignore[attr-defined]

    def vanish(self) -> None:
        """Send a reset, as the kernel of a client that crashes may do."""
        sock = self._writer.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._writer.transport.abort()

    async def hang_up(self) -> None:
        """Give everything back, whatever state the connection is in."""
        self._writer.close()
        with suppress(OSError):
            await self._writer.wait_closed()
        await self._reading

    def _count(self, beginning: str) -> int:
        return sum(line.startswith(beginning) for line in self.lines)

    async def _read(self) -> None:
        try:
            while line := await self._reader.readline():
                self.raw += line
                self.lines.append(TelnetFilter().strip(line).decode().rstrip("\r\n"))
        except OSError:
            self.reset = True
        self.ended = True
