"""What the admins of a server may do."""

import pytest

from chat_service.core.commands import (
    AdminBody,
    Announce,
    BanSubject,
    ByPassword,
    ByToken,
    DeleteAccount,
    EndSessions,
    Grant,
    Proof,
    Token,
    UnbanSubject,
    UpdateAccount,
    Vouched,
)
from chat_service.core.errors import (
    Banned,
    InvalidAddress,
    LimitReached,
    NoSuchUser,
    PermissionDenied,
    Refusal,
    Unauthenticated,
)
from chat_service.core.events import REVOKED, Ack, Announcement, GoodbyeReason
from chat_service.core.limits import MAX_SANCTIONS
from chat_service.core.rules.admin import is_network, parse_subject
from tests.core.rules.people import AT, CONSOLE, DAY, PASSWORD, SECOND, People, come, do, register
from tests.state.batches import join, leave, leave_chat, say

# --- who may ---

BODIES: list[AdminBody] = [
    UpdateAccount("bob", PASSWORD, admin=True),
    DeleteAccount("bob", PASSWORD),
    EndSessions("bob", PASSWORD),
    BanSubject("bob", PASSWORD),
    UnbanSubject("bob", PASSWORD),
    Announce("hello", PASSWORD),
]
WHO: list[tuple[str, Proof, type[Refusal] | None]] = [
    (CONSOLE, None, None),
    ("root", PASSWORD, None),
    ("root", ByToken(b"roots"), None),
    ("root", Vouched(), None),
    ("root", None, Unauthenticated),
    ("root", ByPassword(1), Unauthenticated),
    ("root", ByToken(b"anns"), Unauthenticated),
    ("root", ByToken(b"token of root/root"), Unauthenticated),
    ("ann", PASSWORD, PermissionDenied),
    ("ann", None, Unauthenticated),
    ("guest", None, Unauthenticated),
    ("guest", ByToken(b"token of guest/guest"), Unauthenticated),
    ("nobody", Vouched(), Unauthenticated),
]


@pytest.fixture
def town(people: People) -> People:
    """Root, an admin; Ann and Bob with accounts; a guest. All of them are here."""
    people.seated("root", admin=True)
    people.seated("ann", "bob")
    people.ok(come("guest"))
    people.signed_in("root", b"roots")
    people.signed_in("ann", b"anns")
    return people


@pytest.mark.parametrize(("who", "proof", "why"), WHO)
@pytest.mark.parametrize("body", BODIES, ids=lambda it: type(it).__name__)
def test_only_an_admin_who_proves_it_and_the_console_may_do_any_of_it(
    town: People, who: str, proof: Proof, why: type[Refusal] | None, body: AdminBody
) -> None:
    entry = do(who, body.replace(proof=proof))
    if why is None:
        town.ok(entry)
    else:
        assert town.why(entry) is why


@pytest.mark.parametrize(("who", "proof", "why"), WHO)
def test_only_they_make_accounts_for_others(
    town: People, who: str, proof: Proof, why: type[Refusal] | None
) -> None:
    entry = register("new", by=who, proof=proof, admin=True)
    if why is None:
        town.ok(entry)
        assert town.one("SELECT admin FROM accounts WHERE name = 'new'") == 1
    else:
        assert town.why(entry) is why


# --- accounts ---


def test_who_is_made_an_admin_is_one_and_may_be_made_none(town: People) -> None:
    town.ok(do("root", UpdateAccount("ann", PASSWORD, admin=True)))
    town.ok(do("ann", UpdateAccount("root", PASSWORD, admin=False)))
    assert town.why(do("root", Announce("still here?", PASSWORD))) is PermissionDenied


@pytest.mark.parametrize(
    "body", [UpdateAccount("root", None, admin=False), DeleteAccount("root", None)]
)
def test_the_last_admin_stays_one_unless_the_console_says_otherwise(
    town: People, body: UpdateAccount | DeleteAccount
) -> None:
    by_admin = do("root", body.replace(proof=PASSWORD))
    refusal = town.refusal(by_admin)
    assert type(refusal) is PermissionDenied
    assert str(refusal) == "root is the only admin: make another one first"
    town.ok(do("root", UpdateAccount("root", PASSWORD, hash="new")))
    proof = ByPassword(1)
    town.ok(do("root", UpdateAccount("ann", proof, admin=True)))
    town.ok(do("root", body.replace(proof=proof)), do(CONSOLE, body.replace(user="ann")))


def test_a_password_set_by_an_admin_ends_all_that_the_account_had(town: People) -> None:
    (applied,) = town.ok(do("root", UpdateAccount("ann", PASSWORD, hash="new")))
    assert [(it.session, it.goodbye) for it in applied.endings] == [("ann/ann", REVOKED)]
    assert town.why(come("ann", proof=ByToken(b"anns"))) is Unauthenticated
    assert town.why(come("ann", proof=PASSWORD)) is Unauthenticated
    town.ok(come("ann", proof=ByPassword(1)))


@pytest.mark.parametrize("name", ["nobody", "guest"])
@pytest.mark.parametrize("body", [UpdateAccount("", None), DeleteAccount("", None)])
def test_what_is_no_account_is_neither_changed_nor_deleted(
    town: People, body: UpdateAccount | DeleteAccount, name: str
) -> None:
    assert town.why(do(CONSOLE, body.replace(user=name))) is NoSuchUser


def test_a_deleted_account_leaves_its_rooms_and_its_sessions_end(town: People) -> None:
    town.ok(join("ann", "#dev"), join("ann", "#art"))
    (applied,) = town.ok(do("root", DeleteAccount("ann", PASSWORD)))
    assert [it.session for it in applied.endings] == ["ann/ann"]
    assert len(applied.events) == 2
    for proof in (PASSWORD, ByToken(b"anns")):
        assert town.why(come("ann", proof=proof)) is Unauthenticated
    assert town.one("SELECT count(*) FROM tokens WHERE name = 'ann'") == 0


def test_the_name_of_a_deleted_account_is_anyones_and_nothing_else_of_it_is(town: People) -> None:
    town.ok(say("bob", "psst", "@ann"), join("ann", "#dev"))
    former = town.identity("ann")
    town.ok(do("root", DeleteAccount("ann", PASSWORD)))
    entered = town.reply(come("ann", "stranger"))
    assert entered.identity != former
    assert entered.rooms == ("#lobby",)
    town.ok(register("ann", "stranger"))


def test_a_deleted_account_is_nobodys_past_not_even_of_the_guest_who_registered_it(
    people: People,
) -> None:
    people.ok(come("bob"), come("ann", "laptop"), register("ann", "laptop"))
    people.ok(say("bob", "psst", "@ann"))
    former = people.identity("ann")
    people.ok(do(CONSOLE, DeleteAccount("ann", None)))
    assert people.reply(come("ann", "laptop")).identity != former


def test_a_name_is_registered_and_deleted_any_number_of_times(people: People) -> None:
    for _ in range(3):
        people.ok(register("ann"), do(CONSOLE, DeleteAccount("ann", None)))


# --- sessions ---


def test_an_admin_ends_the_sessions_of_a_user_who_may_come_back(town: People) -> None:
    town.ok(come("ann", "phone", proof=PASSWORD))
    (applied,) = town.ok(do("root", EndSessions("ann", PASSWORD, reason="tidying up")))
    assert [it.session for it in applied.endings] == ["ann/ann", "ann/phone"]
    goodbye = applied.endings[0].goodbye
    assert (goodbye.reason, goodbye.message) == (GoodbyeReason.ENDED, "tidying up")
    town.ok(come("ann", proof=PASSWORD))


def test_an_admin_ends_one_session_of_several(town: People) -> None:
    town.ok(come("ann", "phone", proof=PASSWORD))
    (applied,) = town.ok(do("root", EndSessions("ann", PASSWORD, "ann/phone")))
    assert [it.session for it in applied.endings] == ["ann/phone"]
    assert town.seats("ann") == ["ann"]


@pytest.mark.parametrize("body", [EndSessions("nobody", None), EndSessions("ann", None, "bob/bob")])
def test_where_there_is_no_such_session_none_ends(town: People, body: EndSessions) -> None:
    (applied,) = town.ok(do(CONSOLE, body))
    assert applied.endings == ()


def test_who_was_sent_away_finds_what_was_said_meanwhile(town: People) -> None:
    town.ok(do("root", EndSessions("ann", PASSWORD)), say("bob", "psst", "@ann"))
    assert town.reply(come("ann", proof=PASSWORD)).away_since == 0


def test_a_guest_without_an_id_leaves_its_rooms_when_it_is_sent_away(town: People) -> None:
    town.ok(come("cyd", transient=True), join("cyd", "#dev"))
    assert town.events(do("root", EndSessions("cyd", PASSWORD))) == ["cyd left #dev"]


# --- bans ---


def test_a_ban_ends_the_sessions_of_the_name(town: People) -> None:
    (applied,) = town.ok(do("root", BanSubject("guest", PASSWORD, "spam")))
    (ending,) = applied.endings
    assert (ending.session, ending.goodbye.reason) == ("guest/guest", GoodbyeReason.BANNED)
    assert ending.goodbye.message == "you are banned from this server: spam"


def test_a_ban_ends_every_session_from_the_network_and_no_other(town: People) -> None:
    town.ok(
        come("ann", "far", proof=PASSWORD, address="198.51.100.1"),
        come("ann", "near", proof=PASSWORD, address="192.0.2.1"),
        come("cyd", address="192.0.2.2"),
    )
    (applied,) = town.ok(do("root", BanSubject("192.0.2.0/24", PASSWORD)))
    assert [it.session for it in applied.endings] == ["ann/near", "cyd/cyd"]
    assert town.seats("ann") == ["ann", "far"]


def test_who_has_several_sessions_in_a_banned_network_is_away_from_then_on(
    people: People,
) -> None:
    people.seated("bob")
    people.registered("ann")
    clients = ("desktop", "phone")
    people.ok(*(come("ann", it, proof=PASSWORD, address="192.0.2.1") for it in clients))
    people.ok(do(CONSOLE, BanSubject("192.0.2.0/24", None)), say("bob", "psst", "@ann"))
    assert people.reply(come("ann", proof=PASSWORD)).away_since == 0


def test_an_admin_cannot_be_banned_by_name(town: People) -> None:
    assert town.why(do(CONSOLE, BanSubject("root", None))) is PermissionDenied


def test_an_admin_is_at_a_banned_address_and_comes_from_there(people: People) -> None:
    people.registered("root", admin=True)
    people.registered("ann")
    here = "192.0.2.1"
    people.ok(*(come(name, proof=PASSWORD, address=here) for name in ("root", "ann")))
    (applied,) = people.ok(do("root", BanSubject("192.0.2.0/24", PASSWORD)))
    assert [it.session for it in applied.endings] == ["ann/ann"]
    people.ok(come("root", "phone", proof=PASSWORD, address=here))
    people.ok(do("root", Grant(Token(b"t", AT + DAY), PASSWORD, here), "desk"))
    assert people.why(come("root", "thief", address=here)) is Unauthenticated
    assert people.why(do("ann", Grant(Token(b"u", AT + DAY), PASSWORD, here))) is Banned


def test_who_is_no_admin_any_more_is_shut_out_where_the_address_is_banned(people: People) -> None:
    for name in ("root", "ann"):
        people.registered(name, admin=True)
    people.ok(come("ann", "far", proof=PASSWORD, address="198.51.100.1"))
    people.ok(come("ann", "near", proof=PASSWORD, address="192.0.2.1"))
    people.ok(do(CONSOLE, BanSubject("192.0.2.0/24", None)))
    (applied,) = people.ok(do(CONSOLE, UpdateAccount("ann", None, None, False)))
    assert [it.session for it in applied.endings] == ["ann/near"]


def test_a_name_that_was_banned_before_it_was_an_admins_stays_out(people: People) -> None:
    people.registered("ann")
    people.ok(
        do(CONSOLE, BanSubject("ann", None)), do(CONSOLE, UpdateAccount("ann", None, None, True))
    )
    assert people.why(come("ann", proof=PASSWORD)) is Banned


def test_a_ban_that_is_taken_back_lets_in_again(town: People) -> None:
    town.ok(do("root", BanSubject("cyd", PASSWORD)), do("root", UnbanSubject("cyd", PASSWORD)))
    town.ok(come("cyd"))
    assert town.reply(do("root", UnbanSubject("cyd", PASSWORD))) == Ack(duplicate=True)


def test_a_second_ban_takes_the_place_of_the_first(town: People) -> None:
    town.ok(do("root", BanSubject("cyd", PASSWORD, "a", 10.0)))
    town.ok(do("root", BanSubject("cyd", PASSWORD, "b", 90.0)))
    assert "b" in str(town.refusal(come("cyd", at=AT + 60 * SECOND)))


def test_bans_are_limited_in_number_and_those_that_have_ended_do_not_count(people: People) -> None:
    bans = [do(CONSOLE, BanSubject(f"u{n}", None, "", 60.0)) for n in range(MAX_SANCTIONS)]
    people.ok(*bans)
    one_more = do(CONSOLE, BanSubject("one-more", None))
    assert people.why(one_more) is LimitReached
    people.ok(bans[0], one_more.replace(at=AT + 60 * SECOND))
    assert people.one("SELECT count(*) FROM sanctions") == 1


@pytest.mark.parametrize(
    ("text", "normal"),
    [
        ("192.0.2.7", "192.0.2.7/32"),
        ("192.0.2.7/24", "192.0.2.0/24"),
        (" 2001:DB8::1/64 ", "2001:db8::/64"),
        ("Ann", "ann"),
        ("10", "10"),
    ],
)
def test_the_subject_of_a_ban_is_a_network_or_else_a_name(text: str, normal: str) -> None:
    assert parse_subject(text) == normal
    assert is_network(normal) == ("/" in normal)


def test_a_ban_of_ipv4_in_the_clothes_of_ipv6_is_one_of_ipv4(people: People) -> None:
    subject = parse_subject("::ffff:10.0.0.0/104")
    people.ok(do(CONSOLE, BanSubject(subject, None)))
    assert people.why(come("ann", address="10.1.2.3")) is Banned
    people.ok(come("ann", address="11.1.2.3"))
    assert people.why(do(CONSOLE, BanSubject("::ffff:10.0.0.0/104", None))) is InvalidAddress


# --- announcements ---


def test_an_announcement_is_an_event_of_the_lobby(town: People) -> None:
    for who in ("root", CONSOLE):
        (applied,) = town.ok(do(who, Announce("hello", PASSWORD)))
        (event,) = applied.events
        assert (event.topic, event.body) == ("#lobby", Announcement("hello", who, AT))


def test_an_admin_announces_without_being_here(town: People) -> None:
    town.ok(leave_chat("root"), do("root", Announce("hello", PASSWORD)))


def test_what_is_announced_is_no_message_of_the_lobby(town: People) -> None:
    town.ok(do("root", Announce("hello", PASSWORD)), say("ann", "hi"))
    assert town.one("SELECT number FROM topics WHERE name = '#lobby'") == 1


def test_an_empty_room_left_by_a_deleted_account_is_the_next_ones(town: People) -> None:
    town.ok(join("ann", "#dev"), leave("ann", "#dev"), do("root", DeleteAccount("ann", PASSWORD)))
    town.ok(join("bob", "#dev"))
    assert town.one("SELECT owner FROM topics WHERE name = '#dev'") == town.identity("bob")
