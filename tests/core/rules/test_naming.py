"""Whose a name is: guests and their clients, accounts and their proofs."""

import pytest

from chat_service.core.commands import (
    BanSubject,
    ByPassword,
    ByToken,
    DeleteAccount,
    Enter,
    EntryBody,
    Join,
    Leave,
    Moderate,
    Proof,
    Register,
    Revoke,
    Send,
    SetPassword,
    Vouched,
)
from chat_service.core.errors import Banned, LimitReached, NameTaken, Unauthenticated
from chat_service.core.events import NAME_PASSED
from chat_service.core.limits import MAX_SESSIONS
from chat_service.core.moderation import ModerationAction
from chat_service.core.outcome import Ending
from chat_service.core.rules.facts import sign_in_id
from tests.core.rules.people import AT, CONSOLE, DAY, PASSWORD, SECOND, People, come, do, register
from tests.state.batches import join, leave_chat, say

GUESTS_TOKEN = b"token of ann/ann"

# --- guests ---


@pytest.mark.parametrize("transient", [True, False])
def test_a_name_nobody_had_is_claimed_for_a_new_identity(people: People, transient: bool) -> None:
    people.ok(come("ann"), come("bob", transient=transient))
    assert people.identity("bob") != people.identity("ann")
    assert people.one("SELECT transient FROM identities WHERE name = 'bob'") == transient


def test_a_client_takes_its_own_name_over_from_its_older_session(people: People) -> None:
    people.ok(come("ann"))
    identity = people.identity("ann")
    newer = people.reply(come("ann").replace(session="newer"))
    assert newer.identity == identity
    assert people.one("SELECT group_concat(session) FROM seats") == "newer"


def test_a_client_that_returns_is_who_it_was(people: People) -> None:
    (came,) = people.ok(come("ann"))
    people.ok(leave_chat("ann"))
    assert people.reply(come("ann")).identity == came.reply.identity  # type: ignore[union-attr]


def test_a_name_in_use_is_taken(people: People) -> None:
    people.ok(come("ann"))
    refusal = people.refusal(come("ann", "thief"))
    assert (type(refusal), str(refusal)) == (NameTaken, "the name ann is taken")


def test_a_name_that_is_waited_for_is_taken(people: People) -> None:
    people.ok(come("ann"), leave_chat("ann", hold=True))
    assert people.why(come("ann", "thief")) is NameTaken
    people.ok(come("ann"))


def test_a_free_name_passes_to_a_new_identity_and_the_old_one_leaves_its_rooms(
    people: People,
) -> None:
    people.ok(come("ann"), join("ann", "#dev"), join("ann", "#art"), leave_chat("ann"))
    first = people.identity("ann")
    assert people.events(come("ann", "next")) == ["ann left #art", "ann left #dev"]
    assert people.identity("ann") != first


def test_a_name_that_passes_back_finds_its_first_identity(people: People) -> None:
    people.ok(come("ann"))
    first = people.identity("ann")
    people.ok(leave_chat("ann"), come("ann", "next"), leave_chat("ann", "next"), come("ann"))
    assert people.identity("ann") == first


def test_a_session_that_leaves_frees_its_name_but_keeps_its_rooms(people: People) -> None:
    people.ok(come("ann"), join("ann", "#dev"))
    assert people.events(leave_chat("ann")) == []
    assert people.seats("ann") == []
    assert people.reply(come("ann")).rooms == ("#lobby", "#dev")


def test_a_client_without_an_id_leaves_its_rooms_with_its_name(people: People) -> None:
    people.ok(come("ann", transient=True), join("ann", "#dev"), join("ann", "#art"))
    assert people.events(leave_chat("ann")) == ["ann left #art", "ann left #dev"]


@pytest.mark.parametrize("hold", [True, False])
@pytest.mark.parametrize("user", ["ann", "cyd"])
def test_the_end_of_a_session_that_has_no_name_changes_nothing(
    people: People, user: str, hold: bool
) -> None:
    people.ok(come("ann"), join("ann", "#dev"))
    before = people.dump()
    people.ok(leave_chat(user, "superseded", hold=hold))
    assert people.dump() == before


@pytest.mark.parametrize(
    "body",
    [Send("#lobby", "hi"), Join("#new"), Leave("#dev"), Moderate("#dev", ModerationAction.KICK)],
)
def test_who_has_lost_the_name_does_nothing_under_it(people: People, body: EntryBody) -> None:
    people.ok(come("ann"), join("ann", "#dev"))
    refusal = people.refusal(do("ann", body, "superseded"))
    assert type(refusal) is NameTaken
    assert "has passed to another connection" in str(refusal)


# --- several clients of a guest ---


def test_a_guests_token_lets_a_second_client_in_as_the_same_guest(people: People) -> None:
    people.ok(come("ann"))
    second = people.reply(come("ann", "tab", proof=ByToken(GUESTS_TOKEN)))
    assert second.identity == people.identity("ann")
    assert people.seats("ann") == ["ann", "tab"]
    assert not second.account


def test_a_second_clients_token_is_as_good_as_the_first(people: People) -> None:
    people.ok(come("ann"), come("ann", "tab", proof=ByToken(GUESTS_TOKEN)))
    people.ok(come("ann", "phone", proof=ByToken(b"token of ann/tab")))


def test_another_token_proves_no_guest(people: People) -> None:
    people.ok(come("ann"), come("bob"))
    assert people.why(come("ann", "tab", proof=ByToken(b"token of bob/bob"))) is Unauthenticated
    assert people.why(come("cyd", proof=ByToken(GUESTS_TOKEN))) is Unauthenticated


def test_a_guests_token_is_worthless_once_the_name_is_free(people: People) -> None:
    people.ok(come("ann"), leave_chat("ann"))
    assert people.why(come("ann", "tab", proof=ByToken(GUESTS_TOKEN))) is Unauthenticated


def test_a_second_client_keeps_the_name_when_the_first_leaves(people: People) -> None:
    people.ok(come("ann"), come("ann", "tab", proof=ByToken(GUESTS_TOKEN)), join("ann", "#dev"))
    people.ok(leave_chat("ann"))
    assert people.why(come("ann", "thief")) is NameTaken
    people.ok(do("ann", Send("#dev", "still here"), "tab"), come("ann"))


def test_a_second_client_without_an_id_does_not_end_the_guests_identity_with_it(
    people: People,
) -> None:
    people.ok(come("ann"), join("ann", "#dev"))
    people.ok(come("ann", "tab", proof=ByToken(GUESTS_TOKEN), transient=True))
    assert people.events(leave_chat("ann"), leave_chat("ann", "tab")) == []
    assert people.reply(come("ann")).rooms == ("#lobby", "#dev")


def test_a_guest_is_away_when_the_last_of_its_clients_is(people: People) -> None:
    people.ok(come("bob"), come("ann"), come("ann", "tab", proof=ByToken(GUESTS_TOKEN)))
    people.ok(leave_chat("ann", hold=True), say("bob", "1", "@ann"), leave_chat("ann", "tab"))
    assert people.reply(come("ann")).away_since == 1


# --- accounts ---


def test_an_account_needs_a_proof(people: People) -> None:
    people.registered("ann")
    refusal = people.refusal(come("ann"))
    assert type(refusal) is Unauthenticated
    assert str(refusal) == "ann is registered: a password or a token is needed"


@pytest.mark.parametrize("proof", [PASSWORD, ByToken(b"token"), Vouched()])
def test_an_account_is_let_in_with_any_proof(people: People, proof: Proof) -> None:
    people.registered("ann")
    people.signed_in("ann", b"token")
    entered = people.reply(come("ann", proof=proof))
    assert (entered.identity, entered.account) == (people.identity("ann"), True)


def test_a_password_that_was_changed_since_it_was_looked_at_proves_nothing(people: People) -> None:
    people.registered("ann")
    people.ok(do("ann", SetPassword("another hash", PASSWORD), "desk"))
    assert people.why(come("ann", proof=PASSWORD)) is Unauthenticated
    people.ok(come("ann", proof=ByPassword(1)))


def test_a_token_proves_something_until_it_expires_and_not_after(people: People) -> None:
    people.registered("ann")
    people.signed_in("ann", b"token", lasts=DAY)
    assert people.why(come("ann", proof=ByToken(b"token"), at=AT + DAY)) is Unauthenticated
    people.ok(come("ann", proof=ByToken(b"token"), at=AT + DAY - 1))


def test_a_token_that_was_revoked_proves_nothing(people: People) -> None:
    people.registered("ann")
    people.signed_in("ann", b"token 99")
    people.ok(do("ann", Revoke(sign_in_id(b"token 99"), PASSWORD), "desk"))
    assert people.why(come("ann", proof=ByToken(b"token 99"))) is Unauthenticated


@pytest.mark.parametrize("token", [b"bobs", b"nobodys", GUESTS_TOKEN])
def test_another_accounts_token_proves_nothing(people: People, token: bytes) -> None:
    people.registered("ann", "bob")
    people.signed_in("bob", b"bobs")
    assert people.why(come("ann", proof=ByToken(token))) is Unauthenticated


def test_a_guests_token_is_worthless_once_the_name_is_registered(people: People) -> None:
    people.ok(come("ann"), register("ann", "ann"))
    assert people.why(come("ann", "tab", proof=ByToken(GUESTS_TOKEN))) is Unauthenticated


def test_an_account_comes_with_several_clients_at_once(people: People) -> None:
    people.registered("ann")
    clients = ["desktop", "phone", "tab"]
    people.ok(*(come("ann", client, proof=PASSWORD) for client in clients))
    assert people.seats("ann") == clients
    people.ok(*(do("ann", Send("#lobby", client), client) for client in clients))


def test_each_client_of_an_account_numbers_its_own_messages(people: People) -> None:
    people.registered("ann")
    people.ok(come("ann", "desktop", proof=PASSWORD), come("ann", "phone", proof=PASSWORD))
    one = people.reply(do("ann", Send("#lobby", "x", 1), "desktop"))
    two = people.reply(do("ann", Send("#lobby", "y", 1), "phone"))
    assert (one.duplicate, two.duplicate) == (False, False)
    assert people.reply(do("ann", Send("#lobby", "x", 1), "desktop")).duplicate


def test_an_account_keeps_its_rooms_whatever_client_it_came_with(people: People) -> None:
    people.registered("ann")
    people.ok(come("ann", "nc", proof=PASSWORD, transient=True), do("ann", Join("#dev"), "nc"))
    assert people.events(leave_chat("ann", "nc")) == []
    entered = people.reply(come("ann", "other nc", proof=PASSWORD, transient=True))
    assert entered.rooms == ("#lobby", "#dev")


def test_an_account_that_was_never_here_finds_what_was_said_to_it(people: People) -> None:
    people.registered("ann")
    people.ok(come("bob"), say("bob", "welcome", "@ann"))
    assert people.reply(come("ann", proof=PASSWORD)).away_since == 0


def test_the_number_of_connections_is_limited_but_one_may_take_over_from_itself(
    people: People,
) -> None:
    people.registered("ann")
    people.ok(*(come("ann", f"c{n}", proof=PASSWORD) for n in range(MAX_SESSIONS)))
    assert people.why(come("ann", "one more", proof=PASSWORD)) is LimitReached
    people.ok(come("ann", "c0", proof=PASSWORD).replace(session="newer"))
    people.ok(leave_chat("ann", "c1"), come("ann", "one more", proof=PASSWORD))


def test_the_connections_of_a_guest_are_limited_too(people: People) -> None:
    people.ok(come("ann"))
    tabs = [come("ann", f"c{n}", proof=ByToken(GUESTS_TOKEN)) for n in range(1, MAX_SESSIONS)]
    people.ok(*tabs)
    assert people.why(come("ann", "one more", proof=ByToken(GUESTS_TOKEN))) is LimitReached


# --- who is vouched for ---


def test_who_is_vouched_for_has_an_account_from_then_on(people: People) -> None:
    assert people.reply(come("ann", proof=Vouched())).account
    assert people.why(come("ann", "guest")) is Unauthenticated
    people.ok(come("ann", "phone", proof=Vouched()))
    assert people.seats("ann") == ["ann", "phone"]


def test_who_is_vouched_for_has_no_password(people: People) -> None:
    people.ok(come("ann", proof=Vouched()))
    assert people.one("SELECT password FROM accounts WHERE name = 'ann'") is None


def test_who_is_vouched_for_gets_the_name_and_the_guest_who_had_it_goes(people: People) -> None:
    people.ok(come("ann", "guest"), come("ann", "tab", proof=ByToken(b"token of ann/guest")))
    people.ok(do("ann", Join("#dev"), "guest"))
    guest = people.identity("ann")
    (applied,) = people.ok(come("ann", proof=Vouched()))
    assert people.identity("ann") != guest
    assert applied.endings == (
        Ending("ann/guest", NAME_PASSED),
        Ending("ann/tab", NAME_PASSED),
    )
    assert [event.identity for event in applied.events] == [guest]  # has left #dev
    assert people.seats("ann") == ["ann"]


def test_a_name_can_be_vouched_for_again_after_its_account_was_deleted(people: People) -> None:
    people.ok(come("ann", proof=Vouched()))
    first = people.identity("ann")
    people.ok(do(CONSOLE, DeleteAccount("ann", None)), come("ann", proof=Vouched()))
    assert people.identity("ann") != first


# --- names that look alike ---


@pytest.mark.parametrize("proof", [None, Vouched(), ByToken(b"some")])
@pytest.mark.parametrize(
    ("name", "registered"),
    [
        ("\u0430nn", "ann"),  # in Cyrillic
        ("a\u0578n", "ann"),  # in Armenian
        ("i\u0307an", "ian"),  # a dot on a letter that has one
        ("bobi", "bobi\u0307"),
        ("ren\u00e9\u0301", "ren\u00e9"),
    ],
)
def test_nobody_has_a_name_that_looks_like_a_registered_one(
    people: People, name: str, registered: str, proof: Proof
) -> None:
    people.registered(registered)
    refusal = people.refusal(come(name, proof=proof))
    assert type(refusal) is NameTaken
    assert f"looks like {registered}" in str(refusal)
    assert people.why(register(name, by=CONSOLE)) is NameTaken


def test_a_name_that_an_earlier_version_found_to_look_like_none_is_looked_at_again(
    people: People,
) -> None:
    name = "i\u0307an"
    people.ok(do(name, Register("a hash", name, by=CONSOLE)))
    assert people.why(come("ian")) is NameTaken
    assert people.why(do("\u0456\u0307an", Enter(skeleton=name))) is NameTaken


def test_guests_may_look_like_each_other(people: People) -> None:
    people.ok(come("ann"), come("\u0430nn"))


def test_a_guest_stays_beside_an_account_that_looks_like_him_and_does_not_return(
    people: People,
) -> None:
    people.ok(come("\u0430nn"), register("ann"))
    people.ok(say("\u0430nn", "still here"))
    assert people.why(register("\u0430nn", "\u0430nn")) is NameTaken
    people.ok(leave_chat("\u0430nn", hold=True))
    assert people.why(come("\u0430nn")) is NameTaken


# --- bans ---


def ban(subject: str, duration: float | None = None, reason: str = "") -> EntryBody:
    return BanSubject(subject, None, reason, duration)


def test_a_banned_name_is_not_let_in_whatever_proves_it(people: People) -> None:
    people.registered("ann")
    people.ok(do(CONSOLE, ban("ann", reason="spam")), do(CONSOLE, ban("bob")))
    assert people.why(come("bob")) is Banned
    for proof in (PASSWORD, Vouched()):
        refusal = people.refusal(come("ann", proof=proof))
        assert (type(refusal), str(refusal)) == (Banned, "you are banned from this server: spam")
        assert refusal.retry_after is None


def test_why_an_account_is_banned_is_told_to_it_alone(people: People) -> None:
    people.registered("ann")
    people.ok(do(CONSOLE, ban("ann", reason="spam")))
    refusal = people.refusal(come("ann"))
    assert type(refusal) is Unauthenticated
    assert "spam" not in str(refusal)


@pytest.mark.parametrize(
    ("network", "inside", "outside"),
    [
        ("192.0.2.0/24", "192.0.2.77", "192.0.3.1"),
        ("192.0.2.7/32", "192.0.2.7", "192.0.2.8"),
        ("2001:db8::/64", "2001:db8::9", "192.0.2.7"),
    ],
)
def test_nobody_is_let_in_from_a_banned_network(
    people: People, network: str, inside: str, outside: str
) -> None:
    people.registered("ann")
    people.ok(do(CONSOLE, ban(network)))
    assert people.why(come("bob", address=inside)) is Banned
    assert people.why(come("ann", proof=PASSWORD, address=inside)) is Banned
    people.ok(come("bob", address=outside), come("cyd"))


def test_a_ban_ends_by_itself_and_says_when(people: People) -> None:
    people.ok(do(CONSOLE, ban("bob", 60.0)))
    assert people.refusal(come("bob", at=AT + 20 * SECOND)).retry_after == 40.0
    assert people.why(come("bob", at=AT + 60 * SECOND - 1)) is Banned
    people.ok(come("bob", at=AT + 60 * SECOND))
