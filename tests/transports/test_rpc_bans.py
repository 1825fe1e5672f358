"""Who is banned from a server by its operators: by name, by address, for a while or for good."""

from typing import Any

import grpc
import pytest
from google.protobuf.duration_pb2 import Duration

from chat.v1 import events_pb2
from chat.v1.accounts_pb2 import LoginRequest, RegisterRequest
from chat.v1.admin_pb2 import (
    BanRequest,
    ListBansRequest,
    UnbanRequest,
)
from chat_service.node import Node
from tests.accounts import PASSWORD, Call, failure, make_account
from tests.conftest import StartNode
from tests.faults.clock import Clock
from tests.transports.conftest import Dial, Enter, OpenStream
from tests.transports.stream import Stream

STATUS = grpc.StatusCode


@pytest.fixture
async def root(node: Node) -> str:
    """The token of an admin."""
    return await make_account(node, "root", admin=True)


async def is_banned(stream: Stream, user: str, **fields: Any) -> events_pb2.Error:
    """Say hello in vain."""
    reply = await stream.hello(user, **fields)
    assert reply.error.code == events_pb2.ERROR_CODE_BANNED
    await stream.sent_away(STATUS.PERMISSION_DENIED, events_pb2.GOODBYE_REASON_BANNED)
    return reply.error


async def test_a_banned_guest_is_out_and_does_not_come_in_again(
    node: Node, call: Call, enter: Enter, open_stream: OpenStream, dial: Dial, root: str
) -> None:
    bob, ann = await enter(node, "bob", "bob's"), await enter(node, "ann")
    request = BanRequest(user="Bob", reason="spam")
    assert (await call(node, request, root)).ended == 1
    told = await bob.sent_away(STATUS.PERMISSION_DENIED, events_pb2.GOODBYE_REASON_BANNED)
    assert told == "you are banned from this server: spam"
    error = await is_banned(open_stream(node), "BOB")
    assert not error.HasField("retry_after")
    line = await dial(node)
    line.send("bob\n")
    await line.hears("! you are banned from this server: spam")
    await line.until_ended()
    await ann.ping()


async def test_a_banned_account_has_no_way_in(
    node: Node, call: Call, enter: Enter, open_stream: OpenStream, root: str
) -> None:
    token = await make_account(node, "bob")
    bob = await enter(node, "bob", token=token)
    await call(node, BanRequest(user="bob"), root)
    await bob.sent_away(STATUS.PERMISSION_DENIED, events_pb2.GOODBYE_REASON_BANNED)
    await is_banned(open_stream(node), "bob", token=token)
    await is_banned(open_stream(node), "bob", password=PASSWORD)
    refused = await failure(call(node, LoginRequest(user="bob", password=PASSWORD)))
    assert (refused.code, refused.reason) == (STATUS.PERMISSION_DENIED, "BANNED")


async def test_a_banned_name_cannot_be_registered(node: Node, call: Call, root: str) -> None:
    await call(node, BanRequest(user="bob"), root)
    refused = await failure(call(node, RegisterRequest(user="bob", password=PASSWORD)))
    assert (refused.code, refused.reason) == (STATUS.PERMISSION_DENIED, "BANNED")


async def test_a_ban_ends_by_itself(
    clock: Clock,
    start_node: StartNode,
    call: Call,
    enter: Enter,
    open_stream: OpenStream,
    dial: Dial,
) -> None:
    node = await start_node()
    root = await make_account(node, "root", admin=True)
    await call(node, BanRequest(user="bob", duration=Duration(seconds=60)), root)
    (ban,) = (await call(node, ListBansRequest(), root)).bans
    assert ban.until.ToMicroseconds() == clock.now + 60_000_000
    clock.advance(30)
    error = await is_banned(open_stream(node), "bob")
    assert error.retry_after.seconds == 30
    line = await dial(node)
    line.send("bob\n")
    await line.hears("! you are banned from this server (try again in 30 s)")
    clock.advance(30)
    await enter(node, "bob")
    assert not (await call(node, ListBansRequest(), root)).bans


@pytest.mark.parametrize("subject", ["127.0.0.1", "127.0.0.0/8", " 127.1.2.3/8 "])
async def test_a_banned_address_or_network_keeps_everybody_out(
    node: Node,
    call: Call,
    enter: Enter,
    open_stream: OpenStream,
    dial: Dial,
    root: str,
    subject: str,
) -> None:
    bob, ann = await enter(node, "bob"), await dial(node, "ann")
    assert (await call(node, BanRequest(address=subject), root)).ended == 2
    await bob.sent_away(STATUS.PERMISSION_DENIED, events_pb2.GOODBYE_REASON_BANNED)
    await ann.until_ended()
    await is_banned(open_stream(node), "cyd")
    await call(node, UnbanRequest(address=subject), root)
    await enter(node, "cyd")


async def test_an_admin_who_bans_his_own_address_is_not_locked_out(
    node: Node, call: Call, enter: Enter, dial: Dial, root: str
) -> None:
    stays = await enter(node, "root", token=root)
    await call(node, BanRequest(address="127.0.0.1"), root)
    await stays.ping()
    await enter(node, "root", token=root)
    signed_in = await call(node, LoginRequest(user="root", password=PASSWORD))
    await (await dial(node)).sign_in("root", PASSWORD)
    await call(node, UnbanRequest(address="127.0.0.1"), signed_in.session.token)
    await enter(node, "cyd")


async def test_from_a_banned_address_nobody_registers_or_signs_in(
    node: Node, call: Call, root: str
) -> None:
    await make_account(node, "bob")
    await call(node, BanRequest(address="127.0.0.1"), root)
    for request in (
        RegisterRequest(user="cyd", password=PASSWORD),
        LoginRequest(user="bob", password=PASSWORD),
    ):
        refused = await failure(call(node, request))
        assert (refused.code, refused.reason) == (STATUS.PERMISSION_DENIED, "BANNED")


async def test_a_ban_of_another_network_is_felt_by_nobody_here(
    node: Node, call: Call, enter: Enter, root: str
) -> None:
    bob = await enter(node, "bob")
    for subject in ("192.0.2.0/24", "2001:db8::/32"):
        assert (await call(node, BanRequest(address=subject), root)).ended == 0
    await bob.ping()
    await enter(node, "ann")


async def test_bans_are_listed_and_taken_back(node: Node, call: Call, root: str) -> None:
    await call(node, BanRequest(user="bob", reason="spam"), root)
    await call(node, BanRequest(address="192.0.2.7"), root)
    bans = (await call(node, ListBansRequest(), root)).bans
    told = [(it.user, it.address, it.reason, it.by, it.HasField("until")) for it in bans]
    assert told == [("", "192.0.2.7/32", "", "root", False), ("bob", "", "spam", "root", False)]
    await call(node, UnbanRequest(user="bob"), root)
    await call(node, UnbanRequest(user="bob"), root)
    assert [it.address for it in (await call(node, ListBansRequest(), root)).bans] == [
        "192.0.2.7/32"
    ]


async def test_what_cannot_be_banned_is_refused(node: Node, call: Call, root: str) -> None:
    for request, code in (
        (BanRequest(), STATUS.INVALID_ARGUMENT),
        (BanRequest(user="not a name"), STATUS.INVALID_ARGUMENT),
        (BanRequest(address="300.1.1.1"), STATUS.INVALID_ARGUMENT),
        (BanRequest(address="bob"), STATUS.INVALID_ARGUMENT),
        (BanRequest(user="bob", reason="x" * 257), STATUS.INVALID_ARGUMENT),
        (BanRequest(user="bob", duration=Duration(seconds=0)), STATUS.INVALID_ARGUMENT),
        (BanRequest(user="bob", duration=Duration(seconds=-1)), STATUS.INVALID_ARGUMENT),
        (BanRequest(user="root"), STATUS.PERMISSION_DENIED),
    ):
        assert (await failure(call(node, request, root))).code is code, request
    assert not (await call(node, ListBansRequest(), root)).bans
