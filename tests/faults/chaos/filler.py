"""Bytes that are of no use but to fill buffers, on their way to a node's NATS server or from it."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Final

import grpc.aio
import nats

from chat.v1 import chat_pb2, chat_pb2_grpc, commands_pb2
from tests.cluster.servers import NatsServer

_WELCOME_WITHIN: Final = 30.0
_ASKED_AGAIN: Final = 0.5
_TEXT: Final = 3_000
_SENDS: Final = 18
"""So many of such texts are a frame of nearly the largest size, and so a large record."""

_JUNK: Final = b"\xff" * 128 * 1024
_JUNK_EVERY: Final = 0.01
"""Seconds; more at once would be too much between the servers as well."""


class Filler:
    """Somebody on a node who says much where it may not: all that is refused, and in the log."""

    def __init__(self, call: Any) -> None:
        self._call = call

    async def say_much(self) -> None:
        """Say it all in one frame, and wait for nothing."""
        sends = [commands_pb2.Send(to="#nowhere", text="." * _TEXT) for _ in range(_SENDS)]
        await self._call.write(
            chat_pb2.ClientFrame(commands=[commands_pb2.Command(send=it) for it in sends])
        )


@asynccontextmanager
async def filler(port: int) -> AsyncIterator[Filler]:
    """Enter a node, which may not let anybody in for a while; raises AioRpcError, TimeoutError."""
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        stub = chat_pb2_grpc.ChatStub(channel)
        async with asyncio.timeout(_WELCOME_WITHIN):
            while (call := await _welcomed(stub)) is None:  # noqa: ASYNC110  (asked again)
                await asyncio.sleep(_ASKED_AGAIN)
        try:
            yield Filler(call)
        finally:
            call.cancel()


async def _welcomed(stub: chat_pb2_grpc.ChatStub) -> Any:
    """Return a stream on which somebody has entered; None if that was refused."""
    call: Any = stub.Connect()
    hello = commands_pb2.Hello(user="filler", client_id="the secret of the filler")
    await call.write(chat_pb2.ClientFrame(commands=[commands_pb2.Command(hello=hello)]))
    frame = await call.read()
    if isinstance(frame, chat_pb2.ServerFrame) and frame.events[0].HasField("welcome"):
        return call
    call.cancel()
    return None


async def pour(server: NatsServer, subject: str) -> None:
    """Send junk to whoever listens to a subject, until cancelled; raises nats.errors.Error."""
    client = await nats.connect(server.url, allow_reconnect=False)
    try:
        while True:
            await client.publish(subject, _JUNK)
            await asyncio.sleep(_JUNK_EVERY)
    finally:
        await client.close()
