"""`chat.v1.Chat` over gRPC, with reflection and health.

Bytes in, bytes out: the handler is registered without serializers, so frames that a whole room
shares are written as they are. A stream has one reader task and its handler is the one writer.
"""

import asyncio
from collections.abc import Sequence
from typing import Any, Final

import grpc
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection

from chat.v1 import chat_pb2
from chat_service.config import Endpoint
from chat_service.core.errors import Refusal
from chat_service.core.events import FAILED, Error, Event, Goodbye, GoodbyeReason
from chat_service.core.limits import MAX_FRAME_BYTES
from chat_service.logs import get
from chat_service.reception import Reception
from chat_service.session import LINGER, Session
from chat_service.startup import StartupError
from chat_service.tls import Tls
from chat_service.transports.status import end_stream
from chat_service.transports.unary import UnaryService
from chat_service.transports.visitors import server_credentials, visitor
from chat_service.wire.protobuf import ProtobufCodec

_log = get("grpc")

SERVICE: Final = chat_pb2.DESCRIPTOR.services_by_name["Chat"].full_name
FLUSH: Final = 0.5
"""Seconds that the server has to write out what is left when all its sessions have ended."""

Context = grpc.aio.ServicerContext[bytes, bytes]


class RpcTransport:
    """A gRPC server and its streams, under TLS if there are credentials for it."""

    def __init__(
        self,
        reception: Reception,
        endpoint: Endpoint,
        keepalive: float,
        tls: Tls | None = None,
        services: Sequence[UnaryService] = (),
        *,
        shared: bool = False,
    ) -> None:
        self._reception = reception
        self._endpoint = endpoint
        self._tls = tls
        self._services = services
        self._server = grpc.aio.server(options=_options(keepalive, shared=shared))
        self._health = health.aio.HealthServicer()
        self._streams: set[asyncio.Task[Any]] = set()

    async def start(self) -> Endpoint:
        """Listen; returns the endpoint with its real port. Raises StartupError."""
        handler: Any = grpc.stream_stream_rpc_method_handler(self._connect)
        self._server.add_generic_rpc_handlers(
            (grpc.method_handlers_generic_handler(SERVICE, {"Connect": handler}),)
        )
        health_pb2_grpc.add_HealthServicer_to_server(self._health, self._server)
        for service in self._services:
            service.register(self._server)
        names = [SERVICE, *(service.name for service in self._services)]
        reflection.enable_server_reflection(
            (*names, health.SERVICE_NAME, reflection.SERVICE_NAME), self._server
        )
        try:
            port = self._listen(str(self._endpoint))
        except RuntimeError:
            raise StartupError(
                f"cannot listen on grpc {self._endpoint}: is the port in use?"
            ) from None
        await self._server.start()
        for name in ("", *names):
            await self._health.set(name, health_pb2.HealthCheckResponse.SERVING)
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

    def _listen(self, address: str) -> int:
        if self._tls is None:
            return self._server.add_insecure_port(address)
        return self._server.add_secure_port(address, server_credentials(self._tls))

    async def _connect(self, _request: Any, context: Context) -> None:
        """Serve one stream, from its opening to its status."""
        if (task := asyncio.current_task()) is not None:
            self._streams.add(task)
            task.add_done_callback(self._streams.discard)
        try:
            address, certified, bearer = visitor(context, self._tls)
            session = self._reception.open(
                ProtobufCodec(), address, certified=certified, bearer=bearer
            )
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
            await end_stream(context, error, goodbye)


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
    await end_stream(context, refusal.code, goodbye)


def _options(keepalive: float, *, shared: bool) -> Sequence[tuple[str, int]]:
    return (
        # One process a port, unless workers share it on purpose.
        ("grpc.so_reuseport", int(shared)),
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
