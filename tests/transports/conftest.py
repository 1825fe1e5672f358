"""Fixtures for what one transport promises."""

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest

from chat_service.node import Node
from tests.conftest import StartNode
from tests.faults.clock import clock  # noqa: F401  (a fixture)
from tests.transports.lines import Lines
from tests.transports.stream import Stream

OpenStream = Callable[..., Stream]
Enter = Callable[..., Awaitable[Stream]]
Dial = Callable[..., Awaitable[Lines]]

HOLD = 0.6
GRACE = 0.3


@pytest.fixture
async def open_stream(start_node: StartNode) -> AsyncIterator[OpenStream]:
    """Return a function that opens a gRPC stream to a node, closed at the test's end."""
    streams: list[Stream] = []

    def open_one(to: Node, *, raw: bool = False, token: str = "") -> Stream:
        streams.append(Stream.open_raw(to) if raw else Stream.open(to, token))
        return streams[-1]

    yield open_one
    for stream in streams:
        await stream.hang_up()


@pytest.fixture
def enter(open_stream: OpenStream) -> Enter:
    """Return a function that lets a user into a node over gRPC."""

    async def enter_one(to: Node, user: str, client_id: str = "", **fields: Any) -> Stream:
        return await open_stream(to).enter(user, client_id, **fields)

    return enter_one


@pytest.fixture
async def hasty_node(start_node: StartNode, monkeypatch: pytest.MonkeyPatch) -> Node:
    """A node that holds names and hides departures for a tenth of the usual time."""
    monkeypatch.setattr("chat_service.hub.hub.NAME_HOLD", HOLD)
    monkeypatch.setattr("chat_service.hub.hub.PRESENCE_GRACE", GRACE)
    return await start_node()


@pytest.fixture
async def dial(start_node: StartNode) -> AsyncIterator[Dial]:
    """Return a function that connects to a node's TCP port, and says a name if there is one."""
    connections: list[Lines] = []

    async def dial_one(to: Node, name: str = "") -> Lines:
        connections.append(await Lines.open(to))
        return await connections[-1].enter(name) if name else connections[-1]

    yield dial_one
    for connection in connections:
        await connection.hang_up()
