"""The contract's own encoding: frames of protobuf, as gRPC and binary WebSockets carry them.

Everything that leaves here is an encoded `ServerFrame`, mostly of one event. Frames laid end to
end are the frame with all their events (https://protobuf.dev/programming-guides/encoding/#optional),
so what is stored and shared is joined and never encoded again.
"""

from collections.abc import Callable, Hashable, Sequence
from typing import Any, Final

from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import DecodeError, Message
from google.protobuf.timestamp_pb2 import Timestamp
from google.protobuf.unknown_fields import UnknownFieldSet

from chat.v1 import chat_pb2, commands_pb2, cursor_pb2, events_pb2
from chat_service.core import commands, events, limits
from chat_service.core.commands import Command, CommandBody
from chat_service.core.errors import InvalidCommand, Malformed, TooLarge
from chat_service.core.events import Event, EventBody
from chat_service.core.outcome import Durable
from chat_service.wire.port import Received

_EVENTS_TAG: Final = b"\x0a"  # field 1, length-delimited: ServerFrame.events, HistoryPage.events
_HISTORY_TAG: Final = b"\x5a"  # field 11, length-delimited: Event.history


class ProtobufCodec:
    """A connection that speaks frames of protobuf."""

    echoes = True

    def __init__(self) -> None:
        self.user = ""

    def sharing(self, *, private: bool) -> Hashable:  # noqa: ARG002  (everyone sees the same bytes)
        """Return one key for all: what is encoded says everything to everyone."""
        return ProtobufCodec

    def feed(self, data: bytes) -> list[Received]:
        """Decode one whole `ClientFrame`."""
        return decode_commands(data)

    def end_of_input(self) -> list[Received]:
        """Return nothing: frames come whole."""
        return []

    def encode(self, event: Event) -> bytes:
        """Encode one event as a `ServerFrame`."""
        return encode_event(event)

    def join(self, events: Sequence[Durable]) -> bytes:
        """Lay the stored frames end to end."""
        return b"".join([event.frame for event in events])

    def recall(self, frames: Sequence[bytes]) -> bytes:
        """Lay stored frames end to end."""
        return b"".join(frames)


def decode_commands(data: bytes) -> list[Received]:
    """Decode a client's `ClientFrame`; raises Malformed or TooLarge."""
    if len(data) > limits.MAX_FRAME_BYTES:
        raise TooLarge(f"a frame has at most {limits.MAX_FRAME_BYTES} bytes")
    try:
        frame = chat_pb2.ClientFrame.FromString(data)
    except DecodeError:
        raise Malformed("the frame is not a chat.v1.ClientFrame") from None
    # Unknown fields are rare: one comparison a frame finds out whether there are any.
    size = frame.ByteSize()
    known = chat_pb2.ClientFrame()
    known.CopyFrom(frame)
    known.DiscardUnknownFields()
    if known.ByteSize() != size:
        return [_decode_strictly(command) for command in frame.commands]
    return [_decode(command) for command in frame.commands]


def _decode_strictly(command: commands_pb2.Command) -> Received:
    unknown = _unknown_field(command)
    return (command.ref, InvalidCommand(unknown)) if unknown else _decode(command)


def _unknown_field(message: Message) -> str | None:
    """Return what to say of the first unknown field of a message or of those within it."""
    unknown = UnknownFieldSet(message)
    if len(unknown):
        return f"{message.DESCRIPTOR.name} has an unknown field {unknown[0].field_number}"
    within = (value for _, value in message.ListFields() if isinstance(value, Message))
    return next(filter(None, map(_unknown_field, within)), None)


def _decode(command: commands_pb2.Command) -> Received:
    kind = command.WhichOneof("kind")
    if kind is None:
        return command.ref, InvalidCommand("the command has no kind that this server knows")
    return Command(command.ref, _DECODERS[kind](getattr(command, kind)))


def _hello(it: commands_pb2.Hello) -> commands.Hello:
    resume = commands.Cursor(it.resume.epoch, it.resume.seq) if it.HasField("resume") else None
    return commands.Hello(it.user, it.client_id, resume, it.backlog)


_DECODERS: dict[str, Callable[[Any], CommandBody]] = {
    "hello": _hello,
    "send": lambda it: commands.Send(it.to, it.text, it.nonce, it.reply_to),
    "join": lambda it: commands.Join(it.room),
    "leave": lambda it: commands.Leave(it.room),
    "who": lambda it: commands.Who(it.to, it.after),
    "history": lambda it: commands.History(it.to, it.before_seq, it.limit),
    "ping": lambda it: commands.Ping(),  # noqa: ARG005
}


def encode_event(event: Event) -> bytes:
    """Encode an event as a `ServerFrame` of its own."""
    body = event.body
    if isinstance(body, events.HistoryPage):
        return _history(event.ref, body)
    kind, encoder = _ENCODERS[type(body)]
    message = events_pb2.Event(ref=event.ref, seq=event.seq, **{kind: encoder(body)})
    return frame_event(message.SerializeToString())


def frame_event(encoded: bytes) -> bytes:
    """Make an encoded `Event` the encoded `ServerFrame` that holds just it."""
    return _EVENTS_TAG + _varint(len(encoded)) + encoded


def decode_frame(frame: bytes) -> list[Event]:
    """Decode a stored `ServerFrame`; it holds durable events alone."""
    stored = chat_pb2.ServerFrame.FromString(frame).events
    return [Event(_DURABLES[it.WhichOneof("kind") or ""](it), it.seq) for it in stored]


def _stored_message(it: events_pb2.Event) -> events.Message:
    message = it.message
    sent_at = message.sent_at.seconds * 1_000_000 + message.sent_at.nanos // 1000
    return events.Message(
        message.to, message.sender, message.number, message.text, sent_at, message.reply_to
    )


_DURABLES: dict[str, Callable[[events_pb2.Event], events.DurableBody]] = {
    "message": _stored_message,
    "joined": lambda it: events.Joined(it.joined.room, it.joined.user),
    "left": lambda it: events.Left(it.left.room, it.left.user),
}


def _timestamp(micros: int) -> Timestamp | None:
    if not micros:
        return None
    seconds, rest = divmod(micros, 1_000_000)
    return Timestamp(seconds=seconds, nanos=rest * 1000)


def duration(seconds: float | None) -> Duration | None:
    """Return seconds as a protobuf Duration; None stays None, which is unset."""
    if seconds is None:
        return None
    micros = round(seconds * 1_000_000)
    return Duration(seconds=micros // 1_000_000, nanos=micros % 1_000_000 * 1000)


def _varint(value: int) -> bytes:
    if value < 0x80:
        return bytes((value,))
    out = bytearray()
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def _ack(it: events.Ack) -> events_pb2.Ack:
    return events_pb2.Ack(
        seq=it.seq,
        number=it.number,
        nonce=it.nonce,
        duplicate=it.duplicate,
        sent_at=_timestamp(it.sent_at),
    )


def _error(it: events.Error) -> events_pb2.Error:
    code = f"ERROR_CODE_{it.code.name}"
    return events_pb2.Error(code=code, message=it.message, retry_after=duration(it.retry_after))


def _message(it: events.Message) -> events_pb2.Message:
    return events_pb2.Message(
        to=it.to,
        sender=it.sender,
        number=it.number,
        text=it.text,
        sent_at=_timestamp(it.sent_at),
        reply_to=it.reply_to,
    )


def _welcome(it: events.Welcome) -> events_pb2.Welcome:
    return events_pb2.Welcome(
        user=it.user,
        session_id=it.session_id,
        cursor=cursor_pb2.Cursor(epoch=it.cursor.epoch, seq=it.cursor.seq),
        resumed=it.resumed,
        last_nonce=it.last_nonce,
        rooms=it.rooms,
        limits=events_pb2.Limits(
            max_text_bytes=limits.MAX_TEXT_BYTES,
            max_frame_bytes=limits.MAX_FRAME_BYTES,
            max_backlog=limits.MAX_BACKLOG,
            max_history=limits.MAX_HISTORY,
            max_roster=limits.MAX_ROSTER,
            max_rooms=limits.MAX_ROOMS,
            presence_limit=it.presence_limit,
        ),
        version=it.version,
    )


def _roster(it: events.Roster) -> events_pb2.Roster:
    members = [events_pb2.Member(user=m.user, online=m.online) for m in it.members]
    return events_pb2.Roster(to=it.to, members=members, more=it.more)


def _history(ref: int, it: events.HistoryPage) -> bytes:
    # Stored frames are fields 1 of a HistoryPage as much as of a ServerFrame: they go out as they
    # are, around them only what a page adds.
    head = events_pb2.Event(ref=ref).SerializeToString()
    tail = events_pb2.HistoryPage(to=it.to, more=it.more).SerializeToString()
    size = sum(map(len, it.frames)) + len(tail)
    return frame_event(b"".join((head, _HISTORY_TAG, _varint(size), *it.frames, tail)))


def _gap(it: events.Gap) -> events_pb2.Gap:
    reason = f"GAP_REASON_{it.reason.name}"
    return events_pb2.Gap(to=it.to, after_seq=it.after_seq, before_seq=it.before_seq, reason=reason)


def _goodbye(it: events.Goodbye) -> events_pb2.Goodbye:
    return events_pb2.Goodbye(
        reason=f"GOODBYE_REASON_{it.reason.name}",
        message=it.message,
        reconnect=it.reconnect,
        retry_after=duration(it.retry_after),
    )


_ENCODERS: dict[type[EventBody], tuple[str, Callable[[Any], Any]]] = {
    events.Welcome: ("welcome", _welcome),
    events.Ack: ("ack", _ack),
    events.Error: ("error", _error),
    events.Message: ("message", _message),
    events.Joined: ("joined", lambda it: events_pb2.Joined(room=it.room, user=it.user)),
    events.Left: ("left", lambda it: events_pb2.Left(room=it.room, user=it.user)),
    events.Presence: (
        "presence",
        lambda it: events_pb2.Presence(user=it.user, online=it.online),
    ),
    events.Roster: ("roster", _roster),
    events.Gap: ("gap", _gap),
    events.Goodbye: ("goodbye", _goodbye),
    events.Pong: ("pong", lambda it: events_pb2.Pong()),  # noqa: ARG005
}
