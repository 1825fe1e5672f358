"""The contract as canonical JSON, as text WebSockets carry it: `chat.v1.json`.

See https://protobuf.dev/programming-guides/json/ for the mapping: lowerCamelCase names, 64-bit
numbers as strings, enums by name, times as RFC 3339, and nothing for what is unset. What comes
often is shaped by hand, at a tenth of the price; a test holds it against protobuf's own.
"""

import json
from collections.abc import Callable, Hashable, Sequence
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, Final, NoReturn

from google.protobuf import json_format
from msgspec import DecodeError, Struct
from msgspec.json import Decoder, Encoder

from chat.v1 import chat_pb2, commands_pb2
from chat_service.core import events, limits
from chat_service.core.commands import Command, Send
from chat_service.core.errors import InvalidCommand, Malformed, TooLarge
from chat_service.core.events import Event
from chat_service.core.outcome import Durable
from chat_service.wire.events import decode_frame, encode_event
from chat_service.wire.port import Acked, Received
from chat_service.wire.protobuf import decode_command

_MAX_UINT64: Final = 2**64 - 1
_SHOWN_CHARS: Final = 120


class JsonCodec:
    """A connection that speaks frames of JSON."""

    echoes = True
    interactive = False

    def __init__(self) -> None:
        self.user = ""

    def sharing(self, *, private: bool) -> Hashable:  # noqa: ARG002  (everyone sees the same text)
        """Return one key for all: what is encoded says everything to everyone."""
        return JsonCodec

    def feed(self, data: bytes) -> list[Received]:
        """Decode one whole `ClientFrame`."""
        return decode_commands(data)

    def end_of_input(self) -> list[Received]:
        """Return nothing: frames come whole."""
        return []

    def encode(self, event: Event) -> bytes:
        """Encode one event as a `ServerFrame`."""
        return _frame([_encode(_event(event.body, event.seq, event.ref))])

    def encode_acks(self, acks: Sequence[Acked]) -> tuple[bytes, int]:
        """Encode Acks as one `ServerFrame`."""
        return _frame([_acked(acked) for acked in acks]), len(acks)

    def moved(self, body: events.Joined | events.Left) -> None:
        """Do nothing: frames look the same wherever the user is."""

    def join(self, events: Sequence[Durable]) -> bytes:
        """Encode committed events as one `ServerFrame`."""
        return _frame([_durable(event) for event in events])

    def recall(self, frames: Sequence[bytes]) -> bytes:
        """Encode what is stored as one `ServerFrame`."""
        return _frame([_encode(event) for event in _recalled(frames)])


# --- from JSON ---


class _PlainSend(Struct, forbid_unknown_fields=True, gc=False):
    to: str
    text: str
    nonce: int | str


class _PlainCommand(Struct, forbid_unknown_fields=True, gc=False):
    ref: int | str
    send: _PlainSend


class _PlainFrame(Struct, forbid_unknown_fields=True):
    """A `ClientFrame` as nearly all are: nothing but sends, with all that a client gives them."""

    commands: list[_PlainCommand]


_parse_plain = Decoder(_PlainFrame).decode


def decode_commands(data: bytes) -> list[Received]:
    """Decode a client's `ClientFrame`; raises Malformed or TooLarge."""
    if len(data) > limits.MAX_FRAME_BYTES:
        raise TooLarge(f"a frame has at most {limits.MAX_FRAME_BYTES} bytes")
    plain = _plain_sends(data)
    return [_command(command) for command in _commands(_parse(data))] if plain is None else plain


def _plain_sends(data: bytes) -> list[Received] | None:
    """Decode a frame that is spelt as usual; None if it has to be looked at more closely."""
    try:
        commands = _parse_plain(data).commands
    except (DecodeError, RecursionError):
        return None
    # This parser keeps the last of two values under one name, which has to be refused: with one
    # name more there is one colon more than there are names, which are six in a frame of one send.
    colons = sum([it.send.text.count(":") for it in commands])
    if data.count(b":") - colons != 1 + 5 * len(commands) or b"\\u" in data:
        return None
    sends: list[Received] = []
    for it in commands:
        send = it.send
        ref, nonce = _uint64(it.ref), _uint64(send.nonce)
        if ref is None or nonce is None:
            return None
        sends.append(Command(ref, Send(send.to, send.text, nonce)))
    return sends


def _parse(data: bytes) -> Any:
    try:
        return json.loads(
            data.decode(), object_pairs_hook=_unambiguous, parse_constant=_refuse_constant
        )
    except RecursionError:
        raise Malformed("the frame is nested too deeply") from None
    except ValueError as error:  # also what is not UTF-8, and numbers of thousands of digits
        raise Malformed(f"the frame is not JSON: {str(error)[:_SHOWN_CHARS]}") from None


def _unambiguous(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a name comes twice in one object")
    if not all(map(_is_text, found)):  # which makes protobuf's library fail, not refuse
        raise ValueError("a name is not Unicode")
    return found


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no number of JSON")


def _commands(frame: Any) -> list[Any]:
    if isinstance(frame, dict) and frame.keys() <= {"commands"}:
        commands = frame.get("commands")
        if commands is None:  # null is as good as nothing
            return []
        if isinstance(commands, list):
            return commands
    raise Malformed('the frame is not a chat.v1.ClientFrame: {"commands": [ … ]}')


def _command(given: Any) -> Received:
    if isinstance(given, dict) and (send := _plain_send(given)) is not None:
        return send
    ref = _ref(given)
    if not isinstance(given, dict):
        return ref, InvalidCommand("a command is an object")
    command = commands_pb2.Command()
    try:
        json_format.ParseDict(given, command)
        return decode_command(command)
    # Not everything that it stumbles over does it tell by an error of its own.
    except (json_format.Error, ValueError, TypeError, AttributeError, OverflowError) as error:
        return ref, InvalidCommand(_reason(error))
    except RecursionError:
        return ref, InvalidCommand("the command is nested too deeply")


def _reason(error: Exception) -> str:
    shown = str(error).partition("\n")[0][:_SHOWN_CHARS]
    return shown.encode(errors="replace").decode()


def _plain_send(given: dict[str, Any]) -> Command | None:
    """Return a Send that is spelt as usual; None if it has to be looked at more closely."""
    send = given.get("send")
    if not isinstance(send, dict) or given.keys() - {"ref", "send"}:
        return None
    if send.keys() - {"to", "text", "nonce", "replyTo"}:
        return None
    to: Any = send.get("to")
    text: Any = send.get("text")
    ref, nonce = _uint64(given.get("ref", 0)), _uint64(send.get("nonce", 0))
    reply_to = _uint64(send.get("replyTo", 0))
    if ref is None or nonce is None or reply_to is None or not (_is_text(to) and _is_text(text)):
        return None
    return Command(ref, Send(to, text, nonce, reply_to))


def _is_text(value: Any) -> bool:
    if not isinstance(value, str):
        return False
    try:
        value.encode()
    except UnicodeEncodeError:  # half of a surrogate pair
        return False
    return True


def _uint64(value: Any) -> int | None:
    """Return a number that is spelt plainly, as a number or in a string; None if it is not."""
    if isinstance(value, str) and value.isascii() and value.isdecimal() and len(value) <= 20:
        value = int(value)
    return value if type(value) is int and 0 <= value <= _MAX_UINT64 else None


def _ref(given: Any) -> int:
    """Return the ref of what is refused; 0 if that cannot be understood either."""
    return (_uint64(given.get("ref")) or 0) if isinstance(given, dict) else 0


# --- to JSON ---


_MESSAGE: Final = (
    b'{"seq":"%d","message":{"to":%b,"sender":%b,"number":"%d","text":%b,"sentAt":"%b"}}'
)
_ACK: Final = b'{"ref":"%d","ack":{"seq":"%d","number":"%d","nonce":"%d","sentAt":"%b"}}'
"""What comes most, where nothing of it is unset and nothing else is set."""


class _Shape(Struct, omit_defaults=True, rename="camel", gc=False):
    """What is written of a message of the contract: nothing that is unset, numbers as strings."""


class _Message(_Shape):
    to: str = ""
    sender: str = ""
    number: str = ""
    text: str = ""
    sent_at: str = ""
    reply_to: str = ""


class _Ack(_Shape):
    seq: str = ""
    number: str = ""
    nonce: str = ""
    duplicate: bool = False
    sent_at: str = ""


class _Coming(_Shape):
    """Somebody has joined or left a room."""

    room: str = ""
    user: str = ""


class _Presence(_Shape):
    user: str = ""
    online: bool = False


class _History(_Shape):
    events: list[Any] = []
    to: str = ""
    more: bool = False


class _Pong(_Shape):
    pass


class _Event(_Shape):
    """An event of one of the kinds that come often."""

    ref: str = ""
    seq: str = ""
    ack: _Ack | None = None
    message: _Message | None = None
    joined: _Coming | None = None
    left: _Coming | None = None
    presence: _Presence | None = None
    history: _History | None = None
    pong: _Pong | None = None


_encode = Encoder().encode


def _frame(told: Sequence[bytes]) -> bytes:
    return b'{"events":[%b]}' % b",".join(told) if told else b""


def _durable(it: Durable) -> bytes:
    body, seq = it.body, it.seq
    if isinstance(body, events.Message) and _is_usual(body) and seq:
        to, sender, text = _encode(body.to), _encode(body.sender), _encode(body.text)
        return _MESSAGE % (seq, to, sender, body.number, text, _time_bytes(body.sent_at))
    return _encode(_event(body, seq))


def _is_usual(it: events.Message) -> bool:
    return bool(it.to and it.sender and it.number and it.text and it.sent_at) and not it.reply_to


def _acked(acked: Acked) -> bytes:
    ref, it = acked
    if ref and it.seq and it.number and it.nonce and it.sent_at and not it.duplicate:
        return _ACK % (ref, it.seq, it.number, it.nonce, _time_bytes(it.sent_at))
    return _encode(_ack(_number(ref), "", it))


def _event(body: events.EventBody, seq: int = 0, ref: int = 0) -> Any:
    shape = _SHAPES.get(type(body))
    return (
        _rare(Event(body, seq, ref)) if shape is None else shape(_number(ref), _number(seq), body)
    )


def _rare(event: Event) -> dict[str, Any]:
    """Shape an event of a kind that does not pay to be shaped by hand."""
    frame = chat_pb2.ServerFrame.FromString(encode_event(event))
    return json_format.MessageToDict(frame.events[0])


def _recalled(frames: Sequence[bytes]) -> list[Any]:
    return [_event(event.body, event.seq) for frame in frames for event in decode_frame(frame)]


def _message(ref: str, seq: str, it: events.Message) -> _Event:
    number, reply_to = _number(it.number), _number(it.reply_to)
    message = _Message(it.to, it.sender, number, it.text, _time(it.sent_at), reply_to)
    return _Event(ref, seq, message=message)


def _ack(ref: str, seq: str, it: events.Ack) -> _Event:
    number, nonce = _number(it.number), _number(it.nonce)
    return _Event(ref, seq, _Ack(_number(it.seq), number, nonce, it.duplicate, _time(it.sent_at)))


def _history(ref: str, seq: str, it: events.HistoryPage) -> _Event:
    return _Event(ref, seq, history=_History(_recalled(it.frames), it.to, it.more))


_SHAPES: Final[dict[type[events.EventBody], Callable[[str, str, Any], _Event]]] = {
    events.Message: _message,
    events.Ack: _ack,
    events.Joined: lambda ref, seq, it: _Event(ref, seq, joined=_Coming(it.room, it.user)),
    events.Left: lambda ref, seq, it: _Event(ref, seq, left=_Coming(it.room, it.user)),
    events.Presence: lambda ref, seq, it: _Event(ref, seq, presence=_Presence(it.user, it.online)),
    events.HistoryPage: _history,
    events.Pong: lambda ref, seq, _: _Event(ref, seq, pong=_Pong()),
}


def _number(value: int) -> str:
    return str(value) if value else ""


@lru_cache(64)
def _time(micros: int) -> str:
    """Return microseconds since 1970 as RFC 3339, with as few digits as protobuf gives it."""
    if not micros:
        return ""
    seconds, rest = divmod(micros, 1_000_000)
    second = datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S")
    if not rest:
        return f"{second}Z"
    if rest % 1000:
        return f"{second}.{rest:06d}Z"
    return f"{second}.{rest // 1000:03d}Z"


@lru_cache(64)
def _time_bytes(micros: int) -> bytes:
    return _time(micros).encode()
