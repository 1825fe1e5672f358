"""People who chat over some transport, and what they hear, in words that all transports share.

A new transport is one class here and one line in `TRANSPORTS`.
"""

import asyncio
import re
import socket
import struct
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any, ClassVar

import grpc
from google.protobuf.message import Message

from chat.v1 import accounts_pb2, chat_pb2, chat_pb2_grpc, commands_pb2, events_pb2
from chat_service.node import Node
from tests.accounts import unary
from tests.scenarios.deeds import command, told_by_event, told_by_line
from tests.scenarios.heard import (
    Announced,
    Bye,
    Came,
    Heard,
    JoinedRoom,
    LeftRoom,
    Refused,
    Said,
    Went,
)
from tests.waiting import until


class Person(ABC):
    """Somebody who chats. `heard` is everything told so far, in order."""

    needs_to_be_there: ClassVar[bool]
    """Whether only those who are in a room have words for what is done in it."""

    def __init__(self, user: str, client_id: str, password: str = "") -> None:
        self.user = user
        self.client_id = client_id
        self.password = password
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
    async def tries(self, verb: str, room: str, user: str = "", rest: str = "") -> str:
        """Do something in a room, to somebody; returns why it was refused, or nothing.

        A verb is what is typed behind the slash, or `say`; the rest is a reason or a duration.
        """

    @abstractmethod
    async def register(self, password: str) -> str:
        """Make one's name an account; returns why it was refused, or nothing."""

    @abstractmethod
    async def change_password(self, old: str, new: str) -> str:
        """Set another password; returns why it was refused, or nothing."""

    async def does(self, verb: str, room: str, user: str = "", rest: str = "") -> None:
        """Do what one has a right to."""
        refusal = await self.tries(verb, room, user, rest)
        assert not refusal, f"{self.user} may not {verb} {user} in {room}: {refusal}"

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

    needs_to_be_there = False

    async def connect(self, node: Node) -> None:
        self._channel = grpc.aio.insecure_channel(str(node.endpoints["grpc"]))
        self._call: Any = chat_pb2_grpc.ChatStub(self._channel).Connect()
        self._replies: dict[int, asyncio.Future[events_pb2.Event]] = {}
        self._ref = 0
        self._reader = asyncio.create_task(self._read())
        hello = commands_pb2.Hello(user=self.user, client_id=self.client_id)
        if self.password:
            hello.password = self.password
        reply = await self.ask(hello=hello)
        if reply.HasField("welcome"):
            self.user = reply.welcome.user
        self._token = reply.welcome.token

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

    async def tries(self, verb: str, room: str, user: str = "", rest: str = "") -> str:
        asked = _ASK[verb](room) if verb in _ASK else {"moderate": command(verb, room, user, rest)}
        return str((await self.ask(**asked)).error.message)

    async def register(self, password: str) -> str:
        request = accounts_pb2.RegisterRequest(user=self.user, password=password)
        return await self._calls(request, self._token)

    async def change_password(self, old: str, new: str) -> str:
        sign_in = accounts_pb2.LoginRequest(user=self.user, password=old)
        try:
            token = (await unary(self._channel, sign_in)).session.token
        except grpc.aio.AioRpcError as error:
            return error.details() or ""
        request = accounts_pb2.ChangePasswordRequest(old_password=old, new_password=new)
        return await self._calls(request, token)

    async def _calls(self, request: Message, token: str) -> str:
        try:
            await unary(self._channel, request, token)
        except grpc.aio.AioRpcError as error:
            return error.details() or ""
        return ""

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


_ASK: dict[str, Callable[[str], dict[str, Any]]] = {
    "say": lambda room: {"send": commands_pb2.Send(to=room, text="anything")},
    "join": lambda room: {"join": commands_pb2.Join(room=room)},
    "leave": lambda room: {"leave": commands_pb2.Leave(room=room)},
    "who": lambda room: {"who": commands_pb2.Who(to=room)},
    "history": lambda room: {"history": commands_pb2.History(to=room)},
}

_OBSERVE: dict[str, Callable[[events_pb2.Event], Heard]] = {
    "message": lambda e: Said(e.message.to, e.message.sender, e.message.text),
    "joined": lambda e: JoinedRoom(e.joined.room, e.joined.user),
    "left": lambda e: LeftRoom(e.left.room, e.left.user),
    "presence": lambda e: (Came if e.presence.online else Went)(e.presence.user),
    "error": lambda e: Refused(e.error.message),
    "goodbye": lambda e: Bye(e.goodbye.message),
    "moderated": told_by_event,
    "announcement": lambda e: Announced(e.announcement.text, e.announcement.by),
}


class TcpPerson(Person):
    """Somebody with netcat. The current room stays the lobby, but for the moment of speaking."""

    needs_to_be_there = True

    async def connect(self, node: Node) -> None:
        endpoint = node.endpoints["tcp"]
        self._lines, self._writer = await asyncio.open_connection(endpoint.host, endpoint.port)
        self._answers: asyncio.Queue[str] = asyncio.Queue(1000)
        self._reader = asyncio.create_task(self._read())
        self._write(self.user)
        await until(lambda: self._welcomed or self._asked or self.ended, what="a welcome")
        if self._asked and self.password:
            refusals = len(self.heard)
            self._write(self.password)
            await until(lambda: self._welcomed or len(self.heard) > refusals, what="a welcome")

    _welcomed = False
    _asked = False
    """Whether the server wants a password."""

    async def say(self, text: str, to: str = "#lobby") -> None:
        if to.startswith("@"):
            self._write(f"/msg {to[1:]} {text}")
        elif to == "#lobby":
            self._write(text)
        else:
            self._write(f"/join {to}", text, "/join #lobby")

    async def join(self, room: str) -> None:
        self._write(f"/join {room}", "/join #lobby")
        await self._answer(rf"you are in {room} now")
        await self._answer(r"you are in #lobby now")

    async def leave(self, room: str) -> None:
        self._write(f"/leave {room}")

    async def who(self, room: str) -> list[str]:
        self._write(f"/join {room}", "/who", "/join #lobby")
        answer = await self._answer(rf"in {room}: ")
        members = re.findall(r"([^\s,()]+)(?: \(([^)]*)\))?", answer.partition(": ")[2])
        return [name for name, notes in members if "away" not in notes]

    async def history(self, room: str, count: int) -> list[tuple[str, str]]:
        self._write(f"/join {room}", "/rooms", f"/history {count}", "/rooms", "/join #lobby")
        await self._answer(r"you are in: ")
        already = len(self.heard)
        await self._answer(r"you are in: ")
        return [(it.sender, it.text) for it in self.heard[already:] if isinstance(it, Said)]

    async def tries(self, verb: str, room: str, user: str = "", rest: str = "") -> str:
        if verb in ("join", "leave"):
            return await self._refusal(f"/{verb} {room}", "/join #lobby")
        typed = "anything" if verb == "say" else f"/{verb} {user} {rest}".rstrip()
        return await self._refusal(f"/join {room}", typed, "/join #lobby")

    async def register(self, password: str) -> str:
        return await self._refusal("/register", password, password)

    async def change_password(self, old: str, new: str) -> str:
        return await self._refusal("/password", old, new, new)

    async def _refusal(self, *lines: str) -> str:
        """Type lines; returns why one of them was refused, or nothing."""
        already = len(self.heard)
        self._write(*lines, "/rooms")
        await self._answer(r"you are in: ")
        refused = [it.why for it in self.heard[already:] if isinstance(it, Refused)]
        return refused[0] if refused else ""

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
            while line := await self._lines.readline():
                self._take(_TELNET.sub(b"", line).decode().removesuffix("\n"))
        except ConnectionError:
            pass  # what vanish() asked for
        self.ended = True

    def _take(self, line: str) -> None:
        if (deed := told_by_line(line, self.user)) is not None:
            self.heard.append(deed)
            return
        for pattern, observe in _LINES:
            if (match := pattern.fullmatch(line)) is not None:
                self.heard.append(observe(self.user, *match.groups()))
                return
        if (welcome := re.match(r"\* welcome, (\S+):", line)) is not None:
            self.user, self._welcomed = welcome[1], True
        self._asked = self._asked or line.startswith("* password for ")
        self._answers.put_nowait(line)


_TELNET = re.compile(rb"\xff[\xfb-\xfe].")
"""Whether the terminal is to show what is typed (RFC 854)."""

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
    (re.compile(r"\* announcement from (\S+): (.*)"), lambda _, by, text: Announced(text, by)),
    (re.compile(r"([^\s*\[:]+): (.*)"), lambda _, who, text: Said("#lobby", who, text)),
]

TRANSPORTS: dict[str, type[Person]] = {"grpc": GrpcPerson, "tcp": TcpPerson}
