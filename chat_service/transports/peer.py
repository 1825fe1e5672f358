"""Who is at the other end of a socket."""

import asyncio


def peer_of(transport: asyncio.BaseTransport) -> str:
    """Return the address of a socket's far end; "" where that was gone before it was accepted.

    Such a socket has no peer any more: a health check that resets its connection leaves one, and so
    does whoever scans ports. Its end is told like any other's, a moment later.
    """
    peername = transport.get_extra_info("peername")
    return str(peername[0]) if peername else ""
