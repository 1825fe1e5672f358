"""Frames of WebSocket, as a server writes them."""

import pytest

from chat_service.core import events
from chat_service.core.events import Event
from chat_service.wire.events import encode_event
from chat_service.wire.json import JsonCodec
from chat_service.wire.protobuf import ProtobufCodec
from chat_service.wire.websocket import FramedCodec, Opcode, frame


@pytest.mark.parametrize(
    ("size", "head"),
    [
        (1, b"\x82\x01"),
        (125, b"\x82\x7d"),
        (126, b"\x82\x7e\x00\x7e"),
        (65_535, b"\x82\x7e\xff\xff"),
        (65_536, b"\x82\x7f\x00\x00\x00\x00\x00\x01\x00\x00"),
    ],
)
def test_a_frame_tells_its_length_in_the_shortest_way(size: int, head: bytes) -> None:
    assert frame(Opcode.BINARY, b"x" * size) == head + b"x" * size


def test_text_is_told_from_binary() -> None:
    assert frame(Opcode.TEXT, b"x") == b"\x81\x01x"


def test_of_nothing_there_is_no_frame() -> None:
    codec = FramedCodec(JsonCodec(), Opcode.TEXT)
    assert codec.join([]) == codec.recall([]) == frame(Opcode.TEXT, b"") == b""


def test_what_is_framed_is_what_the_codec_says() -> None:
    plain, framed = JsonCodec(), FramedCodec(JsonCodec(), Opcode.TEXT)
    event = Event(events.Pong(), ref=1)
    stored = [encode_event(Event(events.Joined("#a", "b"), 1))]
    assert framed.encode(event) == frame(Opcode.TEXT, plain.encode(event))
    assert framed.recall(stored) == frame(Opcode.TEXT, plain.recall(stored))
    blob, shown = plain.encode_acks([(1, events.Ack(7))])
    assert framed.encode_acks([(1, events.Ack(7))]) == (frame(Opcode.TEXT, blob), shown)
    assert framed.feed(b"{}") == framed.end_of_input() == []


def test_each_encoding_is_shared_among_its_own() -> None:
    def keys() -> list[object]:
        return [
            FramedCodec(JsonCodec(), Opcode.TEXT).sharing(private=False),
            FramedCodec(ProtobufCodec(), Opcode.BINARY).sharing(private=False),
            ProtobufCodec().sharing(private=False),
        ]

    assert len(set(keys())) == 3
    assert keys() == keys()
