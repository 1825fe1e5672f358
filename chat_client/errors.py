"""What can go wrong, from the caller's side.

ChatError
├── Unavailable       the server cannot be reached, or not within the time allowed
│   └── TlsError      … and not before somebody sets TLS right, here or there
├── Closed            this client has ended: left, superseded, signed out, told to stay away
└── Rejected          the server said no
    ├── Refused       … to the Hello: there is no session
    ├── CommandError  … to one command: nothing else has changed
    └── AccountError  … to a call of Accounts: nothing has changed
"""

from typing import Final, Self

from chat.v1 import events_pb2

_FAREWELLS: Final[dict[int, str]] = {
    events_pb2.GOODBYE_REASON_REVOKED: "signed out: this session's credential is no longer good",
    events_pb2.GOODBYE_REASON_ENDED: "an admin of the server has ended this session",
    events_pb2.GOODBYE_REASON_BANNED: "banned from this server",
}

# What another try with the same credential would only repeat, whatever the server says of one: to
# come back by itself after that would be guessing.
_FINAL_GOODBYES: Final = frozenset(
    {events_pb2.GOODBYE_REASON_REVOKED, events_pb2.GOODBYE_REASON_BANNED}
)
_FINAL_ERRORS: Final = frozenset(
    {events_pb2.ERROR_CODE_UNAUTHENTICATED, events_pb2.ERROR_CODE_BANNED}
)


class ChatError(Exception):
    """The root of everything that this package raises on purpose."""


class Unavailable(ChatError):
    """The server cannot be reached, or not within the time allowed."""


class TlsError(Unavailable):
    """TLS fails or is missing, until somebody sets it right; the sentence says what to do."""


class Closed(ChatError):
    """The client has ended, and nothing more can be asked of it or heard from it.

    `reason` is why the server ended it; GOODBYE_REASON_LEFT if it was the caller's own wish.
    """

    def __init__(self, reason: events_pb2.GoodbyeReason, message: str) -> None:
        super().__init__(message or _FAREWELLS.get(reason) or events_pb2.GoodbyeReason.Name(reason))
        self.reason = reason


class Rejected(ChatError):
    """The server said no; `error` is its answer.

    `code` is for programs, `str()` is one sentence for people, and `retry_after` is in seconds, or
    None where another try is of no use.
    """

    def __init__(self, error: events_pb2.Error) -> None:
        super().__init__(error.message or events_pb2.ErrorCode.Name(error.code))
        self.error = error
        self.code = error.code
        self.retry_after = retry_after(error)

    @classmethod
    def because(cls, code: events_pb2.ErrorCode, message: str) -> Self:
        """Build one that no server has sent."""
        return cls(events_pb2.Error(code=code, message=message))


class Refused(Rejected):
    """The Hello was refused, by NAME_TAKEN for example: there is no session."""


class CommandError(Rejected):
    """One command was refused; nothing else has changed."""


class AccountError(Rejected):
    """A call of Accounts was refused; nothing has changed."""


class Lost(Exception):
    """A stream has broken, and connecting again may help. Never leaves the package.

    `error` is what to raise if there is no other try; `retry_after` is in seconds. `stray_hello`:
    whether a Hello was said that nobody has answered, and that may yet arrive.
    """

    def __init__(self, error: ChatError, retry_after: float | None = None) -> None:
        super().__init__(str(error))
        self.error = error
        self.retry_after = retry_after or 0.0
        self.stray_hello = False


def retry_after(told: events_pb2.Error | events_pb2.Goodbye) -> float | None:
    """Return the seconds to wait that the server asks for, if it does."""
    if not told.HasField("retry_after"):
        return None
    return told.retry_after.seconds + told.retry_after.nanos / 1e9


def departure(goodbye: events_pb2.Goodbye, cause: Rejected | None = None) -> ChatError | Lost:
    """Return what a Goodbye means: the end (`cause` or Closed), or another try (Lost)."""
    error = cause or Closed(goodbye.reason, goodbye.message)
    final = goodbye.reason in _FINAL_GOODBYES or (cause is not None and is_final(cause))
    return Lost(error, retry_after(goodbye)) if goodbye.reconnect and not final else error


def is_final(refusal: Rejected) -> bool:
    """Tell whether the same Hello would be refused again, now and in a while."""
    return refusal.code in _FINAL_ERRORS
