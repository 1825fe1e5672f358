"""gRPC frames: any bytes as what a stream says, to the codec and to a session of a real node."""

import asyncio
import contextlib
from collections.abc import Callable
from typing import Final

from chat.v1 import chat_pb2, commands_pb2
from chat_service.core.errors import Refusal
from chat_service.session import Session
from chat_service.wire.port import Codec
from chat_service.wire.protobuf import ProtobufCodec
from tests.fuzz.rig import CUT, Rig

HELLO: Final = chat_pb2.ClientFrame(
    commands=[commands_pb2.Command(ref=1, hello=commands_pb2.Hello(user="guest", client_id="g"))]
)


async def feed(rig: Rig, data: bytes) -> None:
    """Feed the frames in an input to a session."""
    await converse(rig, data, ProtobufCodec, HELLO.SerializeToString(), _look_at)


async def converse(
    rig: Rig,
    data: bytes,
    codec: Callable[[], Codec],
    hello: bytes,
    look_at: Callable[[bytes], object],
) -> None:
    """Feed the frames in an input to a session that speaks a codec, and look at what is told.

    Of its first byte, bit 0 says hello before them, and bit 1 cuts the stream off instead of ending
    it.
    """
    flags = data[0] if data else 0
    frames = data[1:].split(CUT)
    for frame in frames:
        with contextlib.suppress(Refusal):
            codec().feed(frame)
    session = rig.reception.open(codec(), "ipv4:127.0.0.1:1")
    reader = asyncio.create_task(_read(session, look_at))
    try:
        for frame in ([hello] if flags & 1 else []) + frames:
            await session.feed(frame)
        if not flags & 2:
            await session.end_of_input()
    finally:
        await session.close()
    await reader


async def _read(session: Session, look_at: Callable[[bytes], object]) -> None:
    """Read as a stream's handler does; what is told has to be frames."""
    while blob := await session.outbox.get():
        look_at(blob)


def _look_at(blob: bytes) -> None:
    chat_pb2.ServerFrame.FromString(blob)
