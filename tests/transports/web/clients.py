"""Clients of the web listener: one that behaves, by aiohttp, and one of bare bytes."""

import asyncio
import base64
import contextlib
import json
import os
import socket
import ssl
import struct
from collections.abc import Callable
from typing import Any, Final, Self

import aiohttp

from chat_service.node import Node
from tests.waiting import until

JSON = "chat.v1.json"
PROTOBUF = "chat.v1.protobuf"

CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0, 1, 2, 8, 9, 10

Told = dict[str, Any]

HELLO: Final = {"ref": 1, "hello": {"user": "ann"}}


class Socket:
    """A WebSocket in JSON that remembers all it was told."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse[bool]) -> None:
        self.socket = socket
        self.events: list[Told] = []
        self._ref = 0
        self._reader = asyncio.create_task(self._read())

    async def enter(self, user: str, client_id: str = "", **hello: Any) -> Self:
        """Say hello and be welcomed."""
        reply = await self.ask(hello={"user": user, "clientId": client_id, **hello})
        assert "welcome" in reply, reply
        return self

    async def ask(self, **kind: Any) -> Told:
        """Send a command and wait for its reply."""
        self._ref += 1
        await self.send({"commands": [{"ref": self._ref, **kind}]})
        return await self.told(lambda it: it.get("ref") == str(self._ref))

    async def say(self, text: str, to: str = "#lobby") -> Told:
        return await self.ask(send={"to": to, "text": text})

    async def send(self, frame: object) -> None:
        await self.socket.send_str(json.dumps(frame))

    async def told(self, fits: Any, within: float = 5.0) -> Told:
        """Wait for the first event that fits."""

        def found() -> list[Told]:
            return [it for it in self.events if fits(it)]

        await until(lambda: bool(found()), within=within, what=f"an event in {self.events[-5:]}")
        return found()[0]

    async def goodbye(self, within: float = 5.0) -> Told:
        """Wait for the end; returns the goodbye."""
        await asyncio.wait_for(asyncio.shield(self._reader), within)
        told: Told = self.events[-1]["goodbye"]
        return told

    @property
    def close_code(self) -> int | None:
        return self.socket.close_code

    async def hang_up(self, code: int = 1000) -> None:
        await self.socket.close(code=code)
        await self._reader

    async def _read(self) -> None:
        async for message in self.socket:
            self.events += json.loads(message.data)["events"]


class RawSocket:
    """A WebSocket whose frames are made by hand, and answered by nobody."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer
        self.head = ""

    @classmethod
    async def open(
        cls, node: Node, *headers: str, tls: ssl.SSLContext | None = None, small: bool = False
    ) -> Self:
        """Ask for a WebSocket, with more headers; `small` bounds what its kernel takes unread."""
        endpoint = node.endpoints["web"]
        sock = socket.socket()
        sock.setblocking(False)
        if small:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 64 * 1024)
        await asyncio.get_running_loop().sock_connect(sock, (endpoint.host, endpoint.port))
        reader, writer = await asyncio.open_connection(sock=sock, ssl=tls)
        raw = cls(reader, writer)
        key = base64.b64encode(os.urandom(16)).decode()
        lines = [
            "GET /ws HTTP/1.1",
            f"Host: {endpoint}",
            "Upgrade: websocket",
            "Connection: Upgrade",
            "Sec-WebSocket-Version: 13",
            f"Sec-WebSocket-Key: {key}",
            *headers,
        ]
        writer.write("".join(f"{line}\r\n" for line in [*lines, ""]).encode())
        raw.head = (await reader.readuntil(b"\r\n\r\n")).decode()
        return raw

    @property
    def status(self) -> int:
        return int(self.head.split()[1])

    def write(self, opcode: int, payload: bytes = b"", *, last: bool = True) -> None:
        """Write a frame, masked as a client's has to be."""
        mask, size = os.urandom(4), len(payload)
        if size < 126:
            length = struct.pack("!B", 0x80 | size)
        elif size < 1 << 16:
            length = struct.pack("!BH", 0x80 | 126, size)
        else:
            length = struct.pack("!BQ", 0x80 | 127, size)
        masked = bytes(byte ^ mask[n % 4] for n, byte in enumerate(payload))
        self.writer.write(bytes([opcode | (0x80 if last else 0)]) + length + mask + masked)

    def command(self, *commands: object) -> None:
        """Write commands in JSON."""
        self.write(TEXT, json.dumps({"commands": commands}).encode())

    async def read(self, within: float = 5.0) -> tuple[int, bytes]:
        """Return the next frame: its opcode and its payload."""
        async with asyncio.timeout(within):
            head, size = await self.reader.readexactly(2)
            assert head & 0x80, "the server does not fragment"
            assert not head & 0x70, "no extension was agreed upon"
            assert not size & 0x80, "a server does not mask"
            if size == 126:
                (size,) = struct.unpack("!H", await self.reader.readexactly(2))
            elif size == 127:
                (size,) = struct.unpack("!Q", await self.reader.readexactly(8))
            return head & 0x0F, await self.reader.readexactly(size)

    async def until_closed(self, within: float = 8.0) -> tuple[list[Told], int]:
        """Read to the close frame; returns the events before it and its code."""
        events: list[Told] = []
        async with asyncio.timeout(within):
            while True:
                opcode, payload = await self.read(within)
                if opcode == CLOSE:
                    return events, struct.unpack("!H", payload[:2])[0]
                if opcode == TEXT:
                    events += json.loads(payload)["events"]

    async def until_cut(self) -> None:
        """Read until the connection is gone without a close frame."""
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            while (await self.read())[0] != CLOSE:
                pass
            raise AssertionError("the server has said why")

    async def hang_up(self) -> None:
        self.writer.close()
        await asyncio.gather(self.writer.wait_closed(), return_exceptions=True)


def message_of(text: str) -> Callable[[Told], bool]:
    """Return what tells a message from the other events."""
    return lambda event: event.get("message", {}).get("text") == text
