"""Connections between processes, as proxies that a test cuts, holds up or makes go nowhere."""

import asyncio
import socket
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from random import Random

from tests.faults.crash.proxy import Link, Proxy

Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class Cable(Proxy):
    """The only way to one port. It is whole unless a test does something to it."""

    def __init__(self, port: int, *, room: int | None = None) -> None:
        """Lay it; `room` is how many bytes, or little more, it keeps of what goes up."""
        super().__init__(port, Random(), longest_silence=0.0)
        self._room = room
        self._cut = False
        self._silent = False
        self._held = (False, False)
        """Whether nothing goes up, and down."""

    @property
    def port(self) -> int:
        return int(self.address.rpartition(":")[2])

    @contextmanager
    def cut(self) -> Iterator[None]:
        """Reset every connection, and refuse new ones."""
        self._cut = True
        self._reset_all()
        try:
            yield
        finally:
            self._cut = False

    @contextmanager
    def silent(self) -> Iterator[None]:
        """Swallow every byte from both sides; nobody is told, and new connections hear nothing."""
        self._silent = True
        for link in self.links:
            _silence(link)
        try:
            yield
        finally:
            self._silent = False
            self._reset_all()  # what was swallowed is missing

    @contextmanager
    def held(self, *, up: bool = True, down: bool = True) -> Iterator[None]:
        """Let bytes wait on their way up or down, on connections that are made meanwhile too."""
        self._held = (up, down)
        for link in self.links:
            self._hold(link)
        try:
            yield
        finally:
            self._held = (False, False)
            for link in self.links:
                link.up.open.set()
                link.down.open.set()

    def _reset_all(self) -> None:
        for link in list(self.links):
            link.reset()

    async def _listen(self) -> asyncio.Server:
        if self._room is None:
            return await super()._listen()
        listener = socket.create_server(("127.0.0.1", 0))
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, self._room)
        return await asyncio.start_server(self._accept, sock=listener, limit=self._room)

    async def _dial(self) -> Streams:
        if self._cut:
            raise ConnectionRefusedError
        return await super()._dial()

    def _born(self, link: Link) -> None:
        if self._silent:
            _silence(link)
        self._hold(link)

    def _hold(self, link: Link) -> None:
        for way, held in zip((link.up, link.down), self._held, strict=True):
            if held:
                way.open.clear()


class Balancer(Proxy):
    """Hands each connection to some server that accepts it; with troubles of its own if asked."""

    def __init__(self, ports: Sequence[int], random: Random, *, longest_silence: float) -> None:
        super().__init__(0, random, longest_silence=longest_silence)
        self._ports = ports

    async def _dial(self) -> Streams:
        for port in self._random.sample(self._ports, len(self._ports)):
            try:
                return await asyncio.open_connection("127.0.0.1", port)
            except OSError:
                continue
        raise ConnectionRefusedError


def _silence(link: Link) -> None:
    link.up.silent = link.down.silent = True
