"""What rules decide: changes to the state, which applying them makes true in their order."""

from collections.abc import Sequence

from chat_service.core.commands import Token, Trim
from chat_service.core.events import Ack, Announcement, Goodbye, Moderated
from chat_service.core.moderation import Role, SanctionKind
from chat_service.core.outcome import Topic
from chat_service.core.rules.facts import Sanction
from chat_service.core.value import Value


class Claim(Value):
    """The name becomes the session's; `identity` is None where it is a new one."""

    identity: int | None
    transient: bool
    resume: int | None
    token: bytes
    address: str
    account: bool = False


class MarkAway(Value):
    """What comes for this identity from here on finds nobody connected."""

    identity: int


class Lose(Value):
    """The entry's session is gone; its name is kept for its client."""


class Vacate(Value):
    """The entry's session is gone, and has no more use for its name."""


class Finish(Value):
    """Sessions of a name end, wherever they are."""

    name: str
    sessions: tuple[str, ...]
    goodbye: Goodbye


class Enrol(Value):
    """Somebody becomes a member of a room; `owner`: and its owner."""

    identity: int
    room: str
    owner: bool = False


class Withdraw(Value):
    """Somebody ceases to be a member of a room."""

    identity: int
    room: str
    user: str


class Post(Value):
    """A message is said; `refused` are the nonces of its client that never will be."""

    identity: int
    topic: Topic
    refused: tuple[int, ...] = ()


class Tell(Value):
    """An event that is no message happens in a topic; `identity` is whose doing it is."""

    identity: int
    topic: Topic
    body: Moderated | Announcement


class Enlist(Value):
    """A name becomes an account's; `identity` is None where it is a new one."""

    name: str
    identity: int | None
    hash: str | None
    skeleton: str
    admin: bool = False


class Issue(Value):
    """An account has one more session token."""

    name: str
    token: Token


class Cancel(Value):
    """Session tokens are worthless."""

    digests: tuple[bytes, ...]


class Rekey(Value):
    """An account has another password."""

    name: str
    hash: str


class Promote(Value):
    """An account is an admin, or ceases to be one."""

    name: str
    admin: bool


class Drop(Value):
    """An account is no more."""

    name: str


class Assign(Value):
    """Somebody has a role in a room; MEMBER is having none."""

    room: str
    identity: int
    role: Role


class Shut(Value):
    """A room is private, or ceases to be."""

    room: str
    private: bool


class Invite(Value):
    """Somebody may join a private room."""

    room: str
    identity: int


class Impose(Value):
    """A sanction is in force in a room, or on the whole server if `room` is empty."""

    room: str
    kind: SanctionKind
    subject: str
    sanction: Sanction


class Lift(Value):
    """A sanction is no more."""

    room: str
    kind: SanctionKind
    subject: str


Change = (
    Claim
    | MarkAway
    | Lose
    | Vacate
    | Finish
    | Enrol
    | Withdraw
    | Post
    | Tell
    | Enlist
    | Issue
    | Cancel
    | Rekey
    | Promote
    | Drop
    | Assign
    | Shut
    | Invite
    | Impose
    | Lift
    | Trim
)
Decision = Ack | Sequence[Change]
