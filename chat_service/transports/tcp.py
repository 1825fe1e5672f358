"""The raw-TCP bridge: lines for `nc`, `telnet` and scripts.

Writing needs no task: the fan-out wakes the outbox, and what fits goes to the socket at once. Each
connection has one task, which executes what the client sends; while it is busy with a full inbox
the socket is not read.
"""

import asyncio
import contextlib
import socket
from typing import Final, cast

from chat_service.config import Endpoint
from chat_service.core.errors import RateLimited, Refusal
from chat_service.core.events import FAILED, Error, Event
from chat_service.flood import Meter
from chat_service.logs import get
from chat_service.reception import Reception
from chat_service.session import LINGER, Session
from chat_service.tls import Tls
from chat_service.transports.listener import listen
from chat_service.transports.peer import peer_of
from chat_service.transports.shared_pages import SharedPages
from chat_service.transports.tls_socket import HANG_UP_AFTER, TlsTransport, certified
from chat_service.wire.line import LineCodec

_log = get("tcp")

INBOX_BYTES: Final = 64 * 1024
WRITE_BUFFER_BYTES: Final = 64 * 1024
MAX_KEEPIDLE: Final = 32_767
"""The most seconds that Linux takes for TCP_KEEPIDLE."""
_ADVICE: Final = b"! this port takes TLS: openssl s_client -quiet -connect HOST:PORT\n"


class TcpTransport:
    """A listener and its connections, under TLS if there are credentials for it."""

    def __init__(
        self,
        reception: Reception,
        endpoint: Endpoint,
        keepalive: float,
        tls: Tls | None = None,
        *,
        shared: bool = False,
    ) -> None:
        self._reception = reception
        self._endpoint = endpoint
        self._shared = shared
        self._keepalive = keepalive
        self._tls = tls
        self._handshakes: dict[TlsTransport, None] = {}
        self._connections: set[_Connection] = set()
        self._pages = SharedPages()
        self._server: asyncio.Server | None = None

    async def start(self) -> Endpoint:
        """Listen; returns the endpoint with its real port. Raises StartupError."""
        self._server, endpoint = await listen(
            "tcp", self._endpoint, self._accept, shared=self._shared
        )
        return endpoint

    async def stop_accepting(self) -> None:
        """Let no new connection in."""
        if self._server is not None:
            self._server.close()
        for handshake in list(self._handshakes):
            handshake.abort()

    async def stop(self, grace: float) -> None:
        """Wait until the connections have ended, which their sessions were told to; then force."""
        await self.stop_accepting()
        tasks = [connection.task for connection in self._connections if connection.task]
        if tasks:
            await asyncio.wait(tasks, timeout=grace)
        for connection in list(self._connections):
            connection.abort()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._pages.close()

    def _accept(self) -> asyncio.Protocol:
        connection = _Connection(self._reception, self._connections, self._pages, self._keepalive)
        if self._tls is None:
            return connection
        context = self._tls.credentials.context
        return TlsTransport(context, connection, connection.is_admitted, self._handshakes, _ADVICE)


class _Connection(asyncio.Protocol):
    """One client's socket."""

    def __init__(
        self,
        reception: Reception,
        connections: set["_Connection"],
        pages: SharedPages,
        keepalive: float,
    ) -> None:
        self.task: asyncio.Task[None] | None = None
        self._reception = reception
        self._connections = connections
        self._pages = pages
        self._keepalive = keepalive
        self._inbox = bytearray()
        self._changed = asyncio.Event()
        self._end_of_input = False
        self._paused = False
        self._meter: Meter | None = None
        self._parting: asyncio.TimerHandle | None = None
        self._closed: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def is_admitted(self, socket_: asyncio.Transport) -> bool:
        """Count the connect before its handshake, which costs more than all else up to a name."""
        try:
            self._meter = self._reception.admit(peer_of(socket_))
        except RateLimited:
            return False
        return True

    # What the socket tells.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Open a session for the client, or say why not."""
        # uvloop's transports are not derived from asyncio's, but are as good.
        transport = self._transport = cast("asyncio.Transport", transport)
        transport.set_write_buffer_limits(high=WRITE_BUFFER_BYTES)
        _set_keepalive(transport.get_extra_info("socket"), self._keepalive)
        terms = self._reception.terms(certified(transport))
        session = self._open(LineCodec(terms))
        if session is None:
            return
        transport.write(self._codec.greeting())
        self._connections.add(self)
        self.task = asyncio.create_task(self._serve(session), name=f"tcp {session.id}")

    def data_received(self, data: bytes) -> None:
        """Hand bytes to the task; stop reading while it has enough."""
        if self._parting is not None:
            return
        self._inbox += data
        self._changed.set()
        if len(self._inbox) >= INBOX_BYTES:
            self._transport.pause_reading()

    def eof_received(self) -> bool:
        """Let the task see the end of input; the other direction stays open."""
        self._end_of_input = True
        self._changed.set()
        return self._parting is None

    def pause_writing(self) -> None:
        """Leave in the outbox what the client does not read."""
        self._paused = True

    def resume_writing(self) -> None:
        """Go on with what has waited."""
        self._paused = False
        self._write()
        self._changed.set()

    def connection_lost(self, _exc: Exception | None) -> None:
        """End the task."""
        if self._parting is not None:
            self._parting.cancel()
        if not self._closed.done():
            self._closed.set_result(None)
        if self.task is not None:
            self._outbox.clear()
            self._outbox.close()  # nobody will make room in it any more
        self._changed.set()

    def abort(self) -> None:
        """Close without waiting for the client to read."""
        self._transport.abort()

    # What the task does.

    async def _serve(self, session: Session | None) -> None:
        try:
            while session is not None:
                await self._run(session)
                session = await self._next_session()
            await self._closed
        finally:
            self._connections.discard(self)
            self._transport.abort()
            self.task = None  # which holds this connection, as its coroutine is a method

    def _open(self, codec: LineCodec) -> Session | None:
        """Open a session, or say why there is none."""
        self._codec = codec
        try:
            peer = peer_of(self._transport)
            meter, self._meter = self._meter, None  # of the first session alone
            session = self._reception.open(
                codec, peer, certified=certified(self._transport), meter=meter
            )
        except Refusal as refusal:
            error = Error(refusal.code, str(refusal), refusal.retry_after)
            self._transport.write(codec.encode(Event(error)))
            self._arm_linger()
            self._part()
            return None
        self._outbox = session.outbox
        session.outbox.on_ready = self._write
        session.on_end = self._session_ended
        return session

    async def _next_session(self) -> Session | None:
        """Open the session that follows by `/login`, once the last one's lines are out."""
        if self._codec.successor is None:
            return None
        try:
            async with asyncio.timeout(LINGER):
                while len(self._outbox):
                    self._changed.clear()
                    await self._changed.wait()
        except TimeoutError:
            self._transport.abort()
        return None if self._transport.is_closing() else self._open(self._codec.successor)

    async def _run(self, session: Session) -> None:
        try:
            await self._execute(session)
        except Exception:
            _log.exception("session failed", session=session.id)
            session.end(FAILED)
        try:
            self._write()
        finally:
            await session.close()  # its name is free, however long the last lines take

    async def _execute(self, session: Session) -> None:
        """Execute what came, all of it, also where the connection has gone meanwhile."""
        while not session.ended:
            if self._codec.waiting:
                await session.feed(b"")
            elif self._inbox:
                data = bytes(self._inbox)
                self._inbox.clear()
                if not self._closed.done():
                    self._transport.resume_reading()
                await session.feed(data)
            elif self._end_of_input:
                await session.end_of_input()
            elif self._closed.done():
                return
            else:
                self._changed.clear()
                await self._changed.wait()

    def _write(self) -> None:
        if self._closed.done() or self._transport.is_closing():
            return  # the session is told of it by the task, a moment later
        outbox = self._outbox
        while len(outbox) and not self._paused:
            self._pages.write(self._transport, outbox.take())
        if outbox.finished and self._parting is None and self._codec.successor is None:
            self._part()

    def _part(self) -> None:
        """Say that nothing more will come, and leave the client a moment to hang up first.

        Closing on input that nobody has read resets the connection, which can cost the client the
        lines that are still on their way to it (RFC 1122, section 4.2.2.13).
        """
        if self._end_of_input or self._transport.is_closing():
            self._transport.close()
            return
        self._parting = asyncio.get_running_loop().call_later(HANG_UP_AFTER, self._transport.close)
        with contextlib.suppress(OSError):  # from asyncio, where the client has just gone
            self._transport.write_eof()
        self._transport.resume_reading()

    def _session_ended(self) -> None:
        self._changed.set()  # there is nothing more to execute
        if self._codec.successor is None:
            self._arm_linger()

    def _arm_linger(self) -> None:
        loop = asyncio.get_running_loop()
        timer = loop.call_later(LINGER, self._transport.abort)
        self._closed.add_done_callback(lambda _: timer.cancel())


def _set_keepalive(sock: socket.socket, seconds: float) -> None:
    """Let the kernel find out within one and a half times `seconds` that a client has vanished."""
    idle = min(max(1, int(seconds)), MAX_KEEPIDLE)
    probe = max(1, int(seconds / 6))
    probes = max(1, int(seconds * 1.5 - idle) // probe)
    # While there is data under way no probes are sent and this alone decides, up to a second
    # late; else it decides instead of the number of probes, but only when one is due.
    unanswered = max(min(idle + probes * probe, seconds * 1.5 - 1), seconds)
    options = {
        "TCP_KEEPIDLE": idle,
        "TCP_KEEPINTVL": probe,
        "TCP_KEEPCNT": probes,
        "TCP_USER_TIMEOUT": round(unanswered * 1000),
    }
    with contextlib.suppress(OSError):  # a client that has gone already
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for name, value in options.items():
            if hasattr(socket, name):  # Linux has them all
                sock.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)
