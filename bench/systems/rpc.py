"""Clients of `chat.v1.Chat/Connect`: raw bytes, looked into only where an answer is awaited.

They speak HTTP/2 themselves since a read of grpc.aio costs some 40 µs, many times what clients of
other systems pay: where cores are few, that is what would be measured instead of the server.
"""

import asyncio
import struct
from collections.abc import Sequence
from functools import cache
from typing import Any, Final

import grpc

from bench.systems.http2 import Connection, Stream
from bench.systems.port import ClientFactory, Ears, Message
from chat.v1 import chat_pb2, commands_pb2, cursor_pb2, events_pb2

STREAMS_A_CHANNEL: Final = 50
"""Sessions that share one connection, as behind a proxy."""

_PATH: Final = "/chat.v1.Chat/Connect"
_REQUEST: Final = ((":path", _PATH), ("te", "trailers"), ("content-type", "application/grpc"))
_PREFIX: Final = struct.Struct(">BI")
"""Of a message: whether it is compressed, and its length."""

_FIRST_REF: Final = 2**32
"""Of all commands but Send, whose refs are their nonces."""

_OPTIONS: Final = (
    # Channels to one address would share one connection otherwise.
    ("grpc.use_local_subchannel_pool", 1),
    ("grpc.max_receive_message_length", -1),
)


class RpcClient:
    """One stream of a connection."""

    def __init__(self, connection: Connection, ears: Ears) -> None:
        self._connection = connection
        self._ears = ears
        self._stream: Stream | None = None
        self._ref = _FIRST_REF
        self._nonce = 0
        self._heard = bytearray()
        self._token = b""
        self._found: asyncio.Future[None] | None = None
        self._ended = ""

    async def enter(self, user: str, rooms: Sequence[str], *, listen: bool) -> None:  # noqa: ARG002
        """Say hello, join, and wait until all of it is done. Who sends hears itself, always."""
        connection, ears = self._connection, self._ears
        self._stream = await connection.open(_REQUEST, ears.received, self._end)
        hello = commands_pb2.Hello(user=user, client_id=f"bench-{user}")
        joins = [self._command(join=commands_pb2.Join(room=room)) for room in rooms]
        await self._ask_pong([self._command(hello=hello), *joins])
        if refusal := _refusal(self._heard):
            raise ConnectionError(f"refused: {refusal}")
        self._heard.clear()

    async def send(self, messages: Sequence[Message]) -> None:
        """Send all in one frame, with nonces, as a client does that cares for exactly once."""
        first, self._nonce = self._nonce + 1, self._nonce + len(messages)
        await self._write(
            [encode_send(n, to, text) for n, (to, text) in enumerate(messages, first)]
        )

    async def settle(self) -> None:
        """Ask for a Pong, which comes when everything before it has its reply."""
        await self._ask_pong([])
        self._heard.clear()

    async def close(self) -> None:
        """Break the stream off."""
        if self._stream is not None:
            self._connection.cancel(self._stream)

    def _command(self, **kind: Any) -> bytes:
        self._ref += 1
        command = commands_pb2.Command(ref=self._ref, **kind)
        return chat_pb2.ClientFrame(commands=[command]).SerializeToString()

    async def _write(self, frames: Sequence[bytes]) -> None:
        """Write frames of one command each as one, which is what they are when laid end to end."""
        if self._stream is None or self._ended:
            raise ConnectionError(f"the stream has ended: {self._ended}")
        frame = b"".join(frames)
        await self._connection.write(self._stream, _PREFIX.pack(0, len(frame)) + frame)

    async def _ask_pong(self, before: Sequence[bytes]) -> None:
        """Write commands and a Ping, and listen until its Pong has come."""
        assert self._stream is not None
        self._found = found = asyncio.get_running_loop().create_future()
        self._stream.hear = self._listen
        ping = self._command(ping=commands_pb2.Ping())
        self._token = b"\x08%b\x72\x00" % varint(self._ref)  # Event: ref, and an empty pong
        await self._write([*before, ping])
        await found

    def _listen(self, data: bytes) -> None:
        self._ears.received(data)
        behind = max(0, len(self._heard) - len(self._token))
        self._heard += data
        if self._found is not None and self._heard.find(self._token, behind) >= 0:
            assert self._stream is not None
            self._stream.hear = self._ears.received
            self._answer("")

    def _answer(self, failure: str) -> None:
        found, self._found = self._found, None
        if found is None or found.done():
            return
        if failure:
            found.set_exception(ConnectionError(failure))
        else:
            found.set_result(None)

    def _end(self, why: str) -> None:
        self._ended = why
        self._answer(why)
        self._ears.lost(why)


def _refusal(heard: bytearray) -> str:
    """Return what the first Error says that a stream has brought, if there is one."""
    at = 0
    while len(heard) - at >= _PREFIX.size:
        _, length = _PREFIX.unpack_from(heard, at)
        begin, at = at + _PREFIX.size, at + _PREFIX.size + length
        if at <= len(heard):
            for event in chat_pb2.ServerFrame.FromString(bytes(heard[begin:at])).events:
                if event.HasField("error"):
                    return event.error.message
    return ""


def encode_send(nonce: int, to: str, text: bytes) -> bytes:
    """Encode a ClientFrame of one Send, by hand: message objects cost half as much again.

    See https://protobuf.dev/programming-guides/encoding/. The ref is the nonce.
    """
    number, target, size = varint(nonce), _target(to), _size(len(text))
    send = len(target) + len(size) + len(text) + len(number) + 2  # and the tags of text and nonce
    within = _size(send)
    return b"\x0a%b\x08%b\x1a%b%b\x12%b%b\x18%b" % (
        _size(send + len(within) + len(number) + 2), number, within, target, size, text, number
    )  # fmt: skip


@cache
def _target(to: str) -> bytes:
    """Encode Send.to."""
    return b"\x0a%b%b" % (varint(len(to.encode())), to.encode())


def varint(number: int) -> bytes:
    if number < 0x80:
        return b"%c" % number
    if number < 0x4000:
        return b"%c%c" % (number & 0x7F | 0x80, number >> 7)
    return b"%c%c%b" % (number & 0x7F | 0x80, number >> 7 & 0x7F | 0x80, varint(number >> 14))


_size = cache(varint)


class RpcArchive:
    """Asks for the past, one question at a time, over a stream of its own each."""

    def __init__(self, address: str) -> None:
        self._channel = _channel(address)
        self._connect = _connect(self._channel)
        self._call: Any = None
        self._nonce = 0
        self._epoch = ""

    async def enter(self, user: str, room: str) -> None:
        """Open the stream that `send` and `page` use."""
        self._call = self._connect()
        welcome = await self._ask(self._call, hello=commands_pb2.Hello(user=user, client_id=user))
        self._epoch = welcome.welcome.cursor.epoch
        await self._ask(self._call, join=commands_pb2.Join(room=room))

    async def send(self, to: str, text: str) -> int:
        """Send a message and wait for its ack; returns its seq."""
        self._nonce += 1
        send = commands_pb2.Send(to=to, text=text, nonce=self._nonce)
        return int((await self._ask(self._call, send=send)).ack.seq)

    async def page(self, to: str, before_seq: int, limit: int) -> int:
        """Ask for a page of history; returns how many messages it has."""
        history = commands_pb2.History(to=to, before_seq=before_seq, limit=limit)
        return len((await self._ask(self._call, history=history)).history.events)

    async def resume(self, user: str, after: int, upto: int) -> None:
        """Connect anew with a cursor, and read until the event `upto` has come."""
        cursor = cursor_pb2.Cursor(epoch=self._epoch, seq=after)
        hello = commands_pb2.Hello(user=user, client_id=user, resume=cursor)
        call = self._connect()
        await _post(call, hello=hello)
        while max(event.seq for event in (await _frame(call)).events) < upto:
            pass
        await call.done_writing()
        while isinstance(await call.read(), bytes):
            pass

    async def close(self) -> None:
        """Close the connection."""
        await self._channel.close()

    async def _ask(self, call: Any, **kind: Any) -> events_pb2.Event:
        await _post(call, **kind)
        while True:
            for event in (await _frame(call)).events:
                if event.HasField("error"):
                    raise ConnectionError(event.error.message)
                if event.ref:
                    return event


async def _post(call: Any, **kind: Any) -> None:
    command = commands_pb2.Command(ref=1, **kind)
    await call.write(chat_pb2.ClientFrame(commands=[command]).SerializeToString())


async def _frame(call: Any) -> chat_pb2.ServerFrame:
    data = await call.read()
    if not isinstance(data, bytes):
        raise ConnectionError(f"the stream has ended: {await call.details()}")
    return chat_pb2.ServerFrame.FromString(data)


def rpc_clients(address: str, streams_a_channel: int = STREAMS_A_CHANNEL) -> ClientFactory:
    """Return what makes streams, so many to a connection."""
    connections: list[Connection] = []
    made = 0

    def make(ears: Ears) -> RpcClient:
        nonlocal made
        if made % streams_a_channel == 0:
            connections.append(Connection(address))
        made += 1
        return RpcClient(connections[-1], ears)

    return make


def _channel(address: str) -> grpc.aio.Channel:
    return grpc.aio.insecure_channel(address, options=_OPTIONS)


def _connect(channel: grpc.aio.Channel) -> Any:
    return channel.stream_stream(_PATH)
