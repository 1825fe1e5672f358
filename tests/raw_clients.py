"""Clients that do no more than the protocols say, and remember all that they are told."""

import asyncio
from typing import Any, Self

import grpc

from chat.v1 import chat_pb2, chat_pb2_grpc, commands_pb2, events_pb2


class RpcClient:
    """A gRPC stream. `events` is everything received, in order."""

    def __init__(self, channel: grpc.aio.Channel) -> None:
        self.events: list[events_pb2.Event] = []
        self.code: grpc.StatusCode | None = None
        """How the stream ended; None while it has not."""
        self.trailers: dict[str, Any] = {}
        self.welcome = events_pb2.Welcome()
        self._stub = chat_pb2_grpc.ChatStub(channel)
        self._ref = 0
        self._replies: dict[int, asyncio.Future[events_pb2.Event]] = {}

    async def enter(self, user: str, *, reading: bool = True, **hello: Any) -> Self:
        """Connect and say hello; with `reading`, also wait for the answer and read on."""
        self._call: Any = self._stub.Connect()
        self.reader = asyncio.create_task(self._read()) if reading else None
        reply = await self.post(hello=commands_pb2.Hello(user=user, **hello))
        if reading:
            self.welcome = (await asyncio.wait_for(reply, 10)).welcome
        return self

    async def post(self, **kind: Any) -> asyncio.Future[events_pb2.Event]:
        """Send a command; the future is its reply, and is cancelled if the stream ends first."""
        self._ref += 1
        reply = self._replies[self._ref] = asyncio.get_running_loop().create_future()
        command = commands_pb2.Command(ref=self._ref, **kind)
        await self._call.write(chat_pb2.ClientFrame(commands=[command]))
        return reply

    async def ask(self, **kind: Any) -> events_pb2.Event:
        """Send a command and wait for its reply."""
        return await asyncio.wait_for(await self.post(**kind), 10)

    async def say(self, text: str, to: str = "#lobby", nonce: int = 0) -> events_pb2.Event:
        return await self.ask(send=commands_pb2.Send(to=to, text=text, nonce=nonce))

    async def history(self, to: str = "#lobby") -> list[events_pb2.Event]:
        """Return all messages of a room, oldest first."""
        messages: list[events_pb2.Event] = []
        while True:
            before = messages[0].seq if messages else 0
            page = (await self.ask(history=commands_pb2.History(to=to, before_seq=before))).history
            messages[:0] = page.events
            if not page.more:
                return messages

    @property
    def messages(self) -> list[events_pb2.Event]:
        """The messages received."""
        return [event for event in self.events if event.HasField("message")]

    async def hang_up(self) -> None:
        self._call.cancel()
        if self.reader is not None:
            await self.reader

    async def _read(self) -> None:
        try:
            async for frame in self._call:
                for event in frame.events:
                    self._take(event)
            self.code = await self._call.code()
        except grpc.aio.AioRpcError as error:
            self.code = error.code()
            self.trailers = dict(error.trailing_metadata() or ())
        except asyncio.CancelledError:
            self.code = grpc.StatusCode.CANCELLED
        for reply in self._replies.values():
            reply.cancel()

    def _take(self, event: events_pb2.Event) -> None:
        self.events.append(event)
        if event.ref and (reply := self._replies.pop(event.ref, None)) is not None:
            reply.set_result(event)


class TcpClient:
    """A raw TCP connection. `lines` is everything received, in order."""

    def __init__(self, endpoint: str) -> None:
        self._host, _, self._port = endpoint.rpartition(":")
        self.lines: list[str] = []
        self.ended = False
        """Whether the server has ended it, and not just cut it."""
        self._welcome = asyncio.Event()

    async def enter(self, user: str) -> Self:
        """Connect, say who one is, and wait until the server knows."""
        self._stream, self._writer = await asyncio.open_connection(self._host, int(self._port))
        self.reader = asyncio.create_task(self._read())
        self.write(user)
        await asyncio.wait_for(self._welcome.wait(), 10)
        return self

    def write(self, line: str) -> None:
        self._writer.write(f"{line}\n".encode())

    async def hang_up(self) -> None:
        self._writer.close()
        await asyncio.gather(self._writer.wait_closed(), self.reader, return_exceptions=True)

    async def _read(self) -> None:
        try:
            while line := await self._stream.readline():
                self.lines.append(line.decode().removesuffix("\n"))
                if self.lines[-1].startswith("* welcome, "):
                    self._welcome.set()
            self.ended = True
        except ConnectionResetError:
            pass
