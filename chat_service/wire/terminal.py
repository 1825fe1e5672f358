r"""Events as lines for a terminal.

Nothing that a user wrote reaches another's terminal as more than text: control characters become
visible, so that no escape sequence survives, and those that reorder what is read are replaced. A
message of several lines goes on in lines that begin with two spaces, which no other line does, so
that nobody forges a line of somebody else. Names need none of this: their grammar has done it.

Lines end in LF alone. Telnet would have CR LF, but shows LF just as well in its default mode, where
the terminal is left to itself; scripts behind `nc` compare lines, and a CR there is a bug. (While a
password is typed the mode is another: see `line`.)
"""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, Final

from chat_service.core import events
from chat_service.core.address import LOBBY, is_room
from chat_service.core.events import Conversation, EventBody, GoodbyeReason, Member
from chat_service.core.moderation import ModerationAction, Role
from chat_service.core.text import span
from chat_service.wire.events import decode_frame

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


_DEEDS: Final = {
    ModerationAction.KICK: "kicked {user} from {room}",
    ModerationAction.BAN: "banned {user} from {room}",
    ModerationAction.UNBAN: "unbanned {user} from {room}",
    ModerationAction.MUTE: "muted {user} in {room}",
    ModerationAction.UNMUTE: "unmuted {user} in {room}",
    ModerationAction.INVITE: "invited {user} to {room}",
    ModerationAction.MAKE_PRIVATE: "made {room} private",
    ModerationAction.MAKE_PUBLIC: "made {room} public",
    ModerationAction.APPOINT: "made {user} a moderator of {room}",
    ModerationAction.DISMISS: "made {user} a plain member of {room}",
    ModerationAction.HAND_OVER: "handed {room} over to {user}",
}


def render_own_deed(it: events.Moderated) -> str:
    """Return the line that tells somebody what he has done himself."""
    return f"* you have {_deed(it)}\n"


def _moderated(it: events.Moderated, _room: str, user: str) -> str:
    # Only an invitation is between two, and so told to each in words of his own. What happens in a
    # room is rendered once for all who are there.
    if it.action is ModerationAction.INVITE and it.user == user:
        return f"* {it.by} invites you to {it.room} (/join {it.room})\n"
    if it.action is ModerationAction.INVITE and it.by == user:
        return render_own_deed(it)
    return f"* {it.by} has {_deed(it)}\n"


def _deed(it: events.Moderated) -> str:
    done = _DEEDS[it.action].format(user=it.user, room=it.room)
    until = f" until {_minute(it.until)}" if it.until else ""
    reason = f" ({neutralised(it.reason)})" if it.reason else ""
    return f"{done}{until}{reason}"


def _minute(microseconds: int) -> str:
    return f"{datetime.fromtimestamp(microseconds // 1_000_000, UTC):%Y-%m-%d %H:%M} UTC"


def _announcement(it: events.Announcement, _room: str, _user: str) -> str:
    by = f" from {it.by}" if it.by else ""
    return f"* announcement{by}: {neutralised(it.text)}\n"


def _presence(it: events.Presence, _room: str, _user: str) -> str:
    return f"* {it.user} {'joined' if it.online else 'left'}\n"


def _error(it: events.Error, _room: str, _user: str) -> str:
    return f"! {neutralised(it.message)}{_again(it.retry_after)}\n"


def _again(seconds: float | None) -> str:
    return "" if seconds is None else f" (try again in {span(seconds)})"


def _welcome(it: events.Welcome, _room: str, _user: str) -> str:
    return f"* welcome, {it.user}: you are in {LOBBY} (/help lists the commands)\n"


def _roster(it: events.Roster, _room: str, _user: str) -> str:
    names = [_present(member) for member in it.members]
    if it.more:
        names.append("…")
    return f"* in {it.to}: {', '.join(names)}\n"


_ROLES: Final = {Role.MODERATOR: "moderator", Role.OWNER: "owner"}


def _present(member: Member) -> str:
    role = _ROLES.get(member.role) if member.role else None
    notes = [note for note in (role, None if member.online else "away") if note]
    return f"{member.user} ({', '.join(notes)})" if notes else member.user


def _history(it: events.HistoryPage, _room: str, user: str) -> str:
    said = [render(event.body, it.to, user) for frame in it.frames for event in decode_frame(frame)]
    return "".join(said) or "* nothing was said yet\n"


def _conversations(it: events.ConversationsPage, _room: str, _user: str) -> str:
    lines = [*map(_conversation, it.conversations)]
    if it.more:
        lines.append("* …\n")
    return "".join(lines) or "* nothing was said in private yet\n"


def _conversation(it: Conversation) -> str:
    messages = "message" if it.last_number == 1 else "messages"
    return f"* with {it.to[1:]}: {it.last_number} {messages}\n"


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
    events.Moderated: _moderated,
    events.Announcement: _announcement,
    events.Ack: _silence,
    events.Error: _error,
    events.Welcome: _welcome,
    events.Presence: _presence,
    events.Roster: _roster,
    events.HistoryPage: _history,
    events.ConversationsPage: _conversations,
    events.Gap: _gap,
    events.Goodbye: _goodbye,
    events.Pong: _silence,
}
