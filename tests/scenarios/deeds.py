"""The use of rights over a room: as it is typed, as the contract has it, and as lines tell it."""

import re
from dataclasses import dataclass
from typing import Final

from chat.v1 import commands_pb2, events_pb2, moderation_pb2


@dataclass(frozen=True)
class Deed:
    """Somebody used a right over a room; `user` is empty where it concerns the room alone."""

    verb: str
    room: str
    user: str
    by: str
    reason: str = ""


_ACTIONS: Final = {
    "kick": moderation_pb2.MODERATION_ACTION_KICK,
    "ban": moderation_pb2.MODERATION_ACTION_BAN,
    "unban": moderation_pb2.MODERATION_ACTION_UNBAN,
    "mute": moderation_pb2.MODERATION_ACTION_MUTE,
    "unmute": moderation_pb2.MODERATION_ACTION_UNMUTE,
    "invite": moderation_pb2.MODERATION_ACTION_INVITE,
    "private": moderation_pb2.MODERATION_ACTION_MAKE_PRIVATE,
    "public": moderation_pb2.MODERATION_ACTION_MAKE_PUBLIC,
    "op": moderation_pb2.MODERATION_ACTION_APPOINT,
    "deop": moderation_pb2.MODERATION_ACTION_DISMISS,
    "handover": moderation_pb2.MODERATION_ACTION_HAND_OVER,
}
"""By the words that people type, without the slash."""

_VERBS: Final = {action: verb for verb, action in _ACTIONS.items()}

_USER, _ROOM = r"(?P<user>\S+)", r"(?P<room>#\S+)"
_LINES: Final = {
    "kick": f"has kicked {_USER} from {_ROOM}",
    "ban": f"has banned {_USER} from {_ROOM}",
    "unban": f"has unbanned {_USER} from {_ROOM}",
    "mute": f"has muted {_USER} in {_ROOM}",
    "unmute": f"has unmuted {_USER} in {_ROOM}",
    "invite": rf"invites (?P<user>you) to {_ROOM} \(/join \S+\)",
    "private": f"has made {_ROOM} private",
    "public": f"has made {_ROOM} public",
    "op": f"has made {_USER} a moderator of {_ROOM}",
    "deop": f"has made {_USER} a plain member of {_ROOM}",
    "handover": f"has handed {_ROOM} over to {_USER}",
}
_SECONDS: Final = re.compile(r"([0-9]+)s")
_BEHIND: Final = r"(?: until [^()]+)?(?: \((?P<reason>.*)\))?"
_PATTERNS: Final = {
    verb: re.compile(rf"\* (?P<by>\S+) {line}{_BEHIND}") for verb, line in _LINES.items()
}


def command(verb: str, room: str, user: str, rest: str = "") -> commands_pb2.Moderate:
    """Return the command of the contract; `rest` is a reason, or a duration as in `60s`."""
    asked = commands_pb2.Moderate(room=room, action=_ACTIONS[verb], user=user)
    if (seconds := _SECONDS.fullmatch(rest)) is not None:
        asked.duration.FromSeconds(int(seconds[1]))
    else:
        asked.reason = rest
    return asked


def told_by_event(event: events_pb2.Event) -> Deed:
    """Return what an event tells."""
    it = event.moderated
    return Deed(_VERBS[it.action], it.room, it.user, it.by, it.reason)


def told_by_line(line: str, me: str) -> Deed | None:
    """Return what a line tells somebody, if it tells of a deed of somebody else."""
    for verb, pattern in _PATTERNS.items():
        if (match := pattern.fullmatch(line)) is not None:
            named = match.groupdict()
            user = me if named.get("user") == "you" else named.get("user", "")
            return Deed(verb, named["room"], user, named["by"], named["reason"] or "")
    return None
