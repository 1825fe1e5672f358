"""A cable does to every connection what is done to it, also to those that come meanwhile."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from .cable import Cable


@pytest.fixture
async def cable() -> AsyncIterator[Cable]:
    """A cable to a server that echoes."""

    async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(1024):
            writer.write(data)
        writer.close()

    server = await asyncio.start_server(echo, "127.0.0.1", 0)
    async with server, Cable(server.sockets[0].getsockname()[1]) as cable:
        yield cable


async def test_what_is_held_up_waits_on_new_connections_as_well(cable: Cable) -> None:
    with cable.held(up=False, down=True):
        reader, writer = await asyncio.open_connection("127.0.0.1", cable.port)
        writer.write(b"hello")
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(reader.readexactly(5), 0.3)
    assert await asyncio.wait_for(reader.readexactly(5), 5) == b"hello"
    writer.close()
