"""How many HTTP connections there may be, which anybody can hold open without saying who they are.

WebSockets are not among them: those are sessions, and counted as such.
"""

import asyncio
from collections import defaultdict
from typing import cast

from chat_service.core.origin import network_of, parse_origin
from chat_service.transports.peer import peer_of


class HttpConnections:
    """Those that there are, the least recently used first: for one too many, that one is cut.

    `most_of_one` is the bound for one address (of IPv6, one /64); None is no bound.
    """

    def __init__(self, most: int, most_of_one: int | None) -> None:
        self._most = most
        self._most_of_one = most_of_one
        self._all: dict[HttpConnection, None] = {}
        self._of: defaultdict[str, dict[HttpConnection, None]] = defaultdict(dict)

    def __len__(self) -> int:
        return len(self._all)

    def add(self, connection: "HttpConnection") -> None:
        """Count one more."""
        of_one = self._of[connection.network]
        if self._most_of_one is not None and len(of_one) >= self._most_of_one:
            next(iter(of_one)).cut()
        elif len(self._all) >= self._most:
            next(iter(self._all)).cut()
        self._all[connection] = self._of[connection.network][connection] = None

    def use(self, connection: "HttpConnection") -> None:
        """Note that one makes a request, if it is among them."""
        if connection in self._all:
            self.remove(connection)
            self._all[connection] = self._of[connection.network][connection] = None

    def remove(self, connection: "HttpConnection") -> None:
        """Count one less, if it is among them."""
        if connection in self._all:
            del self._all[connection], self._of[connection.network][connection]
            if not self._of[connection.network]:
                del self._of[connection.network]


class HttpConnection(asyncio.Protocol):
    """One of them. All is passed on to aiohttp, whose protocol stands behind it."""

    def __init__(self, http: asyncio.Protocol, connections: HttpConnections) -> None:
        self._http = http
        self._connections = connections
        self.network = ""

    @staticmethod
    def of(transport: asyncio.BaseTransport) -> "HttpConnection | None":
        """Return the connection that a request came by; None if it is a WebSocket by now."""
        protocol = transport.get_protocol()
        return protocol if isinstance(protocol, HttpConnection) else None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Make room for it."""
        self._transport = cast("asyncio.Transport", transport)
        self.network = network_of(parse_origin(peer_of(transport)))
        self._connections.add(self)
        self._http.connection_made(transport)

    def connection_lost(self, exc: Exception | None) -> None:
        """Count it no more."""
        self._connections.remove(self)
        self._http.connection_lost(exc)

    def upgrade(self) -> None:
        """Count it no more: it is a session now."""
        self._connections.remove(self)

    def use(self) -> None:
        """Note that a request came by it."""
        self._connections.use(self)

    def cut(self) -> None:
        """Close it, whatever is under way."""
        self._connections.remove(self)
        self._transport.abort()

    def data_received(self, data: bytes) -> None:
        """Let aiohttp read."""
        self._http.data_received(data)

    def eof_received(self) -> bool | None:
        """Let aiohttp close."""
        return self._http.eof_received()

    def pause_writing(self) -> None:
        """Let aiohttp wait."""
        self._http.pause_writing()

    def resume_writing(self) -> None:
        """Let aiohttp go on."""
        self._http.resume_writing()
