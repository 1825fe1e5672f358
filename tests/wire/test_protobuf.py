"""The encoding of the contract, against the generated classes."""

from enum import IntEnum
from typing import Any

import pytest
from google.protobuf.duration_pb2 import Duration
from google.protobuf.internal.enum_type_wrapper import EnumTypeWrapper
from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import asdict

from chat.v1 import chat_pb2, commands_pb2, cursor_pb2, events_pb2
from chat_service.core import commands, events, limits
from chat_service.core.commands import Command, CommandBody, Cursor, Secret
from chat_service.core.errors import ErrorCode, InvalidCommand, Malformed, TooLarge
from chat_service.core.events import Event, EventBody, GapReason, GoodbyeReason
from chat_service.core.moderation import ModerationAction, Role
from chat_service.core.outcome import Durable
from chat_service.core.value import Value
from chat_service.wire.events import MessageEncoder, decode_frame, encode_event
from chat_service.wire.port import Codec
from chat_service.wire.protobuf import ProtobufCodec, decode_commands
from tests.memory import resident

UINT32 = st.integers(0, 2**32 - 1)
UINT64 = st.integers(0, 2**64 - 1)
MICROS = st.integers(0, 253_402_300_799_999_999)  # to the end of the year 9999, as Timestamp goes
ROLES = st.none() | st.sampled_from(Role)
RETRY = st.none() | st.integers(0, 10**9).map(lambda millis: millis / 1000)

MESSAGES = st.builds(events.Message, st.text(), st.text(), UINT64, st.text(), MICROS, UINT64)
DURABLES = (
    MESSAGES
    | st.builds(events.Joined, st.text(), st.text())
    | st.builds(events.Left, st.text(), st.text())
    | st.builds(
        events.Moderated,
        st.text(),
        st.sampled_from(ModerationAction),
        st.text(),
        st.text(),
        st.text(),
        MICROS,
    )
    | st.builds(events.Announcement, st.text(), st.text(), MICROS)
)
ACKS = st.builds(events.Ack, UINT64, UINT64, UINT64, st.booleans(), MICROS)
EPHEMERAL = st.one_of(
    ACKS,
    st.builds(events.Error, st.sampled_from(ErrorCode), st.text(), RETRY),
    st.builds(
        events.Welcome,
        st.text(),
        st.text(),
        st.builds(Cursor, st.text(), UINT64),
        st.booleans(),
        UINT64,
        st.lists(st.text()).map(tuple),
        UINT32,
        st.text(),
        st.text(),
    ),
    st.builds(events.Presence, st.text(), st.booleans()),
    st.builds(
        events.Roster,
        st.text(),
        st.lists(st.builds(events.Member, st.text(), st.booleans(), ROLES)).map(tuple),
        st.booleans(),
    ),
    st.builds(
        events.ConversationsPage,
        st.lists(st.builds(events.Conversation, st.text(), UINT64, UINT64)).map(tuple),
        st.booleans(),
    ),
    st.builds(events.Gap, st.text(), UINT64, UINT64, st.sampled_from(GapReason)),
    st.builds(events.Goodbye, st.sampled_from(GoodbyeReason), st.text(), st.booleans(), RETRY),
    st.just(events.Pong()),
)
HELLOS = (commands.Hello, st.text(), st.text())
SECRETS = st.text().map(Secret)
BODIES = st.one_of(
    st.builds(*HELLOS, st.none(), UINT32, st.none(), st.none()),
    st.builds(*HELLOS, st.builds(Cursor, st.text(), UINT64), UINT32, st.none(), st.none()),
    st.builds(*HELLOS, st.none(), UINT32, SECRETS, st.none()),
    st.builds(*HELLOS, st.none(), UINT32, st.none(), SECRETS),
    st.builds(
        commands.Moderate,
        st.text(),
        st.sampled_from(ModerationAction),
        st.text(),
        st.text(),
        st.none() | st.integers(0, 10**9).map(float),
    ),
    st.builds(commands.Send, st.text(), st.text(), UINT64, UINT64, st.just(0)),
    st.builds(commands.Join, st.text()),
    st.builds(commands.Leave, st.text()),
    st.builds(commands.Who, st.text(), st.text()),
    st.builds(commands.History, st.text(), UINT64, UINT32),
    st.builds(commands.Conversations, UINT64, UINT32),
    st.just(commands.Ping()),
)


def parsed(frame: bytes) -> list[events_pb2.Event]:
    return list(chat_pb2.ServerFrame.FromString(frame).events)


def said(value: object) -> object:
    """Return a value of the core as plain data."""
    if isinstance(value, Value):
        return {name: said(it) for name, it in asdict(value).items()}
    if isinstance(value, tuple):
        return [said(it) for it in value]
    return int(value) if isinstance(value, IntEnum) else value


def heard(message: Message) -> dict[str, object]:
    """Return a message as plain data, in the core's units."""
    return {field.name: _heard(message, field) for field in message.DESCRIPTOR.fields}


def _heard(message: Message, field: Any) -> object:
    value = getattr(message, field.name)
    if field.message_type is None:
        return list(value) if field.is_repeated else value
    if field.is_repeated:
        return [heard(it) for it in value]
    if isinstance(value, Timestamp):
        return value.ToMicroseconds()
    if isinstance(value, Duration):
        return value.ToMicroseconds() / 1e6 if message.HasField(field.name) else None
    return heard(value)


def frame_of(ref: int, body: CommandBody) -> chat_pb2.ClientFrame:
    """Return what a client sends to ask for something."""
    kind = type(body).__name__
    fields: dict[str, Any] = asdict(body)
    fields.pop("since", None)  # the session's own note, never on the wire
    if isinstance(body, commands.Hello):
        resume = body.resume and cursor_pb2.Cursor(epoch=body.resume.epoch, seq=body.resume.seq)
        fields = {**fields, "resume": resume}
    if isinstance(body, commands.Moderate) and body.duration is not None:
        fields["duration"] = Duration(seconds=int(body.duration))
    message = getattr(commands_pb2, kind)(**fields)
    command = commands_pb2.Command(ref=ref, **{kind.lower(): message})
    return chat_pb2.ClientFrame(commands=[command])


def field(number: int, value: bytes) -> bytes:
    """Return an encoded field of bytes, shorter than 128."""
    return bytes((number << 3 | 2, len(value))) + value


# Events


@given(EPHEMERAL | DURABLES, UINT64, UINT64)
def test_a_client_reads_an_event_as_it_was_meant(body: EventBody, seq: int, ref: int) -> None:
    (event,) = parsed(encode_event(Event(body, seq, ref)))
    assert (event.seq, event.ref) == (seq, ref)
    kind = event.WhichOneof("kind")
    assert kind == type(body).__name__.lower().removesuffix("page")
    data = heard(getattr(event, kind))
    expected = said(body)
    assert isinstance(expected, dict)
    if isinstance(body, events.Roster):
        for member in expected["members"]:
            member["role"] = member["role"] or 0
    if isinstance(body, events.Welcome):
        told_limits = data.pop("limits")
        assert isinstance(told_limits, dict)
        data["presence_limit"] = told_limits.pop("presence_limit")
        assert told_limits == {
            "max_text_bytes": limits.MAX_TEXT_BYTES,
            "max_frame_bytes": limits.MAX_FRAME_BYTES,
            "max_backlog": limits.MAX_BACKLOG,
            "max_history": limits.MAX_HISTORY,
            "max_roster": limits.MAX_ROSTER,
            "max_rooms": limits.MAX_ROOMS,
            "max_conversations": limits.MAX_CONVERSATIONS,
        }
    assert data == expected


@given(st.lists(st.tuples(MESSAGES, UINT64), max_size=100))
def test_one_encoder_for_many_messages_leaves_nothing_of_one_in_the_next(
    said: list[tuple[events.Message, int]],
) -> None:
    encoder = MessageEncoder()
    for message, seq in said:
        assert encoder.encode(message, seq) == encode_event(Event(message, seq))


def test_one_encoder_for_many_messages_keeps_none_of_them_in_memory() -> None:
    encoder = MessageEncoder()
    message = events.Message("#lobby", "ann", 1, "x" * limits.MAX_TEXT_BYTES, 1)
    encoder.encode(message, 1)
    before = resident()
    for seq in range(20_000):
        encoder.encode(message, seq)
    assert resident() - before < 20_000 * limits.MAX_TEXT_BYTES / 4


@given(st.lists(st.tuples(UINT64, ACKS), max_size=20))
def test_acks_in_one_frame_are_the_acks_in_a_frame_each(acks: list[tuple[int, events.Ack]]) -> None:
    each = b"".join(encode_event(Event(ack, ref=ref)) for ref, ack in acks)
    assert ProtobufCodec().encode_acks(acks) == (each, len(acks))


def test_what_is_not_known_is_unset_and_not_zero() -> None:
    (ack,) = parsed(encode_event(Event(events.Ack())))
    assert not ack.ack.HasField("sent_at")
    (error,) = parsed(encode_event(Event(events.Error(ErrorCode.INTERNAL, "oops"))))
    assert not error.error.HasField("retry_after")
    (at_once,) = parsed(encode_event(Event(events.Error(ErrorCode.UNAVAILABLE, "busy", 0.0))))
    assert at_once.error.HasField("retry_after")


@given(st.lists(st.tuples(DURABLES, UINT64)))
def test_stored_frames_laid_end_to_end_are_one_frame(
    stored: list[tuple[events.DurableBody, int]],
) -> None:
    durables = [
        Durable(seq, "#lobby", 1, body, encode_event(Event(body, seq))) for body, seq in stored
    ]
    joined = ProtobufCodec().join(durables)
    assert [event.seq for event in parsed(joined)] == [seq for _, seq in stored]
    assert joined == ProtobufCodec().recall([it.frame for it in durables])
    assert decode_frame(joined) == [Event(body, seq) for body, seq in stored]


@given(st.lists(st.tuples(MESSAGES, UINT64)), st.booleans(), UINT64)
def test_a_page_of_history_holds_the_stored_frames_as_they_are(
    stored: list[tuple[events.Message, int]], more: bool, ref: int
) -> None:
    frames = tuple(encode_event(Event(body, seq)) for body, seq in stored)
    frame = encode_event(Event(events.HistoryPage("#lobby", frames, more), ref=ref))
    (event,) = parsed(frame)
    assert (event.ref, event.seq, event.WhichOneof("kind")) == (ref, 0, "history")
    assert (event.history.to, event.history.more) == ("#lobby", more)
    assert list(event.history.events) == [it for stored in frames for it in parsed(stored)]


def test_an_empty_page_of_nowhere_is_still_a_page() -> None:
    (event,) = parsed(encode_event(Event(events.HistoryPage("", ()))))
    assert event.WhichOneof("kind") == "history"


# Commands


@given(UINT64, BODIES)
def test_the_server_reads_a_command_as_it_was_meant(ref: int, body: CommandBody) -> None:
    frame = frame_of(ref, body)
    assert decode_commands(frame.SerializeToString()) == [Command(ref, body)]


@given(st.lists(st.tuples(UINT64, BODIES)))
def test_a_frame_asks_for_its_commands_in_order(asked: list[tuple[int, CommandBody]]) -> None:
    data = b"".join(frame_of(ref, body).SerializeToString() for ref, body in asked)
    if len(data) <= limits.MAX_FRAME_BYTES:
        assert decode_commands(data) == [Command(ref, body) for ref, body in asked]


def test_a_command_without_kind_is_refused_alone() -> None:
    frame = chat_pb2.ClientFrame(
        commands=[commands_pb2.Command(ref=1), commands_pb2.Command(ref=2)]
    )
    frame.commands[1].ping.SetInParent()
    first, second = decode_commands(frame.SerializeToString())
    assert isinstance(first, tuple)
    assert isinstance(first[1], InvalidCommand)
    assert first[0] == 1
    assert second == Command(2, commands.Ping())


HELLO = b"\x0a\x01a"  # user = "a"


@pytest.mark.parametrize(
    ("command", "where"),
    [
        (field(2, HELLO) + field(15, b"?"), "Command has an unknown field 15"),
        (field(15, b"?"), "Command has an unknown field 15"),
        (field(2, HELLO + field(15, b"?")), "Hello has an unknown field 15"),
        (field(2, HELLO + field(3, field(15, b"?"))), "Cursor has an unknown field 15"),
        (field(8, field(1, b"")), "Ping has an unknown field 1"),
    ],
)
def test_a_field_that_the_server_does_not_know_is_refused_and_its_neighbours_are_not(
    command: bytes, where: str
) -> None:
    good = field(1, b"\x08\x07" + field(8, b""))
    data = good + field(1, b"\x08\x05" + command) + good
    before, refused, after = decode_commands(data)
    assert before == after == Command(7, commands.Ping())
    assert isinstance(refused, tuple)
    assert refused[0] == 5
    assert isinstance(refused[1], InvalidCommand)
    assert str(refused[1]) == where


def test_a_frame_may_have_fields_to_come() -> None:
    good = field(1, field(8, b""))
    assert decode_commands(good + field(15, b"?")) == [Command(0, commands.Ping())]


@pytest.mark.parametrize(
    "data",
    [
        b"\x0a",
        b"\x0a\x05abc",
        b"\xff" * 20,
        b"GET / HTTP/1.1\r\n\r\n",
        field(1, field(3, field(2, b"\xff"))),  # a text that is no UTF-8
    ],
)
def test_what_is_no_frame_is_malformed(data: bytes) -> None:
    with pytest.raises(Malformed):
        decode_commands(data)


@given(st.binary())
def test_no_bytes_are_unexpected(data: bytes) -> None:
    try:
        received = decode_commands(data)
    except Malformed:
        return
    assert all(isinstance(it, Command) or isinstance(it[1], InvalidCommand) for it in received)


def test_a_frame_may_be_as_large_as_the_limit_and_no_larger() -> None:
    def sized(size: int) -> bytes:
        frame = frame_of(1, commands.Send("#lobby", ""))
        frame.commands[0].send.text = "x" * (size - 64)
        frame.commands[0].send.text += "x" * (size - frame.ByteSize())
        assert frame.ByteSize() == size
        return frame.SerializeToString()

    assert len(decode_commands(sized(limits.MAX_FRAME_BYTES))) == 1
    with pytest.raises(TooLarge):
        decode_commands(sized(limits.MAX_FRAME_BYTES + 1))


# The codec


def test_every_connection_shares_every_encoding() -> None:
    ann: Codec = ProtobufCodec()
    bob: Codec = ProtobufCodec()
    ann.user = "ann"
    keys = {codec.sharing(private=private) for codec in (ann, bob) for private in (True, False)}
    assert len(keys) == 1
    assert ann.echoes


def test_a_codec_reads_and_writes_whole_frames() -> None:
    codec = ProtobufCodec()
    ping = frame_of(3, commands.Ping()).SerializeToString()
    assert codec.feed(ping) == [Command(3, commands.Ping())]
    assert codec.end_of_input() == []
    pong = Event(events.Pong(), ref=3)
    assert codec.encode(pong) == encode_event(pong)


@pytest.mark.parametrize(
    ("core", "contract"),
    [
        (ErrorCode, events_pb2.ErrorCode),
        (GoodbyeReason, events_pb2.GoodbyeReason),
        (GapReason, events_pb2.GapReason),
    ],
)
def test_the_core_has_the_names_and_numbers_of_the_contract(
    core: type[IntEnum], contract: EnumTypeWrapper
) -> None:
    prefix = {ErrorCode: "ERROR_CODE_", GapReason: "GAP_REASON_"}.get(core, "GOODBYE_REASON_")
    named = {prefix + it.name: it.value for it in core}
    assert {prefix + "UNSPECIFIED": 0, **named} == dict(contract.items())
