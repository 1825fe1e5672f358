"""A TCP proxy that does to connections what networks do: cuts them, holds them up, goes silent."""

import asyncio
import contextlib
import socket
import struct
from collections import Counter
from collections.abc import Callable, Coroutine
from random import Random
from types import TracebackType
from typing import Any, Final, Self

_RESET: Final = struct.pack("ii", 1, 0)
_CHUNK: Final = 64 * 1024
_MOST_HELD_UP: Final = 4.0
_CLEAR: Final = 0.5
"""The share of the connections, at least, that is left alone: the load must get through."""

_AT_BIRTH: Final = 0.15
"""The share of the connections whose trouble begins before their first byte."""


class _Way:
    """One direction of a connection."""

    def __init__(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        self.begun = asyncio.Event()
        self.open = asyncio.Event()
        self.open.set()
        self.endless = False
        """Whether the end, when it comes, is swallowed. Never undone, like the next."""
        self.silent = False
        """Whether everything that comes is swallowed, the end too."""
        self._source = source
        self._sink = sink

    async def run(self) -> None:
        """Pass bytes on until their end, which is passed on too; raises OSError if it is broken."""
        while data := await self._source.read(_CHUNK):
            await self._pass(data)
        await self.open.wait()
        if self.silent or self.endless:
            await asyncio.Event().wait()
        if not self._sink.is_closing():
            self._sink.write_eof()

    async def _pass(self, data: bytes) -> None:
        self.begun.set()
        await self.open.wait()
        if not self.silent:
            self._sink.write(data)
            await self._sink.drain()


class Link:
    """One connection of a client, and the one to the server that was made for it."""

    def __init__(
        self,
        client: tuple[asyncio.StreamReader, asyncio.StreamWriter],
        server: tuple[asyncio.StreamReader, asyncio.StreamWriter],
    ) -> None:
        self._client, self._server = client[1], server[1]
        self.up = _Way(client[0], server[1])
        self.down = _Way(server[0], client[1])
        self.troubled = False
        self._cut = asyncio.Event()

    async def run(self) -> None:
        """Serve until both directions have ended, one of them is broken, or it is cut."""
        passing = asyncio.create_task(self._pass_on())
        cut = asyncio.create_task(self._cut.wait())
        try:
            await asyncio.wait((passing, cut), return_when=asyncio.FIRST_COMPLETED)
        finally:
            passing.cancel()
            cut.cancel()
            await asyncio.gather(passing, cut, return_exceptions=True)
            self._client.close()
            self._server.close()

    async def _pass_on(self) -> None:
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self.up.run())
                tasks.create_task(self.down.run())
        except* OSError:
            self.reset()

    def finish(self) -> None:
        """End both connections with FIN."""
        self._cut.set()

    def reset(self) -> None:
        """End both connections with RST."""
        _reset(self._client)
        _reset(self._server)
        self._cut.set()

    def desert(self) -> None:
        """End the client's connection with RST, while what it has sent is still on its way."""
        self.down.silent = True
        _reset(self._client)


class Proxy:
    """Listens on a port of its own. `storm` makes trouble; `faults` counts it by kind.

    `links` are the connections that there are, the oldest first.
    """

    def __init__(self, port: int, random: Random, *, longest_silence: float) -> None:
        self.faults: Counter[str] = Counter()
        self.connections = 0
        self._port = port
        self._random = random
        self._longest_silence = longest_silence
        self._kinds: list[Callable[[Link], Coroutine[Any, Any, None]]] = []
        self._troubles: asyncio.TaskGroup | None = None
        self.links: dict[Link, None] = {}
        self._serving: set[asyncio.Task[None]] = set()
        self._listener: asyncio.Server | None = None

    @property
    def address(self) -> str:
        assert self._listener
        host, port = self._listener.sockets[0].getsockname()
        return f"{host}:{port}"

    async def __aenter__(self) -> Self:
        self._listener = await self._listen()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        assert self._listener
        self._listener.close()
        # Nothing is cancelled: a connection that is just being made would be lost track of.
        while self._serving:
            for link in list(self.links):
                link.reset()
            await asyncio.wait(self._serving, timeout=0.05)
        await self._listener.wait_closed()

    async def storm(self) -> None:
        """Do something to some connection every now and then, until cancelled; then heal all."""
        try:
            async with asyncio.TaskGroup() as troubles:
                self._troubles = troubles
                try:
                    await self._make_trouble()
                finally:
                    self._troubles = None  # who is born while these end has none
        finally:
            self.heal()

    async def _make_trouble(self) -> None:
        while True:
            await asyncio.sleep(self._random.uniform(0.02, 0.5))
            calm = [link for link in self.links if not link.troubled]
            if calm and len(calm) >= _CLEAR * len(self.links):
                self._trouble(self._random.choice(calm))

    def heal(self) -> None:
        """Cut every connection that has had trouble: the next ones have none."""
        for link in self.links:
            if link.troubled:
                link.reset()

    def _trouble(self, link: Link) -> None:
        """Begin the next kind of trouble; all kinds come equally often."""
        assert self._troubles
        if not self._kinds:
            self._kinds = [
                *(self._finish, self._reset, self._desert),
                *(self._hold_up, self._go_silent),
            ]
            self._random.shuffle(self._kinds)
        link.troubled = True
        self._troubles.create_task(self._kinds.pop()(link))

    async def _finish(self, link: Link) -> None:
        self.faults["cut by FIN"] += 1
        link.finish()

    async def _reset(self, link: Link) -> None:
        self.faults["cut by RST"] += 1
        link.reset()

    async def _hold_up(self, link: Link) -> None:
        self.faults["delayed"] += 1
        ways = self._random.choice(((link.up,), (link.down,), (link.up, link.down)))
        for way in ways:
            way.open.clear()
        await asyncio.sleep(self._random.uniform(0.05, _MOST_HELD_UP))
        for way in ways:
            way.open.set()
        link.troubled = False

    async def _go_silent(self, link: Link) -> None:
        self.faults["half-open"] += 1
        for way in self._random.choice(((link.up,), (link.down,), (link.up, link.down))):
            way.silent = True
        await asyncio.sleep(self._random.uniform(1.0, self._longest_silence))
        link.reset()

    async def _desert(self, link: Link) -> None:
        """Let what a client has sent arrive when it has long been on its next connection.

        On a connection just made that is its Hello: it says that once the server has spoken.
        """
        self.faults["cut, its bytes arriving later"] += 1
        await link.down.begun.wait()
        link.up.open.clear()
        link.up.endless = True
        await asyncio.sleep(self._random.uniform(0.0, 1.0))
        link.desert()
        await asyncio.sleep(self._random.uniform(0.2, _MOST_HELD_UP))
        link.up.open.set()
        await asyncio.sleep(self._random.uniform(0.2, 1.0))
        link.reset()

    async def _listen(self) -> asyncio.Server:
        return await asyncio.start_server(self._accept, "127.0.0.1", 0)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task
        self._serving.add(task)
        try:
            await self._serve(reader, writer)
        finally:
            self._serving.discard(task)
            _reset(writer)

    def _born(self, link: Link) -> None:
        """Let some connections have trouble from the beginning."""
        if self._troubles and self._random.random() < _AT_BIRTH:
            self._trouble(link)

    async def _dial(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """Connect to the server; raises OSError."""
        return await asyncio.open_connection("127.0.0.1", self._port)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            server = await self._dial()
        except OSError:
            _reset(writer)
            return
        link = Link((reader, writer), server)
        self.links[link] = None
        self._born(link)
        try:
            await link.run()
        finally:
            del self.links[link]


def _reset(writer: asyncio.StreamWriter) -> None:
    if not writer.is_closing():
        with contextlib.suppress(OSError):
            sock = writer.get_extra_info("socket")
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
        writer.transport.abort()
