"""This service over WebSockets, in JSON and in protobuf.

The clients speak RFC 6455 themselves, as far as they have to: what comes is looked into by nobody
but those who search it for messages, and what goes is masked with zeros, which costs the server as
much as any other mask.
"""

import asyncio
import base64
import contextlib
import json
import os
import struct
from abc import abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from bench.systems.chat import start_chat
from bench.systems.port import WINDOW, ClientFactory, Message
from bench.systems.process import ServerProcess
from bench.systems.rpc import encode_send, varint
from bench.systems.sockets import SocketClient
from chat.v1 import chat_pb2, commands_pb2
from chat_service import __version__

_MASKED: Final = 0x80
_LAST: Final = 0x80
_NO_MASK: Final = bytes(4)
_PONG: Final = b"\x8a\x80" + _NO_MASK
_TEXT: Final = 1
_BINARY: Final = 2
_REF: Final = 2**32
"""Of a Ping. The refs of Sends are their nonces."""
_HEARTBEAT: Final = 8.0
"""Seconds between two pongs: the server pings who is silent for its keepalive, 10 s."""


class WebClient(SocketClient):
    """A WebSocket. A class of it says what encoding it carries."""

    subprotocol: str
    opcode: int

    _nonce = 0
    _pings = _REF
    _heartbeat: asyncio.TimerHandle | None = None

    @abstractmethod
    def commands(self, *, hello: str = "", rooms: Sequence[str] = (), ping: int) -> bytes:
        """Encode commands: who one is, which rooms to join, a ping with this ref."""

    @abstractmethod
    def pong(self, ref: int) -> bytes:
        """Return how the answer to a ping shows."""

    @abstractmethod
    def sends(self, first: int, messages: Sequence[Message]) -> bytes:
        """Encode a frame of Sends with nonces from `first` on."""

    async def enter(self, user: str, rooms: Sequence[str], *, listen: bool) -> None:  # noqa: ARG002
        """Shake hands, say hello, join, and wait until all of it is done."""
        await self.connect()
        key = base64.b64encode(os.urandom(16)).decode()
        await self.ask(
            f"GET /ws HTTP/1.1\r\nHost: {self._host}:{self._port}\r\nUpgrade: websocket\r\n"
            f"Connection: Upgrade\r\nSec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n"
            f"Sec-WebSocket-Protocol: {self.subprotocol}\r\n\r\n".encode(),
            b"\r\n\r\n",
        )
        ref = self._next_ref()
        await self.ask(
            self._frame(self.commands(hello=user, rooms=rooms, ping=ref)), self.pong(ref)
        )
        self._beat_later()

    async def send(self, messages: Sequence[Message]) -> None:
        """Send all in one frame, with nonces, as a client does that cares for exactly once."""
        first, self._nonce = self._nonce + 1, self._nonce + len(messages)
        await self.push(self._frame(self.sends(first, messages)))

    def connection_lost(self, exc: Exception | None) -> None:
        """Fall silent."""
        super().connection_lost(exc)
        if self._heartbeat is not None:
            self._heartbeat.cancel()

    def encode(self, to: str, text: bytes) -> bytes:
        """Return a frame of one Send."""
        self._nonce += 1
        return self._frame(self.sends(self._nonce, [(to, text)]))

    async def settle(self) -> None:
        """Ask for a Pong, which comes when everything before it has its reply."""
        ref = self._next_ref()
        await self.ask(self._frame(self.commands(ping=ref)), self.pong(ref))

    def _beat_later(self) -> None:
        self._heartbeat = asyncio.get_running_loop().call_later(_HEARTBEAT, self._beat)

    def _beat(self) -> None:
        """Send a pong that nobody has asked for (RFC 6455, section 5.5.3).

        So the server has no reason to ping, and nobody has to look for pings in what comes, which
        takes longer than counting the messages.
        """
        with contextlib.suppress(ConnectionError):  # it is just being closed
            self.write(_PONG)
            self._beat_later()

    def _next_ref(self) -> int:
        self._pings += 1
        return self._pings

    def _frame(self, payload: bytes) -> bytes:
        size = len(payload)
        if size < 126:
            head = struct.pack("!BB", _LAST | self.opcode, _MASKED | size)
        elif size < 1 << 16:
            head = struct.pack("!BBH", _LAST | self.opcode, _MASKED | 126, size)
        else:
            head = struct.pack("!BBQ", _LAST | self.opcode, _MASKED | 127, size)
        return head + _NO_MASK + payload


class JsonClient(WebClient):
    """`chat.v1.json`."""

    subprotocol = "chat.v1.json"
    opcode = _TEXT

    def commands(self, *, hello: str = "", rooms: Sequence[str] = (), ping: int) -> bytes:
        """Encode commands by name."""
        asked: list[dict[str, Any]] = []
        if hello:
            asked.append({"hello": {"user": hello, "clientId": f"bench-{hello}"}})
        asked += [{"join": {"room": room}} for room in rooms]
        return json.dumps({"commands": [*asked, {"ref": ping, "ping": {}}]}).encode()

    def pong(self, ref: int) -> bytes:
        """Return the beginning of the event."""
        return b'{"ref":"%d","pong"' % ref

    def sends(self, first: int, messages: Sequence[Message]) -> bytes:
        """Encode by hand: the texts hold nothing that JSON would escape."""
        asked = [
            b'{"ref":%d,"send":{"to":"%b","text":"%b","nonce":%d}}' % (n, to.encode(), text, n)
            for n, (to, text) in enumerate(messages, first)
        ]
        return b'{"commands":[%b]}' % b",".join(asked)


class ProtobufClient(WebClient):
    """`chat.v1.protobuf`."""

    subprotocol = "chat.v1.protobuf"
    opcode = _BINARY

    def commands(self, *, hello: str = "", rooms: Sequence[str] = (), ping: int) -> bytes:
        """Encode commands as gRPC would."""
        frame = chat_pb2.ClientFrame()
        if hello:
            frame.commands.add(hello=commands_pb2.Hello(user=hello, client_id=f"bench-{hello}"))
        for room in rooms:
            frame.commands.add(join=commands_pb2.Join(room=room))
        frame.commands.add(ref=ping, ping=commands_pb2.Ping())
        return frame.SerializeToString()

    def pong(self, ref: int) -> bytes:
        """Return an Event with that ref and an empty pong."""
        return b"\x08%b\x72\x00" % varint(ref)

    def sends(self, first: int, messages: Sequence[Message]) -> bytes:
        """Lay encoded Sends end to end."""
        return b"".join([encode_send(n, to, text) for n, (to, text) in enumerate(messages, first)])


class _ChatOverWeb:
    """What does not depend on the encoding."""

    client: type[WebClient]
    sends_to_many_rooms = True
    most_sessions = 10_000
    most_rooms = 1_000
    window = WINDOW

    def missing(self) -> str:
        """Return nothing: it is here."""
        return ""

    def version(self) -> str:
        """Return the version of the package."""
        return __version__

    def start(self, directory: Path) -> ServerProcess:
        """Start it on a database in the directory, durable as by default."""
        return start_chat(directory, "web")

    def clients(self, address: str) -> ClientFactory:
        """Return what makes connections."""
        return lambda ears: self.client(address, ears)


class ChatOverWebJson(_ChatOverWeb):
    """chat-service over WebSockets, in JSON."""

    name = "web-json"
    title = "chat-service WebSocket, JSON"
    client = JsonClient


class ChatOverWebProtobuf(_ChatOverWeb):
    """chat-service over WebSockets, in protobuf."""

    name = "web-protobuf"
    title = "chat-service WebSocket, protobuf"
    client = ProtobufClient
