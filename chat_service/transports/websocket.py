"""One WebSocket: a session between aiohttp's reading and this module's writing.

aiohttp shakes hands, reads, probes and closes. What the outbox gives is framed already, for all
who share it (`wire.websocket`), and goes to the transport as it is, as on raw TCP: no task and no
encoding a delivery. aiohttp writes whole frames at a time itself, so neither cuts the other's.
"""

import asyncio
import contextlib
from collections.abc import Callable
from typing import Any, Final, cast

from aiohttp import WSCloseCode, WSMsgType, web

from chat_service.core.commands import Secret
from chat_service.core.errors import ErrorCode, Refusal
from chat_service.core.events import FAILED, Error, Event, Goodbye, GoodbyeReason
from chat_service.core.limits import MAX_FRAME_BYTES
from chat_service.logs import get
from chat_service.reception import Reception
from chat_service.session import LINGER, Session
from chat_service.transports.http_connections import HttpConnection
from chat_service.transports.peer import peer_of
from chat_service.transports.shared_pages import SharedPages
from chat_service.transports.tls_socket import certified
from chat_service.wire.json import JsonCodec
from chat_service.wire.protobuf import ProtobufCodec
from chat_service.wire.websocket import FramedCodec, Opcode, close_frame

_log = get("web")

WRITE_BUFFER_BYTES: Final = 64 * 1024
HANG_UP_AFTER: Final = 1.0
"""Seconds in which a client that was told everything is to hang up itself."""
JSON: Final = "chat.v1.json"
PROTOBUF: Final = "chat.v1.protobuf"

_CODECS: Final[dict[str, Callable[[], FramedCodec]]] = {
    JSON: lambda: FramedCodec(JsonCodec(), Opcode.TEXT),
    PROTOBUF: lambda: FramedCodec(ProtobufCodec(), Opcode.BINARY),
}
_SIGNS_OF_LIFE: Final = {WSMsgType.PING, WSMsgType.PONG}
_GONE: Final = {WSMsgType.CLOSING, WSMsgType.CLOSED, WSMsgType.ERROR}

_GOODBYE_CODES: Final = {
    GoodbyeReason.SHUTDOWN: WSCloseCode.GOING_AWAY,
    GoodbyeReason.SLOW_CONSUMER: WSCloseCode.TRY_AGAIN_LATER,
    GoodbyeReason.SUPERSEDED: WSCloseCode.POLICY_VIOLATION,
    GoodbyeReason.REFUSED: WSCloseCode.POLICY_VIOLATION,
    GoodbyeReason.PROTOCOL_ERROR: WSCloseCode.POLICY_VIOLATION,
    GoodbyeReason.RATE_LIMITED: WSCloseCode.TRY_AGAIN_LATER,
    GoodbyeReason.INTERNAL: WSCloseCode.INTERNAL_ERROR,
    GoodbyeReason.LEFT: WSCloseCode.OK,
    GoodbyeReason.REVOKED: WSCloseCode.POLICY_VIOLATION,
    GoodbyeReason.ENDED: WSCloseCode.POLICY_VIOLATION,
    GoodbyeReason.BANNED: WSCloseCode.POLICY_VIOLATION,
}
_ERROR_CODES: Final = {
    ErrorCode.TOO_LARGE: WSCloseCode.MESSAGE_TOO_BIG,
    ErrorCode.RATE_LIMITED: WSCloseCode.TRY_AGAIN_LATER,
    ErrorCode.UNAVAILABLE: WSCloseCode.TRY_AGAIN_LATER,
    ErrorCode.INTERNAL: WSCloseCode.INTERNAL_ERROR,
}


class WebSockets:
    """Serves those that are opened, each by a call of `serve`."""

    def __init__(self, reception: Reception, keepalive: float) -> None:
        self._reception = reception
        self._keepalive = keepalive
        self._open: set[_WebSocket] = set()
        self._pages = SharedPages()

    async def serve(self, request: web.Request, bearer: Secret | None) -> web.StreamResponse:
        """Shake hands and serve until the end; raises HTTPBadRequest."""
        spoken = _subprotocol(request)
        socket = web.WebSocketResponse(
            timeout=LINGER,
            autoclose=False,  # a client that says goodbye gets its replies first
            autoping=False,  # a ping costs what a command does
            heartbeat=self._keepalive,
            protocols=(spoken,),
            compress=False,
            # A frame that is a little too large is answered; one that is far too large is not read.
            max_msg_size=2 * MAX_FRAME_BYTES,
            decode_text=False,
        )
        if "Sec-WebSocket-Protocol" in request.headers:
            socket.headers["Sec-WebSocket-Protocol"] = spoken  # asked in whichever of its fields
        await socket.prepare(request)
        if (transport := request.transport) is None:  # gone again
            return socket
        codec = _CODECS[spoken]()
        try:
            peer = peer_of(transport)
            session = self._reception.open(
                codec, peer, certified=certified(transport), bearer=bearer
            )
        except Refusal as refusal:
            await _turn_away(socket, transport, codec, refusal)
            return socket
        if (connection_so_far := HttpConnection.of(transport)) is not None:
            connection_so_far.upgrade()
        connection = _WebSocket(socket, transport, session, codec.opcode, self._pages)
        self._open.add(connection)
        try:
            await connection.serve()
        finally:
            self._open.discard(connection)
        return socket

    async def ended(self, grace: float) -> None:
        """Wait until all have ended, which their sessions were told to; then force them."""
        ends = [connection.closed for connection in self._open]
        if ends:
            await asyncio.wait(ends, timeout=grace)
        for connection in list(self._open):
            connection.abort()
        self._pages.close()


class _WebSocket(asyncio.Protocol):
    """One client's socket. It stands between the transport and aiohttp, to see what writing needs.

    All is passed on to aiohttp, whose protocol it was and is.
    """

    def __init__(
        self,
        socket: web.WebSocketResponse[bool],
        transport: asyncio.Transport,
        session: Session,
        opcode: Opcode,
        pages: SharedPages,
    ) -> None:
        self.closed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._socket = socket
        self._transport = transport
        self._session = session
        self._pages = pages
        self._expected = WSMsgType(opcode)
        self._outbox = session.outbox
        self._paused = False
        self._heard_out = False
        self._parting: asyncio.TimerHandle | None = None
        self._reading: asyncio.Timeout | None = None
        self._http = cast("asyncio.Protocol", transport.get_protocol())
        transport.set_protocol(self)
        transport.set_write_buffer_limits(high=WRITE_BUFFER_BYTES)
        session.outbox.on_ready = self._write
        session.on_end = self._session_ended

    # What the socket tells.

    def data_received(self, data: bytes) -> None:
        """Let aiohttp read."""
        self._http.data_received(data)

    def eof_received(self) -> bool | None:
        """Let aiohttp close: a WebSocket has no half that could stay open."""
        return self._http.eof_received()

    def pause_writing(self) -> None:
        """Leave in the outbox what the client does not read."""
        self._paused = True
        self._http.pause_writing()

    def resume_writing(self) -> None:
        """Go on with what has waited."""
        self._paused = False
        self._http.resume_writing()
        self._write()

    def connection_lost(self, exc: Exception | None) -> None:
        """Let nobody wait for room in an outbox that is not read any more."""
        self._http.connection_lost(exc)
        if not self.closed.done():
            self.closed.set_result(None)
        if self._parting is not None:
            self._parting.cancel()
        self._outbox.clear()
        self._outbox.close()

    def abort(self) -> None:
        """Close without waiting for the client to read."""
        self._transport.abort()

    # What the handler does.

    async def serve(self) -> None:
        """Execute what comes until it has ended, flush what is left, and see the client off."""
        session = self._session
        try:
            await self._execute(session)
        except Exception:
            _log.exception("session failed", session=session.id)
            session.end(FAILED)
        try:
            self._write()
        finally:
            await session.close()  # its name is free, however long the last events take
        while not self._heard_out:
            await self._receive()
        if self._parting is not None:
            self._transport.close()
        try:
            await self.closed
        finally:
            self._transport.abort()

    async def _execute(self, session: Session) -> None:
        """Execute what the client sends, up to its close frame or the end of the session."""
        try:
            async with asyncio.timeout(None) as self._reading:
                while not (session.ended or self._heard_out):
                    await self._take(session, *await self._receive())
        except TimeoutError:
            if not session.ended:
                raise
        finally:
            self._reading = None

    async def _receive(self) -> tuple[WSMsgType, Any]:
        message = await self._socket.receive()
        self._heard_out = message.type in _GONE or message.type is WSMsgType.CLOSE
        return message.type, message.data

    async def _take(self, session: Session, kind: WSMsgType, data: Any) -> None:
        if kind is self._expected:
            await session.feed(data)
        elif kind in _SIGNS_OF_LIFE:
            if session.counts(len(data)) and kind is WSMsgType.PING:
                await self._answer(data)
        elif kind is WSMsgType.CLOSE:
            # A page that is loaded anew may be back in a moment, and wants its name.
            if data != WSCloseCode.GOING_AWAY:
                await session.end_of_input()
        elif not self._heard_out:
            why = f"messages are {self._expected.name.lower()} in this subprotocol"
            session.end(Goodbye(GoodbyeReason.PROTOCOL_ERROR, why))

    async def _answer(self, ping: bytes) -> None:
        with contextlib.suppress(ConnectionError):  # gone, and what else it has sent is yet to come
            await self._socket.pong(ping)

    def _write(self) -> None:
        if self.closed.done() or self._transport.is_closing():
            return  # the session is told of it by its handler, a moment later
        outbox, transport = self._outbox, self._transport
        while len(outbox) and not self._paused:
            self._pages.write(transport, outbox.take())
        if outbox.finished and self._parting is None:
            self._part()

    def _part(self) -> None:
        """Send the close frame, and leave the client a moment to answer and to hang up.

        Closing on input that nobody has read resets the connection, which can cost the client the
        events that are still on their way to it (RFC 1122, section 4.2.2.13).
        """
        self._transport.write(close_frame(*_close_code(self._session)))
        wait = 0.0 if self._heard_out else HANG_UP_AFTER
        loop = asyncio.get_running_loop()
        self._parting = loop.call_later(wait, self._transport.close)

    def _session_ended(self) -> None:
        loop = asyncio.get_running_loop()
        if self._reading is not None:
            self._reading.reschedule(loop.time())  # there is nothing more to execute
        timer = loop.call_later(LINGER, self._transport.abort)
        self.closed.add_done_callback(lambda _: timer.cancel())


def _subprotocol(request: web.Request) -> str:
    """Return the first of what the client speaks that is spoken here; by default it is JSON."""
    asked = request.headers.getall("Sec-WebSocket-Protocol", [])
    names = [name.strip() for value in asked for name in value.split(",")]
    for name in names or [JSON]:
        if name in _CODECS:
            return name
    raise web.HTTPBadRequest(text=f"the subprotocols of this server are {', '.join(_CODECS)}\n")


def _close_code(session: Session) -> tuple[int, str]:
    """Return the code and the reason of the close frame that fits the goodbye."""
    goodbye, error = session.goodbye, session.error
    if goodbye is None:
        return WSCloseCode.OK, ""
    code = _GOODBYE_CODES[goodbye.reason]
    if error is not None:
        code = _ERROR_CODES.get(error, code)
    return code, goodbye.reason.name


async def _turn_away(
    socket: web.WebSocketResponse[bool],
    transport: asyncio.Transport,
    codec: FramedCodec,
    refusal: Refusal,
) -> None:
    """Refuse a client that has no session, in the same words as one that has."""
    error = Error(refusal.code, str(refusal), refusal.retry_after)
    goodbye = Goodbye(GoodbyeReason.REFUSED, str(refusal), True, refusal.retry_after)
    transport.write(codec.encode(Event(error)) + codec.encode(Event(goodbye)))
    code = _ERROR_CODES.get(refusal.code, WSCloseCode.POLICY_VIOLATION)
    await socket.close(code=code, message=goodbye.reason.name.encode())
