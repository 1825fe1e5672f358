"""HTTP: the page, WebSockets, calls about accounts, and whether the server is well."""

import asyncio
from collections.abc import Collection
from typing import Final, cast

from aiohttp import web
from aiohttp.typedefs import Handler

from chat_service.config import Endpoint
from chat_service.core.errors import RateLimited
from chat_service.reception import Reception
from chat_service.tls import Tls
from chat_service.transports.connect import MAX_BODY_BYTES, Calls, bearer
from chat_service.transports.guard import OriginCheck, harden
from chat_service.transports.http_connections import HttpConnection, HttpConnections
from chat_service.transports.listener import listen
from chat_service.transports.page import Page
from chat_service.transports.peer import peer_of
from chat_service.transports.tls_socket import TlsTransport
from chat_service.transports.websocket import WebSockets

IDLE: Final = 15.0
"""Seconds in which a connection has to make its first request, or another one."""

FLUSH: Final = 0.5
"""Seconds that answers have to be written out when all sessions have ended."""

_ADVICE: Final = (
    b"HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain\r\nConnection: close\r\n\r\n"
    b"this port takes TLS: https://HOST:PORT/\n"
)


class WebTransport:
    """A listener for browsers, under TLS if there are credentials for it.

    `origins` are those of pages elsewhere that may speak to this server. `shared` lets other
    processes listen on the same port.
    """

    def __init__(
        self,
        reception: Reception,
        endpoint: Endpoint,
        keepalive: float,
        calls: Calls,
        connections: HttpConnections,
        tls: Tls | None = None,
        origins: Collection[str] = (),
        *,
        shared: bool = False,
    ) -> None:
        self._reception = reception
        self._endpoint = endpoint
        self._shared = shared
        self._tls = tls
        self._check_origin = OriginCheck(origins, local=endpoint.is_local)
        self._connections = connections
        self._sockets = WebSockets(reception, keepalive)
        self._draining = False
        self._handshakes: dict[TlsTransport, None] = {}
        self._application = self._routed(calls)
        self._runner = web.AppRunner(
            self._application, access_log=None, keepalive_timeout=IDLE, shutdown_timeout=FLUSH
        )
        self._listener: asyncio.Server | None = None

    async def start(self) -> Endpoint:
        """Listen; returns the endpoint with its real port. Raises StartupError."""
        page = await asyncio.to_thread(Page)
        self._application.add_routes(page.routes())
        await self._runner.setup()
        self._listener, endpoint = await listen(
            "web", self._endpoint, self._accept, shared=self._shared
        )
        return endpoint

    async def stop_accepting(self) -> None:
        """Tell load balancers to look elsewhere; new sessions are refused by the reception."""
        self._draining = True

    async def stop(self, grace: float) -> None:
        """Wait until the connections have ended, which their sessions were told to; then force."""
        self._draining = True
        await self._sockets.ended(max(0.0, grace - FLUSH))
        if self._listener is not None:
            self._listener.close()
        for handshake in list(self._handshakes):
            handshake.abort()
        await self._runner.cleanup()

    def _routed(self, calls: Calls) -> web.Application:
        application = web.Application(client_max_size=MAX_BODY_BYTES, middlewares=[self._guard])
        application.on_response_prepare.append(harden)
        application.add_routes(
            [
                *calls.routes(),
                web.get("/ws", self._open_socket),
                web.get("/healthz", self._tell_health),
                web.get("/readyz", self._tell_readiness),
            ]
        )
        return application

    def _accept(self) -> asyncio.Protocol:
        if self._tls is None:
            return self._connection()
        context = self._tls.credentials.context
        return TlsTransport(
            context, self._connection(), self._is_admitted, self._handshakes, _ADVICE
        )

    def _is_admitted(self, socket_: asyncio.Transport) -> bool:
        """Count the connect before its handshake; a WebSocket that comes over it is another."""
        try:
            self._reception.admit(peer_of(socket_))
        except RateLimited:
            return False
        return True

    def _connection(self) -> asyncio.Protocol:
        return HttpConnection(cast("web.Server", self._runner.server)(), self._connections)

    @web.middleware
    async def _guard(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Let no other site's page do what only this one's may; a link from there is welcome."""
        if request.transport and (connection := HttpConnection.of(request.transport)) is not None:
            connection.use()
        if request.method not in ("GET", "HEAD") or request.path == "/ws":
            self._check_origin(request)
        return await handler(request)

    async def _open_socket(self, request: web.Request) -> web.StreamResponse:
        return await self._sockets.serve(request, bearer(request))

    async def _tell_health(self, _request: web.Request) -> web.Response:
        return web.Response(text="ok\n")

    async def _tell_readiness(self, _request: web.Request) -> web.Response:
        if self._draining:
            return web.Response(status=503, text="shutting down\n")
        return web.Response(text="ready\n")
