"""Little room between a node and NATS, so that it is full within moments.

A node has one record under way at a time: of the buffers in use it would fill none in the seconds
in which it takes its connection for alive.
"""

import socket
import sys
import time
from typing import Any, Final

from nats.aio.client import Client
from nats.aio.transport import TcpTransport

from chat_service import nats_connection

FULL: Final = "a send has waited at a full buffer"
"""What the node writes to its log when one has, for longer than it takes to send anything."""

ROOM: Final = 4 * 1024
"""Bytes that the system keeps on either side of a connection, or little more."""

_NOTICED_AFTER: Final = 0.5


def shrink() -> None:
    """Have every connection to NATS of this process keep little, and tell when that is full."""
    setattr(nats_connection, "PENDING_BYTES", ROOM)  # noqa: B010  (it is Final to others)
    connect, flush = TcpTransport.connect, Client._flush_pending

    async def connect_small(self: Any, *where: Any) -> None:
        await connect(self, *where)
        writer = self._io_writer
        writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, ROOM)
        writer.transport.set_write_buffer_limits(ROOM)

    async def flush_watched(self: Any, force_flush: bool = False) -> Any:
        began = time.monotonic()
        flushed = await flush(self, force_flush)
        if force_flush and time.monotonic() - began > _NOTICED_AFTER:
            print(FULL, file=sys.stderr, flush=True)
        return flushed

    TcpTransport.connect = connect_small  # type: ignore[method-assign,assignment]
    Client._flush_pending = flush_watched  # type: ignore[method-assign]
