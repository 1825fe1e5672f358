"""What a client is told. Times are microseconds since 1970, durations seconds."""

from enum import IntEnum

from chat_service.core.commands import Cursor
from chat_service.core.errors import ErrorCode
from chat_service.core.moderation import ModerationAction, Role
from chat_service.core.value import Value


class GoodbyeReason(IntEnum):
    """Why a stream ends: the reasons of the contract, with its numbers."""

    SHUTDOWN = 1
    SLOW_CONSUMER = 2
    SUPERSEDED = 3
    REFUSED = 4
    PROTOCOL_ERROR = 5
    RATE_LIMITED = 6
    INTERNAL = 7
    LEFT = 8
    REVOKED = 9
    ENDED = 10
    BANNED = 11


class GapReason(IntEnum):
    """Why there is a hole: the reasons of the contract, with its numbers."""

    EPOCH_CHANGED = 1
    TRIMMED = 2


class Message(Value):
    """Somebody said something; `number` is its place in its room or conversation."""

    to: str
    sender: str
    number: int
    text: str
    sent_at: int
    reply_to: int = 0


class Joined(Value):
    """A user became a member of a room."""

    room: str
    user: str


class Left(Value):
    """A user ceased to be a member of a room."""

    room: str
    user: str


class Moderated(Value):
    """Somebody used a right over a room; `until` is 0 where it does not end by itself."""

    room: str
    action: ModerationAction
    user: str
    by: str
    reason: str = ""
    until: int = 0


class Announcement(Value):
    """An operator said something to everyone; `by` is empty for the console."""

    text: str
    by: str
    sent_at: int


class Ack(Value):
    """A Send, Join, Leave or Moderate has happened and is on disk."""

    seq: int = 0
    number: int = 0
    nonce: int = 0
    duplicate: bool = False
    sent_at: int = 0


class Error(Value):
    """A command could not be done."""

    code: ErrorCode
    message: str
    retry_after: float | None = None


class Welcome(Value):
    """The session is open."""

    user: str
    session_id: str
    cursor: Cursor
    resumed: bool
    last_nonce: int
    rooms: tuple[str, ...]
    presence_limit: int
    version: str
    token: str = ""


class Presence(Value):
    """A user came or went."""

    user: str
    online: bool


class Member(Value):
    """One line of a roster."""

    user: str
    online: bool
    role: Role | None = None


class Roster(Value):
    """Who is there, in code-point order."""

    to: str
    members: tuple[Member, ...]
    more: bool = False


class HistoryPage(Value):
    """Past messages, oldest first: each the encoded frame that it was first sent as."""

    to: str
    frames: tuple[bytes, ...]
    more: bool = False


class Conversation(Value):
    """One line of a page of conversations: whom with, and its last event and message."""

    to: str
    last_seq: int
    last_number: int


class ConversationsPage(Value):
    """With whom one has written in private, the latest first."""

    conversations: tuple[Conversation, ...]
    more: bool = False


class Gap(Value):
    """Durable events between two seqs, both excluded, cannot be shown any more."""

    to: str
    after_seq: int
    before_seq: int
    reason: GapReason


class Goodbye(Value):
    """The last event of a stream."""

    reason: GoodbyeReason
    message: str
    reconnect: bool = False
    retry_after: float | None = None


class Pong(Value):
    """A sign of life."""


DurableBody = Message | Joined | Left | Moderated | Announcement
EventBody = (
    DurableBody
    | Ack
    | Error
    | Welcome
    | Presence
    | Roster
    | HistoryPage
    | ConversationsPage
    | Gap
    | Goodbye
    | Pong
)


class Event(Value):
    """One thing told: `ref` names the command it replies to, `seq` is 0 for the ephemeral."""

    body: EventBody
    seq: int = 0
    ref: int = 0


# The goodbyes that are always the same.

SLOW = Goodbye(
    GoodbyeReason.SLOW_CONSUMER,
    "you read too slowly; connect again and resume",
    reconnect=True,
)
SUPERSEDED = Goodbye(GoodbyeReason.SUPERSEDED, "you have connected from elsewhere")
FAILED = Goodbye(
    GoodbyeReason.INTERNAL, "the server made a mistake", reconnect=True, retry_after=1.0
)
CUT_OFF = Goodbye(
    GoodbyeReason.SHUTDOWN,
    "this server was out of touch with the others; connect again",
    reconnect=True,
    retry_after=1.0,
)
NAME_PASSED = Goodbye(GoodbyeReason.SUPERSEDED, "your name has passed to another client")
REVOKED = Goodbye(GoodbyeReason.REVOKED, "your sign-in is no longer good; sign in again")
