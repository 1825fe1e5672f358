"""What applying an entry has made true, for those who tell the clients."""

from typing import NamedTuple

from chat_service.core.commands import Entry
from chat_service.core.errors import Refusal
from chat_service.core.events import Ack, DurableBody

Topic = str | tuple[int, int]
"""Whom a durable event concerns: a room's members, or the two identities of a conversation."""


class Durable(NamedTuple):
    """A committed event: `frame` is its encoding as a one-event frame of the contract."""

    seq: int
    topic: Topic
    identity: int
    """Whose doing it is: the sender, or who joined or left."""
    body: DurableBody
    frame: bytes


class Entered(NamedTuple):
    """A name is a session's. What the session sees begins behind `seq`."""

    identity: int
    seq: int
    away_since: int | None
    """The seq at which this identity was last seen leaving; None if it never did."""
    last_nonce: int
    rooms: tuple[str, ...]
    trimmed: tuple[tuple[str, int], ...] = ()
    """Addresses of which events up to a seq are gone that this session was yet to see."""


class Applied(NamedTuple):
    """An entry with its one reply and the events that follow from it, in order of seq."""

    entry: Entry
    reply: Entered | Ack | Refusal
    events: tuple[Durable, ...] = ()
