"""Whose a name is.

A name belongs to an identity. An account's name always belongs to the account's; a guest's identity
is the pair of a name and a client. While a session (or the hold that it leaves behind) has the
name, no stranger gets it: only the same client again, or who shows the token that the guest was
given. When it passes on, it is another identity that has it, and the first one's rooms and
conversations stay with the first.
"""

from collections.abc import Collection

from chat_service.core.commands import ByPassword, ByToken, Enter, Entry, Exit, Vouched
from chat_service.core.errors import LimitReached, NameTaken, Unauthenticated
from chat_service.core.events import NAME_PASSED, Goodbye
from chat_service.core.limits import MAX_SESSIONS
from chat_service.core.lookalike import reduced
from chat_service.core.rules.changes import (
    Change,
    Claim,
    Decision,
    Enlist,
    Finish,
    Lose,
    MarkAway,
    Vacate,
    Withdraw,
)
from chat_service.core.rules.facts import Facts, Holder
from chat_service.core.rules.proofs import check_ban, is_admin, prove


def enter(entry: Entry, body: Enter, facts: Facts) -> Decision:
    """Let a session have the name, if it is entitled to it."""
    account = facts.account(entry.user)
    if not is_admin(entry.user, facts):  # who may be at the address that he has banned
        check_ban("", body.address, entry.at, facts)
    if account is not None:
        # Why and until when its name is banned concerns nobody but the account.
        prove(account, body.proof, entry.at, facts)
    check_ban(entry.user, "", entry.at, facts)
    if account is not None:
        _check_crowd(entry, facts.holder(entry.user))
        return (_claim(account.identity, body, account=True),)
    other = facts.lookalike(reduced(body.skeleton))
    if other is not None:
        raise NameTaken(f"the name {entry.user} looks like {other}, which is taken")
    if isinstance(body.proof, Vouched):
        return _provision(entry, body, facts)
    if isinstance(body.proof, ByPassword):
        raise Unauthenticated  # the account is no more, since its password was looked at
    return _enter_as_guest(entry, body, facts)


def exit_(entry: Entry, body: Exit, facts: Facts) -> Decision:
    """Let go of the name; a guest without an id of its own leaves its rooms."""
    holder = facts.holder(entry.user)
    if holder is None or entry.session not in holder.seats:
        return ()  # a later session of this client has its seat
    others = [seat for session, seat in holder.seats.items() if session != entry.session]
    away = () if any(not seat.lost for seat in others) else (MarkAway(holder.identity),)
    if body.hold:
        return (*away, Lose())
    left = facts.rooms(holder.identity) if holder.transient and not others else ()
    withdrawn = [Withdraw(holder.identity, room, entry.user) for room in left]
    return (*withdrawn, *away, Vacate())


def speaker(entry: Entry, facts: Facts) -> int:
    """Return the identity behind an entry, if the name is still its session's.

    What a session sent before it was superseded may come to the log after that: it must not
    happen, since the newer session has been told already what was accepted.
    """
    holder = facts.holder(entry.user)
    if holder is None or entry.session not in holder.seats:
        raise NameTaken(f"the name {entry.user} has passed to another connection")
    return holder.identity


def evict(name: str, holder: Holder | None, facts: Facts) -> list[Change]:
    """Take a name from the identity that had it last."""
    if holder is None:
        return []
    rooms = facts.rooms(holder.identity)
    evicted: list[Change] = [Withdraw(holder.identity, room, name) for room in rooms]
    if holder.seats:
        evicted += [Finish(name, sessions_of(holder), NAME_PASSED), MarkAway(holder.identity)]
    return evicted


def finish(
    name: str, goodbye: Goodbye, facts: Facts, *, only: Collection[str] | None = None
) -> list[Change]:
    """End a name's sessions, or some; a guest without an id leaves its rooms with the last."""
    holder = facts.holder(name)
    ended = tuple(it for it in sessions_of(holder) if only is None or it in only)
    if holder is None or not ended:
        return []
    others = [seat for session, seat in holder.seats.items() if session not in ended]
    left = facts.rooms(holder.identity) if holder.transient and not others else ()
    changes: list[Change] = [Withdraw(holder.identity, room, name) for room in left]
    changes.append(Finish(name, ended, goodbye))
    if all(seat.lost for seat in others):
        changes.append(MarkAway(holder.identity))
    return changes


def sessions_of(holder: Holder | None) -> tuple[str, ...]:
    """Return the sessions that have a name, in a fixed order."""
    return tuple(sorted(holder.seats)) if holder is not None else ()


def _provision(entry: Entry, body: Enter, facts: Facts) -> Decision:
    """Make the account of somebody who is vouched for, whoever has the name as a guest."""
    holder = facts.holder(entry.user)
    evicted = evict(entry.user, holder, facts)
    enlisted = Enlist(entry.user, None, None, reduced(body.skeleton))
    return (*evicted, enlisted, _claim(None, body, account=True))


def _enter_as_guest(entry: Entry, body: Enter, facts: Facts) -> Decision:
    holder = facts.holder(entry.user)
    if holder is None:
        if isinstance(body.proof, ByToken):
            raise Unauthenticated
        return (_claim(None, body),)
    if _is_same_guest(entry, body, holder):
        _check_crowd(entry, holder)
        if entry.client != holder.client:  # it is the guest's own client that ends with it or not
            body = body.replace(transient=holder.transient)
        return (_claim(holder.identity, body),)
    if isinstance(body.proof, ByToken):
        raise Unauthenticated
    if holder.seats:
        raise NameTaken(f"the name {entry.user} is taken")
    identity = facts.identity(entry.user, entry.client)
    return (*evict(entry.user, holder, facts), _claim(identity, body))


def _is_same_guest(entry: Entry, body: Enter, holder: Holder) -> bool:
    seats = holder.seats.values()
    if isinstance(body.proof, ByToken):
        return any(seat.token == body.proof.digest for seat in seats)
    return entry.client == holder.client or any(seat.client == entry.client for seat in seats)


def _check_crowd(entry: Entry, holder: Holder | None) -> None:
    if holder is None or len(holder.seats) < MAX_SESSIONS:
        return
    if all(seat.client != entry.client for seat in holder.seats.values()):
        raise LimitReached(f"{entry.user} has {MAX_SESSIONS} connections, which is the most")


def _claim(identity: int | None, body: Enter, *, account: bool = False) -> Claim:
    # What a session came with decides what ends with it: a guest's token is good for a guest only.
    token = body.proof.digest if isinstance(body.proof, ByToken) and account else body.token
    transient = body.transient and not account
    return Claim(identity, transient, body.resume, token, body.address, account)
