"""People who chat over some transport, and what they hear, in words that all transports share.

A new transport is one class here or beside here, and one line in `TRANSPORTS`.
"""

import asyncio
import re
import socket
import struct
from collections.abc import Callable

from chat_service.node import Node
from tests.scenarios.deeds import told_by_line
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
from tests.scenarios.person import Person
from tests.scenarios.programs import GrpcPerson, JsonPerson, ProtobufPerson
from tests.waiting import until


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

    async def conversations(self) -> list[tuple[str, int]]:
        self._write("/conversations", "/rooms")
        found: list[tuple[str, int]] = []
        while line := _CONVERSATION.match(await self._answer(r"with \S+: \d|you are in: ")):
            found.append((f"@{line[1]}", int(line[2])))
        return found

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

_CONVERSATION = re.compile(r"\* with (\S+): (\d+) messages?$")

_LINES: list[tuple[re.Pattern[str], Callable[..., Heard]]] = [
    (re.compile(r"\[(#\S+)\] \* (\S+) joined"), lambda _, room, user: JoinedRoom(room, user)),
    (re.compile(r"\[(#\S+)\] \* (\S+) left"), lambda _, room, user: LeftRoom(room, user)),
    (re.compile(r"\[you -> (\S+)\] (.*)"), lambda me, to, text: Said(f"@{to}", me, text)),
    (re.compile(r"\[(\S+) -> you\] (.*)"), lambda me, who, text: Said(f"@{me}", who, text)),
    (re.compile(r"\[(#\S+)\] (\S+): (.*)"), lambda _, room, who, text: Said(room, who, text)),
    (re.compile(r"\* (\S+) joined"), lambda _, user: Came(user)),
    (re.compile(r"\* (\S+) left"), lambda _, user: Went(user)),
    (re.compile(r"\* server (.*)"), lambda _, why: Bye(f"server {why}")),
    (re.compile(r"! (.*?)(?: \(try again in .*\))?"), lambda _, why: Refused(why)),
    (re.compile(r"\* announcement from (\S+): (.*)"), lambda _, by, text: Announced(text, by)),
    (re.compile(r"([^\s*\[:]+): (.*)"), lambda _, who, text: Said("#lobby", who, text)),
]

TRANSPORTS: dict[str, type[Person]] = {
    "grpc": GrpcPerson,
    "tcp": TcpPerson,
    "web-json": JsonPerson,
    "web-protobuf": ProtobufPerson,
}
