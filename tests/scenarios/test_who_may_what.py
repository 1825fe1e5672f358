"""Who may do what, as one table: each role and each command, on whom, over every transport."""

from collections.abc import Iterator
from typing import Final, NamedTuple

import pytest

from chat_service.node import Node
from tests.accounts import PASSWORD, make_account
from tests.scenarios.conftest import Meet
from tests.scenarios.heard import JoinedRoom
from tests.scenarios.person import Person

WORDS: Final = {
    "ok": "",
    "out": "you are not in #",
    "no": "you have no right to do that in #",
    "high": " has as much right in #",
    "admin": " is an admin of this server",
    "away": " is not in #",
    "closed": "you cannot join #",
}
"""What each outcome below is told by."""

ROLES: Final = ("outsider", "member", "moderator", "owner", "admin")

# One line for each role of who does it. Where it is done to somebody there is one column for each
# role of that one, in the order of ROLES. A room has one owner, who does nothing to himself here.
# The admin of the server is a member; "visiting" is one who is not.
Rights = dict[str, str]

_OF_EVERYBODY: Final[Rights] = {
    "outsider": "ok", "member": "ok", "moderator": "ok", "owner": "ok", "admin": "ok",
    "visiting": "ok",
}  # fmt: skip
_OF_MEMBERS: Final[Rights] = {
    "outsider": "out", "member": "ok", "moderator": "ok", "owner": "ok", "admin": "ok",
    "visiting": "out",
}  # fmt: skip
_OF_THE_OWNER: Final[Rights] = {
    "outsider": "out", "member": "no", "moderator": "no", "owner": "ok", "admin": "ok",
    "visiting": "ok",
}  # fmt: skip
_OF_MODERATORS_OVER_THOSE_BELOW: Final[Rights] = {
    "outsider":  "out  out out  out  out",
    "member":    "no   no  no   no   no",
    "moderator": "ok   ok  high high admin",
    "owner":     "ok   ok  ok   -    admin",
    "admin":     "ok   ok  ok   ok   ok",
    "visiting":  "ok   ok  ok   ok   ok",
}  # fmt: skip
_OF_THE_OWNER_OVER_THOSE_THERE: Final[Rights] = {
    "outsider":  "out  out out  out  out",
    "member":    "no   no  no   no   no",
    "moderator": "no   no  no   no   no",
    "owner":     "away ok  ok   -    ok",
    "admin":     "away ok  ok   ok   ok",
    "visiting":  "away ok  ok   ok   ok",
}  # fmt: skip

TABLE: Final[dict[str, Rights]] = {
    "say": _OF_MEMBERS,
    "join": _OF_MEMBERS | {"outsider": "ok", "visiting": "ok"},
    "join private": _OF_MEMBERS | {"outsider": "closed", "visiting": "ok"},
    "leave": _OF_MEMBERS,
    "who": _OF_MEMBERS,
    "history": _OF_MEMBERS,
    "conversations": _OF_EVERYBODY,
    "private": _OF_THE_OWNER,
    "public": _OF_THE_OWNER,
    "kick": {
        "outsider":  "out  out out  out  out",
        "member":    "no   no  no   no   no",
        "moderator": "away ok  high high admin",
        "owner":     "away ok  ok   -    admin",
        "admin":     "away ok  ok   ok   ok",
        "visiting":  "away ok  ok   ok   ok",
    },
    "ban": _OF_MODERATORS_OVER_THOSE_BELOW,
    "unban": _OF_MODERATORS_OVER_THOSE_BELOW,
    "mute": _OF_MODERATORS_OVER_THOSE_BELOW,
    "unmute": _OF_MODERATORS_OVER_THOSE_BELOW,
    "invite": {
        "outsider":  "out  out out  out  out",
        "member":    "ok   ok  ok   ok   ok",
        "moderator": "ok   ok  ok   ok   ok",
        "owner":     "ok   ok  ok   -    ok",
        "admin":     "ok   ok  ok   ok   ok",
        "visiting":  "ok   ok  ok   ok   ok",
    },
    "invite private": {
        "outsider":  "out  out out  out  out",
        "member":    "no   no  no   no   no",
        "moderator": "ok   ok  ok   ok   ok",
        "owner":     "ok   ok  ok   -    ok",
        "admin":     "ok   ok  ok   ok   ok",
        "visiting":  "ok   ok  ok   ok   ok",
    },
    "op": _OF_THE_OWNER_OVER_THOSE_THERE,
    "deop": {
        "outsider":  "out  out out  out  out",
        "member":    "no   no  no   no   no",
        "moderator": "no   no  no   no   no",
        "owner":     "ok   ok  ok   -    ok",
        "admin":     "ok   ok  ok   ok   ok",
        "visiting":  "ok   ok  ok   ok   ok",
    },
    "handover": _OF_THE_OWNER_OVER_THOSE_THERE,
}  # fmt: skip


class Row(NamedTuple):
    """A line of the table with one of its columns; `on` is empty where there are none."""

    actor: str
    on: str
    outcome: str


def rows(what: str) -> Iterator[Row]:
    """Return what the table says of a command."""
    for actor, line in TABLE[what].items():
        outcomes = line.split()
        for on, outcome in zip(ROLES if len(outcomes) > 1 else ("",), outcomes, strict=True):
            if outcome != "-":
                yield Row(actor, on, outcome)


class Cast:
    """One of each role who acts, and one of each role to whom something is done."""

    def __init__(self, actors: dict[str, Person], targets: dict[str, Person]) -> None:
        self.actors = actors
        self.targets = targets | {"owner": actors["owner"]}

    async def make_room(self, room: str, *, private: bool) -> None:
        """Put everybody into their places in a new room."""
        owner = self.actors["owner"]
        await owner.join(room)
        for people in (self.actors, self.targets):
            for role in ("member", "moderator", "admin"):
                await people[role].join(room)
                await owner.hears(JoinedRoom(room, people[role].user))
            await owner.does("op", room, people["moderator"].user)
        if private:
            await owner.does("private", room)


@pytest.fixture
async def cast(node: Node, meet: Meet, pair: tuple[str, ...]) -> Cast:
    """Those who act, over one transport, and those to whom it is done, over another."""
    for name, admin in (("owner", False), ("admin", True), ("admin2", True), ("visiting", True)):
        await make_account(node, name, admin=admin)

    async def enter(name: str, over: str) -> Person:
        password = PASSWORD if name.startswith(("owner", "admin", "visiting")) else ""
        return await meet(name, password=password, over=over)

    actors = {role: await enter(role, pair[0]) for role in (*ROLES, "visiting")}
    others = [role for role in ROLES if role != "owner"]
    return Cast(actors, {role: await enter(f"{role}2", pair[1]) for role in others})


def has_words(actor: Person, role: str, verb: str) -> bool:
    """Tell whether somebody can ask for that at all, over this transport."""
    is_there = role not in ("outsider", "visiting")
    return is_there or not actor.needs_to_be_there or verb in ("join", "leave")


@pytest.mark.parametrize("what", TABLE)
async def test_who_may_do_what(cast: Cast, what: str) -> None:
    verb, _, private = what.partition(" ")
    await cast.make_room("#refused", private=bool(private))
    members = await cast.actors["owner"].who("#refused")
    wrong: list[tuple[Row, str]] = []
    for number, row in enumerate(rows(what)):
        actor = cast.actors[row.actor]
        if not has_words(actor, row.actor, verb):
            continue
        room = "#refused"
        if row.outcome == "ok":  # what is done changes the room, so it has one of its own
            room = f"#room{number}"
            await cast.make_room(room, private=bool(private))
        told = await actor.tries(verb, room, cast.targets[row.on].user if row.on else "")
        words = WORDS[row.outcome]
        if words not in told or bool(words) != bool(told):
            wrong.append((row, told))
    assert wrong == []
    assert await cast.actors["owner"].who("#refused") == members
