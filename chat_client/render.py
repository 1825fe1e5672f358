r"""Events as lines for people.

What a user wrote reaches another's terminal as text and nothing more: control characters become
visible, so that no escape sequence survives, and characters that reorder what is read, or break
lines by another name, are replaced. A message of several lines goes on in lines that begin with two
spaces, which no other line does, so that nobody can forge a line of somebody else.
"""

from collections.abc import Callable
from typing import Any, Final

from google.protobuf import json_format

from chat.v1 import events_pb2

_REPLACED: Final = (
    "\u061c\u200e\u200f\u2028\u2029\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"
)
_VISIBLE: Final[dict[int, str]] = {
    **{control: chr(0x2400 + control) for control in range(0x20)},
    0x7F: "\u2421",
    **dict.fromkeys(range(0x80, 0xA0), "\ufffd"),
    **dict.fromkeys(map(ord, _REPLACED), "\ufffd"),
}
_TEXT: Final = {**_VISIBLE, ord("\t"): "\t", ord("\n"): "\n  "}


def as_text(event: events_pb2.Event, room: str, user: str) -> str:
    """Return the lines that tell `user`, whose current room is `room`, of an event.

    They end in a newline; there are none for what needs no telling.
    """
    kind = event.WhichOneof("kind")
    renderer = _RENDERERS.get(kind or "")
    return renderer(getattr(event, str(kind)), room, user) if renderer else ""


def as_json(event: events_pb2.Event, _room: str = "", _user: str = "") -> str:
    """Return the canonical JSON of an event, as one line."""
    return json_format.MessageToJson(event, indent=None) + "\n"


def visible(text: str) -> str:
    """Return what a user wrote, fit for a terminal; it may go on in indented lines."""
    return text if text.isprintable() else text.replace("\r\n", "\n").translate(_TEXT)


def _name(name: str) -> str:
    return name if name.isprintable() else name.translate(_VISIBLE)


def _message(it: events_pb2.Message, room: str, user: str) -> str:
    text = visible(it.text)
    if it.to.startswith("@"):
        return f"[{_you_or(it.sender, user)} -> {_you_or(it.to[1:], user)}] {text}\n"
    return f"{_label(it.to, room)}{_name(it.sender)}: {text}\n"


def _you_or(name: str, user: str) -> str:
    return "you" if name == user else _name(name)


def _label(room: str, current: str) -> str:
    return "" if room == current else f"[{_name(room)}] "


def _joined(it: events_pb2.Joined, room: str, _user: str) -> str:
    return f"{_label(it.room, room)}* {_name(it.user)} joined\n"


def _left(it: events_pb2.Left, room: str, _user: str) -> str:
    return f"{_label(it.room, room)}* {_name(it.user)} left\n"


def _presence(it: events_pb2.Presence, _room: str, user: str) -> str:
    if it.user == user:
        return ""
    return f"* {_name(it.user)} {'joined' if it.online else 'left'}\n"


def _error(it: events_pb2.Error, _room: str, _user: str) -> str:
    return f"! {visible(it.message)}\n"


def _roster(it: events_pb2.Roster, _room: str, _user: str) -> str:
    names = [_name(member.user) + ("" if member.online else " (away)") for member in it.members]
    return f"* in {_name(it.to)}: {', '.join(names)}\n"


def _history(it: events_pb2.HistoryPage, room: str, user: str) -> str:
    return "".join(as_text(event, room, user) for event in it.events)


def _gap(_it: events_pb2.Gap, _room: str, _user: str) -> str:
    return "* some messages cannot be shown any more\n"


def _goodbye(it: events_pb2.Goodbye, _room: str, _user: str) -> str:
    if it.reason == events_pb2.GOODBYE_REASON_SHUTDOWN:
        return "* server shutting down\n"
    return f"* {visible(it.message)}\n" if it.message else ""


_RENDERERS: Final[dict[str, Callable[[Any, str, str], str]]] = {
    "message": _message,
    "joined": _joined,
    "left": _left,
    "presence": _presence,
    "error": _error,
    "roster": _roster,
    "history": _history,
    "gap": _gap,
    "goodbye": _goodbye,
}
