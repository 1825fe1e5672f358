"""`/ws`: the contract in messages of JSON and of protobuf, and how a stream ends."""

import asyncio
import json
import socket
import ssl
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any, Final

import aiohttp
import pytest

from chat.v1 import accounts_pb2, chat_pb2, commands_pb2
from chat_service.certificate import make_client_pair, make_server_pair
from chat_service.core.limits import MAX_FRAME_BYTES
from chat_service.node import Node
from tests.accounts import PASSWORD, Call
from tests.conftest import ANY_PORT, StartNode
from tests.transports.conftest import HOLD, Dial
from tests.transports.web_clients import (
    BINARY,
    CLOSE,
    CONTINUATION,
    JSON,
    PING,
    PONG,
    PROTOBUF,
    TEXT,
    RawSocket,
    Socket,
)
from tests.waiting import until

Open = Callable[..., Awaitable[Socket]]
OpenRaw = Callable[..., Awaitable[RawSocket]]

HELLO: Final = {"ref": 1, "hello": {"user": "ann"}}


@pytest.fixture
async def node(start_node: StartNode) -> Node:
    return await start_node(web=ANY_PORT)


@pytest.fixture
async def open_socket(start_node: StartNode) -> AsyncIterator[Open]:
    """Return a function that opens a WebSocket in JSON, and lets a user in if there is one."""
    sockets: list[Socket] = []

    async def open_one(to: Node, user: str = "", client_id: str = "", **how: Any) -> Socket:
        scheme = "https" if "ssl" in how else "http"
        url = f"{scheme}://{to.endpoints['web']}/ws"
        sockets.append(Socket(await session.ws_connect(url, protocols=[JSON], **how)))
        return await sockets[-1].enter(user, client_id) if user else sockets[-1]

    async with aiohttp.ClientSession() as session:
        yield open_one
        for it in sockets:
            await it.hang_up()


@pytest.fixture
async def open_raw(start_node: StartNode) -> AsyncIterator[OpenRaw]:
    """Return a function that opens a WebSocket of bare bytes."""
    sockets: list[RawSocket] = []

    async def open_one(to: Node, *headers: str, **how: Any) -> RawSocket:
        sockets.append(await RawSocket.open(to, *headers, **how))
        return sockets[-1]

    yield open_one
    for it in sockets:
        await it.hang_up()


def message_of(text: str) -> Callable[[dict[str, Any]], bool]:
    return lambda event: event.get("message", {}).get("text") == text


# --- opening ---


async def test_one_says_hello_and_talks_in_json(node: Node, open_socket: Open) -> None:
    ann, bob = await open_socket(node, "ann"), await open_socket(node, "bob")
    reply = await ann.say("hi")
    heard = await bob.told(message_of("hi"))
    assert reply["ack"]["seq"] == heard["seq"]
    assert heard["message"].keys() == {"to", "sender", "number", "text", "sentAt"}


async def test_one_says_hello_and_talks_in_protobuf(node: Node, open_raw: OpenRaw) -> None:
    ann = await open_raw(node, f"Sec-WebSocket-Protocol: {PROTOBUF}")
    assert f"Sec-WebSocket-Protocol: {PROTOBUF}" in ann.head
    hello = commands_pb2.Command(ref=1, hello=commands_pb2.Hello(user="ann"))
    ann.write(BINARY, chat_pb2.ClientFrame(commands=[hello]).SerializeToString())
    opcode, payload = await ann.read()
    assert opcode == BINARY
    (event,) = chat_pb2.ServerFrame.FromString(payload).events
    assert (event.ref, event.welcome.user) == (1, "ann")


@pytest.mark.parametrize(
    ("asked", "got"),
    [
        ([], None),
        ([JSON], JSON),
        ([f"{PROTOBUF}, {JSON}"], PROTOBUF),
        ([f"chat.v9.json, {JSON}"], JSON),
        (["chat.v9.json", PROTOBUF], PROTOBUF),
    ],
)
async def test_the_first_subprotocol_that_is_known_is_spoken(
    node: Node, open_raw: OpenRaw, asked: list[str], got: str | None
) -> None:
    raw = await open_raw(node, *(f"Sec-WebSocket-Protocol: {it}" for it in asked))
    assert raw.status == 101
    spoken = [it for it in raw.head.splitlines() if it.lower().startswith("sec-websocket-prot")]
    assert [it.partition(": ")[2] for it in spoken] == ([got] if got else [])


async def test_without_a_subprotocol_it_is_json(node: Node, open_raw: OpenRaw) -> None:
    raw = await open_raw(node)
    raw.command(HELLO)
    opcode, payload = await raw.read()
    assert opcode == TEXT
    assert json.loads(payload)["events"][0]["welcome"]["user"] == "ann"


async def test_an_unknown_subprotocol_is_refused(node: Node, open_raw: OpenRaw) -> None:
    assert (await open_raw(node, "Sec-WebSocket-Protocol: chat.v9.json")).status == 400


async def test_nothing_is_compressed_though_it_is_offered(node: Node, open_raw: OpenRaw) -> None:
    raw = await open_raw(node, "Sec-WebSocket-Extensions: permessage-deflate")
    assert raw.status == 101
    assert "deflate" not in raw.head


async def test_what_is_no_websocket_is_told_so(node: Node) -> None:
    async with (
        aiohttp.ClientSession() as session,
        session.get(f"http://{node.endpoints['web']}/ws") as response,
    ):
        assert response.status == 400


# --- who may ---


@pytest.mark.parametrize(
    ("origin", "status"),
    [
        ("http://{own}", 101),
        ("https://{own}", 101),
        ("https://evil.example", 403),
        ("http://{own}.evil.example", 403),
        ("http://127.0.0.1:1", 403),
        ("http://127.0.0.1", 403),
        ("null", 403),
        ("", 403),
        ("https://chat.example", 101),
        ("http://chat.example", 403),
    ],
)
async def test_pages_of_other_sites_are_kept_out(
    start_node: StartNode, open_raw: OpenRaw, origin: str, status: int
) -> None:
    node = await start_node(web=ANY_PORT, web_origin=("https://chat.example",))
    stated = origin.format(own=node.endpoints["web"])
    assert (await open_raw(node, f"Origin: {stated}")).status == status


async def test_a_name_that_leads_here_is_not_this_server(node: Node) -> None:
    """A page of evil.example may have its name point to this machine (DNS rebinding)."""
    endpoint = node.endpoints["web"]
    for name, status in (("evil.example", 403), ("localhost", 101), ("127.0.0.2", 101)):
        host = f"{name}:{endpoint.port}"
        async with aiohttp.ClientSession() as session:
            headers = {
                "Host": host, "Origin": f"http://{host}", "Upgrade": "websocket",
                "Connection": "Upgrade", "Sec-WebSocket-Version": "13",
                "Sec-WebSocket-Key": "AAAAAAAAAAAAAAAAAAAAAA==",
            }  # fmt: skip
            async with session.get(f"http://{endpoint}/ws", headers=headers) as response:
                assert response.status == status, name


async def test_a_token_opens_it_in_the_hello_or_in_a_header(
    node: Node, open_socket: Open, call: Call
) -> None:
    register = accounts_pb2.RegisterRequest(user="ann", password=PASSWORD)
    token = (await call(node, register)).session.token
    by_hello = await open_socket(node)
    assert "welcome" in await by_hello.ask(hello={"user": "ann", "token": token})
    by_header = await open_socket(node, headers={"Authorization": f"Bearer {token}"})
    assert (await by_header.ask(hello={}))["welcome"]["user"] == "ann"
    stranger = await open_socket(node)
    assert "error" in await stranger.ask(hello={"user": "ann", "token": "cst_nonsense"})


# --- messages ---


async def test_a_message_may_come_in_pieces_with_a_ping_between(
    node: Node, open_raw: OpenRaw
) -> None:
    raw = await open_raw(node)
    data = json.dumps({"commands": [HELLO]}).encode()
    raw.write(TEXT, data[:9], last=False)
    raw.write(PING, b"there?")
    raw.write(CONTINUATION, data[9:20], last=False)
    raw.write(CONTINUATION, data[20:])
    assert await raw.read() == (PONG, b"there?")
    opcode, payload = await raw.read()
    assert opcode == TEXT
    assert b'"welcome"' in payload


@pytest.mark.parametrize("size", [MAX_FRAME_BYTES + 1, 3 * MAX_FRAME_BYTES])
async def test_a_message_that_is_too_large_ends_the_stream(
    node: Node, open_raw: OpenRaw, size: int
) -> None:
    raw = await open_raw(node)
    raw.command(HELLO)
    await raw.read()
    raw.write(TEXT, b" " * size)
    _, code = await raw.until_closed()
    assert code == 1009


async def test_many_pieces_are_too_large_together(node: Node, open_raw: OpenRaw) -> None:
    raw = await open_raw(node)
    raw.write(TEXT, b" ", last=False)
    for _ in range(3):
        raw.write(CONTINUATION, b" " * MAX_FRAME_BYTES, last=False)
    _, code = await raw.until_closed()
    assert code == 1009


@pytest.mark.parametrize(
    "payload", [b"\xff\xfe", b'{"commands": "\xed\xa0\x80"}', b"[" * 60_000, b"{}{}", b"hello"]
)
async def test_what_is_no_json_is_malformed_and_ends_the_stream(
    node: Node, open_raw: OpenRaw, payload: bytes
) -> None:
    raw = await open_raw(node)
    raw.command(HELLO)
    raw.write(TEXT, payload)
    events, code = await raw.until_closed()
    assert [it["error"]["code"] for it in events if "error" in it] == ["ERROR_CODE_MALFORMED"]
    assert events[-1]["goodbye"]["reason"] == "GOODBYE_REASON_PROTOCOL_ERROR"
    assert code == 1008


async def test_a_message_of_the_other_kind_ends_the_stream(node: Node, open_raw: OpenRaw) -> None:
    raw = await open_raw(node)
    raw.write(BINARY, b"{}")
    events, code = await raw.until_closed()
    assert events[-1]["goodbye"]["message"] == "messages are text in this subprotocol"
    assert code == 1008


async def test_a_command_that_is_wrong_is_refused_alone(node: Node, open_socket: Open) -> None:
    ann = await open_socket(node, "ann")
    reply = await ann.ask(send={"to": "#lobby", "text": "x", "colour": "red"})
    assert reply["error"]["code"] == "ERROR_CODE_INVALID_COMMAND"
    assert "ack" in await ann.say("still here")


@pytest.mark.parametrize("junk", [b"\xf1\x80\x00\x00\x00\x00", b"\x83\x80\x00\x00\x00\x00"])
async def test_what_breaks_the_framing_ends_the_stream(
    node: Node, open_raw: OpenRaw, junk: bytes
) -> None:
    raw = await open_raw(node)
    raw.writer.write(junk)
    _, code = await raw.until_closed()
    assert code == 1002


# --- keeping alive ---


async def test_who_does_not_answer_pings_is_found_out(
    start_node: StartNode, open_raw: OpenRaw, open_socket: Open
) -> None:
    node = await start_node(web=ANY_PORT, keepalive=0.4)
    lively = await open_socket(node, "bob")
    raw = await open_raw(node)
    raw.command(HELLO)
    await raw.read()
    loop = asyncio.get_running_loop()
    begun = loop.time()
    assert (await raw.read())[0] == PING
    raw.write(PONG)
    assert (await raw.read())[0] == PING
    await raw.until_cut()
    assert 0.9 < loop.time() - begun < 2
    assert "pong" in await lively.ask(ping={})


# --- ending ---


async def ended(node: Node, how: str, ann: Socket, open_socket: Open) -> str:
    """Let a stream end in some way; returns the name of its goodbye's reason."""
    match how:
        case "shutdown":
            await node.stop()
        case "superseded":
            await open_socket(node, "ann", "her own")
        case "protocol":
            await ann.send([])
        case "hello":
            ann = await open_socket(node)
            await ann.ask(ping={})
    return str((await ann.goodbye())["reason"])


@pytest.mark.parametrize(
    ("how", "reason", "code"),
    [
        ("shutdown", "SHUTDOWN", 1001),
        ("superseded", "SUPERSEDED", 1008),
        ("protocol", "PROTOCOL_ERROR", 1008),
    ],
)
async def test_a_stream_ends_with_a_goodbye_and_the_code_that_fits(
    node: Node, open_socket: Open, how: str, reason: str, code: int
) -> None:
    ann = await open_socket(node, "ann", "her own")
    assert await ended(node, how, ann, open_socket) == f"GOODBYE_REASON_{reason}"
    assert ann.close_code == code


async def test_a_refused_name_ends_it(node: Node, open_socket: Open) -> None:
    await open_socket(node, "ann", "a")
    thief = await open_socket(node)
    reply = await thief.ask(hello={"user": "ann", "clientId": "b"})
    assert reply["error"]["code"] == "ERROR_CODE_NAME_TAKEN"
    assert (await thief.goodbye())["reason"] == "GOODBYE_REASON_REFUSED"
    assert thief.close_code == 1008


async def test_what_comes_before_hello_ends_it(node: Node, open_socket: Open) -> None:
    ann = await open_socket(node)
    assert (await ann.ask(ping={}))["error"]["code"] == "ERROR_CODE_HELLO_REQUIRED"
    assert (await ann.goodbye())["reason"] == "GOODBYE_REASON_PROTOCOL_ERROR"
    assert ann.close_code == 1008


async def test_a_silent_stream_is_ended(
    start_node: StartNode, open_socket: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("chat_service.core.limits.HELLO_TIMEOUT", 0.3)
    ann = await open_socket(await start_node(web=ANY_PORT))
    assert (await ann.goodbye())["reason"] == "GOODBYE_REASON_PROTOCOL_ERROR"
    assert ann.close_code == 1008


async def test_a_sign_out_ends_the_streams_of_its_token(
    node: Node, open_socket: Open, call: Call
) -> None:
    register = accounts_pb2.RegisterRequest(user="ann", password=PASSWORD)
    token = (await call(node, register)).session.token
    ann = await open_socket(node)
    await ann.ask(hello={"user": "ann", "token": token})
    await call(node, accounts_pb2.LogoutRequest(), token)
    assert (await ann.goodbye())["reason"] == "GOODBYE_REASON_REVOKED"
    assert ann.close_code == 1008


async def test_a_full_server_says_when_to_come_again(
    start_node: StartNode, open_socket: Open
) -> None:
    node = await start_node(web=ANY_PORT, max_sessions=1)
    await open_socket(node, "ann")
    late = await open_socket(node)
    assert (await late.goodbye())["retryAfter"] == "5s"
    assert late.close_code == 1013


async def test_who_closes_gets_the_replies_to_all_that_was_asked(
    node: Node, open_raw: OpenRaw
) -> None:
    raw = await open_raw(node)
    sends = [{"ref": n, "send": {"to": "#lobby", "text": f"{n}"}} for n in range(2, 52)]
    raw.command(HELLO, *sends)
    raw.write(CLOSE, struct.pack("!H", 1000))
    events, code = await raw.until_closed()
    assert [it["ref"] for it in events if "ack" in it] == [f"{n}" for n in range(2, 52)]
    assert code == 1000
    assert await asyncio.wait_for(raw.reader.read(), 2) == b""


async def test_who_closes_has_left(node: Node, open_socket: Open, dial: Dial) -> None:
    ann = await open_socket(node, "ann", "a")
    watcher = await dial(node, "bob")
    await ann.hang_up()
    await watcher.hears("* ann left")
    assert await open_socket(node, "ann", "somebody else")


@pytest.mark.parametrize("how", ["reloaded", "lost", "half-closed"])
async def test_who_reloads_the_page_or_is_lost_keeps_the_name_for_a_while(
    start_node: StartNode, open_raw: OpenRaw, open_socket: Open, monkeypatch: pytest.MonkeyPatch,
    how: str,
) -> None:  # fmt: skip
    monkeypatch.setattr("chat_service.hub.hub.NAME_HOLD", HOLD)
    node = await start_node(web=ANY_PORT)
    ann = await open_raw(node)
    ann.command({"ref": 1, "hello": {"user": "ann", "clientId": "a"}})
    await ann.read()
    if how == "reloaded":
        ann.write(CLOSE, struct.pack("!H", 1001))
    elif how == "half-closed":
        ann.writer.write_eof()
    else:
        sock = ann.writer.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        ann.writer.transport.abort()
    await asyncio.sleep(0.1)
    thief = await open_socket(node)
    reply = await thief.ask(hello={"user": "ann", "clientId": "b"})
    assert reply["error"]["code"] == "ERROR_CODE_NAME_TAKEN"
    again = await open_socket(node, "ann", "a")
    assert "ack" in await again.say("back")


async def test_what_a_lost_client_had_sent_is_done(
    node: Node, open_raw: OpenRaw, open_socket: Open
) -> None:
    bob = await open_socket(node, "bob")
    ann = await open_raw(node)
    ann.command(HELLO, {"send": {"to": "#lobby", "text": "last words"}})
    await ann.writer.drain()
    ann.writer.close()
    await bob.told(message_of("last words"))


# --- who does not read ---


async def test_a_slow_reader_is_told_so_and_nobody_else_notices(
    start_node: StartNode, open_raw: OpenRaw, open_socket: Open
) -> None:
    node = await start_node(
        web=ANY_PORT, outbox_events=64, rate_commands=None, rate_bytes=None, keepalive=60.0
    )
    slow = await open_raw(node, small=True)
    slow.command({"ref": 1, "hello": {"user": "slow"}})
    await slow.read()
    ann, bob = await open_socket(node, "ann"), await open_socket(node, "bob")
    members = {it.user: it for it in node.hub.registry.all()}
    outbox = members["slow"].outbox
    sent = 0
    while not outbox.closed:
        sent += 15
        await ann.send({"commands": [{"send": {"to": "#lobby", "text": "x" * 4000}}] * 15})
        await ann.ask(ping={})
        assert sent < 10_000
    await until(lambda: sum("message" in it for it in bob.events) == sent)
    events, code = await slow.until_closed()
    assert events[-1]["goodbye"]["reason"] == "GOODBYE_REASON_SLOW_CONSUMER"
    assert code == 1013


# --- under TLS ---


@pytest.fixture(scope="module")
def pki(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """ca.pem, server.pem and server.key for 127.0.0.1, client-bob.pem and client-bob.key."""
    directory = tmp_path_factory.mktemp("pki")
    make_server_pair(directory, ["127.0.0.1", "localhost"], 1)
    make_client_pair(directory, "bob", 1)
    return directory


def client_tls(pki: Path, *, known: bool = False) -> Any:
    context = ssl.create_default_context(cafile=str(pki / "ca.pem"))
    if known:
        context.load_cert_chain(pki / "client-bob.pem", pki / "client-bob.key")
    return context


async def test_all_of_it_works_under_tls(
    start_node: StartNode, open_socket: Open, pki: Path
) -> None:
    node = await start_node(web=ANY_PORT, tls_cert=pki / "server.pem", tls_key=pki / "server.key")
    tls = client_tls(pki)
    async with (
        aiohttp.ClientSession() as session,
        session.get(f"https://{node.endpoints['web']}/", ssl=tls) as response,
    ):
        assert response.status == 200
    ann = await open_socket(node, "ann", ssl=tls, origin=f"https://{node.endpoints['web']}")
    for number in range(3):
        await ann.say(f"{number}" * 4000)
    assert "ack" in await ann.say("hi")
    await node.stop()
    assert (await ann.goodbye())["reason"] == "GOODBYE_REASON_SHUTDOWN"
    assert ann.close_code == 1001


async def test_plain_text_gets_nothing_from_tls(start_node: StartNode, pki: Path) -> None:
    node = await start_node(web=ANY_PORT, tls_cert=pki / "server.pem", tls_key=pki / "server.key")
    endpoint = node.endpoints["web"]
    reader, writer = await asyncio.open_connection(endpoint.host, endpoint.port)
    writer.write(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
    assert b"HTTP" not in await asyncio.wait_for(reader.read(), 5)
    writer.close()
    await writer.wait_closed()


async def test_a_certificate_is_who_one_is(
    start_node: StartNode, open_socket: Open, pki: Path
) -> None:
    node = await start_node(
        web=ANY_PORT,
        tls_cert=pki / "server.pem",
        tls_key=pki / "server.key",
        tls_client_ca=pki / "ca.pem",
    )
    bob = await open_socket(node, ssl=client_tls(pki, known=True))
    assert (await bob.ask(hello={}))["welcome"]["user"] == "bob"
    with pytest.raises((aiohttp.ClientError, OSError)):
        await open_socket(node, ssl=client_tls(pki))
