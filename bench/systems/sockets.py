"""What clients of text and binary protocols over plain sockets have in common."""

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import cast

from bench.systems.port import Ears, Message


class SocketClient(asyncio.Protocol, ABC):
    """Raw bytes in both directions; `expect` waits for words of the server."""

    def __init__(self, address: str, ears: Ears) -> None:
        self._host, _, port = address.rpartition(":")
        self._port = int(port)
        self._ears = ears
        self._heard = b""
        self._token = b""
        self._found: asyncio.Future[None] | None = None
        self._writable: asyncio.Event = asyncio.Event()
        self._writable.set()
        self._closing = False
        self._transport: asyncio.Transport | None = None

    @abstractmethod
    async def enter(self, user: str, rooms: Sequence[str], *, listen: bool) -> None:
        """Say who one is and join."""

    @abstractmethod
    def encode(self, to: str, text: bytes) -> bytes:
        """Return the bytes that send one message."""

    @abstractmethod
    async def settle(self) -> None:
        """Wait for the server's word that it is done with everything sent before."""

    async def send(self, messages: Sequence[Message]) -> None:
        """Write all at once, and let others have the loop."""
        await self.push(b"".join([self.encode(to, text) for to, text in messages]))

    async def push(self, data: bytes) -> None:
        """Write bytes, let others have the loop, and wait while the server takes no more."""
        self.write(data)
        await asyncio.sleep(0)
        await self._writable.wait()

    async def connect(self) -> None:
        """Open the socket."""
        await asyncio.get_running_loop().create_connection(lambda: self, self._host, self._port)

    def write(self, data: bytes) -> None:
        """Write bytes; raises ConnectionError if nobody is there any more."""
        if self._transport is None or self._transport.is_closing():
            raise ConnectionError("the server has closed the connection")
        self._transport.write(data)

    async def ask(self, question: bytes, answer: bytes) -> None:
        """Write a question and wait until its answer has come."""
        self._heard, self._token = b"", answer
        self._found = asyncio.get_running_loop().create_future()
        self.write(question)
        await self._found

    async def close(self) -> None:
        """Close the socket."""
        self._closing = True
        if self._transport is not None:
            self._transport.close()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        """Pass everything on; look for an answer only while one is awaited."""
        if self._found is not None:
            self._listen(data)
        self._ears.received(data)

    def pause_writing(self) -> None:
        """Make senders wait."""
        self._writable.clear()

    def resume_writing(self) -> None:
        """Let senders go on."""
        self._writable.set()

    def connection_lost(self, exc: Exception | None) -> None:
        """Wake whoever waits; say what is the matter."""
        self._writable.set()
        if self._found is not None and not self._found.done():
            self._found.set_exception(ConnectionError("the server has closed the connection"))
        if not self._closing:
            self._ears.lost(repr(exc) if exc else "closed by the server")

    def _listen(self, data: bytes) -> None:
        self._heard += data
        if self._token in self._heard and self._found is not None:
            self._found.set_result(None)
            self._found = None
            self._heard = b""
