"""Fixtures for what goes wrong: nodes in this process and servers in their own."""

from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest

from tests.faults.server import Server
from tests.transports.conftest import enter, open_stream

__all__ = ["enter", "open_stream"]

Serve = Callable[..., Awaitable[Server]]


@pytest.fixture
async def serve(tmp_path: Path) -> AsyncIterator[Serve]:
    """Return a function that starts a server, by default on a state of this test's own."""
    servers: list[Server] = []

    async def start(*flags: str, data: Path = tmp_path / "data", listen: str = "") -> Server:
        server = await Server.start(data, *flags, listen=listen or "127.0.0.1:0")
        servers.append(server)
        return server

    yield start
    for server in servers:
        await server.kill()
