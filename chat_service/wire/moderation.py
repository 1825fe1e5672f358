"""The use of rights over the current room, as typed: `/ban NAME [DURATION] [reason]` and so on."""

import re
from typing import Final

from chat_service.core.checks import parse_target
from chat_service.core.commands import Moderate
from chat_service.core.errors import InvalidCommand
from chat_service.core.events import Ack, EventBody, Moderated
from chat_service.core.moderation import ModerationAction
from chat_service.wire.terminal import render_own_deed
from chat_service.wire.verbs import Talk, Verb

_UNITS: Final = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}
_DURATION: Final = re.compile(r"([0-9]{1,6})([smhdw])")
_LIKE_A_DURATION: Final = re.compile(r"[0-9]+[a-z]*", re.IGNORECASE)
_SHOWN_CHARS: Final = 32


def _deed(action: ModerationAction, usage: str, meaning: str) -> Verb:
    """Return the verb that does an action; its usage tells what it takes."""
    least = usage.count("NAME")
    most = least + usage.count("[reason]")
    timed = "DURATION" in usage

    def parse(talk: Talk, name: str = "", rest: str = "") -> Moderate:
        user = parse_target(name.removeprefix("@")) if name else ""
        duration, reason = _duration(rest) if timed else (None, rest)
        asked = Moderate(talk.places.current, action, user, reason.strip(), duration)
        by = talk.user
        talk.answer_with(lambda reply: _told(asked, by, reply))
        return asked

    return Verb(parse, least, most, usage, meaning)


def _duration(rest: str) -> tuple[float | None, str]:
    """Return the seconds that `[DURATION] [reason]` begins with, and the reason."""
    first, _, behind = rest.partition(" ")
    if given := _DURATION.fullmatch(first):
        return float(int(given[1]) * _UNITS[given[2]]), behind
    if _LIKE_A_DURATION.fullmatch(first):  # taken for a reason, it would be for good
        raise InvalidCommand(f"{first[:_SHOWN_CHARS]} is no duration: say 10m, 2h or 7d")
    return None, rest


def _told(asked: Moderate, by: str, reply: EventBody) -> str:
    """Return what the author is told, who does not see the room's event."""
    if not isinstance(reply, Ack):
        return ""
    if reply.duplicate:
        return "* nothing to change\n"
    if asked.action is ModerationAction.INVITE:
        return ""  # its event is between the two of them, and so the author's as well
    until = reply.sent_at + round(asked.duration * 1_000_000) if asked.duration else 0
    deed = Moderated(asked.room, asked.action, asked.user, by, asked.reason, until)
    return render_own_deed(deed)


VERBS: Final = (
    _deed(ModerationAction.KICK, "/kick NAME [reason]", "takes somebody out of the room"),
    _deed(
        ModerationAction.BAN,
        "/ban NAME [DURATION] [reason]",
        "takes somebody out, for 10m, 2h, 7d or good",
    ),
    _deed(ModerationAction.UNBAN, "/unban NAME", "takes a ban back"),
    _deed(ModerationAction.MUTE, "/mute NAME [DURATION] [reason]", "lets somebody only read"),
    _deed(ModerationAction.UNMUTE, "/unmute NAME", "takes a mute back"),
    _deed(ModerationAction.INVITE, "/invite NAME", "lets somebody into a private room"),
    _deed(ModerationAction.MAKE_PRIVATE, "/private", "lets only those in who are invited"),
    _deed(ModerationAction.MAKE_PUBLIC, "/public", "lets everybody in again"),
    _deed(ModerationAction.APPOINT, "/op NAME", "makes somebody a moderator"),
    _deed(ModerationAction.DISMISS, "/deop NAME", "takes that back"),
    _deed(ModerationAction.HAND_OVER, "/handover NAME", "makes somebody the owner in your place"),
)
"""In the order of /help."""
