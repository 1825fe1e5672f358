"""What those may do who have a right over a room: one row of a table for each action.

Who may do what: the owner everything; a moderator what the table marks with MODERATOR, to those
below; a plain member invite to a public room; an admin of the server everything, everywhere, the
lobby included, without being a member.
"""

from collections.abc import Callable

from chat_service.core.address import LOBBY
from chat_service.core.commands import Entry, Moderate
from chat_service.core.errors import (
    InvalidCommand,
    LimitReached,
    NoSuchUser,
    NotAMember,
    PermissionDenied,
)
from chat_service.core.events import Ack, Moderated
from chat_service.core.limits import MAX_INVITED, MAX_SANCTIONS
from chat_service.core.moderation import SERVER_BANS, ModerationAction, Role, SanctionKind
from chat_service.core.origin import is_address
from chat_service.core.rules.admin import ends_at, in_force
from chat_service.core.rules.changes import (
    Assign,
    Change,
    Decision,
    Impose,
    Invite,
    Lift,
    Shut,
    Tell,
    Withdraw,
)
from chat_service.core.rules.facts import FOR_GOOD, Facts, Holder, Room, Sanction
from chat_service.core.rules.naming import speaker
from chat_service.core.rules.proofs import is_admin
from chat_service.core.rules.talking import topic_of
from chat_service.core.value import Value


class _Case(Value):
    """A use of a right, with all that its rule needs to know."""

    entry: Entry
    body: Moderate
    facts: Facts
    actor: int
    room: Room
    target: Holder | None

    @property
    def identity(self) -> int:
        """The identity that it is done to; 0 where it concerns the room alone."""
        return self.target.identity if self.target is not None else 0

    @property
    def is_member(self) -> bool:
        """Whether the one that it is done to is in the room."""
        return self.facts.member(self.identity, self.body.room)


class _Action(Value):
    """Who may do it, and what follows; `lobby`: whether it makes sense where everyone is."""

    needs: Role
    rule: Callable[[_Case], list[Change] | None]
    on_user: bool = True
    lobby: bool = False


def moderate(entry: Entry, body: Moderate, facts: Facts) -> Decision:
    """Use a right over a room."""
    action = _ACTIONS[body.action]
    actor = speaker(entry, facts)
    _check_shape(body, action)
    rank = _rank(entry.user, actor, body.room, facts)
    room = facts.room(body.room)
    if room is None:
        raise NotAMember(f"there is no room {body.room}")
    if rank < _needed(action, body, room):
        raise PermissionDenied(f"you have no right to do that in {body.room}")
    target = _target(body, facts)
    case = _Case(entry, body, facts, actor, room, target)
    if target is not None:
        _check_rank(case, action, rank)
    changes = action.rule(case)
    return Ack(duplicate=True) if changes is None else changes


_ADMIN = Role.OWNER + 1
_BANS = (ModerationAction.BAN, ModerationAction.UNBAN)


def _rank(user: str, identity: int, room: str, facts: Facts) -> int:
    if is_admin(user, facts):
        return _ADMIN
    known = facts.room(room)
    if (
        room != LOBBY
        and not facts.member(identity, room)
        and (known is None or known.owner != identity)
    ):
        raise NotAMember(f"you are not in {room}")
    return known.role(identity) if known is not None else Role.MEMBER


def _needed(action: _Action, body: Moderate, room: Room) -> int:
    if body.action is ModerationAction.INVITE and not room.private:
        return Role.MEMBER
    return action.needs


def _check_shape(body: Moderate, action: _Action) -> None:
    if body.room == LOBBY and not action.lobby:
        hint = f": {SERVER_BANS}" if body.action in _BANS else ""
        raise InvalidCommand(f"that cannot be done in {LOBBY}{hint}")
    if action.on_user != bool(body.user):
        raise InvalidCommand("say whom it is done to" if action.on_user else "name only the room")


def _target(body: Moderate, facts: Facts) -> Holder | None:
    if not body.user:
        return None
    holder = facts.holder(body.user)
    if holder is None:
        # An address of IPv4 has the grammar of a name.
        hint = f"; {SERVER_BANS}" if body.action in _BANS and is_address(body.user) else ""
        raise NoSuchUser(f"no such user: {body.user}{hint}")
    return holder


def _check_rank(case: _Case, action: _Action, rank: int) -> None:
    """Let nobody act against those who stand as high, nor undo for himself what others did."""
    if action.needs is not Role.MODERATOR or case.body.action is ModerationAction.INVITE:
        return
    if is_admin(case.body.user, case.facts) and rank < _ADMIN:
        raise PermissionDenied(f"{case.body.user} is an admin of this server")
    if rank <= case.room.role(case.identity) and rank < _ADMIN:
        raise PermissionDenied(f"{case.body.user} has as much right in {case.body.room} as you")


# The rules: what follows, or None if it is so already.


def _kick(case: _Case) -> list[Change] | None:
    if not case.is_member:
        raise NotAMember(f"{case.body.user} is not in {case.body.room}")
    # A moderator could come back even where others need an invitation.
    demoted = _demoted(case) if case.room.owner != case.identity else []
    return [_told(case), *demoted, *_out(case)]


def _ban(case: _Case) -> list[Change] | None:
    return [_impose(case, SanctionKind.BAN), _told(case), *_demoted(case), *_out(case)]


def _unban(case: _Case) -> list[Change] | None:
    if case.body.user not in case.room.bans:
        return None
    return [Lift(case.body.room, SanctionKind.BAN, case.body.user), _told(case)]


def _mute(case: _Case) -> list[Change] | None:
    return [_impose(case, SanctionKind.MUTE), _told(case)]


def _unmute(case: _Case) -> list[Change] | None:
    if case.body.user not in case.room.mutes:
        return None
    return [Lift(case.body.room, SanctionKind.MUTE, case.body.user), _told(case)]


def _invite(case: _Case) -> list[Change] | None:
    if case.is_member:
        return None
    told = Tell(case.actor, topic_of(case.actor, case.identity), _event(case))
    if not case.room.private:
        return [told]
    if case.identity in case.room.invited:
        return None
    if len(case.room.invited) >= MAX_INVITED:
        raise LimitReached(f"{MAX_INVITED} are invited already, which is the most")
    return [Invite(case.body.room, case.identity), told]


def _make_private(case: _Case) -> list[Change] | None:
    if case.room.private:
        return None
    # Only an account comes back for sure: a guest's private room could be nobody's tomorrow.
    if case.room.owner is None or not case.facts.registered(case.room.owner):
        raise PermissionDenied("a private room needs an owner with an account")
    return [Shut(case.body.room, private=True), _told(case)]


def _make_public(case: _Case) -> list[Change] | None:
    return [Shut(case.body.room, private=False), _told(case)] if case.room.private else None


def _appoint(case: _Case) -> list[Change] | None:
    if case.room.role(case.identity) is not Role.MEMBER:
        return None
    _check_member(case)
    return [Assign(case.body.room, case.identity, Role.MODERATOR), _told(case)]


def _dismiss(case: _Case) -> list[Change] | None:
    if case.room.role(case.identity) is not Role.MODERATOR:
        return None
    return [Assign(case.body.room, case.identity, Role.MEMBER), _told(case)]


def _hand_over(case: _Case) -> list[Change] | None:
    if case.room.owner == case.identity:
        return None
    _check_member(case)
    if case.room.private and case.facts.account(case.body.user) is None:
        raise PermissionDenied("a private room needs an owner with an account")
    former = case.room.owner
    demoted = [] if former is None else [Assign(case.body.room, former, Role.MODERATOR)]
    return [*demoted, Assign(case.body.room, case.identity, Role.OWNER), _told(case)]


_ACTIONS: dict[ModerationAction, _Action] = {
    ModerationAction.KICK: _Action(Role.MODERATOR, _kick),
    ModerationAction.BAN: _Action(Role.MODERATOR, _ban),
    ModerationAction.UNBAN: _Action(Role.MODERATOR, _unban),
    ModerationAction.MUTE: _Action(Role.MODERATOR, _mute, lobby=True),
    ModerationAction.UNMUTE: _Action(Role.MODERATOR, _unmute, lobby=True),
    ModerationAction.INVITE: _Action(Role.MODERATOR, _invite),
    ModerationAction.MAKE_PRIVATE: _Action(Role.OWNER, _make_private, on_user=False),
    ModerationAction.MAKE_PUBLIC: _Action(Role.OWNER, _make_public, on_user=False),
    ModerationAction.APPOINT: _Action(Role.OWNER, _appoint),
    ModerationAction.DISMISS: _Action(Role.OWNER, _dismiss),
    ModerationAction.HAND_OVER: _Action(Role.OWNER, _hand_over),
}


def _event(case: _Case) -> Moderated:
    body = case.body
    timed = body.action in (ModerationAction.BAN, ModerationAction.MUTE)
    until = ends_at(case.entry.at, body.duration) if timed else FOR_GOOD
    return Moderated(body.room, body.action, body.user, case.entry.user, body.reason, until)


def _told(case: _Case) -> Tell:
    return Tell(case.actor, case.body.room, _event(case))


def _out(case: _Case) -> list[Change]:
    if not case.is_member:
        return []
    return [Withdraw(case.identity, case.body.room, case.body.user)]


def _demoted(case: _Case) -> list[Change]:
    if case.room.role(case.identity) is Role.MEMBER:
        return []
    return [Assign(case.body.room, case.identity, Role.MEMBER)]


def _impose(case: _Case, kind: SanctionKind) -> Impose:
    present = case.room.bans if kind is SanctionKind.BAN else case.room.mutes
    crowded = in_force(present, case.entry.at) >= MAX_SANCTIONS
    if case.body.user not in present and crowded:
        raise LimitReached(f"there are {MAX_SANCTIONS} of them, which is the most")
    until = ends_at(case.entry.at, case.body.duration)
    sanction = Sanction(until, case.body.reason, case.entry.user)
    return Impose(case.body.room, kind, case.body.user, sanction)


def _check_member(case: _Case) -> None:
    if not case.is_member:
        raise NotAMember(f"{case.body.user} is not in {case.body.room}")
