"""What applying an entry has made true, for those who tell the clients."""

from chat_service.core.commands import Entry
from chat_service.core.errors import Refusal
from chat_service.core.events import Ack, DurableBody, Goodbye
from chat_service.core.value import Value

Topic = str | tuple[int, int]
"""Whom a durable event concerns: a room's members, or the two identities of a conversation."""


class Durable(Value):
    """A committed event: `frame` is its encoding as a one-event frame of the contract."""

    seq: int
    topic: Topic
    identity: int
    """Whose doing it is: the sender, or who joined or left."""
    body: DurableBody
    frame: bytes


class Entered(Value):
    """A name is a session's. What the session sees begins behind `seq`."""

    identity: int
    seq: int
    away_since: int | None
    """The seq at which this identity was last seen leaving; None if it never did."""
    last_nonce: int
    rooms: tuple[str, ...]
    trimmed: tuple[tuple[str, int], ...] = ()
    """Addresses of which events up to a seq are gone that this session was yet to see."""
    account: bool = False
    """Whether the name is an account's, not a guest's."""


class Seat(Value):
    """A session that has a name; `lost`: it is gone, and its client is expected back."""

    session: str
    user: str
    identity: int
    client: bytes
    rooms: tuple[str, ...]
    lost: bool


class Ending(Value):
    """A session has lost its right to be here."""

    session: str
    goodbye: Goodbye


class Applied(Value, gc=True):
    """An entry with its one reply, and what follows from it.

    That is events, in order of seq, and behind them sessions that end. A reply that is raised
    leads back here by its traceback, so the garbage collector has to look at these.
    """

    entry: Entry
    reply: Entered | Ack | Refusal
    events: tuple[Durable, ...] = ()
    endings: tuple[Ending, ...] = ()
