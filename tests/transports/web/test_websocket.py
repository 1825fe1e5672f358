"""`/ws`: the contract in messages of JSON and of protobuf."""

import json

import aiohttp
import pytest

from chat.v1 import accounts_pb2, chat_pb2, commands_pb2
from chat_service.core.limits import MAX_FRAME_BYTES
from chat_service.node import Node
from tests.accounts import PASSWORD, Call
from tests.conftest import ANY_PORT, StartNode
from tests.transports.web.clients import (
    BINARY,
    CONTINUATION,
    HELLO,
    JSON,
    PING,
    PONG,
    PROTOBUF,
    TEXT,
    message_of,
)
from tests.transports.web.conftest import Open, OpenRaw

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
