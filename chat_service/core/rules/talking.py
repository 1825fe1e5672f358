"""May this entry happen, and what follows from it.

`decide` is a pure function of an entry and the facts so far, one function per kind of entry. It
either raises a Refusal, answers with the Ack of what had already happened, or returns the changes
to make. Every node that decides the same entries in the same order decides alike.

Identities: a name belongs to an identity, and a guest's identity is the pair of a name and a
client. While a session (or the hold that it leaves behind) has the name, no other client gets it;
when it passes on, it is another identity that has it, and the first one's rooms and conversations
stay with the first.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, Protocol

from chat_service.core.address import LOBBY, is_room
from chat_service.core.commands import Enter, Entry, Exit, Join, Leave, Send, Trim
from chat_service.core.errors import (
    InvalidCommand,
    LimitReached,
    NameTaken,
    NoSuchUser,
    NotAMember,
)
from chat_service.core.events import Ack
from chat_service.core.limits import MAX_REFUSED, MAX_ROOMS
from chat_service.core.outcome import Topic


class Holder(NamedTuple):
    """Who has a name: `session` is None where nobody is connected or expected back."""

    identity: int
    client: bytes
    session: str | None
    transient: bool


class Sent(NamedTuple):
    """The last numbered message accepted from an identity's client."""

    nonce: int
    seq: int = 0
    number: int = 0
    at: int = 0
    refused: tuple[int, ...] = ()
    """The latest nonces below it that were received but refused: they never happened."""


class Facts(Protocol):
    """What the rules may ask of the state."""

    def holder(self, name: str) -> Holder | None:
        """Return who has the name, or had it last; None if nobody ever did."""

    def identity(self, name: str, client: bytes) -> int | None:
        """Return the identity of a client under a name; None if there is none yet."""

    def member(self, identity: int, room: str) -> bool:
        """Tell whether an identity has joined a room other than the lobby."""

    def rooms(self, identity: int) -> Sequence[str]:
        """Return the rooms that an identity has joined, in order of their names."""

    def last_sent(self, identity: int, client: bytes) -> Sent | None:
        """Return the last numbered message accepted, if any."""


class Claim(NamedTuple):
    """The name becomes the session's; `identity` is None where it is a new one."""

    identity: int | None
    transient: bool
    resume: int | None


class MarkAway(NamedTuple):
    """What comes for this identity from here on finds nobody connected."""

    identity: int


class Release(NamedTuple):
    """The name is free for another client."""


class Enrol(NamedTuple):
    """Somebody becomes a member of a room."""

    identity: int
    room: str


class Withdraw(NamedTuple):
    """Somebody ceases to be a member of a room."""

    identity: int
    room: str


class Post(NamedTuple):
    """A message is said."""

    identity: int
    topic: Topic


Change = Claim | MarkAway | Release | Enrol | Withdraw | Post | Trim
Decision = Ack | Sequence[Change]


def decide(entry: Entry, facts: Facts) -> Decision:
    """Return what follows from an entry; raises Refusal if nothing does."""
    return _RULES[type(entry.body)](entry, entry.body, facts)


def topic_of(identity: int, other: int) -> Topic:
    """Return the topic of two identities' conversation, which has no direction."""
    return (identity, other) if identity <= other else (other, identity)


def _enter(entry: Entry, body: Enter, facts: Facts) -> Decision:
    holder = facts.holder(entry.user)
    if holder is None:
        return (Claim(None, body.transient, body.resume),)
    if holder.client == entry.client:
        return (Claim(holder.identity, body.transient, body.resume),)
    if holder.session is not None:
        raise NameTaken(f"the name {entry.user} is taken")
    evicted = [Withdraw(holder.identity, room) for room in facts.rooms(holder.identity)]
    identity = facts.identity(entry.user, entry.client)
    return (*evicted, Claim(identity, body.transient, body.resume))


def _exit(entry: Entry, body: Exit, facts: Facts) -> Decision:
    holder = facts.holder(entry.user)
    if holder is None or holder.session != entry.session:
        return ()  # a later session of this client has the name
    if body.hold:
        return (MarkAway(holder.identity),)
    left = facts.rooms(holder.identity) if holder.transient else ()
    withdrawn = [Withdraw(holder.identity, room) for room in left]
    return (*withdrawn, MarkAway(holder.identity), Release())


def _send(entry: Entry, body: Send, facts: Facts) -> Decision:
    identity = _speaker(entry, facts)
    if body.nonce:
        last = facts.last_sent(identity, entry.client)
        if last is not None and body.nonce <= last.nonce:
            return _repeated(body, last)
    if not is_room(body.to):
        other = facts.holder(body.to[1:])
        if other is None:
            raise NoSuchUser(f"no such user: {body.to[1:]}")
        return (Post(identity, topic_of(identity, other.identity)),)
    if body.to != LOBBY and not facts.member(identity, body.to):
        raise NotAMember(f"you are not in {body.to}")
    return (Post(identity, body.to),)


def refused_before(send: Send, last: Sent | None) -> tuple[int, ...]:
    """Return the nonces refused so far, now that a send above all of them is accepted."""
    known, gap_starts = (last.refused, last.nonce + 1) if last else ((), 1)
    gap = range(max(gap_starts, send.since), send.nonce) if send.since else range(0)
    if not gap:
        return known
    return (*known, *gap[-MAX_REFUSED:])[-MAX_REFUSED:]


def _repeated(body: Send, last: Sent) -> Ack:
    if body.nonce in last.refused:
        # An Ack would be a promise: this is sent again because the Error was lost.
        raise InvalidCommand("this was refused before, and a later one accepted: send it anew")
    if body.nonce < last.nonce:
        return Ack(nonce=body.nonce, duplicate=True)
    return Ack(last.seq, last.number, last.nonce, duplicate=True, sent_at=last.at)


def _join(entry: Entry, body: Join, facts: Facts) -> Decision:
    identity = _speaker(entry, facts)
    if body.room == LOBBY or facts.member(identity, body.room):
        return Ack(duplicate=True)
    if len(facts.rooms(identity)) >= MAX_ROOMS:
        raise LimitReached(f"you are in {MAX_ROOMS} rooms, which is the most")
    return (Enrol(identity, body.room),)


def _leave(entry: Entry, body: Leave, facts: Facts) -> Decision:
    identity = _speaker(entry, facts)
    if body.room == LOBBY:
        raise InvalidCommand(f"nobody leaves {LOBBY}")
    if not facts.member(identity, body.room):
        raise NotAMember(f"you are not in {body.room}")
    return (Withdraw(identity, body.room),)


def _trim(_entry: Entry, body: Trim, _facts: Facts) -> Decision:
    return (body,)


def _speaker(entry: Entry, facts: Facts) -> int:
    """Return the identity behind an entry, if the name is still its session's.

    What a session sent before it was superseded may come to the log after that: it must not
    happen, since the newer session has been told already what was accepted.
    """
    holder = facts.holder(entry.user)
    if holder is None or holder.session != entry.session:
        raise NameTaken(f"the name {entry.user} has passed to another connection")
    return holder.identity


_RULES: dict[type, Callable[[Entry, Any, Facts], Decision]] = {
    Enter: _enter,
    Exit: _exit,
    Send: _send,
    Join: _join,
    Leave: _leave,
    Trim: _trim,
}
