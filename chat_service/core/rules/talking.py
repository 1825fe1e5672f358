"""What is said, and where: sending, joining, leaving."""

from chat_service.core.address import LOBBY, is_room
from chat_service.core.commands import Entry, Join, Leave, Send
from chat_service.core.errors import (
    InvalidCommand,
    LimitReached,
    NoSuchUser,
    NotAMember,
    PermissionDenied,
)
from chat_service.core.events import Ack
from chat_service.core.limits import MAX_REFUSED, MAX_ROOMS
from chat_service.core.outcome import Topic
from chat_service.core.rules.changes import Decision, Enrol, Post, Withdraw
from chat_service.core.rules.facts import Facts, Room, Sent
from chat_service.core.rules.naming import speaker
from chat_service.core.rules.proofs import is_admin
from chat_service.core.text import span


def topic_of(identity: int, other: int) -> Topic:
    """Return the topic of two identities' conversation, which has no direction."""
    return (identity, other) if identity <= other else (other, identity)


def send(entry: Entry, body: Send, facts: Facts) -> Decision:
    """Say something, once."""
    identity = speaker(entry, facts)
    refused: tuple[int, ...] = ()
    if body.nonce:
        last = facts.last_sent(identity, entry.client)
        if last is not None and body.nonce <= last.nonce:
            return _repeated(body, last)
        refused = refused_before(body, last)
    return (Post(identity, _audience(identity, entry, body.to, facts), refused),)


def goes_on(entry: Entry, last: Entry) -> bool:
    """Tell whether an entry is decided as the one right before it, a send that was accepted.

    That is, whether it is the next send of the same session to the same address at the same time:
    nothing by which that was decided has changed, and its nonce is the next.
    """
    body, before = entry.body, last.body
    return (
        entry.session == last.session
        and isinstance(body, Send)
        and isinstance(before, Send)
        and body.to == before.to
        and entry.at == last.at
        and body.nonce == before.nonce + 1 > 1
    )


def _audience(identity: int, entry: Entry, to: str, facts: Facts) -> Topic:
    """Return whom a send concerns; raises NoSuchUser, NotAMember, PermissionDenied."""
    if not is_room(to):
        other = facts.holder(to[1:])
        if other is None:
            raise NoSuchUser(f"no such user: {to[1:]}")
        return topic_of(identity, other.identity)
    if to != LOBBY and not facts.member(identity, to):
        raise NotAMember(f"you are not in {to}")
    room = facts.room(to)
    if room is not None and room.mutes:
        _check_mute(room, entry, to)
    return to


def refused_before(send: Send, last: Sent | None) -> tuple[int, ...]:
    """Return the nonces refused so far, now that a send above all of them is accepted."""
    known, gap_starts = (last.refused, last.nonce + 1) if last else ((), 1)
    if gap_starts == send.nonce or not send.since:
        return known
    gap = range(max(gap_starts, send.since), send.nonce)
    return (*known, *gap[-MAX_REFUSED:])[-MAX_REFUSED:]


def _repeated(body: Send, last: Sent) -> Ack:
    if body.nonce in last.refused:
        # An Ack would be a promise: this is sent again because the Error was lost.
        raise InvalidCommand("this was refused before, and a later one accepted: send it anew")
    if body.nonce < last.nonce:
        return Ack(nonce=body.nonce, duplicate=True)
    return Ack(last.seq, last.number, last.nonce, duplicate=True, sent_at=last.at)


def join(entry: Entry, body: Join, facts: Facts) -> Decision:
    """Become a member of a room, which is made if it is not there."""
    identity = speaker(entry, facts)
    if body.room == LOBBY or facts.member(identity, body.room):
        return Ack(duplicate=True)
    room = facts.room(body.room)
    if room is not None:
        _check_entry(room, entry, identity, body.room, facts)
    if len(facts.rooms(identity)) >= MAX_ROOMS:
        raise LimitReached(f"you are in {MAX_ROOMS} rooms, which is the most")
    return (Enrol(identity, body.room, owner=_is_free(room, entry, body.room, facts)),)


def leave(entry: Entry, body: Leave, facts: Facts) -> Decision:
    """Cease to be a member of a room."""
    identity = speaker(entry, facts)
    if body.room == LOBBY:
        raise InvalidCommand(f"nobody leaves {LOBBY}")
    if not facts.member(identity, body.room):
        raise NotAMember(f"you are not in {body.room}")
    return (Withdraw(identity, body.room, entry.user),)


def _is_free(room: Room | None, entry: Entry, name: str, facts: Facts) -> bool:
    """Tell whether a room becomes the one's who joins it: it is new, or abandoned.

    Who was invited into a private room was not trusted with who else may read in it, so that one
    waits for an admin to take it on.
    """
    if room is None:
        return True
    abandoned = room.owner is None and facts.vacant(name)
    return abandoned and (not room.private or is_admin(entry.user, facts))


def _check_mute(room: Room, entry: Entry, name: str) -> None:
    mute = room.mutes.get(entry.user)
    if mute is not None and mute.in_force(entry.at):
        # No `retry_after`: who sends for others would hold everything back until then.
        left = mute.left(entry.at)
        lasts = "" if left is None else f" for another {span(left)}"
        raise PermissionDenied(f"you are muted in {name}{lasts}{mute.why}")


def _check_entry(room: Room, entry: Entry, identity: int, name: str, facts: Facts) -> None:
    """Raise PermissionDenied, in the same words for the banned and for the uninvited."""
    ban = room.bans.get(entry.user)
    kept_out = ban is not None and ban.in_force(entry.at)
    if room.private and not (
        identity in room.invited or identity == room.owner or identity in room.moderators
    ):
        kept_out = kept_out or not is_admin(entry.user, facts)
    if kept_out:
        raise PermissionDenied(f"you cannot join {name}")
