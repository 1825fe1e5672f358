"""JSON frames: any bytes as what a WebSocket says, to the codec and to a session of a real node."""

from typing import Final

from google.protobuf import json_format

from chat.v1 import chat_pb2
from chat_service.wire.json import JsonCodec
from chat_service.wire.websocket import FramedCodec, Opcode
from tests.fuzz.frames import HELLO, converse
from tests.fuzz.rig import Rig

_LAST_TEXT: Final = 0x81


async def feed(rig: Rig, data: bytes) -> None:
    """Feed the frames in an input to a session, as `frames` does."""
    hello = json_format.MessageToJson(HELLO, indent=None).encode()
    await converse(rig, data, lambda: FramedCodec(JsonCodec(), Opcode.TEXT), hello, _look_at)


def _look_at(blob: bytes) -> None:
    """Take WebSocket's frames apart; what is in them has to be the contract's, in JSON."""
    while blob:
        assert blob[0] == _LAST_TEXT
        size, begin = blob[1], 2
        if size > 125:
            begin = 4 if size == 126 else 10
            size = int.from_bytes(blob[2:begin])
        json_format.Parse(blob[begin : begin + size].decode(), chat_pb2.ServerFrame())
        blob = blob[begin + size :]
