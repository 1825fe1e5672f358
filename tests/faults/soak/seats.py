"""One user who mostly listens: in the lobby, over one transport, again and again."""

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Final, cast

import grpc

from chat.v1 import chat_pb2, commands_pb2, cursor_pb2, events_pb2
from tests.faults.soak.notes import Notes, lobby_text
from tests.faults.streams import Call, connect, frame, receive

LOBBY: Final = "#lobby"
WITHIN: Final = 60.0
"""Seconds in which a single thing asked of the server is to be done."""


class Seat(ABC):
    """A user, and the number of the last message that it has heard in the lobby."""

    def __init__(self, user: str, notes: Notes) -> None:
        self.user = user
        self.here = False
        self.heard = 0
        self.notes = notes

    @abstractmethod
    async def come(self, said: int) -> None:
        """Connect; meanwhile so many messages were said in the lobby."""

    @abstractmethod
    async def go(self, *, abruptly: bool) -> None:
        """Leave, or cut the connection."""

    @abstractmethod
    async def say(self, to: str, text: str) -> None:
        """Say something and wait until it is committed."""

    def hear(self, text: str) -> None:
        """Take what was said in the lobby: each message once, in order."""
        if text != lobby_text(self.heard + 1):
            self.notes.complain(f"{self.user} hears {text!r} behind {self.heard}")
        self.heard += 1

    def lost(self, why: str) -> None:
        """Note the end of the connection, which is none's wish if the user is still here."""
        if self.here:
            self.here = False
            self.notes.complain(f"{self.user} was disconnected: {why}")


class RpcSeat(Seat):
    """A stream of a channel that others share. Resumes, and so hears also what it has missed."""

    def __init__(self, user: str, notes: Notes, channel: grpc.aio.Channel) -> None:
        super().__init__(user, notes)
        self._channel = channel
        self._cursor: cursor_pb2.Cursor | None = None
        self._acked: asyncio.Future[None] | None = None

    async def come(self, said: int) -> None:
        self._call: Call = await connect(self._channel, self.user, self.user, self._cursor)
        welcome, *more = (await asyncio.wait_for(receive(self._call), WITHIN)).events
        assert welcome.HasField("welcome"), welcome
        assert welcome.welcome.resumed == (self._cursor is not None), self.user
        self._cursor = self._cursor or welcome.welcome.cursor
        self.here = True
        for event in more:
            self._take(event, self._cursor)
        self._reading = asyncio.create_task(self._read(self._cursor))

    async def go(self, *, abruptly: bool) -> None:
        self.here = False
        if abruptly:
            self._call.cancel()
        else:
            await self._call.done_writing()
        await asyncio.wait_for(self._reading, WITHIN)

    async def say(self, to: str, text: str) -> None:
        self._acked = asyncio.get_running_loop().create_future()
        send = commands_pb2.Send(to=to, text=text)
        await self._call.write(frame(commands_pb2.Command(ref=2, send=send)))
        await asyncio.wait_for(self._acked, WITHIN)

    async def _read(self, cursor: cursor_pb2.Cursor) -> None:
        try:
            while isinstance(data := await self._call.read(), bytes):
                for event in chat_pb2.ServerFrame.FromString(data).events:
                    self._take(event, cursor)
            self.lost("it ended")
        except grpc.aio.AioRpcError as error:
            self.lost(f"{error.code()} {error.details()}")
        except asyncio.CancelledError:
            self.lost("it was cancelled")

    def _take(self, event: events_pb2.Event, cursor: cursor_pb2.Cursor) -> None:
        cursor.seq = max(cursor.seq, event.seq)
        if event.HasField("message"):
            if event.message.to == LOBBY:
                self.hear(event.message.text)
            elif event.message.to == f"@{self.user}":
                self.notes.overheard[event.message.text] += 1
        elif event.HasField("ack"):
            if self._acked is not None and not self._acked.done():
                self._acked.set_result(None)
        elif not event.HasField("presence"):
            self.notes.complain(f"{self.user} is told {event}")


class LineSeat(Seat):
    """A raw TCP connection. Nobody is told there what was said before."""

    def __init__(self, user: str, notes: Notes, address: str) -> None:
        super().__init__(user, notes)
        self._host, _, self._port = address.rpartition(":")
        self._awaited = b""
        self._answered: asyncio.Future[None] | None = None

    async def come(self, said: int) -> None:
        self.heard = said
        self._line = _Line(self._take, self.lost)
        loop = asyncio.get_running_loop()
        await loop.create_connection(lambda: self._line, self._host, int(self._port))
        self.here = True
        await self._ask(self.user, b"* welcome, ")

    async def go(self, *, abruptly: bool) -> None:
        self.here = False
        if abruptly:
            self._line.transport.abort()
        else:
            self._line.write("/quit")
        await asyncio.wait_for(self._line.ended, WITHIN)

    async def say(self, to: str, text: str) -> None:
        if to == LOBBY:
            self.hear(text)  # one's own is not echoed
        said = text if to == LOBBY else f"/msg {to} {text}"
        await self._ask(f"{said}\n/rooms", b"* you are in: ")

    async def _ask(self, question: str, answer: bytes) -> None:
        self._awaited = answer
        self._answered = asyncio.get_running_loop().create_future()
        self._line.write(question)
        await asyncio.wait_for(self._answered, WITHIN)

    def _take(self, line: bytes) -> None:
        if line.startswith(b"* "):  # who comes and goes among the first is told as well
            self._look_for_answer(line)
        elif line.startswith(b"["):
            speaker, _, text = line.decode().partition(" -> you] ")
            if text:
                self.notes.overheard[text] += 1
            elif not speaker.startswith("[you -> "):
                self.notes.complain(f"{self.user} is told {line!r}")
        else:
            _, _, text = line.decode().partition(": ")
            self.hear(text or line.decode())

    def _look_for_answer(self, line: bytes) -> None:
        answered = self._answered
        if answered is not None and not answered.done() and line.startswith(self._awaited):
            answered.set_result(None)


class _Line(asyncio.Protocol):
    """Cuts what comes into lines."""

    transport: asyncio.Transport

    def __init__(self, take: Callable[[bytes], None], lost: Callable[[str], None]) -> None:
        self.ended = asyncio.get_running_loop().create_future()
        self._take = take
        self._lost = lost
        self._rest = b""

    def write(self, line: str) -> None:
        self.transport.write(f"{line}\n".encode())

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports are not derived from asyncio's, but are as good.
        self.transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        *lines, self._rest = (self._rest + data).split(b"\n")
        for line in lines:
            self._take(line)

    def connection_lost(self, exc: Exception | None) -> None:
        self._lost(repr(exc) if exc else "it ended")
        if not self.ended.done():
            self.ended.set_result(None)
