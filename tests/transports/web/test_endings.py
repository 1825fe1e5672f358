"""How a WebSocket ends: told, lost, superseded, not read."""

import asyncio
import socket
import struct

import pytest

from chat.v1 import accounts_pb2
from chat_service.node import Node
from chat_service.session import LINGER
from tests.accounts import PASSWORD, Call
from tests.conftest import ANY_PORT, StartNode
from tests.transports.conftest import HOLD, Dial
from tests.transports.web.clients import (
    BINARY,
    CLOSE,
    HELLO,
    PING,
    PONG,
    Socket,
    message_of,
)
from tests.transports.web.conftest import Open, OpenRaw
from tests.waiting import until

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
    ann.command(HELLO)
    ann.write(PING, b"there?")  # which cannot be answered any more
    ann.command({"send": {"to": "#lobby", "text": "last words"}})
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


async def test_the_name_of_an_ended_session_is_free_though_its_client_reads_nothing(
    start_node: StartNode, open_raw: OpenRaw, open_socket: Open
) -> None:
    node = await start_node(
        web=ANY_PORT, outbox_events=20_000, rate_commands=None, rate_bytes=None, keepalive=60.0
    )
    deaf = await open_raw(node, small=True)
    deaf.command(HELLO)
    await deaf.read()
    bob = await open_socket(node, "bob")
    outbox = next(it.outbox for it in node.hub.registry.all() if it.user == "ann")
    while len(outbox) < 100:  # what its socket takes is full
        await bob.send({"commands": [{"send": {"to": "#lobby", "text": "x" * 4000}}] * 15})
        await bob.ask(ping={})
    deaf.write(BINARY, b"of the wrong kind")
    async with asyncio.timeout(LINGER / 2):
        while "welcome" not in await (it := await open_socket(node)).ask(hello={"user": "ann"}):
            await it.goodbye()
    assert len(outbox) > 50


async def test_what_is_sent_behind_the_end_is_read_and_ignored(
    node: Node, open_raw: OpenRaw, open_socket: Open
) -> None:
    bob = await open_socket(node, "bob")
    ann = await open_raw(node)
    ann.command(HELLO)
    ann.write(BINARY, b"of the wrong kind")
    for _ in range(100):
        ann.command({"send": {"to": "#lobby", "text": "too late"}})
    ann.write(CLOSE, struct.pack("!H", 1000))
    events, code = await ann.until_closed()
    assert events[-1]["goodbye"]["reason"] == "GOODBYE_REASON_PROTOCOL_ERROR"
    assert code == 1008
    assert await ann.reader.read() == b""
    await bob.say("after")
    await bob.told(message_of("after"))
    assert not [it for it in bob.events if message_of("too late")(it)]
