"""The contract's own encoding: frames of protobuf, as gRPC and binary WebSockets carry them."""

from collections.abc import Callable, Hashable, Sequence
from typing import Any, cast

from google.protobuf.message import DecodeError, Message
from google.protobuf.unknown_fields import UnknownFieldSet

from chat.v1 import chat_pb2, commands_pb2
from chat_service.core import commands, events, limits
from chat_service.core.commands import Command, CommandBody
from chat_service.core.errors import InvalidCommand, Malformed, TooLarge
from chat_service.core.events import Event
from chat_service.core.moderation import ModerationAction
from chat_service.core.outcome import Durable
from chat_service.wire.events import encode_acks, encode_event
from chat_service.wire.port import Acked, Received
from chat_service.wire.times import seconds_of


class ProtobufCodec:
    """A connection that speaks frames of protobuf."""

    echoes = True
    interactive = False

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

    def encode_acks(self, acks: Sequence[Acked]) -> tuple[bytes, int]:
        """Encode Acks as one `ServerFrame`."""
        return encode_acks(acks), len(acks)

    def moved(self, body: events.Joined | events.Left) -> None:
        """Do nothing: frames look the same wherever the user is."""

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
    # Unknown fields are rare: two looks at a frame's size find out whether there were any.
    size = frame.ByteSize()
    frame.DiscardUnknownFields()
    if frame.ByteSize() != size:
        frame = chat_pb2.ClientFrame.FromString(data)
        return [_decode_strictly(command) for command in frame.commands]
    return [decode_command(command) for command in frame.commands]


def _decode_strictly(command: commands_pb2.Command) -> Received:
    unknown = _unknown_field(command)
    return (command.ref, InvalidCommand(unknown)) if unknown else decode_command(command)


def _unknown_field(message: Message) -> str | None:
    """Return what to say of the first unknown field of a message or of those within it."""
    unknown = UnknownFieldSet(message)
    if len(unknown):
        return f"{message.DESCRIPTOR.name} has an unknown field {unknown[0].field_number}"
    within = (value for _, value in message.ListFields() if isinstance(value, Message))
    return next(filter(None, map(_unknown_field, within)), None)


def decode_command(command: commands_pb2.Command) -> Received:
    """Return what a parsed command asks; its unknown fields are not looked at."""
    kind = command.WhichOneof("kind")
    if kind is None:
        return command.ref, InvalidCommand("the command has no kind that this server knows")
    return Command(command.ref, _DECODERS[kind](getattr(command, kind)))


def _hello(it: commands_pb2.Hello) -> commands.Hello:
    resume = commands.Cursor(it.resume.epoch, it.resume.seq) if it.HasField("resume") else None
    credential = it.WhichOneof("credential")
    return commands.Hello(
        it.user,
        it.client_id,
        resume,
        it.backlog,
        commands.Secret(it.password) if credential == "password" else None,
        commands.Secret(it.token) if credential == "token" else None,
    )


def _moderate(it: commands_pb2.Moderate) -> commands.Moderate:
    duration = seconds_of(it.duration) if it.HasField("duration") else None
    # What this version does not know, as an unset one, is refused where the command is executed.
    action = cast("ModerationAction", it.action)
    return commands.Moderate(it.room, action, it.user, it.reason, duration)


_DECODERS: dict[str, Callable[[Any], CommandBody]] = {
    "hello": _hello,
    "send": lambda it: commands.Send(it.to, it.text, it.nonce, it.reply_to),
    "join": lambda it: commands.Join(it.room),
    "leave": lambda it: commands.Leave(it.room),
    "who": lambda it: commands.Who(it.to, it.after),
    "history": lambda it: commands.History(it.to, it.before_seq, it.limit),
    "conversations": lambda it: commands.Conversations(it.before_seq, it.limit),
    "ping": lambda it: commands.Ping(),  # noqa: ARG005
    "moderate": _moderate,
}
