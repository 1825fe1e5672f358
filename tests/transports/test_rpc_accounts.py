"""Accounts over gRPC: to make one, to sign in and out, and what becomes of the streams."""

import asyncio

import grpc
import pytest

from chat.v1 import commands_pb2, events_pb2
from chat.v1.accounts_pb2 import (
    ChangePasswordRequest,
    ListSessionsRequest,
    LoginRequest,
    LogoutRequest,
    RegisterRequest,
    RevokeSessionRequest,
    SignIn,
)
from chat_service.node import Node
from tests.accounts import PASSWORD, Call, failure, make_account
from tests.conftest import StartNode
from tests.transports.conftest import Enter, OpenStream
from tests.transports.stream import Stream

OTHER_PASSWORD = "battery staple"

STATUS = grpc.StatusCode


async def sign_in(node: Node, call: Call, user: str, label: str = "") -> str:
    """Sign in with PASSWORD and return the token."""
    response = await call(node, LoginRequest(user=user, password=PASSWORD, label=label))
    token: str = response.session.token
    return token


async def sign_ins(node: Node, call: Call, token: str) -> list[SignIn]:
    """Return the caller's tokens, as ListSessions tells of them."""
    return list((await call(node, ListSessionsRequest(), token)).sessions)


async def is_revoked(stream: Stream) -> None:
    """Wait for the end of a stream whose credential is no longer good."""
    await stream.sent_away(STATUS.UNAUTHENTICATED, events_pb2.GOODBYE_REASON_REVOKED)


# --- Register ---


async def test_who_registers_is_signed_in_and_nobody_else_gets_the_name(
    node: Node, call: Call, enter: Enter, open_stream: OpenStream
) -> None:
    response = await call(node, RegisterRequest(user="Bob", password=PASSWORD))
    assert response.session.user == "bob"
    bob = await enter(node, "bob", token=response.session.token)
    assert not bob.welcome.token
    thief = open_stream(node)
    reply = await thief.hello("bob")
    assert reply.error.code == events_pb2.ERROR_CODE_UNAUTHENTICATED
    assert await thief.ended() is STATUS.UNAUTHENTICATED
    await bob.ping()


async def test_of_many_who_register_one_name_at_once_one_wins(node: Node, call: Call) -> None:
    spellings = ["bob", "Bob", "BOB", "b\N{CYRILLIC SMALL LETTER O}b", "b0b"]
    registering = [call(node, RegisterRequest(user=it, password=PASSWORD)) for it in spellings]
    results = await asyncio.gather(*registering, return_exceptions=True)
    refused = [it.code() for it in results if isinstance(it, grpc.aio.AioRpcError)]
    assert refused == [STATUS.ALREADY_EXISTS] * 4


@pytest.mark.parametrize(
    ("alike", "code"),
    [
        ("bob", STATUS.ALREADY_EXISTS),
        ("BOB", STATUS.ALREADY_EXISTS),
        ("b\N{CYRILLIC SMALL LETTER O}b", STATUS.ALREADY_EXISTS),
        ("b\N{GREEK SMALL LETTER OMICRON}b", STATUS.ALREADY_EXISTS),
        ("b0b", STATUS.ALREADY_EXISTS),
        ("\N{FULLWIDTH LATIN SMALL LETTER B}ob", STATUS.ALREADY_EXISTS),
        ("bo\N{ZERO WIDTH SPACE}b", STATUS.INVALID_ARGUMENT),
        ("bo\N{ZERO WIDTH JOINER}b", STATUS.INVALID_ARGUMENT),
        ("bo\N{SOFT HYPHEN}b", STATUS.INVALID_ARGUMENT),
        ("\N{RIGHT-TO-LEFT OVERRIDE}bob", STATUS.INVALID_ARGUMENT),
        ("bob ", STATUS.INVALID_ARGUMENT),
        ("b ob", STATUS.INVALID_ARGUMENT),
        ("bob\N{NO-BREAK SPACE}", STATUS.INVALID_ARGUMENT),
    ],
    ids=ascii,
)
async def test_a_name_that_looks_like_an_account_is_nobodys(
    node: Node, call: Call, open_stream: OpenStream, alike: str, code: STATUS
) -> None:
    await make_account(node, "bob")
    refused = await failure(call(node, RegisterRequest(user=alike, password=PASSWORD)))
    assert refused.code is code
    guest = open_stream(node)
    assert (await guest.hello(alike)).HasField("error")
    assert await guest.ended() in (code, STATUS.UNAUTHENTICATED)


async def test_a_guest_who_registers_keeps_connection_rooms_and_conversations(
    node: Node, call: Call, enter: Enter
) -> None:
    ann, guest = await enter(node, "ann", "ann's"), await enter(node, "bob", "bob's")
    await guest.join("#dev")
    await ann.say("psst", to="@bob")
    await guest.hears_text("psst")
    request = RegisterRequest(user="bob", password=PASSWORD)
    token = (await call(node, request, guest.welcome.token)).session.token
    await guest.ping()
    bob = await enter(node, "bob", "another client", token=token)
    assert list(bob.welcome.rooms) == ["#lobby", "#dev"]
    page = await bob.ask(history=commands_pb2.History(to="@ann"))
    assert [event.message.text for event in page.history.events] == ["psst"]
    await guest.say("still here")


async def test_a_guest_without_an_id_keeps_the_rooms_as_well(
    node: Node, call: Call, enter: Enter
) -> None:
    guest = await enter(node, "bob")
    await guest.join("#dev")
    request = RegisterRequest(user="bob", password=PASSWORD)
    token = (await call(node, request, guest.welcome.token)).session.token
    await guest.leave()
    bob = await enter(node, "bob", token=token)
    assert list(bob.welcome.rooms) == ["#lobby", "#dev"]


async def test_a_stranger_cannot_register_the_name_of_a_guest_who_is_here(
    node: Node, call: Call, enter: Enter
) -> None:
    bob, ann = await enter(node, "bob", "bob's"), await enter(node, "ann", "ann's")
    for token in ("", ann.welcome.token, "cst_forged"):
        request = RegisterRequest(user="bob", password=PASSWORD)
        refused = await failure(call(node, request, token))
        assert (refused.code, refused.reason) == (STATUS.ALREADY_EXISTS, "NAME_TAKEN")
    await bob.ping()


async def test_who_registers_the_name_of_a_guest_who_left_learns_nothing_of_the_guest(
    node: Node, call: Call, enter: Enter
) -> None:
    ann, guest = await enter(node, "ann", "ann's"), await enter(node, "bob", "bob's")
    await guest.join("#dev")
    await ann.say("for the guest", to="@bob")
    await guest.leave()
    token = (await call(node, RegisterRequest(user="bob", password=PASSWORD))).session.token
    bob = await enter(node, "bob", "bob's", backlog=100, token=token)
    assert list(bob.welcome.rooms) == ["#lobby"]
    page = await bob.ask(history=commands_pb2.History(to="@ann"))
    assert not page.history.events
    assert not bob.texts


async def test_the_rooms_of_a_guest_who_left_are_left_when_the_name_is_registered(
    node: Node, call: Call, enter: Enter
) -> None:
    ann, guest = await enter(node, "ann", "ann's"), await enter(node, "bob", "bob's")
    for stream in (ann, guest):
        await stream.join("#dev")
    await guest.leave()
    token = (await call(node, RegisterRequest(user="bob", password=PASSWORD))).session.token
    await ann.hears(lambda event: event.left.user == "bob")
    await enter(node, "bob", token=token)
    roster = (await ann.ask(who=commands_pb2.Who(to="#dev"))).roster
    assert [it.user for it in roster.members] == ["ann"]


@pytest.mark.parametrize("password", ["", "short", "x" * 257, "line\nend here"])
async def test_what_cannot_be_a_password_is_refused(node: Node, call: Call, password: str) -> None:
    refused = await failure(call(node, RegisterRequest(user="bob", password=password)))
    assert refused.code is STATUS.INVALID_ARGUMENT
    assert not password or password not in refused.words


async def test_a_label_is_short_and_printable(node: Node, call: Call) -> None:
    for label in ("x" * 65, "bell\x07"):
        request = RegisterRequest(user="bob", password=PASSWORD, label=label)
        assert (await failure(call(node, request))).code is STATUS.INVALID_ARGUMENT


# --- Logout, RevokeSession, ListSessions ---


async def test_who_signs_out_ends_the_streams_of_that_token_alone(
    node: Node, call: Call, enter: Enter
) -> None:
    await make_account(node, "bob")
    gone, stays = [await sign_in(node, call, "bob") for _ in range(2)]
    tabs = [await enter(node, "bob", f"tab {it}", token=gone) for it in range(3)]
    other = await enter(node, "bob", "other", token=stays)
    typed = await enter(node, "bob", "typed", password=PASSWORD)
    await call(node, LogoutRequest(), gone)
    for tab in tabs:
        await is_revoked(tab)
    await other.ping()
    await typed.ping()
    assert (await failure(call(node, ListSessionsRequest(), gone))).code is STATUS.UNAUTHENTICATED
    assert (await failure(call(node, LogoutRequest(), gone))).code is STATUS.UNAUTHENTICATED


async def test_sessions_are_listed_with_labels_times_and_streams(
    node: Node, call: Call, enter: Enter
) -> None:
    laptop = (
        await call(node, RegisterRequest(user="bob", password=PASSWORD, label="laptop"))
    ).session
    phone = await sign_in(node, call, "bob", "phone")
    for tab in ("one", "two"):
        await enter(node, "bob", tab, token=phone)
    first, second = await sign_ins(node, call, laptop.token)
    assert [first.label, second.label] == ["laptop", "phone"]
    assert [first.current, second.current] == [True, False]
    assert [first.streams, second.streams] == [0, 2]
    assert first.expires_at == laptop.expires_at
    assert first.created_at.seconds < first.expires_at.seconds
    assert first.id != second.id
    assert laptop.token not in str(first)
    assert [it.current for it in await sign_ins(node, call, phone)] == [False, True]


async def test_a_lost_stream_is_not_counted(node: Node, call: Call, enter: Enter) -> None:
    token = await make_account(node, "bob")
    bob = await enter(node, "bob", "tab", token=token)
    assert [it.streams for it in await sign_ins(node, call, token)] == [1]
    bob.vanish()
    deadline = asyncio.get_running_loop().time() + 5
    while [it.streams for it in await sign_ins(node, call, token)] != [0]:
        assert asyncio.get_running_loop().time() < deadline


async def test_a_revoked_session_ends_its_streams_at_once(
    node: Node, call: Call, enter: Enter, open_stream: OpenStream
) -> None:
    own = await make_account(node, "bob")
    stolen = await sign_in(node, call, "bob", "stolen")
    thief, bob = (
        await enter(node, "bob", "1", token=stolen),
        await enter(node, "bob", "2", token=own),
    )
    (id_,) = [it.id for it in await sign_ins(node, call, own) if not it.current]
    await call(node, RevokeSessionRequest(id=id_), own)
    await is_revoked(thief)
    await bob.ping()
    reply = await open_stream(node).hello("bob", token=stolen)
    assert reply.error.code == events_pb2.ERROR_CODE_UNAUTHENTICATED
    refused = await failure(call(node, RevokeSessionRequest(id=id_), own))
    assert refused.code is STATUS.INVALID_ARGUMENT


async def test_nobody_revokes_or_sees_the_session_of_another(
    node: Node, call: Call, enter: Enter
) -> None:
    ann, bob = await make_account(node, "ann"), await make_account(node, "bob")
    stream = await enter(node, "bob", token=bob)
    (id_,) = [it.id for it in await sign_ins(node, call, bob)]
    assert id_ not in [it.id for it in await sign_ins(node, call, ann)]
    refused = await failure(call(node, RevokeSessionRequest(id=id_), ann))
    never = await failure(call(node, RevokeSessionRequest(id="0" * 16), ann))
    assert refused == never
    await stream.ping()


# --- ChangePassword ---


async def test_a_new_password_ends_everything_but_the_token_that_it_came_with(
    node: Node, call: Call, enter: Enter
) -> None:
    await make_account(node, "bob")
    own, other = [await sign_in(node, call, "bob") for _ in range(2)]
    stays = await enter(node, "bob", "own", token=own)
    gone = await enter(node, "bob", "other", token=other)
    typed = await enter(node, "bob", "typed", password=PASSWORD)
    request = ChangePasswordRequest(old_password=PASSWORD, new_password=OTHER_PASSWORD)
    await call(node, request, own)
    await is_revoked(gone)
    await is_revoked(typed)
    await stays.ping()
    assert [it.current for it in await sign_ins(node, call, own)] == [True]
    old = LoginRequest(user="bob", password=PASSWORD)
    assert (await failure(call(node, old))).code is STATUS.UNAUTHENTICATED
    await call(node, LoginRequest(user="bob", password=OTHER_PASSWORD))


async def test_a_password_is_changed_only_with_the_old_one(node: Node, call: Call) -> None:
    token = await make_account(node, "bob")
    request = ChangePasswordRequest(old_password=OTHER_PASSWORD, new_password=OTHER_PASSWORD)
    assert (await failure(call(node, request, token))).code is STATUS.UNAUTHENTICATED
    await sign_in(node, call, "bob")


async def test_a_password_that_cannot_be_one_changes_nothing(node: Node, call: Call) -> None:
    token = await make_account(node, "bob")
    request = ChangePasswordRequest(old_password=PASSWORD, new_password="short")
    assert (await failure(call(node, request, token))).code is STATUS.INVALID_ARGUMENT
    await sign_in(node, call, "bob")


# --- who may register ---


async def test_a_server_whose_registration_is_closed_makes_no_accounts(
    start_node: StartNode, call: Call, enter: Enter
) -> None:
    node = await start_node(registration="closed")
    refused = await failure(call(node, RegisterRequest(user="bob", password=PASSWORD)))
    assert refused.code is STATUS.PERMISSION_DENIED
    assert "registration is closed" in refused.words
    await make_account(node, "ann")
    await sign_in(node, call, "ann")
    await enter(node, "bob")
