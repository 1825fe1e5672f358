"""The use of rights over a room, as typed: `/ban NAME [DURATION] [reason]` and its like."""

import re
from typing import Any, Final, Protocol

from chat.v1 import commands_pb2
from chat_client.verbs import UsageError, Verb

_UNITS: Final = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}
_DURATION: Final = re.compile(r"([0-9]{1,6})([smhdw])")
_LIKE_A_DURATION: Final = re.compile(r"[0-9]+[a-z]*", re.IGNORECASE)


class Talk(Protocol):
    """Where it is typed."""

    room: str

    async def ask(self, command: commands_pb2.Command) -> Any:
        """Send a command; its reply shows up by itself."""


def _deed(action: str, usage: str, meaning: str) -> Verb:
    """Return the verb that does an action; its usage tells what it takes."""
    least = usage.count("NAME")
    most = least + usage.count("[reason]")

    async def do(talk: Talk, name: str = "", rest: str = "") -> None:
        moderate = commands_pb2.Moderate(
            room=talk.room, action=f"MODERATION_ACTION_{action}", user=name.removeprefix("@")
        )
        moderate.reason = _take_duration(moderate, rest) if "DURATION" in usage else rest
        await talk.ask(commands_pb2.Command(moderate=moderate))

    return Verb(do, least, most, usage, meaning)


def _take_duration(moderate: commands_pb2.Moderate, rest: str) -> str:
    """Set the duration that `[DURATION] [reason]` begins with; return the reason."""
    first, _, behind = rest.partition(" ")
    if given := _DURATION.fullmatch(first):
        moderate.duration.FromSeconds(int(given[1]) * _UNITS[given[2]])
        return behind.strip()
    if _LIKE_A_DURATION.fullmatch(first):  # taken for a reason, it would be for good
        raise UsageError(f"{first[:32]} is no duration: say 10m, 2h or 7d")
    return rest


_DEEDS: Final = (
    ("KICK", "/kick NAME [reason]", "takes somebody out of the room"),
    ("BAN", "/ban NAME [DURATION] [reason]", "takes somebody out, for 10m, 2h, 7d or good"),
    ("UNBAN", "/unban NAME", "takes a ban back"),
    ("MUTE", "/mute NAME [DURATION] [reason]", "lets somebody only read"),
    ("UNMUTE", "/unmute NAME", "takes a mute back"),
    ("INVITE", "/invite NAME", "lets somebody into a private room"),
    ("MAKE_PRIVATE", "/private", "lets only those in who are invited"),
    ("MAKE_PUBLIC", "/public", "lets everybody in again"),
    ("APPOINT", "/op NAME", "makes somebody a moderator"),
    ("DISMISS", "/deop NAME", "takes that back"),
    ("HAND_OVER", "/handover NAME", "makes somebody the owner in your place"),
)

VERBS: Final = {usage.split()[0]: _deed(action, usage, does) for action, usage, does in _DEEDS}
"""In the order of /help."""
