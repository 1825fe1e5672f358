"""People who chat over some transport, and what they hear, in words that all transports share.

A new transport is one class here and one line in `TRANSPORTS`.
"""

import asyncio
import re
import socket
import struct
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import grpc

from chat.v1 import chat_pb2, chat_pb2_grpc, commands_pb2, events_pb2
from chat_service.node import Node
from tests.waiting import until


@dataclass(frozen=True)  # not tuples: those of two kinds would be equal
class Said:
    """A message: `to` is `#room` or `@user`."""

    to: str
    sender: str
    text: str


@dataclass(frozen=True)
class Came:
    """A user is online."""

    user: str


@dataclass(frozen=True)
class Went:
    """A user is offline."""

    user: str


@dataclass(frozen=True)
class JoinedRoom:
    """A user became a member."""

    room: str
    user: str


@dataclass(frozen=True)
class LeftRoom:
    """A user ceased to be a member."""

    room: str
    user: str


@dataclass(frozen=True)
class Refused:
    """Something could not be done."""

    why: str


@dataclass(frozen=True)
class Bye:
    """The server's last words."""

    why: str


Heard = Said | Came | Went | JoinedRoom | LeftRoom | Refused | Bye


class Person(ABC):
    """Somebody who chats. `heard` is everything told so far, in order."""

    def __init__(self, user: str, client_id: str) -> None:
        self.user = user
        self.client_id = client_id
        self.heard: list[Heard] = []
        self.ended = False

    @abstractmethod
    async def connect(self, node: Node) -> None:
        """Say hello and wait for the welcome (or for the refusal)."""

    @abstractmethod
    async def say(self, text: str, to: str = "#lobby") -> None:
        """Send a message to a room or a user."""

    @abstractmethod
    async def join(self, room: str) -> None:
        """Join a room and wait until that is done."""

    @abstractmethod
    async def leave(self, room: str) -> None:
        """Leave a room."""

    @abstractmethod
    async def who(self, room: str) -> list[str]:
        """Return the names of those who are in a room and online."""

    @abstractmethod
    async def history(self, room: str, count: int) -> list[tuple[str, str]]:
        """Return the last messages of a room: senders and texts."""

    @abstractmethod
    async def depart(self) -> None:
        """Leave cleanly."""

    @abstractmethod
    async def vanish(self) -> None:
        """Cut the connection."""

    @abstractmethod
    async def hang_up(self) -> None:
        """Give back what this person's side holds, in whatever state the connection is."""

    async def hears(self, what: Heard, *, within: float = 5.0) -> None:
        """Wait until something was heard."""
        await until(lambda: what in self.heard, within=within, what=f"{what} in {self.heard}")

    async def is_refused(self, pattern: str) -> None:
        """Wait until a refusal was heard whose sentence fits a pattern."""
        await until(
            lambda: any(
                isinstance(it, Refused) and re.search(pattern, it.why) for it in self.heard
            ),
            what=f"refusal {pattern!r} in {self.heard}",
        )

    def count(self, what: Heard) -> int:
        """Return how often something was heard."""
        return self.heard.count(what)


class GrpcPerson(Person):
    """Somebody with a gRPC client."""

    async def connect(self, node: Node) -> None:
        self._channel = grpc.aio.insecure_channel(str(node.endpoints["grpc"]))
        self._call: Any = chat_pb2_grpc.ChatStub(self._channel).Connect()
        self._replies: dict[int, asyncio.Future[events_pb2.Event]] = {}
        self._ref = 0
        self._reader = asyncio.create_task(self._read())
        hello = commands_pb2.Hello(user=self.user, client_id=self.client_id)
        reply = await self.ask(hello=hello)
        if reply.HasField("welcome"):
            self.user = reply.welcome.user

    async def ask(self, **kind: Any) -> events_pb2.Event:
        """Send one command and wait for its reply."""
        self._ref += 1
        reply = self._replies[self._ref] = asyncio.get_running_loop().create_future()
        command = commands_pb2.Command(ref=self._ref, **kind)
        await self._call.write(chat_pb2.ClientFrame(commands=[command]))
        return await asyncio.wait_for(reply, 10)

    async def say(self, text: str, to: str = "#lobby") -> None:
        await self.ask(send=commands_pb2.Send(to=to, text=text))

    async def join(self, room: str) -> None:
        await self.ask(join=commands_pb2.Join(room=room))

    async def leave(self, room: str) -> None:
        await self.ask(leave=commands_pb2.Leave(room=room))

    async def who(self, room: str) -> list[str]:
        reply = await self.ask(who=commands_pb2.Who(to=room))
        return [member.user for member in reply.roster.members if member.online]

    async def history(self, room: str, count: int) -> list[tuple[str, str]]:
        reply = await self.ask(history=commands_pb2.History(to=room, limit=count))
        return [(e.message.sender, e.message.text) for e in reply.history.events]

    async def depart(self) -> None:
        await self._call.done_writing()
        await self._reader

    async def vanish(self) -> None:
        self._call.cancel()
        await self._reader

    async def hang_up(self) -> None:
        await self.vanish()
        await self._channel.close()

    async def _read(self) -> None:
        try:
            async for frame in self._call:
                for event in frame.events:
                    self._take(event)
        except (grpc.aio.AioRpcError, asyncio.CancelledError):
            pass  # the status is told by the goodbye as well
        self.ended = True

    def _take(self, event: events_pb2.Event) -> None:
        kind = event.WhichOneof("kind")
        if (observe := _OBSERVE.get(kind or "")) is not None:
            self.heard.append(observe(event))
        if event.ref and (reply := self._replies.pop(event.ref, None)) is not None:
            reply.set_result(event)


_OBSERVE: dict[str, Callable[[events_pb2.Event], Heard]] = {
    "message": lambda e: Said(e.message.to, e.message.sender, e.message.text),
    "joined": lambda e: JoinedRoom(e.joined.room, e.joined.user),
    "left": lambda e: LeftRoom(e.left.room, e.left.user),
    "presence": lambda e: (Came if e.presence.online else Went)(e.presence.user),
    "error": lambda e: Refused(e.error.message),
    "goodbye": lambda e: Bye(e.goodbye.message),
}


class TcpPerson(Person):
    """Somebody with netcat. The current room stays the lobby, but for the moment of speaking."""

    async def connect(self, node: Node) -> None:
        endpoint = node.endpoints["tcp"]
        self._lines, self._writer = await asyncio.open_connection(endpoint.host, endpoint.port)
        self._answers: asyncio.Queue[str] = asyncio.Queue(1000)
        self._reader = asyncio.create_task(self._read())
        self._write(self.user)
        await until(lambda: self._welcomed or self.ended, what="a welcome")

    _welcomed = False

    async def say(self, text: str, to: str = "#lobby") -> None:
        if to.startswith("@"):
            self._write(f"/msg {to[1:]} {text}")
        elif to == "#lobby":
            self._write(text)
        else:
            self._write(f"/join {to}", text, "/join #lobby")

    async def join(self, room: str) -> None:
        self._write(f"/join {room}", "/join #lobby")
        await self._answer(r"you are in #lobby now")

    async def leave(self, room: str) -> None:
        self._write(f"/leave {room}")

    async def who(self, room: str) -> list[str]:
        self._write(f"/join {room}", "/who", "/join #lobby")
        answer = await self._answer(rf"in {room}: ")
        names = answer.partition(": ")[2].split(", ")
        return [name for name in names if "(away)" not in name]

    async def history(self, room: str, count: int) -> list[tuple[str, str]]:
        self._write(f"/join {room}", "/rooms", f"/history {count}", "/rooms", "/join #lobby")
        await self._answer(r"you are in: ")
        already = len(self.heard)
        await self._answer(r"you are in: ")
        return [(it.sender, it.text) for it in self.heard[already:] if isinstance(it, Said)]

    async def depart(self) -> None:
        self._writer.write_eof()
        await self._reader

    async def vanish(self) -> None:
        # Closing with a zero linger time sends a reset, as a crashed host's kernel does.
        sock = self._writer.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._writer.transport.abort()
        await self._reader

    async def hang_up(self) -> None:
        self._writer.close()
        await asyncio.gather(self._writer.wait_closed(), return_exceptions=True)
        await self._reader

    def _write(self, *lines: str) -> None:
        self._writer.write("".join(f"{line}\n" for line in lines).encode())

    async def _answer(self, pattern: str) -> str:
        async with asyncio.timeout(10):
            while not re.search(pattern, line := await self._answers.get()):
                pass
            return line

    async def _read(self) -> None:
        try:
            while line := (await self._lines.readline()).decode().removesuffix("\n"):
                self._take(line)
        except ConnectionError:
            pass  # what vanish() asked for
        self.ended = True

    def _take(self, line: str) -> None:
        for pattern, observe in _LINES:
            if (match := pattern.fullmatch(line)) is not None:
                self.heard.append(observe(self.user, *match.groups()))
                return
        if (welcome := re.match(r"\* welcome, (\S+):", line)) is not None:
            self.user, self._welcomed = welcome[1], True
        self._answers.put_nowait(line)


_LINES: list[tuple[re.Pattern[str], Callable[..., Heard]]] = [
    (re.compile(r"\[(#\S+)\] \* (\S+) joined"), lambda _, room, user: JoinedRoom(room, user)),
    (re.compile(r"\[(#\S+)\] \* (\S+) left"), lambda _, room, user: LeftRoom(room, user)),
    (re.compile(r"\[you -> (\S+)\] (.*)"), lambda me, to, text: Said(f"@{to}", me, text)),
    (re.compile(r"\[(\S+) -> you\] (.*)"), lambda me, who, text: Said(f"@{me}", who, text)),
    (re.compile(r"\[(#\S+)\] (\S+): (.*)"), lambda _, room, who, text: Said(room, who, text)),
    (re.compile(r"\* (\S+) joined"), lambda _, user: Came(user)),
    (re.compile(r"\* (\S+) left"), lambda _, user: Went(user)),
    (re.compile(r"\* server (.*)"), lambda _, why: Bye(f"server {why}")),
    (re.compile(r"! (.*)"), lambda _, why: Refused(why)),
    (re.compile(r"([^\s*\[:]+): (.*)"), lambda _, who, text: Said("#lobby", who, text)),
]

TRANSPORTS: dict[str, type[Person]] = {"grpc": GrpcPerson, "tcp": TcpPerson}
