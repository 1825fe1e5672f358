"""Accounts and their session tokens."""

from chat_service.core.commands import (
    ByToken,
    Entry,
    Grant,
    Register,
    Revoke,
    SetPassword,
    Token,
)
from chat_service.core.errors import InvalidCommand, NameTaken, Unauthenticated
from chat_service.core.events import REVOKED
from chat_service.core.limits import MAX_TOKENS
from chat_service.core.lookalike import reduced
from chat_service.core.rules.changes import (
    Cancel,
    Change,
    Decision,
    Enlist,
    Issue,
    Rekey,
)
from chat_service.core.rules.facts import Account, Facts, Holder, Seat
from chat_service.core.rules.naming import evict, finish
from chat_service.core.rules.proofs import check_ban, prove, require_admin


def register(entry: Entry, body: Register, facts: Facts) -> Decision:
    """Make a name an account's: of a guest who has it, or one that nobody has."""
    if body.by is not None:
        require_admin(body.by, body.proof, entry.at, facts)
    if facts.account(entry.user) is not None:
        raise NameTaken(f"the name {entry.user} is registered")
    skeleton = reduced(body.skeleton)
    if (other := facts.lookalike(skeleton)) is not None:
        raise NameTaken(f"the name {entry.user} looks like {other}, which is registered")
    if body.by is None:
        check_ban(entry.user, body.address, entry.at, facts)
    changes: list[Change] = []
    holder = facts.holder(entry.user)
    identity = None
    if holder is not None and holder.seats:
        _check_guest(entry, body, holder)
        identity = holder.identity
    else:
        changes += evict(entry.user, holder, facts)
    admin = body.admin and body.by is not None
    changes.append(Enlist(entry.user, identity, body.hash, skeleton, admin))
    if body.token is not None:
        changes.append(Issue(entry.user, body.token))
    return changes


def grant(entry: Entry, body: Grant, facts: Facts) -> Decision:
    """Give an account one more session token; the oldest makes way if there are too many."""
    account = _account(entry, facts)
    prove(account, body.proof, entry.at, facts)
    check_ban(entry.user, "" if account.admin else body.address, entry.at, facts)
    return (*_make_way(entry, body.token, facts), Issue(entry.user, body.token))


def revoke(entry: Entry, body: Revoke, facts: Facts) -> Decision:
    """Make a token worthless, and end the sessions that came with it."""
    account = _account(entry, facts)
    prove(account, body.proof, entry.at, facts)
    for sign_in in facts.sign_ins(entry.user):
        if sign_in.id == body.id:
            digests = (sign_in.digest,)
            return (Cancel(digests), *end_sessions_of(entry.user, digests, facts))
    raise InvalidCommand("there is no such session")


def set_password(entry: Entry, body: SetPassword, facts: Facts) -> Decision:
    """Set another password: who came with the old one, or by it, has to come again."""
    account = _account(entry, facts)
    prove(account, body.proof, entry.at, facts)
    return (
        Rekey(entry.user, body.hash),
        *end_sign_ins(entry.user, facts, keep=body.keep, session=entry.session),
    )


def end_sign_ins(name: str, facts: Facts, *, keep: bytes = b"", session: str = "") -> list[Change]:
    """Make every token of an account worthless and end its sessions, but for one of each."""
    gone = tuple(it.digest for it in facts.sign_ins(name) if it.digest != keep)
    seats = _seats(name, facts)
    ends = [it for it, seat in seats if it != session and not (keep and seat.token == keep)]
    return [Cancel(gone), *finish(name, REVOKED, facts, only=ends)]


def end_sessions_of(name: str, digests: tuple[bytes, ...], facts: Facts) -> list[Change]:
    """End the sessions of an account that came with one of these tokens."""
    ends = [it for it, seat in _seats(name, facts) if seat.token in digests]
    return finish(name, REVOKED, facts, only=ends)


def _seats(name: str, facts: Facts) -> list[tuple[str, Seat]]:
    holder = facts.holder(name)
    return list(holder.seats.items()) if holder is not None else []


def _account(entry: Entry, facts: Facts) -> Account:
    account = facts.account(entry.user)
    if account is None:
        raise Unauthenticated
    return account


def _check_guest(entry: Entry, body: Register, holder: Holder) -> None:
    if entry.session in holder.seats:
        return
    digest = body.proof.digest if isinstance(body.proof, ByToken) and body.by is None else None
    if all(seat.token != digest for seat in holder.seats.values()):
        raise NameTaken(f"the name {entry.user} is taken")


def _make_way(entry: Entry, token: Token, facts: Facts) -> list[Change]:
    sign_ins = facts.sign_ins(entry.user)
    gone = [it.digest for it in sign_ins if it.expires <= entry.at]
    good = [it.digest for it in sign_ins if it.expires > entry.at and it.digest != token.digest]
    gone += good[: max(0, len(good) + 1 - MAX_TOKENS)]
    if not gone:
        return []
    return [Cancel(tuple(gone)), *end_sessions_of(entry.user, tuple(gone), facts)]
