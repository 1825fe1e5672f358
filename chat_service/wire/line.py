"""The line protocol: what `nc` and `telnet` speak.

The first line is a name. Every further one is a message to the current room, or a command, which
begins with a slash (`//` at its start sends a line that begins with one). See `terminal` for what
comes back, and `telnet` for what counts as a line.
"""

from collections.abc import Callable, Hashable, Sequence
from functools import partial
from typing import ClassVar, NamedTuple

from chat_service.core.address import LOBBY, parse_room
from chat_service.core.commands import (
    Command,
    CommandBody,
    Hello,
    History,
    Join,
    Leave,
    Ping,
    Quit,
    Send,
    Who,
)
from chat_service.core.errors import InvalidCommand, Refusal
from chat_service.core.events import Error, Event, EventBody, Joined, Left, Welcome
from chat_service.core.limits import MAX_HISTORY
from chat_service.core.outcome import Durable
from chat_service.wire.port import Received
from chat_service.wire.protobuf import decode_frame
from chat_service.wire.telnet import Line, LineReader
from chat_service.wire.terminal import render

_SHOWN_WORD_CHARS = 32


class _Asked(NamedTuple):
    """A command of which more is to be said, once it is done, than the reply says: `answer`.

    `leads_to` is the room that it makes the current one, None if it lets that be.
    """

    answer: Callable[[], str]
    leads_to: str | None = None


class _Verb(NamedTuple):
    """What a slash and a word stand for, with the least and the most arguments."""

    parse: Callable[..., CommandBody]
    least: int
    most: int
    usage: str
    meaning: str


class LineCodec:
    """A connection that speaks lines of text."""

    echoes = False

    def __init__(self) -> None:
        self.user = ""
        self._reader = LineReader()
        self._named = False
        self._ref = 0
        self._asked: dict[int, _Asked] = {}
        self._rooms = dict.fromkeys([LOBBY])  # a set in order of joining
        # Where the commands so far will have led if all are done, and where those led that are.
        self._room = self._settled = LOBBY

    def greeting(self) -> bytes:
        """Return the line that a connection begins with: it asks for a name."""
        return b"* what is your name?\n"

    def sharing(self, *, private: bool) -> Hashable:
        """Return the current room, which decides what is labelled; if `private`, the user too."""
        return ("line", self._room, self.user) if private else ("line", self._room)

    def feed(self, data: bytes) -> list[Received]:
        """Take bytes as they came. Nothing that a line holds is fatal, so this never raises."""
        return self._receive(self._reader.feed(data))

    def end_of_input(self) -> list[Received]:
        """Take the last line, if the end has cut it short."""
        return self._receive(self._reader.end())

    def encode(self, event: Event) -> bytes:
        """Render an event that is this connection's alone, and follow where it leads."""
        self._follow(event.body)
        asked = self._asked.pop(event.ref, None)
        if asked is not None:
            return _encoded(self._answered(asked, event.body))
        text = render(event.body, self._room, self.user)
        if isinstance(event.body, Error) and event.ref and not self._named:
            return _encoded(text) + self.greeting()
        return _encoded(text)

    def encode_replies(self, replies: Sequence[Event]) -> tuple[bytes, int]:
        """Render Acks, most of which are not shown."""
        shown = [line for reply in replies if (line := self.encode(reply))]
        return b"".join(shown), len(shown)

    def join(self, events: Sequence[Durable]) -> bytes:
        """Render committed events, for all connections that share a key with this one."""
        room, user = self._room, self.user
        return _encoded("".join([render(event.body, room, user) for event in events]))

    def recall(self, frames: Sequence[bytes]) -> bytes:
        """Render committed events that the state has stored."""
        room, user = self._room, self.user
        events = [event for frame in frames for event in decode_frame(frame)]
        return _encoded("".join([render(event.body, room, user) for event in events]))

    def _receive(self, lines: list[Line]) -> list[Received]:
        return [self._received(line) for line in lines if isinstance(line, Refusal) or line.strip()]

    def _received(self, line: Line) -> Received:
        self._ref += 1
        if isinstance(line, Refusal):
            return self._ref, line
        try:
            return Command(self._ref, self._parsed(line))
        except Refusal as refusal:
            return self._ref, refusal

    def _parsed(self, line: str) -> CommandBody:
        if not self._named:
            self._named = True
            return Hello(line.strip())
        if line.startswith("//"):
            return Send(self._room, line[1:])
        if line.startswith("/"):
            return self._command(line)
        return Send(self._room, line)

    def _command(self, line: str) -> CommandBody:
        word = line.split(maxsplit=1)[0]
        verb = self._VERBS.get(word.lower())
        if verb is None:
            shown = word[:_SHOWN_WORD_CHARS]
            raise InvalidCommand(f"no such command: {shown} (/help lists them)")
        _, *arguments = line.split(maxsplit=max(verb.most, 1))
        if not verb.least <= len(arguments) <= verb.most:
            raise InvalidCommand(f"usage: {verb.usage}")
        return verb.parse(self, *arguments)

    def _msg(self, name: str, text: str) -> Send:
        return Send("@" + name.removeprefix("@"), text)

    def _join(self, raw: str) -> Join:
        room = _room(raw)
        self._ask(partial(self._has_joined, room), leads_to=room)
        return Join(room)

    def _leave(self, raw: str | None = None) -> Leave:
        room = self._room if raw is None else _room(raw)
        self._ask(partial(self._has_left, room), leads_to=LOBBY if room == self._room else None)
        return Leave(room)

    def _who(self) -> Who:
        return Who(self._room)

    def _history(self, count: str = "20") -> History:
        try:
            limit = int(count)
        except ValueError:
            limit = 0
        if limit < 1:
            raise InvalidCommand("usage: /history [N], with N from 1 on")
        return History(self._room, limit=min(limit, MAX_HISTORY))

    # The codec could answer the next two by itself, but then the answer would overtake those to the
    # commands before. A Ping goes the way that they go.

    def _list_rooms(self) -> Ping:
        self._ask(self._room_list)
        return Ping()

    def _help(self) -> Ping:
        self._ask(self._verb_list)
        return Ping()

    def _quit(self) -> Quit:
        return Quit()

    _VERBS: ClassVar[dict[str, _Verb]] = {
        "/msg": _Verb(_msg, 2, 2, "/msg NAME text", "says something to one user"),
        "/join": _Verb(_join, 1, 1, "/join #room", "enters a room, or makes it the current one"),
        "/leave": _Verb(_leave, 0, 1, "/leave [#room]", "leaves a room"),
        "/who": _Verb(_who, 0, 0, "/who", "lists who is in the current room"),
        "/rooms": _Verb(_list_rooms, 0, 0, "/rooms", "lists the rooms you are in"),
        "/history": _Verb(_history, 0, 1, "/history [N]", "shows the last N messages (20)"),
        "/help": _Verb(_help, 0, 0, "/help", "shows this"),
        "/quit": _Verb(_quit, 0, 0, "/quit", "leaves the chat"),
    }

    def _ask(self, answer: Callable[[], str], leads_to: str | None = None) -> None:
        # A move counts at once, so that the lines behind it go where their writer means them to go,
        # however late its reply comes.
        self._asked[self._ref] = _Asked(answer, leads_to)
        self._room = leads_to or self._room

    def _answered(self, asked: _Asked, body: EventBody) -> str:
        refused = isinstance(body, Error)
        text = render(body, self._room, self.user) if refused else asked.answer()
        moves = (later.leads_to for later in reversed(self._asked.values()) if later.leads_to)
        self._room = next(moves, self._settled)
        return text

    def _has_joined(self, room: str) -> str:
        self._rooms[room] = None
        self._settled = room
        return f"* you are in {room} now\n"

    def _has_left(self, room: str) -> str:
        self._rooms.pop(room, None)
        if room != self._settled:
            return f"* you left {room}\n"
        self._settled = LOBBY
        return f"* you left {room}; you are in {LOBBY} now\n"

    def _room_list(self) -> str:
        return f"* you are in: {', '.join(self._rooms)} (current: {self._settled})\n"

    def _verb_list(self) -> str:
        verbs = [f"* {verb.usage:<14}  {verb.meaning}\n" for verb in self._VERBS.values()]
        return "".join(verbs) + "* //text          says a line that begins with a slash\n"

    def _follow(self, body: EventBody) -> None:
        match body:
            case Welcome():
                self.user = body.user
                self._rooms = dict.fromkeys(body.rooms)
            case Joined(room, self.user):
                self._rooms[room] = None
            case Left(room, self.user):
                self._rooms.pop(room, None)


def _room(raw: str) -> str:
    """Return a room's normal form, which rendering compares with; raises InvalidAddress."""
    return parse_room("#" + raw.strip().removeprefix("#"))


def _encoded(text: str) -> bytes:
    return text.encode(errors="replace")
