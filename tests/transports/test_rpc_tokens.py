"""Tokens over gRPC: session tokens, those of guests, and those that others sign."""

import asyncio
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import grpc
import pytest

from chat.v1 import events_pb2
from chat.v1.accounts_pb2 import ListSessionsRequest, LoginRequest, RegisterRequest
from chat_service.auth.jwt import LEEWAY
from chat_service.node import Node
from tests.accounts import PASSWORD, Call, failure, make_account
from tests.auth.issuer import P256, RSA, SECRET, jwk, pem, sign, write, write_key_set
from tests.conftest import StartNode
from tests.faults.clock import Clock
from tests.processes import StartServer
from tests.transports.conftest import HOLD, Enter, OpenStream
from tests.transports.stream import Stream

STATUS = grpc.StatusCode
UNAUTHENTICATED = events_pb2.ERROR_CODE_UNAUTHENTICATED


async def is_refused(stream: Stream, user: str = "", client_id: str = "", **fields: Any) -> str:
    """Say hello in vain; returns the words of the refusal."""
    reply = await stream.hello(user, client_id, **fields)
    assert reply.error.code == UNAUTHENTICATED, reply
    assert await stream.ended() is STATUS.UNAUTHENTICATED
    return str(reply.error.message)


# --- session tokens ---


async def test_a_token_says_who_one_is(node: Node, enter: Enter) -> None:
    token = await make_account(node, "bob")
    assert (await enter(node, "", token=token)).welcome.user == "bob"


async def test_a_bearer_in_the_metadata_says_the_same(node: Node, open_stream: OpenStream) -> None:
    token = await make_account(node, "bob")
    named = await open_stream(node, token=token).enter("bob")
    nameless = await open_stream(node, token=token).enter("")
    assert named.welcome.user == nameless.welcome.user == "bob"


async def test_a_credential_in_hello_counts_before_the_bearer(
    node: Node, open_stream: OpenStream
) -> None:
    ann, bob = await make_account(node, "ann"), await make_account(node, "bob")
    stream = await open_stream(node, token=ann).enter("", token=bob)
    assert stream.welcome.user == "bob"
    stream = await open_stream(node, token=ann).enter("bob", password=PASSWORD)
    assert stream.welcome.user == "bob"


async def test_a_token_is_good_for_no_other_name(node: Node, open_stream: OpenStream) -> None:
    ann = await make_account(node, "ann")
    await make_account(node, "bob")
    await is_refused(open_stream(node), "bob", token=ann)
    await is_refused(open_stream(node, token=ann), "bob")
    await is_refused(open_stream(node), "somebody", token=ann)


async def test_an_expired_token_is_good_for_nothing(
    clock: Clock, start_node: StartNode, call: Call, enter: Enter, open_stream: OpenStream
) -> None:
    node = await start_node(token_lifetime=60)
    await make_account(node, "bob")
    token = (await call(node, LoginRequest(user="bob", password=PASSWORD))).session.token
    await (await enter(node, "bob", token=token)).leave()
    clock.advance(59)
    await (await enter(node, "bob", token=token)).leave()
    clock.advance(1)
    await is_refused(open_stream(node), "bob", token=token)
    await is_refused(open_stream(node), token=token)
    assert (await failure(call(node, ListSessionsRequest(), token))).code is STATUS.UNAUTHENTICATED


async def test_a_stream_ends_with_its_token(
    clock: Clock, start_node: StartNode, call: Call, enter: Enter
) -> None:
    node = await start_node(token_lifetime=60)
    lasting = await make_account(node, "bob")
    token = (await call(node, LoginRequest(user="bob", password=PASSWORD))).session.token
    clock.advance(59)
    goes, stays = await enter(node, "bob", "1", token=token), await enter(node, "", token=lasting)
    typed = await enter(node, "bob", "2", password=PASSWORD)
    guest = await enter(node, "ann", "ann's")
    other = await enter(node, "", "another", token=guest.welcome.token)
    await goes.sent_away(STATUS.UNAUTHENTICATED, events_pb2.GOODBYE_REASON_REVOKED)
    for stream in (stays, typed, guest, other):
        await stream.ping()


async def test_a_stream_outlasts_the_longest_timer_and_ends_with_its_token(
    start_node: StartNode, enter: Enter, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("chat_service.deadlines._LONGEST", 0.01)
    settings, signed = with_secret(tmp_path)
    node = await start_node(auth="token", **settings)
    stays = await enter(node, "ann", token=signed(sub="ann"))
    # A signed token is good for a little longer than it says, since clocks differ.
    goes = await enter(node, "", token=signed(exp=int(time.time()) - LEEWAY + 2))
    await goes.sent_away(STATUS.UNAUTHENTICATED, events_pb2.GOODBYE_REASON_REVOKED)
    await stays.ping()


# --- tokens of guests ---


async def test_a_guests_other_client_comes_in_by_its_token(node: Node, enter: Enter) -> None:
    first = await enter(node, "bob", "one")
    await first.join("#dev")
    second = await enter(node, "bob", "two", token=first.welcome.token)
    nameless = await enter(node, "", "three", token=second.welcome.token)
    assert list(nameless.welcome.rooms) == ["#lobby", "#dev"]
    await first.say("to all of us", to="@bob")
    for stream in (first, second, nameless):
        await stream.hears_text("to all of us")


async def test_a_guest_token_is_worthless_once_the_name_is_free(
    hasty_node: Node, enter: Enter, open_stream: OpenStream
) -> None:
    bob = await enter(hasty_node, "bob", "one")
    token = bob.welcome.token
    bob.vanish()
    await bob.ended()
    back = await enter(hasty_node, "bob", "two", token=token)  # while the name is held
    await back.leave()
    await asyncio.sleep(2 * HOLD)
    again = await enter(hasty_node, "bob", "other guest")
    await is_refused(open_stream(hasty_node), "bob", "two", token=token)
    await is_refused(open_stream(hasty_node), "", "two", token=token)
    await again.ping()


async def test_a_guest_token_is_no_account_token(
    node: Node, call: Call, enter: Enter, open_stream: OpenStream
) -> None:
    bob = await enter(node, "bob", "one")
    guest = bob.welcome.token
    assert (await failure(call(node, ListSessionsRequest(), guest))).code is STATUS.UNAUTHENTICATED
    await call(node, RegisterRequest(user="bob", password=PASSWORD), guest)
    await is_refused(open_stream(node), "bob", "two", token=guest)
    await is_refused(open_stream(node), "bob", "one")


# --- nothing secret is written down ---


@pytest.fixture
def written(server_process: StartServer, tmp_path: Path) -> Callable[[], bytes]:
    """Return a function that gives all that a server has written on disk and into its log."""

    def read() -> bytes:
        files = [path for path in tmp_path.rglob("*") if path.is_file()]
        return b"".join(path.read_bytes() for path in files)

    return read


async def test_no_password_or_token_is_in_the_log_or_in_the_database(
    server_process: StartServer, written: Callable[[], bytes], call: Call
) -> None:
    server = server_process("--log-level", "debug")
    session = (await call(server, RegisterRequest(user="bob", password=PASSWORD))).session
    stream = await Stream.open(server).enter("bob", token=session.token)
    guest = await Stream.open(server).enter("ann", "the client's secret")
    wrong = LoginRequest(user="bob", password="a wrong password")
    await failure(call(server, wrong))
    await failure(call(server, ListSessionsRequest(), "cst_forged-token"))
    await is_refused(Stream.open(server), "bob", token="no.signed.token")
    await call(server, LoginRequest(user="bob", password=PASSWORD))
    secrets = [
        PASSWORD, "a wrong password", session.token, "cst_forged-token", "no.signed.token",
        guest.welcome.token, "the client's secret",
    ]  # fmt: skip
    while_running = written()
    for it in (stream, guest):
        await it.hang_up()
    await server.stop()
    content = while_running + written()
    assert b"$argon2id$v=19$m=65536,t=3,p=4$" in content
    assert b"bob" in content
    assert [it for it in secrets if it.encode() in content] == []


# --- accounts alone ---


async def test_where_accounts_are_asked_for_no_guest_comes_in(
    start_node: StartNode, enter: Enter, open_stream: OpenStream, call: Call
) -> None:
    node = await start_node(auth="registered")
    told = await is_refused(open_stream(node), "guest", "guest's")
    assert told == "a password or a token is needed"
    await is_refused(open_stream(node), "guest", password=PASSWORD)
    token = (await call(node, RegisterRequest(user="bob", password=PASSWORD))).session.token
    assert (await enter(node, "bob", token=token)).welcome.user == "bob"
    assert (await enter(node, "bob", password=PASSWORD)).welcome.user == "bob"


async def test_where_accounts_are_asked_for_a_guest_of_the_last_run_is_none_any_more(
    start_node: StartNode, enter: Enter, open_stream: OpenStream, call: Call
) -> None:
    node = await start_node()
    token = (await enter(node, "guest", "guest's")).welcome.token
    await node.stop()
    node = await start_node(auth="registered")
    for user in ("guest", ""):
        for stream in (open_stream(node), open_stream(node, token=token)):
            told = await is_refused(stream, user, "guest's", token=token)
            assert told == "the token is not good, or no longer"
    await call(node, RegisterRequest(user="guest", password=PASSWORD), token)
    assert (await enter(node, "guest", password=PASSWORD)).welcome.user == "guest"


# --- tokens that somebody else signed ---

Signer = Callable[..., str]


def with_secret(at: Path) -> tuple[dict[str, Any], Signer]:
    settings = {"jwt_secret": write(at / "secret", SECRET)}
    return settings, lambda **claims: sign(SECRET, "HS256", **claims)


def with_public_key(at: Path) -> tuple[dict[str, Any], Signer]:
    settings = {"jwt_public_key": write(at / "key.pem", pem(RSA))}
    return settings, lambda **claims: sign(RSA, "RS256", **claims)


def with_key_set(at: Path) -> tuple[dict[str, Any], Signer]:
    keys = [jwk(RSA, "RS256", kid="one"), jwk(P256, "ES256", kid="two")]
    settings = {"jwt_jwks": write_key_set(at / "jwks.json", *keys)}
    return settings, lambda **claims: sign(P256, "ES256", {"kid": "two"}, **claims)


@pytest.mark.parametrize("keys", [with_secret, with_public_key, with_key_set])
async def test_a_signed_token_lets_in_whom_it_names(
    start_node: StartNode,
    enter: Enter,
    open_stream: OpenStream,
    tmp_path: Path,
    keys: Callable[[Path], tuple[dict[str, Any], Signer]],
) -> None:
    settings, signed = keys(tmp_path)
    claims = {"iss": "issuer", "aud": "chat"}
    node = await start_node(auth="token", jwt_issuer="issuer", jwt_audience="chat", **settings)
    bob = await enter(node, "", "bob's", token=signed(**claims))
    assert bob.welcome.user == "bob"
    assert not bob.welcome.token
    await open_stream(node, token=signed(**claims, sub="ann")).enter("Ann")
    for changed in ({"iss": "other"}, {"aud": "other"}, {"aud": None}, {"exp": None}):
        await is_refused(open_stream(node), token=signed(**(claims | changed)))
    await is_refused(open_stream(node), "ann", token=signed(**claims))
    assert await is_refused(open_stream(node), "bob") == "a signed token is needed"


async def test_the_claim_with_the_name_is_the_operators_choice(
    start_node: StartNode, enter: Enter, open_stream: OpenStream, tmp_path: Path
) -> None:
    settings, signed = with_secret(tmp_path)
    node = await start_node(auth="token", jwt_name_claim="nick", **settings)
    assert (await enter(node, "", token=signed(nick="Bobby"))).welcome.user == "bobby"
    await is_refused(open_stream(node), token=signed())
    await is_refused(open_stream(node), token=signed(nick="not a name"))
    await is_refused(open_stream(node), token=signed(nick=7))


async def test_who_comes_by_a_signed_token_is_the_same_user_every_time(
    start_node: StartNode, enter: Enter, tmp_path: Path
) -> None:
    settings, signed = with_secret(tmp_path)
    node = await start_node(auth="token", **settings)
    first = await enter(node, "", "one", token=signed())
    await first.join("#dev")
    second = await enter(node, "", "two", token=signed(exp=int(time.time()) + 7200))
    assert list(second.welcome.rooms) == ["#lobby", "#dev"]
    await first.ping()


async def test_a_stream_ends_with_its_signed_token(
    start_node: StartNode, enter: Enter, tmp_path: Path
) -> None:
    settings, signed = with_secret(tmp_path)
    node = await start_node(auth="token", jwt_leeway=0.0, **settings)
    expires = int(time.time()) + 2
    stays = await enter(node, "", "stays", token=signed(sub="ann"))
    stream = await enter(node, "", "goes", token=signed(exp=expires))
    assert await stream.ended() is STATUS.UNAUTHENTICATED
    assert expires <= time.time() < expires + 1
    assert stream.events[-1].goodbye.reason == events_pb2.GOODBYE_REASON_REVOKED
    await stays.ping()


async def test_a_stream_ends_when_its_signed_token_is_as_old_as_one_may_be(
    start_node: StartNode, enter: Enter, tmp_path: Path
) -> None:
    settings, signed = with_secret(tmp_path)
    node = await start_node(auth="token", jwt_leeway=0.0, jwt_max_age=60.0, **settings)
    issued = int(time.time()) - 58
    stays = await enter(node, "", "stays", token=signed(sub="ann", iat=issued + 58))
    stream = await enter(node, "", "goes", token=signed(iat=issued))
    await stream.sent_away(STATUS.UNAUTHENTICATED, events_pb2.GOODBYE_REASON_REVOKED)
    assert time.time() >= issued + 60
    await stays.ping()


async def test_where_tokens_come_from_elsewhere_there_is_no_registration_or_login(
    start_node: StartNode, call: Call, open_stream: OpenStream, tmp_path: Path
) -> None:
    settings, signed = with_secret(tmp_path)
    node = await start_node(auth="token", **settings)
    refused = await failure(call(node, RegisterRequest(user="bob", password=PASSWORD)))
    assert refused.code is STATUS.PERMISSION_DENIED
    session_token = await make_account(node, "ann")
    refused = await failure(call(node, LoginRequest(user="ann", password=PASSWORD)))
    assert refused.code is STATUS.UNAUTHENTICATED
    await is_refused(open_stream(node), "ann", password=PASSWORD)
    await is_refused(open_stream(node), "ann", token=session_token)
    refused = await failure(call(node, ListSessionsRequest(), session_token))
    assert refused.code is STATUS.UNAUTHENTICATED
    await open_stream(node, token=signed(sub="ann")).enter("")
    assert not (await call(node, ListSessionsRequest(), signed(sub="bob"))).sessions


async def test_a_signed_token_is_good_for_nothing_where_none_is_asked_for(
    node: Node, open_stream: OpenStream
) -> None:
    await is_refused(open_stream(node), "bob", token=sign(SECRET, "HS256"))
    await is_refused(open_stream(node), token=sign(SECRET, "HS256"))
