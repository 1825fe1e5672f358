"""What the operators of a server may do over gRPC, and nobody else."""

import asyncio

import grpc
import pytest
from google.protobuf.message import Message

from chat.v1 import commands_pb2, events_pb2
from chat.v1.accounts_pb2 import ListSessionsRequest, LoginRequest
from chat.v1.admin_pb2 import (
    DESCRIPTOR,
    AnnounceRequest,
    BanRequest,
    CreateAccountRequest,
    DeleteAccountRequest,
    DrainRequest,
    EndConnectionsRequest,
    GetStatisticsRequest,
    ListAccountsRequest,
    ListBansRequest,
    ListConnectionsRequest,
    UnbanRequest,
    UpdateAccountRequest,
)
from chat_service import __version__
from chat_service.node import Node
from tests.accounts import PASSWORD, Call, failure, make_account
from tests.conftest import StartNode
from tests.processes import StartServer
from tests.transports.conftest import Dial, Enter
from tests.transports.stream import Stream
from tests.waiting import until

STATUS = grpc.StatusCode

EVERY_CALL: list[Message] = [
    ListConnectionsRequest(),
    EndConnectionsRequest(user="bob"),
    BanRequest(user="bob"),
    UnbanRequest(user="bob"),
    ListBansRequest(),
    AnnounceRequest(text="hello"),
    DrainRequest(),
    GetStatisticsRequest(),
    ListAccountsRequest(),
    CreateAccountRequest(user="mine", password=PASSWORD, admin=True),
    UpdateAccountRequest(user="bob", admin=True),
    DeleteAccountRequest(user="bob"),
]


@pytest.fixture
async def root(node: Node) -> str:
    """The token of an admin."""
    return await make_account(node, "root", admin=True)


# --- who may ---


def test_no_call_is_forgotten_here() -> None:
    of_contract = DESCRIPTOR.services_by_name["Admin"].methods
    assert {it.DESCRIPTOR for it in EVERY_CALL} == {method.input_type for method in of_contract}


@pytest.fixture
async def tokens(node: Node, call: Call, enter: Enter, root: str) -> dict[str, str]:
    """What those show who are no admins, and the name of each."""
    former = await make_account(node, "former", admin=True)
    await call(node, UpdateAccountRequest(user="former", admin=False), root)
    return {
        "nothing": "",
        "nonsense": "cst_nonsense",
        "a guest's token": (await enter(node, "guest")).welcome.token,
        "an account's token": await make_account(node, "bob"),
        "a former admin's": former,
    }


@pytest.mark.parametrize("request_", EVERY_CALL, ids=lambda it: type(it).__name__)
async def test_only_admins_are_answered(
    node: Node, call: Call, tokens: dict[str, str], root: str, request_: Message
) -> None:
    codes = {who: (await failure(call(node, request_, it))).code for who, it in tokens.items()}
    assert codes == {
        "nothing": STATUS.UNAUTHENTICATED,
        "nonsense": STATUS.UNAUTHENTICATED,
        "a guest's token": STATUS.UNAUTHENTICATED,
        "an account's token": STATUS.PERMISSION_DENIED,
        "a former admin's": STATUS.PERMISSION_DENIED,
    }
    accounts = (await call(node, ListAccountsRequest(), root)).accounts
    assert [(it.user, it.admin) for it in accounts] == [
        ("bob", False), ("former", False), ("root", True),
    ]  # fmt: skip
    assert not (await call(node, ListBansRequest(), root)).bans
    await call(node, request_, root)


# --- connections ---


async def test_connections_are_listed_on_every_transport(
    node: Node, call: Call, enter: Enter, dial: Dial, root: str
) -> None:
    bob, _ = await enter(node, "bob", "bob's"), await dial(node, "ann")
    listed = (await call(node, ListConnectionsRequest(), root)).connections
    assert [(it.user, it.address, it.lost) for it in listed] == [
        ("ann", "127.0.0.1", False), ("bob", "127.0.0.1", False),
    ]  # fmt: skip
    (of_bob,) = (await call(node, ListConnectionsRequest(user="Bob"), root)).connections
    assert of_bob.session_id == bob.welcome.session_id
    assert of_bob.entered_at.seconds > 0


async def test_an_admin_ends_all_connections_of_a_user_who_may_come_back(
    node: Node, call: Call, enter: Enter, root: str
) -> None:
    bob = await enter(node, "bob", "one")
    other = await enter(node, "bob", "two", token=bob.welcome.token)
    ann = await enter(node, "ann")
    request = EndConnectionsRequest(user="bob", reason="go to bed")
    assert (await call(node, request, root)).ended == 2
    for stream in (bob, other):
        told = await stream.sent_away(STATUS.ABORTED, events_pb2.GOODBYE_REASON_ENDED)
        assert told == "go to bed"
    await ann.hears_presence("bob", online=False)
    await enter(node, "bob", "one")


async def test_an_admin_ends_one_connection_of_a_user(
    node: Node, call: Call, enter: Enter, root: str
) -> None:
    token = await make_account(node, "bob")
    gone, stays = [await enter(node, "bob", it, token=token) for it in ("one", "two")]
    request = EndConnectionsRequest(user="bob", session_id=gone.welcome.session_id)
    assert (await call(node, request, root)).ended == 1
    await gone.sent_away(STATUS.ABORTED, events_pb2.GOODBYE_REASON_ENDED)
    await stays.ping()
    assert (await call(node, request, root)).ended == 0


# --- to everyone ---


async def test_an_announcement_reaches_everyone_and_waits_for_those_who_resume(
    node: Node, call: Call, enter: Enter, dial: Dial, root: str
) -> None:
    bob, ann = await enter(node, "bob", "bob's"), await dial(node, "ann")
    away = await enter(node, "cyd", "cyd's")
    cursor = away.cursor
    await away.leave()
    seq = (await call(node, AnnounceRequest(text="we move at noon"), root)).seq
    heard = await bob.hears(lambda event: event.announcement.text == "we move at noon")
    assert (heard.seq, heard.announcement.by) == (seq, "root")
    await ann.hears_like(lambda line: "we move at noon" in line)
    back = await enter(node, "cyd", "cyd's", resume=cursor)
    await back.hears(lambda event: event.seq == seq)


async def test_an_announcement_says_something(node: Node, call: Call, root: str) -> None:
    for text in ("", "  ", "x" * 4097):
        refused = await failure(call(node, AnnounceRequest(text=text), root))
        assert refused.code is STATUS.INVALID_ARGUMENT


async def test_statistics_tell_how_the_server_is_doing(
    node: Node, call: Call, enter: Enter, root: str
) -> None:
    bob = await enter(node, "bob", "one")
    await enter(node, "bob", "two", token=bob.welcome.token)
    last = (await bob.say("hello")).ack.seq
    told = await call(node, GetStatisticsRequest(), root)
    assert (told.version, told.epoch, told.seq) == (__version__, bob.welcome.cursor.epoch, last)
    assert (told.connections, told.users, told.accounts) == (2, 1, 1)
    assert told.started_at.seconds > 0
    assert told.HasField("loop_lag_p99")


async def test_statistics_of_a_node_on_its_own_show_it_as_the_only_one(
    start_node: StartNode, call: Call
) -> None:
    node = await start_node(node="earth")
    root = await make_account(node, "root", admin=True)
    await until(node.watch.nodes, what="its own heartbeat")
    told = await call(node, GetStatisticsRequest(), root)
    assert (told.node, told.position, told.digest, told.diverged) == ("earth", 0, "", 0)
    (it,) = told.nodes
    assert (it.name, it.version, it.live, it.diverged) == ("earth", __version__, True, False)


async def test_drain_shuts_the_server_down_as_a_signal_does(
    start_node: StartNode, server_process: StartServer, call: Call
) -> None:
    node = await start_node()
    root = await make_account(node, "root", admin=True)
    await node.stop()
    server = server_process()  # on the same data
    bob = await Stream.open(server).enter("bob")
    await call(server, DrainRequest(), root)
    assert await bob.ended() is STATUS.UNAVAILABLE
    assert bob.events[-1].goodbye.reason == events_pb2.GOODBYE_REASON_SHUTDOWN
    await bob.hang_up()
    assert await server.exit_status() == 0


# --- accounts ---


async def test_an_admin_makes_an_account_also_where_registration_is_closed(
    start_node: StartNode, call: Call
) -> None:
    node = await start_node(registration="closed")
    root = await make_account(node, "root", admin=True)
    request = CreateAccountRequest(user="Bob", password=PASSWORD, admin=True)
    assert (await call(node, request, root)).user == "bob"
    token = (await call(node, LoginRequest(user="bob", password=PASSWORD))).session.token
    await call(node, ListBansRequest(), token)
    for taken in ("bob", "b0b"):
        request = CreateAccountRequest(user=taken, password=PASSWORD)
        assert (await failure(call(node, request, root))).code is STATUS.ALREADY_EXISTS


async def test_an_account_of_a_guest_who_is_here_is_not_made_by_another(
    node: Node, call: Call, enter: Enter, root: str
) -> None:
    bob = await enter(node, "bob")
    request = CreateAccountRequest(user="bob", password=PASSWORD)
    assert (await failure(call(node, request, root))).code is STATUS.ALREADY_EXISTS
    await bob.ping()


async def test_a_password_that_an_admin_sets_ends_every_sign_in(
    node: Node, call: Call, enter: Enter, root: str
) -> None:
    token = await make_account(node, "bob")
    bob = await enter(node, "bob", token=token)
    await call(node, UpdateAccountRequest(user="bob", password="another password"), root)
    await bob.sent_away(STATUS.UNAUTHENTICATED, events_pb2.GOODBYE_REASON_REVOKED)
    assert (await failure(call(node, ListSessionsRequest(), token))).code is STATUS.UNAUTHENTICATED
    old = LoginRequest(user="bob", password=PASSWORD)
    assert (await failure(call(node, old))).code is STATUS.UNAUTHENTICATED
    await call(node, LoginRequest(user="bob", password="another password"))


async def test_a_deleted_account_leaves_everything_and_its_name_is_free(
    node: Node, call: Call, enter: Enter, root: str
) -> None:
    token = await make_account(node, "bob")
    bob, ann = await enter(node, "bob", "bob's", token=token), await enter(node, "ann")
    await bob.join("#dev")
    await ann.join("#dev")
    await ann.say("for the first", to="@bob")
    await call(node, DeleteAccountRequest(user="bob"), root)
    await bob.sent_away(STATUS.UNAUTHENTICATED, events_pb2.GOODBYE_REASON_REVOKED)
    await ann.hears(lambda event: event.left.user == "bob" and event.left.room == "#dev")
    guest = await enter(node, "bob", "bob's", backlog=100)
    assert list(guest.welcome.rooms) == ["#lobby"]
    page = await guest.ask(history=commands_pb2.History(to="@ann"))
    assert not page.history.events
    assert not guest.texts


async def test_accounts_are_listed_in_order_and_in_pages(
    node: Node, call: Call, root: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("chat_service.administration.MAX_ACCOUNTS", 2)
    await asyncio.gather(*(make_account(node, name) for name in ("cyd", "ann", "bob")))
    first = await call(node, ListAccountsRequest(), root)
    assert ([it.user for it in first.accounts], first.more) == (["ann", "bob"], True)
    assert all(it.has_password and not it.admin for it in first.accounts)
    second = await call(node, ListAccountsRequest(after="bob"), root)
    assert ([it.user for it in second.accounts], second.more) == (["cyd", "root"], False)


async def test_there_is_no_account_to_change_or_take_away(
    node: Node, call: Call, root: str
) -> None:
    for request in (UpdateAccountRequest(user="zed", admin=True), DeleteAccountRequest(user="zed")):
        assert (await failure(call(node, request, root))).code is STATUS.NOT_FOUND
