"""A socket that listens, for what is read and written by the event loop itself."""

import asyncio
import socket
import sys
from collections.abc import Callable, Iterable

from chat_service.config import Endpoint
from chat_service.startup import StartupError

_BACKLOG = 1024
"""Connections that may wait to be accepted."""


async def listen(
    name: str,
    endpoint: Endpoint,
    accept: Callable[[], asyncio.Protocol],
    *,
    shared: bool,
) -> tuple[asyncio.Server, Endpoint]:
    """Listen; returns the listener and the endpoint with its real port. Raises StartupError.

    `name` is what the transport is called, and `shared` lets other processes listen there too.
    """
    loop = asyncio.get_running_loop()
    host, port = endpoint.host, endpoint.port
    try:
        listener = await loop.create_server(accept, host, port, backlog=_BACKLOG, reuse_port=shared)
    except OSError as error:
        raise StartupError(f"cannot listen on {name} {endpoint}: {error.strerror}") from None
    if endpoint.is_local:
        _leave_unpaced(listener.sockets)
    return listener, Endpoint(host, listener.sockets[0].getsockname()[1])


def _leave_unpaced(sockets: Iterable[socket.socket]) -> None:
    """Have what is accepted send at once: to a socket of the same machine nothing is congested.

    Where the machine's default is BBR, the kernel spreads what is sent over time: a timer for each
    64 KiB, which is a seventh of the server's work with a hundred readers. What is accepted takes
    after its listener. Reno does not do so, and is in every kernel (tcp(7)).
    """
    if sys.platform == "linux":
        for it in sockets:
            it.setsockopt(socket.IPPROTO_TCP, socket.TCP_CONGESTION, b"reno")
