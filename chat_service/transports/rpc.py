"""`chat.v1.Chat` over gRPC, with reflection and health.

Bytes in, bytes out: the handler is registered without serializers, so frames that a whole room
shares are written as they are. A stream has one reader task and its handler is the one writer.
"""

import asyncio
from collections.abc import Sequence
from typing import Any, Final

import grpc
from google.protobuf.any_pb2 import Any as AnyMessage
from google.rpc.error_details_pb2 import ErrorInfo, RetryInfo
from google.rpc.status_pb2 import Status
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection
from grpc_status import rpc_status

from chat.v1 import chat_pb2
from chat_service.config import Endpoint
from chat_service.core.errors import ErrorCode, Refusal
from chat_service.core.events import FAILED, Error, Event, Goodbye, GoodbyeReason
from chat_service.core.limits import MAX_FRAME_BYTES
from chat_service.logs import get
from chat_service.reception import Reception
from chat_service.session import LINGER, Session
from chat_service.startup import StartupError
from chat_service.wire.protobuf import ProtobufCodec, duration

_log = get("grpc")

SERVICE: Final = chat_pb2.DESCRIPTOR.services_by_name["Chat"].full_name
FLUSH: Final = 0.5
"""Seconds that the server has to write out what is left when all its sessions have ended."""

_ERROR_STATUS: Final = {
    ErrorCode.MALFORMED: grpc.StatusCode.INVALID_ARGUMENT,
    ErrorCode.INVALID_COMMAND: grpc.StatusCode.INVALID_ARGUMENT,
    ErrorCode.HELLO_REQUIRED: grpc.StatusCode.FAILED_PRECONDITION,
    ErrorCode.INVALID_ADDRESS: grpc.StatusCode.INVALID_ARGUMENT,
    ErrorCode.INVALID_TEXT: grpc.StatusCode.INVALID_ARGUMENT,
    ErrorCode.TOO_LARGE: grpc.StatusCode.RESOURCE_EXHAUSTED,
    ErrorCode.NAME_TAKEN: grpc.StatusCode.ALREADY_EXISTS,
    ErrorCode.NO_SUCH_USER: grpc.StatusCode.NOT_FOUND,
    ErrorCode.NOT_A_MEMBER: grpc.StatusCode.PERMISSION_DENIED,
    ErrorCode.LIMIT_REACHED: grpc.StatusCode.RESOURCE_EXHAUSTED,
    ErrorCode.RATE_LIMITED: grpc.StatusCode.RESOURCE_EXHAUSTED,
    ErrorCode.UNAVAILABLE: grpc.StatusCode.UNAVAILABLE,
    ErrorCode.INTERNAL: grpc.StatusCode.INTERNAL,
}
_GOODBYE_STATUS: Final = {
    GoodbyeReason.SHUTDOWN: grpc.StatusCode.UNAVAILABLE,
    GoodbyeReason.SLOW_CONSUMER: grpc.StatusCode.RESOURCE_EXHAUSTED,
    GoodbyeReason.SUPERSEDED: grpc.StatusCode.ABORTED,
    GoodbyeReason.REFUSED: grpc.StatusCode.FAILED_PRECONDITION,
    GoodbyeReason.PROTOCOL_ERROR: grpc.StatusCode.INVALID_ARGUMENT,
    GoodbyeReason.RATE_LIMITED: grpc.StatusCode.RESOURCE_EXHAUSTED,
    GoodbyeReason.INTERNAL: grpc.StatusCode.INTERNAL,
    GoodbyeReason.LEFT: grpc.StatusCode.OK,
}

Context = grpc.aio.ServicerContext[bytes, bytes]


class RpcTransport:
    """A gRPC server and its streams."""

    def __init__(self, reception: Reception, endpoint: Endpoint, keepalive: float) -> None:
        self._reception = reception
        self._endpoint = endpoint
        self._server = grpc.aio.server(options=_options(keepalive))
        self._health = health.aio.HealthServicer()
        self._streams: set[asyncio.Task[Any]] = set()

    async def start(self) -> Endpoint:
        """Listen; returns the endpoint with its real port. Raises StartupError."""
        handler: Any = grpc.stream_stream_rpc_method_handler(self._connect)
        self._server.add_generic_rpc_handlers(
            (grpc.method_handlers_generic_handler(SERVICE, {"Connect": handler}),)
        )
        health_pb2_grpc.add_HealthServicer_to_server(self._health, self._server)
        reflection.enable_server_reflection(
            (SERVICE, health.SERVICE_NAME, reflection.SERVICE_NAME), self._server
        )
        try:
            port = self._server.add_insecure_port(str(self._endpoint))
        except RuntimeError:
            raise StartupError(
                f"cannot listen on grpc {self._endpoint}: is the port in use?"
            ) from None
        await self._server.start()
        for service in ("", SERVICE):
            await self._health.set(service, health_pb2.HealthCheckResponse.SERVING)
        return Endpoint(self._endpoint.host, port)

    async def stop_accepting(self) -> None:
        """Tell load balancers to look elsewhere; new streams are refused by the reception."""
        await self._health.enter_graceful_shutdown()

    async def stop(self, grace: float) -> None:
        """Wait until the streams have ended, which their sessions were told to; then force."""
        # Some other streams, such as a health Watch, never end by themselves.
        if self._streams:
            await asyncio.wait(self._streams, timeout=max(0.0, grace - FLUSH))
        await self._server.stop(min(grace, FLUSH))

    async def _connect(self, _request: Any, context: Context) -> None:
        """Serve one stream, from its opening to its status."""
        if (task := asyncio.current_task()) is not None:
            self._streams.add(task)
            task.add_done_callback(self._streams.discard)
        try:
            # "ipv4:127.0.0.1:41946"; read once, since asking after the stream has ended is unsafe.
            address = context.peer().rpartition(":")[0]
            session = self._reception.open(ProtobufCodec(), address)
        except Refusal as refusal:
            await _turn_away(context, refusal)
            return
        try:
            await _serve(session, context)
        except TimeoutError:
            _log.debug("did not read its goodbye", session=session.id)
        except Exception:
            _log.exception("session failed", session=session.id)
            session.end(FAILED)
        finally:
            await session.close()
        error, goodbye = session.error, session.goodbye
        del session
        with self._reception.outlived():
            await _end_stream(context, error, goodbye)


async def _serve(session: Session, context: Context) -> None:
    """Write what the outbox gives until it is finished; raises TimeoutError if nobody reads."""
    loop = asyncio.get_running_loop()
    async with asyncio.timeout(None) as limit:
        session.on_end = lambda: limit.reschedule(loop.time() + LINGER)
        reader = asyncio.create_task(_read(session, context), name=f"grpc {session.id}")
        try:
            while blob := await session.outbox.get():
                await context.write(blob)
        finally:
            session.on_end = None
            reader.cancel()
            await asyncio.gather(reader, return_exceptions=True)


async def _read(session: Session, context: Context) -> None:
    """Feed the session; the only task that ever reads from this stream."""
    try:
        while isinstance(data := await context.read(), bytes):  # not EOF
            await session.feed(data)
        # A stream that was cut reads like one that was half-closed. What tells them apart, the
        # cancellation of this task by its handler's, arrives before two more reads are answered.
        await context.read()
        await context.read()
        await session.end_of_input()
    except Exception:
        _log.exception("session failed", session=session.id)
        session.end(FAILED)


async def _turn_away(context: Context, refusal: Refusal) -> None:
    """Refuse a stream that has no session, in the same words as one that has."""
    codec = ProtobufCodec()
    error = Error(refusal.code, str(refusal), refusal.retry_after)
    goodbye = Goodbye(GoodbyeReason.REFUSED, str(refusal), True, refusal.retry_after)
    await context.write(codec.encode(Event(error)) + codec.encode(Event(goodbye)))
    await _end_stream(context, refusal.code, goodbye)


async def _end_stream(context: Context, error: ErrorCode | None, goodbye: Goodbye | None) -> None:
    """End the stream with the status that fits its goodbye, and with rich details."""
    if goodbye is None or goodbye.reason is GoodbyeReason.LEFT:
        return
    code = _GOODBYE_STATUS[goodbye.reason] if error is None else _ERROR_STATUS[error]
    reason = goodbye.reason.name if error is None else error.name
    details = [_packed(ErrorInfo(reason=reason, domain="chat.v1"))]
    if goodbye.retry_after is not None:
        details.append(_packed(RetryInfo(retry_delay=duration(goodbye.retry_after))))
    status = rpc_status.to_status(
        Status(code=code.value[0], message=goodbye.message, details=details)
    )
    try:
        await context.abort(status.code, status.details, status.trailing_metadata)
    except grpc.aio.AbortError as aborted:
        _forget_traceback(aborted)
        raise
    except Exception as failure:  # the client has gone meanwhile
        _log.debug("nobody took the status", code=status.code.name, reason=str(failure))


def _forget_traceback(aborted: grpc.aio.AbortError) -> None:
    """Break the circle of an error that its stream keeps, and frames that keep the stream.

    The garbage collector would find it, but that looks at what is old only rarely.
    """
    if (task := asyncio.current_task()) is not None:
        task.add_done_callback(lambda _: aborted.with_traceback(None))


def _packed(detail: Any) -> AnyMessage:
    packed = AnyMessage()
    packed.Pack(detail)
    return packed


def _options(keepalive: float) -> Sequence[tuple[str, int]]:
    return (
        # One process a port, unless workers share it on purpose.
        ("grpc.so_reuseport", 0),
        ("grpc.max_receive_message_length", MAX_FRAME_BYTES),
        # A client that has vanished is found out by pings within one and a half times `keepalive`.
        ("grpc.keepalive_time_ms", round(keepalive * 1000)),
        ("grpc.keepalive_timeout_ms", round(keepalive * 500)),
        ("grpc.http2.ping_timeout_ms", round(keepalive * 500)),  # else a minute, which decides
        ("grpc.keepalive_permit_without_calls", 1),
        ("grpc.http2.max_pings_without_data", 0),
        # Clients may ping as often; faster ones are told too_many_pings.
        ("grpc.http2.min_ping_interval_without_data_ms", 5_000),
        ("grpc.http2.min_recv_ping_interval_without_data_ms", 5_000),
        ("grpc.max_concurrent_streams", 1_000),
        ("grpc.server_handshake_timeout_ms", 10_000),
        # A storm of reconnects is for the reception to judge, not for chance (grpc drops streams
        # at random above 1,000 pending ones by default).
        ("grpc.server.max_pending_requests", 100_000),
        ("grpc.server.max_pending_requests_hard_limit", 100_000),
    )
