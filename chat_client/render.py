r"""Events as lines for people.

What a user wrote reaches another's terminal as text and nothing more: control characters become
visible, so that no escape sequence survives, and characters that reorder what is read, or break
lines by another name, are replaced. A message of several lines goes on in lines that begin with two
spaces, which no other line does, so that nobody can forge a line of somebody else.
"""

from collections.abc import Callable
from math import ceil
from typing import Any, Final

from google.protobuf import json_format
from google.protobuf.timestamp_pb2 import Timestamp

from chat.v1 import events_pb2, moderation_pb2
from chat_client.errors import retry_after

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

_DEEDS: Final[dict[int, str]] = {
    moderation_pb2.MODERATION_ACTION_KICK: "kicked {user} from {room}",
    moderation_pb2.MODERATION_ACTION_BAN: "banned {user} from {room}",
    moderation_pb2.MODERATION_ACTION_UNBAN: "unbanned {user} from {room}",
    moderation_pb2.MODERATION_ACTION_MUTE: "muted {user} in {room}",
    moderation_pb2.MODERATION_ACTION_UNMUTE: "unmuted {user} in {room}",
    moderation_pb2.MODERATION_ACTION_INVITE: "invited {user} to {room}",
    moderation_pb2.MODERATION_ACTION_MAKE_PRIVATE: "made {room} private",
    moderation_pb2.MODERATION_ACTION_MAKE_PUBLIC: "made {room} public",
    moderation_pb2.MODERATION_ACTION_APPOINT: "made {user} a moderator of {room}",
    moderation_pb2.MODERATION_ACTION_DISMISS: "made {user} a plain member of {room}",
    moderation_pb2.MODERATION_ACTION_HAND_OVER: "handed {room} over to {user}",
}

_ROLES: Final[dict[int, str]] = {
    moderation_pb2.ROLE_MODERATOR: "moderator",
    moderation_pb2.ROLE_OWNER: "owner",
}


def as_text(event: events_pb2.Event, room: str, user: str) -> str:
    """Return the lines that tell `user`, whose current room is `room`, of an event.

    They end in a newline; there are none for what needs no telling.
    """
    kind = event.WhichOneof("kind")
    renderer = _RENDERERS.get(kind or "")
    return renderer(getattr(event, str(kind)), room, user) if renderer else ""


def as_json(event: events_pb2.Event, _room: str = "", _user: str = "") -> str:
    """Return the canonical JSON of an event, as one line, but for the token that none is to see."""
    if event.welcome.token:
        event = events_pb2.Event.FromString(event.SerializeToString())
        event.welcome.ClearField("token")
    return json_format.MessageToJson(event, indent=None) + "\n"


def visible(text: str) -> str:
    """Return what a user wrote, fit for a terminal; it may go on in indented lines."""
    return text if text.isprintable() else text.replace("\r\n", "\n").translate(_TEXT)


def one_line(name: str) -> str:
    """Return what is to stay in its line, a name for example, fit for a terminal."""
    return name if name.isprintable() else name.translate(_VISIBLE)


def _message(it: events_pb2.Message, room: str, user: str) -> str:
    text = visible(it.text)
    if it.to.startswith("@"):
        return f"[{_you_or(it.sender, user)} -> {_you_or(it.to[1:], user)}] {text}\n"
    return f"{_label(it.to, room)}{one_line(it.sender)}: {text}\n"


def _you_or(name: str, user: str) -> str:
    return "you" if name == user else one_line(name)


def _label(room: str, current: str) -> str:
    return "" if room == current else f"[{one_line(room)}] "


def _joined(it: events_pb2.Joined, room: str, _user: str) -> str:
    return f"{_label(it.room, room)}* {one_line(it.user)} joined\n"


def _left(it: events_pb2.Left, room: str, _user: str) -> str:
    return f"{_label(it.room, room)}* {one_line(it.user)} left\n"


def _presence(it: events_pb2.Presence, _room: str, user: str) -> str:
    if it.user == user:
        return ""
    return f"* {one_line(it.user)} {'joined' if it.online else 'left'}\n"


def _error(it: events_pb2.Error, _room: str, _user: str) -> str:
    return f"! {visible(it.message)}{again(retry_after(it))}\n"


_UNITS: Final = {"d": 86_400, "h": 3_600, "min": 60}


def again(seconds: float | None) -> str:
    """Return what to end a sentence with that tells when another try is of use."""
    return "" if seconds is None else f" (try again in {_span(seconds)})"


def _span(seconds: float) -> str:
    """Return a length of time, rounded up, in the largest unit of which it has more than two."""
    whole = max(1, ceil(round(seconds, 3)))
    for unit, size in _UNITS.items():
        if whole > 2 * size:
            return f"{ceil(whole / size)} {unit}"
    return f"{whole} s"


def _roster(it: events_pb2.Roster, _room: str, _user: str) -> str:
    return f"* in {one_line(it.to)}: {', '.join(map(_present, it.members))}\n"


def _present(member: events_pb2.Member) -> str:
    notes = [note for note in (_ROLES.get(member.role), "" if member.online else "away") if note]
    return one_line(member.user) + (f" ({', '.join(notes)})" if notes else "")


def _history(it: events_pb2.HistoryPage, room: str, user: str) -> str:
    return "".join(as_text(event, room, user) for event in it.events)


def _conversations(it: events_pb2.ConversationsPage, _room: str, _user: str) -> str:
    return "".join(map(_conversation, it.conversations)) + ("* …\n" if it.more else "")


def _conversation(it: events_pb2.Conversation) -> str:
    messages = "message" if it.last_number == 1 else "messages"
    return f"* with {one_line(it.to.removeprefix('@'))}: {it.last_number} {messages}\n"


def _moderated(it: events_pb2.Moderated, _room: str, user: str) -> str:
    if it.action == moderation_pb2.MODERATION_ACTION_INVITE and it.user == user:
        return (
            f"* {one_line(it.by)} invites you to {one_line(it.room)} (/join {one_line(it.room)})\n"
        )
    told = _DEEDS.get(it.action)
    if told is None:
        return ""
    done = told.format(user=one_line(it.user), room=one_line(it.room))
    until = f" until {_minute(it.until)}" if it.HasField("until") else ""
    reason = f" ({visible(it.reason)})" if it.reason else ""
    has = "you have" if it.by == user else f"{one_line(it.by)} has"
    return f"* {has} {done}{until}{reason}\n"


def _minute(moment: Timestamp) -> str:
    return f"{moment.ToDatetime():%Y-%m-%d %H:%M} UTC"


def _announcement(it: events_pb2.Announcement, _room: str, _user: str) -> str:
    by = f" from {one_line(it.by)}" if it.by else ""
    return f"* announcement{by}: {visible(it.text)}\n"


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
    "moderated": _moderated,
    "announcement": _announcement,
    "presence": _presence,
    "error": _error,
    "roster": _roster,
    "history": _history,
    "conversations": _conversations,
    "gap": _gap,
    "goodbye": _goodbye,
}
