"""Rights over a room and over the server, and what they are used for."""

from enum import IntEnum
from typing import Final

SERVER_BANS: Final = (
    "an admin bans names and networks from the whole server by `chat-server user ban`"
)
"""What who would ban from a room is told where that is not what he wants."""


class ModerationAction(IntEnum):
    """What a right over a room is used for: the actions of the contract, with its numbers."""

    KICK = 1
    BAN = 2
    UNBAN = 3
    MUTE = 4
    UNMUTE = 5
    INVITE = 6
    MAKE_PRIVATE = 7
    MAKE_PUBLIC = 8
    APPOINT = 9
    DISMISS = 10
    HAND_OVER = 11


class Role(IntEnum):
    """What somebody is in a room: the roles of the contract, with its numbers; more is higher."""

    MEMBER = 1
    MODERATOR = 2
    OWNER = 3


class SanctionKind(IntEnum):
    """What keeps somebody out, or quiet."""

    BAN = 1
    MUTE = 2
