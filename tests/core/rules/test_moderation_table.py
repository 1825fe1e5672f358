"""Who may do what to whom in a room: the whole table, for guests and for accounts."""

from collections.abc import Iterator
from itertools import product
from typing import Final

import pytest

from chat_service.core.commands import Entry
from chat_service.core.errors import InvalidCommand, NotAMember, PermissionDenied
from chat_service.core.events import Ack
from chat_service.core.moderation import ModerationAction
from tests.core.rules.people import People, come
from tests.state.batches import join, moderate

ROOM: Final = "#dev"
ROLES: Final = ("outsider", "member", "moderator", "owner", "admin")
"""What the one is who does it, or to whom it is done. An admin is not in the room."""

TARGETS: Final = (*ROLES, "self")

# A row for each role that does it, a column for each that it is done to: another one of that role,
# or oneself. "absent": somebody is not in the room; "already": it is so, and nothing happens.

_NOBODY_BELOW_OWNERS: Final = """
    outsider   absent   absent   absent   absent   absent   absent
    member     denied   denied   denied   denied   denied   denied
    moderator  denied   denied   denied   denied   denied   denied
"""
_ON_THOSE_BELOW: Final = """
    outsider   absent   absent   absent   absent   absent   absent
    member     denied   denied   denied   denied   denied   denied
    moderator  ok       ok       denied   denied   denied   denied
    owner      ok       ok       ok       -        denied   denied
    admin      ok       ok       ok       ok       ok       ok
"""
TABLE: Final = {
    ModerationAction.KICK: """
    outsider   absent   absent   absent   absent   absent   absent
    member     denied   denied   denied   denied   denied   denied
    moderator  absent   ok       denied   denied   denied   denied
    owner      absent   ok       ok       -        denied   denied
    admin      absent   ok       ok       ok       absent   absent
    """,
    ModerationAction.BAN: _ON_THOSE_BELOW,
    ModerationAction.UNBAN: _ON_THOSE_BELOW.replace("ok", "already"),  # as nobody is banned
    ModerationAction.MUTE: _ON_THOSE_BELOW,
    ModerationAction.UNMUTE: _ON_THOSE_BELOW,
    ModerationAction.INVITE: """
    outsider   absent   absent   absent   absent   absent   absent
    member     ok       already  already  already  ok       already
    moderator  ok       already  already  already  ok       already
    owner      ok       already  already  -        ok       already
    admin      ok       already  already  already  ok       ok
    """,
    ModerationAction.APPOINT: _NOBODY_BELOW_OWNERS
    + """
    owner      absent   ok       already  -        absent   already
    admin      absent   ok       already  already  absent   absent
    """,
    ModerationAction.DISMISS: _NOBODY_BELOW_OWNERS
    + """
    owner      already  already  ok       -        already  already
    admin      already  already  ok       already  already  already
    """,
    ModerationAction.HAND_OVER: _NOBODY_BELOW_OWNERS
    + """
    owner      absent   ok       ok       -        absent   already
    admin      absent   ok       ok       already  absent   absent
    """,
}
IN_PRIVATE: Final = {
    ModerationAction.INVITE: TABLE[ModerationAction.INVITE].replace(
        "member     ok       already  already  already  ok       already",
        "member     denied   denied   denied   denied   denied   denied",
    ),
}
"""Where a private room differs."""

TO_A_GUEST_IN_PRIVATE: Final = {
    ModerationAction.HAND_OVER: _NOBODY_BELOW_OWNERS
    + """
    owner      absent   denied   denied   -        absent   already
    admin      absent   denied   denied   already  absent   absent
    """,
}
"""Where besides it matters that the other one is a guest."""

# What is done to the room itself, by each role: in a room that is public or private.
ON_THE_ROOM: Final = {
    (ModerationAction.MAKE_PRIVATE, "public"): "absent denied denied ok ok",
    (ModerationAction.MAKE_PRIVATE, "private"): "absent denied denied already already",
    (ModerationAction.MAKE_PUBLIC, "public"): "absent denied denied already already",
    (ModerationAction.MAKE_PUBLIC, "private"): "absent denied denied ok ok",
}
OF_A_GUESTS_ROOM: Final = {
    (ModerationAction.MAKE_PRIVATE, "public"): "absent denied denied denied denied",
    (ModerationAction.MAKE_PUBLIC, "public"): "absent denied denied already already",
}
KINDS: Final = ("guest", "account")


class Town:
    """A room with two of each role, but for its one owner, the first of one kind, the others of
    another; made anew after each change.
    """

    def __init__(self, *, private: bool, first: str, second: str, owner: str) -> None:
        self._private = private
        self._kinds = dict.fromkeys(ROLES, first) | {f"{role}2": second for role in ROLES}
        self._kinds |= {"owner": "account" if private else owner}
        self._kinds |= {"admin": "admin", "admin2": "admin"}
        self._people: People | None = None

    def people(self) -> People:
        if self._people is None:
            self._people = People()
            self._settle(self._people)
        return self._people

    def changed(self) -> None:
        """Forget the town: the next one is new."""
        self.people().close()
        self._people = None

    def _settle(self, people: People) -> None:
        for name, kind in self._kinds.items():
            if kind == "guest":
                people.ok(come(name))
            else:
                people.seated(name, admin=kind == "admin")
        people.ok(*(join(name, ROOM) for name in ("owner", "member", "member2")))
        for name in ("moderator", "moderator2"):
            people.ok(join(name, ROOM), moderate("owner", ROOM, ModerationAction.APPOINT, name))
        if self._private:
            people.ok(moderate("owner", ROOM, ModerationAction.MAKE_PRIVATE))


def outcome(town: Town, entry: Entry) -> str:
    """Apply an entry and return in a word what came of it."""
    reply = town.people().reply(entry)
    if isinstance(reply, Ack):
        if reply.duplicate:
            return "already"
        town.changed()
        return "ok"
    return {NotAMember: "absent", PermissionDenied: "denied", InvalidCommand: "invalid"}[
        type(reply)
    ]


def cells(grid: str) -> Iterator[tuple[str, str, str]]:
    """Yield (who, to whom, outcome) of a grid."""
    rows = [line.split() for line in grid.splitlines() if line.strip()]
    assert [row[0] for row in rows] == list(ROLES)
    for who, *expected in rows:
        for target, word in zip(TARGETS, expected, strict=True):
            if word != "-":
                yield who, target, word


def person(who: str, target: str) -> str:
    return who if target == "self" else target if target == "owner" else f"{target}2"


def grid_of(action: ModerationAction, private: bool, target_kind: str) -> str:
    if private and target_kind == "guest" and action in TO_A_GUEST_IN_PRIVATE:
        return TO_A_GUEST_IN_PRIVATE[action]
    return IN_PRIVATE.get(action, TABLE[action]) if private else TABLE[action]


def test_the_table_is_of_every_action() -> None:
    on_rooms = {action for action, _ in ON_THE_ROOM}
    assert set(TABLE) | on_rooms == set(ModerationAction)


@pytest.mark.parametrize("private", [False, True], ids=["public", "private"])
@pytest.mark.parametrize("action", TABLE, ids=lambda it: it.name)
def test_who_may_do_what_to_whom(action: ModerationAction, private: bool) -> None:
    wrong = []
    for first, second in product(KINDS, KINDS):
        for owner in KINDS:
            town = Town(private=private, first=first, second=second, owner=owner)
            for who, target, expected in cells(grid_of(action, private, second)):
                if action is ModerationAction.UNMUTE:
                    mute_all(town)
                found = outcome(town, moderate(who, ROOM, action, person(who, target)))
                if found != expected:
                    wrong.append((who, first, target, second, found, expected))
            town.changed()
    assert wrong == []


def mute_all(town: Town) -> None:
    names = [f"{role}2" for role in ROLES if role != "owner"] + list(ROLES)
    town.people().ok(*(moderate("admin", ROOM, ModerationAction.MUTE, name) for name in names))


@pytest.mark.parametrize(
    ("owner", "table"), [("account", ON_THE_ROOM), ("guest", OF_A_GUESTS_ROOM)]
)
def test_who_may_do_what_to_the_room(
    owner: str, table: dict[tuple[ModerationAction, str], str]
) -> None:
    for (action, room), words in table.items():
        for kind in KINDS:
            town = Town(private=room == "private", first=kind, second=kind, owner=owner)
            found = [outcome(town, moderate(who, ROOM, action)) for who in ROLES]
            assert found == words.split(), (action, room, kind)
            town.changed()


@pytest.mark.parametrize("who", ROLES)
@pytest.mark.parametrize("action", ModerationAction)
def test_in_the_lobby_nobody_does_anything_but_an_admin_who_mutes(
    action: ModerationAction, who: str
) -> None:
    town = Town(private=False, first="account", second="guest", owner="account")
    mutes = action in (ModerationAction.MUTE, ModerationAction.UNMUTE)
    expected = "invalid" if not mutes else "ok" if who == "admin" else "denied"
    town.people().ok(moderate("admin", "#lobby", ModerationAction.MUTE, "member2"))
    target = "member2" if action in TABLE else ""
    assert outcome(town, moderate(who, "#lobby", action, target)) == expected
    town.people().close()


@pytest.mark.parametrize("action", ModerationAction)
def test_a_right_is_used_on_somebody_or_on_the_room_as_the_action_is(
    people: People, action: ModerationAction
) -> None:
    people.ok(come("ann"), come("bob"), join("ann", ROOM), join("bob", ROOM))
    assert people.why(moderate("ann", ROOM, action, "" if action in TABLE else "bob")) is (
        InvalidCommand
    )


@pytest.mark.parametrize("action", ModerationAction)
def test_there_is_nothing_to_do_where_there_is_no_room(
    people: People, action: ModerationAction
) -> None:
    people.seated("root", admin=True)
    people.ok(come("ann"))
    entry = moderate("ann", "#none", action, "root" if action in TABLE else "")
    assert people.why(entry) is NotAMember
    assert people.why(entry.replace(user="root", session="root/root")) is NotAMember
