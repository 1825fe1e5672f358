"""What is read of accounts and sessions."""

from collections.abc import Iterator

import pytest

from chat_service.core.commands import BanSubject, ByToken, SetPassword, Token
from chat_service.state import directory
from chat_service.state.port import AccountRow, BanRow, ConnectionRow, Credentials
from tests.core.rules.people import AT, CONSOLE, DAY, PASSWORD, SECOND, People, come, do, register
from tests.state.batches import leave_chat


@pytest.fixture
def people() -> Iterator[People]:
    """Root, an admin; Ann, with a token; Gus, a guest."""
    people = People()
    people.registered("root", admin=True)
    people.ok(register("ann", token=Token(b"anns", AT + DAY, "phone")), come("gus"))
    yield people
    people.close()


def test_the_credentials_of_an_account_count_its_passwords(people: People) -> None:
    assert directory.credentials(people.db, "ann") == Credentials("a hash", 0)
    people.ok(do("ann", SetPassword("another", PASSWORD)))
    assert directory.credentials(people.db, "ann") == Credentials("another", 1)


def test_a_guest_has_none(people: People) -> None:
    assert directory.credentials(people.db, "gus") is None


@pytest.mark.parametrize(
    ("token", "user"), [(b"anns", "ann"), (b"token of gus/gus", "gus"), (b"nobodys", None)]
)
def test_a_token_tells_whose_it_is(people: People, token: bytes, user: str | None) -> None:
    assert directory.bearer(people.db, token) == user


@pytest.mark.parametrize(("name", "admin"), [("root", True), ("ann", False), ("gus", False)])
def test_an_admin_is_known_by_name(people: People, name: str, admin: bool) -> None:
    assert directory.is_admin(people.db, name) == admin


def test_a_token_is_listed_with_the_sessions_that_came_with_it_until_it_expires(
    people: People,
) -> None:
    people.ok(*(come("ann", client, proof=ByToken(b"anns")) for client in ("one", "two")))
    people.ok(leave_chat("ann", "two", hold=True), come("ann", "three", proof=PASSWORD))
    (row,) = directory.sign_ins(people.db, "ann", AT + DAY - 1)
    assert row == (b"anns", "phone", AT, AT + DAY, 1)
    assert directory.sign_ins(people.db, "ann", AT + DAY) == []


def test_connections_are_listed_by_name_and_session(people: People) -> None:
    people.ok(come("ann", "two", proof=PASSWORD, address="192.0.2.1"))
    people.ok(come("ann", "one", proof=PASSWORD, at=AT + 1), leave_chat("gus", hold=True))
    anns = [
        ConnectionRow("ann/one", "ann", "", AT + 1, False),
        ConnectionRow("ann/two", "ann", "192.0.2.1", AT, False),
    ]
    assert directory.connections(people.db, "ann") == anns
    guest = ConnectionRow("gus/gus", "gus", "", AT, True)
    assert directory.connections(people.db, "") == [*anns, guest]


def test_bans_are_listed_until_they_end(people: People) -> None:
    people.ok(
        do(CONSOLE, BanSubject("192.0.2.0/24", None, "floods")),
        do("root", BanSubject("gus", PASSWORD, "spam", 60.0)),
    )
    for_good = BanRow("192.0.2.0/24", 0, "floods", "")
    until = AT + 60 * SECOND
    assert directory.bans(people.db, until - 1) == [for_good, BanRow("gus", until, "spam", "root")]
    assert directory.bans(people.db, until) == [for_good]


def test_accounts_are_listed_in_pages(people: People) -> None:
    assert directory.count_accounts(people.db) == 2
    ann, root = AccountRow("ann", False, True, AT), AccountRow("root", True, True, AT)
    assert directory.accounts(people.db, "", 9) == [ann, root]
    assert directory.accounts(people.db, "", 1) == [ann]
    assert directory.accounts(people.db, "ann", 9) == [root]
