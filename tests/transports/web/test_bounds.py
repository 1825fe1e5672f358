"""How many HTTP connections may be held open: many, and for one more the oldest has to go."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest

from chat_service.core.bucket import Rate
from chat_service.flood import PATIENCE
from chat_service.node import Node
from chat_service.transports.web import WebTransport
from tests.conftest import ANY_PORT, StartNode
from tests.transports.web.clients import HELLO, PING, PONG, TEXT
from tests.transports.web.conftest import Open, OpenRaw
from tests.waiting import until

REQUEST = b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"


class Held:
    """A connection that is held open, from some address of this machine's own."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    async def asks(self) -> bool:
        """Make a request; False if the connection is gone."""
        self._writer.write(REQUEST)
        try:
            async with asyncio.timeout(5):
                return b"200 OK" in await self._reader.readuntil(b"\r\n\r\nok\n")
        except (asyncio.IncompleteReadError, ConnectionError):
            return False

    async def is_cut(self) -> bool:
        """Wait for the end, which comes without a word."""
        with contextlib.suppress(ConnectionError):
            async with asyncio.timeout(5):
                return await self._reader.read() == b""
        return True

    async def close(self) -> None:
        self._writer.close()
        await asyncio.gather(self._writer.wait_closed(), return_exceptions=True)


Hold = Callable[..., Awaitable[Held]]


@pytest.fixture
async def hold() -> AsyncIterator[Hold]:
    """Return a function that opens a connection and keeps it."""
    held: list[Held] = []

    async def open_one(node: Node, source: str = "127.0.0.1") -> Held:
        endpoint = node.endpoints["web"]
        reader, writer = await asyncio.open_connection(
            endpoint.host, endpoint.port, local_addr=(source, 0)
        )
        held.append(Held(reader, writer))
        own = writer.get_extra_info("sockname")
        await until(lambda: own in peers(node), what="a connection")
        return held[-1]

    yield open_one
    for it in held:
        await it.close()


def transport(node: Node) -> WebTransport:
    found = node._transports["web"]
    assert isinstance(found, WebTransport)
    return found


def count(node: Node) -> int:
    return len(transport(node)._connections)


def peers(node: Node) -> list[tuple[str, int]]:
    connections = transport(node)._connections._all
    return [it._transport.get_extra_info("peername") for it in connections]


async def test_for_one_too_many_the_least_recently_used_is_cut(
    start_node: StartNode, hold: Hold
) -> None:
    node = await start_node(web=ANY_PORT, max_sessions=3)
    first, second, third = [await hold(node) for _ in range(3)]
    assert await first.asks()
    fourth = await hold(node, "127.0.0.2")
    assert await second.is_cut()
    for it in (first, third, fourth):
        assert await it.asks()
    assert count(node) == 3


async def test_an_address_has_its_own_bound(start_node: StartNode, hold: Hold) -> None:
    node = await start_node(web=ANY_PORT, rate_connects=Rate(2, 2))
    elsewhere = await hold(node, "127.0.0.2")
    first, second = await hold(node), await hold(node)
    third = await hold(node)
    assert await first.is_cut()
    for it in (elsewhere, second, third):
        assert await it.asks()


async def test_without_a_rate_of_connects_an_address_has_no_bound_of_its_own(
    start_node: StartNode, hold: Hold
) -> None:
    node = await start_node(web=ANY_PORT, rate_connects=None)
    for it in [await hold(node) for _ in range(20)]:
        assert await it.asks()


async def test_a_websocket_is_a_session_and_no_longer_counted(
    start_node: StartNode, hold: Hold, open_socket: Open
) -> None:
    node = await start_node(web=ANY_PORT, max_sessions=2)
    ann, bob = await open_socket(node, "ann"), await open_socket(node, "bob")
    assert count(node) == 0
    others = [await hold(node) for _ in range(3)]
    assert await others[0].is_cut()
    await ann.say("still here")
    await bob.told(lambda event: "message" in event)


async def test_a_websocket_that_is_turned_away_is_counted(
    start_node: StartNode, open_raw: OpenRaw
) -> None:
    """Else one address could hold as many as it likes, by being refused."""
    node = await start_node(web=ANY_PORT, rate_connects=Rate(0.001, 3))
    sessions = [await open_raw(node) for _ in range(3)]
    turned_away = [await open_raw(node) for _ in range(6)]
    assert count(node) == 3
    async with asyncio.timeout(2):  # those that are left are waited for longer
        for it in turned_away[:3]:
            await it.reader.read()
    for it in sessions:
        it.command(HELLO)
        assert (await it.read())[0] == TEXT


@pytest.mark.parametrize("kind", [PING, PONG])
async def test_a_flood_of_pings_is_refused_like_one_of_commands(
    start_node: StartNode, open_raw: OpenRaw, kind: int
) -> None:
    node = await start_node(web=ANY_PORT, rate_commands=Rate(0.001, 10))
    ann = await open_raw(node)
    ann.command(HELLO)
    for _ in range(9 + int(PATIENCE.burst) + 100):
        ann.write(kind, b"there?")
    events, code = await ann.until_closed()
    assert code == 1013
    assert events[-1]["goodbye"]["reason"] == "GOODBYE_REASON_RATE_LIMITED"


async def test_what_has_ended_is_counted_no_more(start_node: StartNode, hold: Hold) -> None:
    node = await start_node(web=ANY_PORT)
    held = [await hold(node) for _ in range(5)]
    assert count(node) == 5
    for it in held:
        await it.close()
    await until(lambda: count(node) == 0, what="their end")
    assert not transport(node)._connections._of
