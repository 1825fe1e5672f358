"""Accounts: how they are made, and the tokens and passwords that prove them."""

import pytest

from chat_service.core.commands import (
    BanSubject,
    ByPassword,
    ByToken,
    Grant,
    Proof,
    Revoke,
    SetPassword,
    Token,
    Vouched,
)
from chat_service.core.errors import Banned, InvalidCommand, NameTaken, Unauthenticated
from chat_service.core.events import REVOKED
from chat_service.core.limits import MAX_TOKENS
from chat_service.core.outcome import Applied, Ending
from chat_service.core.rules.facts import sign_in_id
from tests.core.rules.people import AT, CONSOLE, DAY, PASSWORD, People, come, do, register
from tests.state.batches import join, leave_chat, say

FIRST = Token(b"first", AT + DAY, "phone")


def ended(applied: Applied) -> list[str]:
    """Return the sessions that an entry has ended, because their sign-in is no longer good."""
    assert all(ending.goodbye == REVOKED for ending in applied.endings)
    return [ending.session for ending in applied.endings]


def tokens(people: People, name: str) -> list[bytes]:
    rows = people.db.execute("SELECT digest FROM tokens WHERE name = ? ORDER BY 1", (name,))
    return [digest for (digest,) in rows]


# --- making one ---


def test_a_name_that_nobody_has_is_registered_by_whoever_comes_first(people: People) -> None:
    people.ok(register("ann", "one", token=FIRST))
    assert people.why(register("ann", "two")) is NameTaken
    people.ok(come("ann", proof=ByToken(b"first")))


def test_of_two_registrations_in_one_batch_the_first_wins(people: People) -> None:
    one, two = people.apply(register("ann", "one"), register("ann", "two"))
    assert not isinstance(one.reply, NameTaken)
    assert isinstance(two.reply, NameTaken)


def test_a_guest_registers_and_stays_who_it_is(people: People) -> None:
    people.ok(come("ann", transient=True), join("ann", "#dev"))
    guest = people.identity("ann")
    people.ok(register("ann", "ann"), say("ann", "hello", "#dev"), leave_chat("ann"))
    entered = people.reply(come("ann", "elsewhere", proof=PASSWORD))
    assert (entered.identity, entered.rooms) == (guest, ("#lobby", "#dev"))


def test_a_guest_registers_from_elsewhere_with_its_token(people: People) -> None:
    people.ok(come("ann"))
    guest = people.identity("ann")
    people.ok(register("ann", "desk", proof=ByToken(b"token of ann/ann")))
    assert people.one("SELECT identity FROM accounts") == guest


@pytest.mark.parametrize("proof", [None, ByToken(b"token of bob/bob"), Vouched(), ByPassword(0)])
def test_nobody_registers_the_name_that_a_guest_has(people: People, proof: Proof) -> None:
    people.ok(come("ann"), come("bob"))
    assert people.why(register("ann", "desk", proof=proof)) is NameTaken
    people.ok(leave_chat("ann", hold=True))
    assert people.why(register("ann", "desk", proof=proof)) is NameTaken
    assert people.why(register("ann", "desk", by=CONSOLE)) is NameTaken


def test_who_had_the_name_as_a_guest_leaves_its_rooms_to_the_account_that_has_it(
    people: People,
) -> None:
    people.ok(come("ann"), join("ann", "#dev"), leave_chat("ann"))
    guest = people.identity("ann")
    assert people.events(register("ann", "desk")) == ["ann left #dev"]
    assert people.identity("ann") != guest


@pytest.mark.parametrize("name", ["\u0430nn", "a\u0578n"])
def test_names_that_look_alike_are_not_registered_beside_each_other(
    people: People, name: str
) -> None:
    people.registered("ann")
    for entry in (register(name), register(name, by=CONSOLE)):
        refusal = people.refusal(entry)
        assert type(refusal) is NameTaken
        assert "looks like ann" in str(refusal)


def test_a_banned_name_is_not_registered_but_by_an_admin(people: People) -> None:
    people.ok(do(CONSOLE, BanSubject("ann", None)))
    assert people.why(register("ann")) is Banned
    people.ok(register("ann", by=CONSOLE))


def test_nobody_makes_himself_an_admin(people: People) -> None:
    people.ok(register("ann", admin=True))
    assert people.one("SELECT admin FROM accounts") == 0


# --- tokens ---


@pytest.mark.parametrize("proof", [PASSWORD, ByToken(b"first"), Vouched()])
def test_who_proves_an_account_is_given_a_token(people: People, proof: Proof) -> None:
    people.ok(register("ann", token=FIRST))
    people.ok(do("ann", Grant(Token(b"second", AT + DAY), proof)))
    people.ok(come("ann", proof=ByToken(b"second")))


@pytest.mark.parametrize(
    "proof", [None, ByPassword(1), ByToken(b"wrong"), ByToken(b"token of ann/ann")]
)
def test_who_proves_nothing_is_given_nothing(people: People, proof: Proof) -> None:
    people.ok(register("ann", token=FIRST), come("ann", proof=PASSWORD))
    for name in ("ann", "nobody"):
        for body in (
            Grant(Token(b"second", AT + DAY), proof),
            Revoke(sign_in_id(b"first"), proof),
            SetPassword("a hash", proof),
        ):
            assert people.why(do(name, body)) is Unauthenticated


def test_a_banned_account_is_given_no_token(people: People) -> None:
    people.registered("ann")
    people.ok(do(CONSOLE, BanSubject("ann", None)))
    assert people.why(do("ann", Grant(FIRST, PASSWORD))) is Banned


def test_the_oldest_token_makes_way_and_its_sessions_end(people: People) -> None:
    people.registered("ann")
    for n in range(MAX_TOKENS):
        people.ok(do("ann", Grant(Token(b"%02d" % n, AT + DAY), PASSWORD), at=AT + n))
    people.ok(come("ann", "old", proof=ByToken(b"00")), come("ann", "new", proof=ByToken(b"01")))
    (applied,) = people.ok(do("ann", Grant(Token(b"99", AT + DAY), PASSWORD), at=AT + 99))
    assert ended(applied) == ["ann/old"]
    assert len(tokens(people, "ann")) == MAX_TOKENS
    assert b"00" not in tokens(people, "ann")


def test_what_has_expired_makes_way_first(people: People) -> None:
    people.ok(register("ann", token=FIRST), come("ann", proof=ByToken(b"first")))
    later = AT + DAY
    (applied,) = people.ok(do("ann", Grant(Token(b"next", later + DAY), PASSWORD), at=later))
    assert ended(applied) == ["ann/ann"]
    assert tokens(people, "ann") == [b"next"]


def test_a_revoked_token_ends_the_sessions_that_came_with_it_and_no_other(people: People) -> None:
    people.ok(register("ann", token=FIRST), come("ann", "home", proof=PASSWORD))
    people.ok(come("ann", "phone", proof=ByToken(b"first")))
    people.ok(come("ann", "tablet", proof=ByToken(b"first")))
    (applied,) = people.ok(do("ann", Revoke(sign_in_id(b"first"), PASSWORD)))
    assert ended(applied) == ["ann/phone", "ann/tablet"]
    assert people.seats("ann") == ["home"]
    assert tokens(people, "ann") == []


def test_one_signs_out_with_the_token_itself(people: People) -> None:
    people.ok(register("ann", token=FIRST))
    people.ok(do("ann", Revoke(sign_in_id(b"first"), ByToken(b"first"))))
    assert people.why(come("ann", proof=ByToken(b"first"))) is Unauthenticated


def test_nobody_revokes_anothers_token(people: People) -> None:
    people.registered("bob")
    people.ok(register("ann", token=FIRST))
    assert people.why(do("bob", Revoke(sign_in_id(b"first"), PASSWORD))) is InvalidCommand


def test_an_account_whose_last_session_was_ended_is_away(people: People) -> None:
    people.seated("bob")
    people.ok(register("ann", token=FIRST), come("ann", proof=ByToken(b"first")))
    people.ok(do("ann", Revoke(sign_in_id(b"first"), PASSWORD)), say("bob", "psst", "@ann"))
    assert people.reply(come("ann", proof=PASSWORD)).away_since == 0


# --- passwords ---


def test_another_password_ends_every_sign_in_but_the_one_it_was_changed_from(
    people: People,
) -> None:
    people.ok(register("ann", token=FIRST), do("ann", Grant(Token(b"kept", AT + DAY), PASSWORD)))
    people.ok(come("ann", "phone", proof=ByToken(b"first")), come("ann", "tab", proof=PASSWORD))
    people.ok(come("ann", "here", proof=ByToken(b"kept")))
    (applied,) = people.ok(do("ann", SetPassword("new", ByToken(b"kept"), keep=b"kept"), "desk"))
    assert ended(applied) == ["ann/phone", "ann/tab"]
    assert tokens(people, "ann") == [b"kept"]


def test_the_session_that_changes_the_password_goes_on(people: People) -> None:
    people.registered("ann")
    people.ok(come("ann", "here", proof=PASSWORD), come("ann", "there", proof=PASSWORD))
    (applied,) = people.ok(do("ann", SetPassword("new", PASSWORD), "here"))
    assert ended(applied) == ["ann/there"]
    people.ok(do("ann", SetPassword("newer", ByPassword(1)), "here"))


def test_of_two_changes_by_one_password_the_first_wins(people: People) -> None:
    people.registered("ann")
    one, two = people.apply(
        do("ann", SetPassword("one", PASSWORD), "x"), do("ann", SetPassword("two", PASSWORD), "y")
    )
    assert not isinstance(one.reply, Unauthenticated)
    assert isinstance(two.reply, Unauthenticated)
    assert people.one("SELECT password FROM accounts") == "one"


def test_who_registered_as_a_guest_ends_the_guests_other_clients_by_changing_the_password(
    people: People,
) -> None:
    people.ok(come("ann"), come("ann", "tab", proof=ByToken(b"token of ann/ann")))
    people.ok(register("ann", "ann"))
    (applied,) = people.ok(do("ann", SetPassword("new", PASSWORD)))
    assert applied.endings == (Ending("ann/tab", REVOKED),)
