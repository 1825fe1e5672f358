"""Clients that a test opens, and that are gone at its end."""

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import aiohttp
import pytest

from chat_service.node import Node
from tests.conftest import ANY_PORT, StartNode
from tests.transports.web.clients import JSON, RawSocket, Socket

Open = Callable[..., Awaitable[Socket]]
OpenRaw = Callable[..., Awaitable[RawSocket]]


@pytest.fixture
async def node(start_node: StartNode) -> Node:
    """A node with the web listener."""
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
