"""A chat under TLS on both transports, and who gets a handshake."""

import asyncio
import socket
import ssl
import struct
import warnings

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from structlog.testing import capture_logs

from chat_service.core.bucket import Rate
from chat_service.node import Node
from chat_service.tls import TlsFiles
from chat_service.transports import tls_socket
from tests.certificates import LOCAL, Identity
from tests.transports.tls.clients import AUTHORITY, LISTENERS, People, client_context, shake_hands
from tests.transports.tls.conftest import StartTls
from tests.waiting import until


async def test_people_talk_over_tls_on_both_transports(tls_node: Node, people: People) -> None:
    ann = await people.stream(tls_node).enter("ann")
    bob = await people.lines(tls_node, "bob")
    await ann.say("hello")
    await bob.hears("ann: hello")
    bob.send("hello yourself\n/quit\n")
    await ann.hears_text("hello yourself")
    await bob.until_ended()
    assert not bob.reset
    assert bob.lines[-1] == "* bye"
    await ann.hears_presence("bob", online=False)
    await ann.leave()


async def test_what_is_long_arrives_whole(tls_node: Node, people: People) -> None:
    ann = await people.lines(tls_node, "ann")
    readers = [await people.lines(tls_node, name) for name in ("bob", "cyd")]
    said = [f"{i} {'x' * 3000}" for i in range(300)]
    ann.send("".join(f"{line}\n" for line in said))
    for it in readers:
        await it.hears(f"ann: {said[-1]}", within=20)
        assert [line for line in it.lines if line.startswith("ann: ")] == [
            f"ann: {x}" for x in said
        ]


async def test_a_full_server_says_so_over_tls(start_tls: StartTls, people: People) -> None:
    node = await start_tls(max_sessions=1)
    await people.lines(node, "ann")
    late = await people.lines(node)
    await late.until_ended()
    assert not late.reset
    assert late.lines == ["! the server is full (try again in 5 s)"]


# --- versions and ciphers ---


@pytest.mark.parametrize("listener", LISTENERS)
@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
async def test_a_modern_version_is_taken(
    tls_node: Node, listener: str, version: ssl.TLSVersion
) -> None:
    context = client_context(maximum_version=version)
    agreed = await asyncio.to_thread(shake_hands, tls_node, listener, context)
    assert agreed[0].replace(".", "_") == version.name
    assert agreed[1].startswith(("TLS_", "ECDHE-"))


@pytest.mark.parametrize("listener", LISTENERS)
@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1])
async def test_an_old_version_is_refused(
    tls_node: Node, listener: str, version: ssl.TLSVersion
) -> None:
    with warnings.catch_warnings(action="ignore"):
        context = client_context(maximum_version=version)
    with pytest.raises((ssl.SSLError, ConnectionResetError)):
        await asyncio.to_thread(shake_hands, tls_node, listener, context)


@pytest.mark.parametrize("listener", LISTENERS)
@pytest.mark.parametrize(
    ("cipher", "taken"),
    [
        ("ECDHE-RSA-AES128-GCM-SHA256", True),
        ("ECDHE-RSA-AES128-SHA256", False),
        ("ECDHE-RSA-AES256-SHA", False),
        ("AES128-GCM-SHA256", False),
        ("AES256-SHA", False),
        ("DHE-RSA-AES128-GCM-SHA256", False),
    ],
)
async def test_a_cipher_has_forward_secrecy_and_authenticates(
    start_tls: StartTls, files: TlsFiles, listener: str, cipher: str, taken: bool
) -> None:
    with_rsa = Identity("rsa", by=AUTHORITY, key=lambda: rsa.generate_private_key(65537, 2048))
    with_rsa.write(files.certificate.parent, "server")
    node = await start_tls()
    context = client_context(maximum_version=ssl.TLSVersion.TLSv1_2)
    context.set_ciphers(f"{cipher}:@SECLEVEL=0")
    if taken:
        assert (await asyncio.to_thread(shake_hands, node, listener, context))[1] == cipher
    else:
        with pytest.raises((ssl.SSLError, ConnectionResetError)):
            await asyncio.to_thread(shake_hands, node, listener, context)


# --- what is no TLS ---


@pytest.mark.parametrize("listener", LISTENERS)
@pytest.mark.parametrize(
    "said",
    [
        b"ann\nhello\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"\x16\x03\x01\x00\x05\x01\0\0\1\0",
        b"",
    ],
    ids=["lines", "HTTP/2", "half a hello", "nothing"],
)
async def test_who_speaks_no_tls_is_closed_and_costs_nobody_anything(
    start_tls: StartTls, people: People, listener: str, said: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tls_socket, "HANDSHAKE_TIMEOUT", 0.3)
    node = await start_tls()
    bob = await people.lines(node, "bob")
    tasks = len(asyncio.all_tasks())
    with capture_logs() as logs:
        reader, writer = await asyncio.open_connection(LOCAL, node.endpoints[listener].port)
        writer.write(said)
        if listener == "tcp" or said[:1] != b"\x16":  # grpc's own limit is 10 s
            if listener == "grpc" and not said:
                writer.write_eof()
            answer = await asyncio.wait_for(_all_of(reader), 5)
            assert b"name" not in answer
            await until(lambda: len(asyncio.all_tasks()) <= tasks, what="its task to end")
        writer.close()
    await bob.until_done()
    assert len(node.hub.registry) == 1
    assert not [it for it in logs if it["log_level"] != "debug"]


@pytest.mark.parametrize("said", [b"ann\nhello\n", b""], ids=["lines", "nothing"])
async def test_who_comes_by_nc_is_told_that_this_is_tls(
    start_tls: StartTls, said: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tls_socket, "HANDSHAKE_TIMEOUT", 0.3)
    node = await start_tls()
    reader, writer = await asyncio.open_connection(LOCAL, node.endpoints["tcp"].port)
    writer.write(said)
    advice = b"! this port takes TLS: openssl s_client -quiet -connect HOST:PORT\n"
    assert await asyncio.wait_for(reader.read(), 5) == advice
    writer.close()


async def test_who_breaks_off_a_handshake_is_told_nothing_in_the_clear(
    start_tls: StartTls, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tls_socket, "HANDSHAKE_TIMEOUT", 0.3)
    node = await start_tls()
    reader, writer = await asyncio.open_connection(LOCAL, node.endpoints["tcp"].port)
    writer.write(b"\x16\x03\x01")
    assert await asyncio.wait_for(_all_of(reader), 5) == b""
    writer.close()


async def _all_of(reader: asyncio.StreamReader) -> bytes:
    try:
        return await reader.read()
    except ConnectionResetError:
        return b""


async def test_who_vanishes_behind_the_handshake_leaves_nothing(
    tls_node: Node, people: People
) -> None:
    bob = await people.lines(tls_node, "bob")
    tasks = len(asyncio.all_tasks())
    await asyncio.to_thread(_vanish_a_few_times, tls_node)
    await until(lambda: len(tls_node.hub.registry) == 1, what="the sessions to be gone")
    await until(lambda: len(asyncio.all_tasks()) <= tasks, what="their tasks to end")
    await bob.until_done()


def _vanish_a_few_times(node: Node) -> None:
    for _ in range(20):
        plain = socket.create_connection((LOCAL, node.endpoints["tcp"].port), timeout=10)
        plain.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        client_context().wrap_socket(plain).close()


async def test_a_handshake_is_counted_before_it_is_made_and_its_session_is_not_again(
    start_tls: StartTls, people: People
) -> None:
    node = await start_tls(rate_connects=Rate(0.001, 4))
    for name in ("ann", "bob"):
        await people.lines(node, name)
    port = node.endpoints["tcp"].port
    silent = [await asyncio.open_connection(LOCAL, port) for _ in range(3)]
    assert await asyncio.wait_for(_all_of(silent[2][0]), 5) == b""
    for reader, writer in silent[:2]:
        assert not reader.at_eof()
        writer.close()
    silent[2][1].close()


async def test_the_oldest_handshake_makes_room_for_one_more(
    tls_node: Node, people: People, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tls_socket, "MAX_HANDSHAKES", 3)
    port = tls_node.endpoints["tcp"].port
    silent = [await asyncio.open_connection(LOCAL, port) for _ in range(3)]
    await people.lines(tls_node, "ann")
    assert await asyncio.wait_for(_all_of(silent[0][0]), 5) == b""
    for reader, writer in silent[1:]:
        assert not reader.at_eof()
        writer.close()
    silent[0][1].close()


async def test_a_shutdown_does_not_wait_for_a_handshake(start_tls: StartTls) -> None:
    node = await start_tls()
    reader, writer = await asyncio.open_connection(LOCAL, node.endpoints["tcp"].port)
    await asyncio.sleep(0.1)
    async with asyncio.timeout(2):
        await node.stop()
        assert await _all_of(reader) == b""
    writer.close()
