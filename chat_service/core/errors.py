"""Why a command is refused: one tree, one code each.

Refusal
├── Malformed          the bytes are no frame of the contract
├── InvalidCommand     no kind, an unknown field, or not now
├── HelloRequired      something came before Hello, or nothing in time
├── InvalidAddress     a name, room or address breaks the grammar
├── InvalidText        empty, or too long
├── TooLarge           a frame or line over the limit
├── NameTaken          another client has the name
├── NoSuchUser         nobody of that name was ever here
├── NotAMember         not in that room, or there is none
├── LimitReached       one of the limits would be passed
├── RateLimited        too much in too short a time
├── Unavailable        not now: full disk, shutting down, overloaded
├── Unauthenticated    the name takes a credential, or the one given proves nothing
├── PermissionDenied   no right to do this: a role is missing, muted, banned, not invited
├── Banned             not on this server
└── Internal           the server's own fault
"""

from enum import IntEnum
from typing import ClassVar


class ErrorCode(IntEnum):
    """The codes of the contract, with its numbers."""

    MALFORMED = 1
    INVALID_COMMAND = 2
    HELLO_REQUIRED = 3
    INVALID_ADDRESS = 4
    INVALID_TEXT = 5
    TOO_LARGE = 6
    NAME_TAKEN = 7
    NO_SUCH_USER = 8
    NOT_A_MEMBER = 9
    LIMIT_REACHED = 10
    RATE_LIMITED = 11
    UNAVAILABLE = 12
    INTERNAL = 13
    UNAUTHENTICATED = 14
    PERMISSION_DENIED = 15
    BANNED = 16


class Refusal(Exception):
    """A command cannot be done, and nothing has changed.

    `str()` of it is one sentence for people; `retry_after` is in seconds, or None where another
    try is of no use.
    """

    code: ClassVar[ErrorCode]

    def __init__(self, message: str, *, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class Malformed(Refusal):
    """The bytes are no frame of the contract."""

    code = ErrorCode.MALFORMED


class InvalidCommand(Refusal):
    """The command has no kind or an unknown field, or cannot come now."""

    code = ErrorCode.INVALID_COMMAND


class HelloRequired(Refusal):
    """Something came before Hello, or nothing in time."""

    code = ErrorCode.HELLO_REQUIRED


class InvalidAddress(Refusal):
    """A name, room or address breaks the grammar."""

    code = ErrorCode.INVALID_ADDRESS


class InvalidText(Refusal):
    """A text is empty or too long."""

    code = ErrorCode.INVALID_TEXT


class TooLarge(Refusal):
    """A frame or line is larger than allowed."""

    code = ErrorCode.TOO_LARGE


class NameTaken(Refusal):
    """Another client has the name now."""

    code = ErrorCode.NAME_TAKEN


class NoSuchUser(Refusal):
    """Nobody of that name was ever here."""

    code = ErrorCode.NO_SUCH_USER


class NotAMember(Refusal):
    """The user is not in that room, or there is none."""

    code = ErrorCode.NOT_A_MEMBER


class LimitReached(Refusal):
    """One of the limits would be passed."""

    code = ErrorCode.LIMIT_REACHED


class RateLimited(Refusal):
    """Too much in too short a time."""

    code = ErrorCode.RATE_LIMITED


class Unavailable(Refusal):
    """The server cannot do this now."""

    code = ErrorCode.UNAVAILABLE


class Unauthenticated(Refusal):
    """The name takes a credential, or the one given proves nothing.

    The same words for an unknown name and for a wrong password.
    """

    code = ErrorCode.UNAUTHENTICATED

    def __init__(self, message: str = "wrong name or password") -> None:
        super().__init__(message)


class PermissionDenied(Refusal):
    """The user has no right to do this."""

    code = ErrorCode.PERMISSION_DENIED


class Banned(Refusal):
    """The user or the address is banned from this server."""

    code = ErrorCode.BANNED


class Internal(Refusal):
    """The server's own fault."""

    code = ErrorCode.INTERNAL
