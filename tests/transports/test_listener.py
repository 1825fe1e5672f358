"""How raw TCP and HTTP listen."""

import asyncio
import socket
import sys

import pytest

from chat_service.config import Endpoint
from chat_service.startup import StartupError
from chat_service.transports.listener import listen


class _Accepted(asyncio.Protocol):
    def __init__(self, sockets: "asyncio.Queue[socket.socket]") -> None:
        self._sockets = sockets

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._sockets.put_nowait(transport.get_extra_info("socket"))


async def _congestion_control(host: str) -> bytes:
    """Return what governs a connection that was made to a listener on this address."""
    sockets: asyncio.Queue[socket.socket] = asyncio.Queue()
    listener, endpoint = await listen(
        "tcp", Endpoint(host, 0), lambda: _Accepted(sockets), shared=False
    )
    async with listener:
        _, writer = await asyncio.open_connection("127.0.0.1", endpoint.port)
        accepted = await sockets.get()
        found = accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_CONGESTION, 16)
        writer.close()
    return found.rstrip(b"\0")


@pytest.mark.skipif(sys.platform != "linux", reason="an option of Linux")
async def test_only_connections_of_this_machine_alone_are_left_unpaced() -> None:
    with socket.create_server(("127.0.0.1", 0)) as plain:
        usual = plain.getsockopt(socket.IPPROTO_TCP, socket.TCP_CONGESTION, 16).rstrip(b"\0")

    assert await _congestion_control("127.0.0.1") == b"reno"
    assert await _congestion_control("0.0.0.0") == usual


async def test_a_port_that_is_taken_is_told() -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        taken = Endpoint("127.0.0.1", other.getsockname()[1])
        with pytest.raises(StartupError, match=f"^cannot listen on tcp {taken}: .*in use"):
            await listen("tcp", taken, asyncio.Protocol, shared=False)
