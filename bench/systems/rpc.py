"""Clients of `chat.v1.Chat/Connect`: frames of bytes, decoded only where an answer is awaited."""

import asyncio
from collections.abc import Callable, Sequence
from typing import Any, Final

import grpc

from bench.systems.port import ClientFactory, Ears, Message
from chat.v1 import chat_pb2, commands_pb2, cursor_pb2, events_pb2

STREAMS_A_CHANNEL: Final = 50
"""Sessions that share one connection, as behind a proxy."""

_OPTIONS: Final = (
    # Channels to one address would share one connection otherwise.
    ("grpc.use_local_subchannel_pool", 1),
    ("grpc.max_receive_message_length", -1),
)


class RpcClient:
    """One stream. `connect` opens it: a stream-stream call without serializers."""

    def __init__(self, connect: Callable[[], Any], ears: Ears) -> None:
        self._connect = connect
        self._ears = ears
        self._call: Any = None
        self._reading: asyncio.Task[None] | None = None
        self._ref = 0
        self._nonce = 0
        self._pong: asyncio.Future[None] | None = None
        self._ended = ""
        self._closing = False

    async def enter(self, user: str, rooms: Sequence[str], *, listen: bool) -> None:  # noqa: ARG002
        """Say hello, join, and wait until all of it is done. Who sends hears itself, always."""
        self._call = self._connect()
        hello = commands_pb2.Hello(user=user, client_id=f"bench-{user}")
        joins = [self._command(join=commands_pb2.Join(room=room)) for room in rooms]
        await self._write([self._command(hello=hello), *joins])
        self._reading = asyncio.create_task(self._read())
        await self.settle()

    async def send(self, messages: Sequence[Message]) -> None:
        """Send all in one frame, with nonces, as a client does that cares for exactly once."""
        commands = []
        for to, text in messages:
            self._nonce += 1
            send = commands_pb2.Send(to=to, text=text.decode(), nonce=self._nonce)
            commands.append(self._command(send=send))
        await self._write(commands)

    async def settle(self) -> None:
        """Ask for a Pong, which comes when everything before it has its reply."""
        self._pong = asyncio.get_running_loop().create_future()
        await self._write([self._command(ping=commands_pb2.Ping())])
        await self._pong

    async def close(self) -> None:
        """Break the stream off."""
        self._closing = True
        if self._reading is not None:
            self._call.cancel()
            await asyncio.gather(self._reading, return_exceptions=True)

    def _command(self, **kind: Any) -> commands_pb2.Command:
        self._ref += 1
        return commands_pb2.Command(ref=self._ref, **kind)

    async def _write(self, commands: Sequence[commands_pb2.Command]) -> None:
        if self._ended:
            raise ConnectionError(self._ended)
        try:
            await self._call.write(chat_pb2.ClientFrame(commands=commands).SerializeToString())
        except (asyncio.InvalidStateError, grpc.aio.AioRpcError) as error:
            raise ConnectionError(f"the stream has ended: {error}") from error

    async def _read(self) -> None:
        call, received = self._call, self._ears.received
        try:
            while isinstance(data := await call.read(), bytes):
                received(data)
                if self._pong is not None:
                    self._look_for_pong(data)
            self._end(f"{await call.code()}: {await call.details()}")
        except grpc.aio.AioRpcError as error:
            self._end(f"{error.code()}: {error.details()}")

    def _look_for_pong(self, data: bytes) -> None:
        for event in chat_pb2.ServerFrame.FromString(data).events:
            if event.HasField("error"):
                self._answer_pong(f"refused: {event.error.message}")
            elif event.HasField("pong"):
                self._answer_pong("")

    def _answer_pong(self, failure: str) -> None:
        pong, self._pong = self._pong, None
        if pong is None or pong.done():
            return
        if failure:
            pong.set_exception(ConnectionError(failure))
        else:
            pong.set_result(None)

    def _end(self, why: str) -> None:
        self._ended = why
        self._answer_pong(why)
        if not self._closing:
            self._ears.lost(why)


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


def rpc_clients(address: str) -> ClientFactory:
    """Return what makes streams, so many to a channel."""
    channels: list[grpc.aio.Channel] = []
    made = 0

    def make(ears: Ears) -> RpcClient:
        nonlocal made
        if made % STREAMS_A_CHANNEL == 0:
            channels.append(_channel(address))
        made += 1
        return RpcClient(_connect(channels[-1]), ears)

    return make


def _channel(address: str) -> grpc.aio.Channel:
    return grpc.aio.insecure_channel(address, options=_OPTIONS)


def _connect(channel: grpc.aio.Channel) -> Any:
    return channel.stream_stream("/chat.v1.Chat/Connect")
