"""What a server writes to a WebSocket: frames of RFC 6455, not masked and not compressed.

So the same bytes suit every connection, and are made once for all who share them. Nothing is ever
compressed: what one says beside another's secret would tell of it by its length (CRIME), and a
shared frame could not be shared any more.
"""

from collections.abc import Hashable, Sequence
from enum import IntEnum
from typing import Final

from chat_service.core.events import Event, Joined, Left
from chat_service.core.outcome import Durable
from chat_service.wire.port import Acked, Codec, Received

_LAST: Final = 0x80
"""The bit of a frame that is a whole message."""


class Opcode(IntEnum):
    """What a frame holds: RFC 6455, section 5.2."""

    TEXT = 1
    BINARY = 2
    CLOSE = 8


class FramedCodec:
    """Speaks another codec's encoding, in frames of WebSocket."""

    interactive = False

    def __init__(self, codec: Codec, opcode: Opcode) -> None:
        self.opcode = opcode
        self.echoes = codec.echoes
        self.user = codec.user
        self._codec = codec

    def sharing(self, *, private: bool) -> Hashable:
        """Return the other codec's key, told apart from that of its bare encoding."""
        return FramedCodec, self._codec.sharing(private=private)

    def feed(self, data: bytes) -> list[Received]:
        """Decode a message that came, out of its frame."""
        return self._codec.feed(data)

    def end_of_input(self) -> list[Received]:
        """Take what the other codec still has."""
        return self._codec.end_of_input()

    def encode(self, event: Event) -> bytes:
        """Encode and frame an event."""
        return frame(self.opcode, self._codec.encode(event))

    def encode_acks(self, acks: Sequence[Acked]) -> tuple[bytes, int]:
        """Encode Acks, in one frame."""
        blob, shown = self._codec.encode_acks(acks)
        return frame(self.opcode, blob), shown

    def moved(self, body: Joined | Left) -> None:
        """Pass it on."""
        self._codec.moved(body)

    def join(self, events: Sequence[Durable]) -> bytes:
        """Encode committed events, in one frame."""
        return frame(self.opcode, self._codec.join(events))

    def recall(self, frames: Sequence[bytes]) -> bytes:
        """Encode what is stored, in one frame."""
        return frame(self.opcode, self._codec.recall(frames))


def close_frame(code: int, reason: str) -> bytes:
    """Return the frame that ends a stream: RFC 6455, section 5.5.1."""
    return frame(Opcode.CLOSE, code.to_bytes(2) + reason.encode())


def frame(opcode: Opcode, payload: bytes) -> bytes:
    """Return a message as one frame; of nothing, nothing."""
    size = len(payload)
    if not size:
        return b""
    if size < 126:
        return bytes((_LAST | opcode, size)) + payload
    if size < 1 << 16:
        return bytes((_LAST | opcode, 126)) + size.to_bytes(2) + payload
    return bytes((_LAST | opcode, 127)) + size.to_bytes(8) + payload
