"""What the admins of a server may do to those who are on it."""

from collections.abc import Mapping

from chat_service.core.address import LOBBY, parse_name
from chat_service.core.commands import (
    Announce,
    BanSubject,
    DeleteAccount,
    EndSessions,
    Entry,
    UnbanSubject,
    UpdateAccount,
)
from chat_service.core.errors import InvalidAddress, LimitReached, NoSuchUser, PermissionDenied
from chat_service.core.events import Ack, Announcement, Goodbye, GoodbyeReason
from chat_service.core.limits import MAX_SANCTIONS
from chat_service.core.moderation import SanctionKind
from chat_service.core.origin import parse_network
from chat_service.core.rules.accounts import end_sign_ins
from chat_service.core.rules.changes import (
    Change,
    Decision,
    Drop,
    Impose,
    Lift,
    Promote,
    Rekey,
    Tell,
    Withdraw,
)
from chat_service.core.rules.facts import FOR_GOOD, Account, Facts, Sanction
from chat_service.core.rules.naming import finish
from chat_service.core.rules.proofs import CONSOLE, is_admin, require_admin

SERVER = ""
"""The scope of what holds on the whole server."""


def update_account(entry: Entry, body: UpdateAccount, facts: Facts) -> Decision:
    """Set an account's password or rights."""
    require_admin(entry.user, body.proof, entry.at, facts)
    _account(body.user, facts)
    changes: list[Change] = []
    if body.hash is not None:
        changes += [Rekey(body.user, body.hash), *end_sign_ins(body.user, facts)]
    if body.admin is not None:
        if not body.admin:
            _check_last_admin(entry, body.user, facts)
            changes += _shut_out(body.user, entry.at, facts)
        changes.append(Promote(body.user, body.admin))
    return changes


def delete_account(entry: Entry, body: DeleteAccount, facts: Facts) -> Decision:
    """Take an account away: it leaves its rooms, and its name is free."""
    require_admin(entry.user, body.proof, entry.at, facts)
    account = _account(body.user, facts)
    _check_last_admin(entry, body.user, facts)
    rooms = facts.rooms(account.identity)
    return (
        *(Withdraw(account.identity, room, body.user) for room in rooms),
        *end_sign_ins(body.user, facts),
        Drop(body.user),
    )


def end_sessions(entry: Entry, body: EndSessions, facts: Facts) -> Decision:
    """End the sessions of a user, who may come back."""
    require_admin(entry.user, body.proof, entry.at, facts)
    words = body.reason or "an admin has ended your session"
    goodbye = Goodbye(GoodbyeReason.ENDED, words)
    return finish(body.user, goodbye, facts, only={body.session} if body.session else None)


def ban(entry: Entry, body: BanSubject, facts: Facts) -> Decision:
    """Let a name or a network in no more, and end the sessions that come from it.

    Of a network that goes for all but admins, who may themselves be there.
    """
    require_admin(entry.user, body.proof, entry.at, facts)
    if is_network(body.subject):
        _check_network(body.subject)
    if is_admin(body.subject, facts):
        raise PermissionDenied("an admin cannot be banned")
    bans = facts.bans()
    if body.subject not in bans and in_force(bans, entry.at) >= MAX_SANCTIONS:
        raise LimitReached(f"there are {MAX_SANCTIONS} bans, which is the most")
    sanction = Sanction(ends_at(entry.at, body.duration), body.reason, entry.user)
    imposed = Impose(SERVER, SanctionKind.BAN, body.subject, sanction)
    why = f": {body.reason}" if body.reason else ""
    goodbye = Goodbye(GoodbyeReason.BANNED, f"you are banned from this server{why}")
    if is_network(body.subject):
        return (imposed, *_end_network(body.subject, goodbye, facts))
    return (imposed, *finish(body.subject, goodbye, facts))


def unban(entry: Entry, body: UnbanSubject, facts: Facts) -> Decision:
    """Let a name or a network in again."""
    require_admin(entry.user, body.proof, entry.at, facts)
    if body.subject not in facts.bans():
        return Ack(duplicate=True)
    return (Lift(SERVER, SanctionKind.BAN, body.subject),)


def announce(entry: Entry, body: Announce, facts: Facts) -> Decision:
    """Say something to everyone."""
    require_admin(entry.user, body.proof, entry.at, facts)
    holder = facts.holder(entry.user)
    identity = holder.identity if holder is not None else 0
    return (Tell(identity, LOBBY, Announcement(body.text, entry.user, entry.at)),)


def is_network(subject: str) -> bool:
    """Tell whether the subject of a ban is a network, in its normal form, and not a name."""
    return "/" in subject


def parse_subject(text: str) -> str:
    """Return the normal form of an address, a network or, if it is neither, a name.

    Raises InvalidAddress.
    """
    try:
        return parse_network(text)
    except InvalidAddress:
        return parse_name(text)


def _check_network(subject: str) -> None:
    """Raise InvalidAddress for what is no network in its normal form, which nothing would match."""
    if parse_network(subject) != subject:
        raise InvalidAddress(f"not the normal form of a network: {subject[:64]!a}")


def _check_last_admin(entry: Entry, user: str, facts: Facts) -> None:
    """Let nobody leave a server without an admin, but for the console, which can make another."""
    if entry.user != CONSOLE and is_admin(user, facts) and not facts.other_admin(user):
        raise PermissionDenied(f"{user} is the only admin: make another one first")


def ends_at(at: int, duration: float | None) -> int:
    """Return when what lasts for some seconds ends, in microseconds since 1970."""
    return FOR_GOOD if duration is None else at + round(duration * 1_000_000)


def in_force(sanctions: Mapping[str, Sanction], at: int) -> int:
    """Return how many sanctions hold at a time."""
    return sum(sanction.in_force(at) for sanction in sanctions.values())


def _end_network(subject: str, goodbye: Goodbye, facts: Facts) -> list[Change]:
    seated = facts.seated_in(subject)
    names = sorted({name for name, _session in seated if not is_admin(name, facts)})
    sessions = {session for _name, session in seated}
    return [change for name in names for change in finish(name, goodbye, facts, only=sessions)]


def _shut_out(name: str, at: int, facts: Facts) -> list[Change]:
    """End the sessions that one who is no admin any more has from networks that are banned."""
    banned = [it for it, ban in facts.bans().items() if is_network(it) and ban.in_force(at)]
    sessions = {session for it in banned for of, session in facts.seated_in(it) if of == name}
    goodbye = Goodbye(GoodbyeReason.BANNED, "you are banned from this server")
    return finish(name, goodbye, facts, only=sessions)


def _account(name: str, facts: Facts) -> Account:
    account = facts.account(name)
    if account is None:
        raise NoSuchUser(f"there is no account {name}")
    return account
