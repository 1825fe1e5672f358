r"""Events as lines for a terminal.

Nothing that a user wrote reaches another's terminal as more than text: control characters become
visible, so that no escape sequence survives, and those that reorder what is read are replaced. A
message of several lines goes on in lines that begin with two spaces, which no other line does, so
that nobody forges a line of somebody else. Names need none of this: their grammar has done it.

Lines end in LF alone. Telnet would have CR LF, but shows LF just as well in its default mode, where
the terminal is left to itself; scripts behind `nc` compare lines, and a CR there is a bug.
"""

from collections.abc import Callable
from typing import Any, Final

from chat_service.core import events
from chat_service.core.address import LOBBY, is_room
from chat_service.core.events import EventBody, GoodbyeReason
from chat_service.wire.protobuf import decode_frame

_REPLACEMENT: Final = "\ufffd"
_CONTINUATION: Final = "\n  "
_BIDI_CONTROLS: Final = "\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"

_NEUTRAL: Final[dict[int, str]] = {
    **{control: chr(0x2400 + control) for control in range(0x20)},
    0x7F: "\u2421",
    **dict.fromkeys(range(0x80, 0xA0), _REPLACEMENT),
    **dict.fromkeys(map(ord, _BIDI_CONTROLS), _REPLACEMENT),
    **dict.fromkeys(map(ord, "\n\u2028\u2029"), _CONTINUATION),
    ord("\t"): "\t",
}


def neutralised(text: str) -> str:
    """Return a text as it can be shown on a terminal, behind the head of its first line."""
    # Every character that the table replaces is unprintable to Python, bidi controls (Cf) included.
    if text.isprintable():
        return text
    return text.replace("\r\n", "\n").translate(_NEUTRAL)


def render(body: EventBody, room: str, user: str) -> str:
    """Return the lines that tell an event to a user whose current room is `room`."""
    return _RENDERERS[type(body)](body, room, user)


def _message(it: events.Message, room: str, user: str) -> str:
    text = neutralised(it.text)
    if it.to == room:
        return f"{it.sender}: {text}\n"
    if is_room(it.to):
        return f"[{it.to}] {it.sender}: {text}\n"
    return f"[{_you_or(it.sender, user)} -> {_you_or(it.to[1:], user)}] {text}\n"


def _you_or(name: str, user: str) -> str:
    return "you" if name == user else name


def _joined(it: events.Joined, room: str, _user: str) -> str:
    return f"{_label(it.room, room)}* {it.user} joined\n"


def _left(it: events.Left, room: str, _user: str) -> str:
    return f"{_label(it.room, room)}* {it.user} left\n"


def _label(room: str, current: str) -> str:
    return "" if room == current else f"[{room}] "


def _presence(it: events.Presence, _room: str, _user: str) -> str:
    return f"* {it.user} {'joined' if it.online else 'left'}\n"


def _error(it: events.Error, _room: str, _user: str) -> str:
    return f"! {neutralised(it.message)}\n"


def _welcome(it: events.Welcome, _room: str, _user: str) -> str:
    return f"* welcome, {it.user}: you are in {LOBBY} (/help lists the commands)\n"


def _roster(it: events.Roster, _room: str, _user: str) -> str:
    names = [member.user + ("" if member.online else " (away)") for member in it.members]
    if it.more:
        names.append("…")
    return f"* in {it.to}: {', '.join(names)}\n"


def _history(it: events.HistoryPage, _room: str, user: str) -> str:
    said = [render(event.body, it.to, user) for frame in it.frames for event in decode_frame(frame)]
    return "".join(said) or "* nothing was said yet\n"


def _gap(_it: events.Gap, _room: str, _user: str) -> str:
    return "* some messages cannot be shown any more\n"


_FAREWELLS: Final = {
    GoodbyeReason.SHUTDOWN: "server shutting down",
    GoodbyeReason.LEFT: "bye",
    # An error has just said why.
    GoodbyeReason.REFUSED: "bye",
    GoodbyeReason.PROTOCOL_ERROR: "bye",
}


def _goodbye(it: events.Goodbye, _room: str, _user: str) -> str:
    return f"* {_FAREWELLS.get(it.reason) or neutralised(it.message)}\n"


def _silence(_it: EventBody, _room: str, _user: str) -> str:
    return ""


_RENDERERS: Final[dict[type[EventBody], Callable[[Any, str, str], str]]] = {
    events.Message: _message,
    events.Joined: _joined,
    events.Left: _left,
    events.Ack: _silence,
    events.Error: _error,
    events.Welcome: _welcome,
    events.Presence: _presence,
    events.Roster: _roster,
    events.HistoryPage: _history,
    events.Gap: _gap,
    events.Goodbye: _goodbye,
    events.Pong: _silence,
}
