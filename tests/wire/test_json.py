"""The contract as JSON, against protobuf's own idea of it."""

import contextlib
import json
from typing import Any, Final

import pytest
from google.protobuf import json_format
from hypothesis import given
from hypothesis import strategies as st

from chat.v1 import chat_pb2
from chat_service.core import commands, events, limits
from chat_service.core.commands import Command
from chat_service.core.errors import ErrorCode, InvalidCommand, Malformed, Refusal, TooLarge
from chat_service.core.events import Event, GapReason, GoodbyeReason
from chat_service.core.moderation import ModerationAction, Role
from chat_service.core.outcome import Durable
from chat_service.wire.events import encode_event
from chat_service.wire.json import JsonCodec, decode_commands
from chat_service.wire.port import Codec
from chat_service.wire.protobuf import ProtobufCodec

UINT32 = st.integers(0, 2**32 - 1)
UINT64 = st.integers(0, 2**64 - 1)
NAMES = st.text(min_size=1, max_size=20)  # which the grammar of addresses sees to
MICROS = st.integers(1, 253_402_300_799_999_999) | st.integers(1, 253_402_300_799).map(
    lambda seconds: seconds * 1_000_000
)
RETRY = st.none() | st.integers(0, 10**9).map(lambda millis: millis / 1000)

DURABLES = st.one_of(
    st.builds(events.Message, NAMES, NAMES, UINT64, st.text(), MICROS | st.just(0), UINT64),
    st.builds(events.Joined, NAMES, NAMES),
    st.builds(events.Left, NAMES, NAMES),
    st.builds(
        events.Moderated,
        NAMES,
        st.sampled_from(ModerationAction),
        st.text(),
        NAMES,
        st.text(),
        MICROS | st.just(0),
    ),
    st.builds(events.Announcement, NAMES, st.text(), MICROS),
)
PAGES = st.builds(
    events.HistoryPage,
    NAMES,
    st.lists(DURABLES, max_size=4).map(
        lambda bodies: tuple(encode_event(Event(it, n)) for n, it in enumerate(bodies, 1))
    ),
    st.booleans(),
)
EPHEMERAL = st.one_of(
    PAGES,
    st.builds(events.Ack, UINT64, UINT64, UINT64, st.booleans(), MICROS | st.just(0)),
    st.builds(events.Error, st.sampled_from(ErrorCode), st.text(), RETRY),
    st.builds(
        events.Welcome,
        NAMES,
        NAMES,
        st.builds(commands.Cursor, NAMES, UINT64),
        st.booleans(),
        UINT64,
        st.lists(NAMES).map(tuple),
        UINT32,
        st.text(),
        st.text(),
    ),
    st.builds(events.Presence, NAMES, st.booleans()),
    st.builds(
        events.Roster,
        st.text(),
        st.lists(
            st.builds(events.Member, NAMES, st.booleans(), st.none() | st.sampled_from(Role))
        ).map(tuple),
        st.booleans(),
    ),
    st.builds(
        events.ConversationsPage,
        st.lists(st.builds(events.Conversation, NAMES, UINT64, UINT64)).map(tuple),
        st.booleans(),
    ),
    st.builds(events.Gap, st.text(), UINT64, UINT64, st.sampled_from(GapReason)),
    st.builds(events.Goodbye, st.sampled_from(GoodbyeReason), st.text(), st.booleans(), RETRY),
    st.just(events.Pong()),
)


def as_protobuf_says(frame: bytes) -> Any:
    """Return what protobuf's own library makes of a frame."""
    return json_format.MessageToDict(chat_pb2.ServerFrame.FromString(frame))


def durable(body: events.DurableBody, seq: int) -> Durable:
    return Durable(seq, "#x", 1, body, encode_event(Event(body, seq)))


# --- what clients are told ---


@given(st.builds(Event, DURABLES, UINT64, UINT64) | st.builds(Event, EPHEMERAL, st.just(0), UINT64))
def test_every_event_is_the_canonical_json_of_its_protobuf(event: Event) -> None:
    assert json.loads(JsonCodec().encode(event)) == as_protobuf_says(ProtobufCodec().encode(event))


@given(st.lists(DURABLES, min_size=1))
def test_a_batch_and_what_is_stored_of_it_are_one_frame(bodies: list[events.DurableBody]) -> None:
    batch = [durable(body, seq) for seq, body in enumerate(bodies, 1)]
    expected = as_protobuf_says(b"".join(it.frame for it in batch))
    assert json.loads(JsonCodec().join(batch)) == expected
    assert json.loads(JsonCodec().recall([it.frame for it in batch])) == expected


def test_replies_are_one_frame_and_counted() -> None:
    blob, shown = JsonCodec().encode_acks([(n, events.Ack(n)) for n in (1, 2, 3)])
    assert shown == 3
    assert [it["ref"] for it in json.loads(blob)["events"]] == ["1", "2", "3"]


def test_of_nothing_there_is_nothing() -> None:
    assert JsonCodec().join([]) == JsonCodec().recall([]) == b""
    assert JsonCodec().encode_acks([]) == (b"", 0)


@pytest.mark.parametrize(
    ("micros", "told"),
    [
        (1_700_000_000_000_000, "2023-11-14T22:13:20Z"),
        (1_700_000_000_120_000, "2023-11-14T22:13:20.120Z"),
        (1_700_000_000_000_001, "2023-11-14T22:13:20.000001Z"),
    ],
)
def test_times_have_as_few_digits_as_they_need(micros: int, told: str) -> None:
    event = json.loads(JsonCodec().encode(Event(events.Announcement("x", "", micros), 1)))
    assert event["events"][0]["announcement"]["sentAt"] == told
    event = json.loads(JsonCodec().encode(Event(events.Message("#x", "a", 1, "x", micros), 1)))
    assert event["events"][0]["message"]["sentAt"] == told


def test_letters_of_all_scripts_go_as_they_are() -> None:
    blob = JsonCodec().encode(Event(events.Message("#x", "a", 1, "käse 🧀", 1), 1))
    assert "käse 🧀".encode() in blob


def test_all_connections_share_one_encoding() -> None:
    codecs: list[Codec] = [JsonCodec(), JsonCodec()]
    keys = {codec.sharing(private=private) for codec in codecs for private in (False, True)}
    assert len(keys) == 1
    assert keys != {ProtobufCodec().sharing(private=False)}


# --- what clients ask ---

TEXTS = st.text(max_size=50)
ASKED: Final = st.one_of(
    st.fixed_dictionaries(
        {"hello": st.fixed_dictionaries({}, optional={"user": TEXTS, "clientId": TEXTS})}
    ),
    st.fixed_dictionaries(
        {
            "send": st.fixed_dictionaries(
                {},
                optional={
                    "to": TEXTS,
                    "text": TEXTS,
                    "nonce": UINT64 | UINT64.map(str),
                    "replyTo": UINT64 | UINT64.map(str),
                },
            )
        }
    ),
    st.fixed_dictionaries({"join": st.fixed_dictionaries({"room": TEXTS})}),
    st.fixed_dictionaries({"who": st.fixed_dictionaries({}, optional={"to": TEXTS})}),
    st.fixed_dictionaries({"history": st.fixed_dictionaries({"limit": UINT32})}),
    st.fixed_dictionaries(
        {
            "conversations": st.fixed_dictionaries(
                {}, optional={"beforeSeq": UINT64 | UINT64.map(str), "limit": UINT32}
            )
        }
    ),
    st.just({"ping": {}}),
)


def frame(*asked: object) -> bytes:
    return json.dumps({"commands": asked}).encode()


@given(st.lists(st.tuples(UINT64 | UINT64.map(str), ASKED), max_size=8))
def test_commands_mean_what_they_mean_in_protobuf(asked: list[tuple[Any, dict[str, Any]]]) -> None:
    data = frame(*({"ref": ref, **kind} for ref, kind in asked))
    parsed = json_format.Parse(data, chat_pb2.ClientFrame())
    assert decode_commands(data) == ProtobufCodec().feed(parsed.SerializeToString())


COLONS: Final = st.text(st.sampled_from('a:",\\\u00e9\U0001f9c0{}'), min_size=1, max_size=8)
GAPS: Final = st.sampled_from(["", " ", "\n"])


@st.composite
def plain_sends(draw: st.DrawFn, repeated: bool) -> tuple[str, list[dict[str, Any]]]:
    """Return a frame of sends with all that clients give them, as text and as what it means."""
    meant: list[dict[str, Any]] = draw(
        st.lists(
            st.fixed_dictionaries({"to": NAMES, "text": COLONS, "nonce": UINT64 | UINT64.map(str)}),
            min_size=1,
            max_size=3,
        )
    )
    escaped = draw(st.booleans())

    def pairs(them: list[tuple[str, str]]) -> str:
        pair = [f'"{name}"{draw(GAPS)}:{draw(GAPS)}{value}' for name, value in them]
        return "{" + ",".join(pair) + "}"

    def spelt(value: object) -> str:
        return json.dumps(value, ensure_ascii=escaped).replace(":", "\\u003a" if escaped else ":")

    sends = [[(name, spelt(value)) for name, value in it.items()] for it in meant]
    if repeated:
        again = draw(st.sampled_from(sends))
        again.insert(draw(st.integers(0, 3)), draw(st.sampled_from(again)))
    asked = [pairs([("ref", str(n)), ("send", pairs(it))]) for n, it in enumerate(sends)]
    return pairs([("commands", f"[{','.join(asked)}]")]), meant


@given(plain_sends(repeated=False))
def test_plain_sends_mean_what_they_say_however_they_are_written(
    asked: tuple[str, list[dict[str, Any]]],
) -> None:
    text, meant = asked
    assert decode_commands(text.encode()) == [
        Command(n, commands.Send(it["to"], it["text"], int(it["nonce"])))
        for n, it in enumerate(meant)
    ]


@given(plain_sends(repeated=True))
def test_in_plain_sends_no_name_may_come_twice(asked: tuple[str, list[dict[str, Any]]]) -> None:
    with pytest.raises(Malformed, match="a name comes twice"):
        decode_commands(asked[0].encode())


@pytest.mark.parametrize(
    "send",
    [
        {"to": "#a", "text": "b", "nonce": 7, "replyTo": "8"},
        {"to": "#a", "text": "b", "nonce": "7", "reply_to": 8},
        {"to": "#a", "text": "b", "nonce": 7.0, "reply_to": "8"},
    ],
)
def test_names_and_numbers_may_be_spelt_in_each_of_the_ways(send: dict[str, Any]) -> None:
    assert decode_commands(frame({"ref": 3, "send": send})) == [
        Command(3, commands.Send("#a", "b", 7, 8))
    ]


def test_a_hello_brings_all_that_it_has() -> None:
    hello = {
        "user": "ann",
        "clientId": "c",
        "resume": {"epoch": "e", "seq": "5"},
        "backlog": 9,
        "token": "t",
    }
    (command,) = decode_commands(frame({"hello": hello}))
    cursor = commands.Cursor("e", 5)
    assert isinstance(command, Command)
    assert command.body == commands.Hello("ann", "c", cursor, 9, token=commands.Secret("t"))
    assert "t'" not in repr(command)


def test_a_moderation_is_told_by_its_name() -> None:
    ban = {"room": "#a", "action": "MODERATION_ACTION_BAN", "user": "b", "duration": "7200s"}
    (command,) = decode_commands(frame({"moderate": ban}))
    assert command == Command(0, commands.Moderate("#a", ModerationAction.BAN, "b", "", 7200.0))


@pytest.mark.parametrize(
    "wrong",
    [
        {"send": {"to": "#a", "text": "x", "colour": "red"}},
        {"send": {"to": "#a", "text": "x"}, "colour": "red"},
        {"send": {"to": "#a", "text": 5}},
        {"send": {"to": "#a", "text": "x", "nonce": -1}},
        {"send": {"to": "#a", "text": "x", "nonce": 2**64}},
        {"send": {"to": "#a", "text": "x", "nonce": 1.5}},
        {"send": {"to": "#a", "text": "x", "nonce": True}},
        {"send": {"to": "#a", "text": "x", "nonce": "1e3000"}},
        {"send": {"to": "#a", "text": "\ud800"}},
        {"send": {"to": "\udfff", "text": "x"}},
        {"send": ["to"]},
        {"send": "x"},
        {"send": {"to": "#a"}, "ping": {}},
        {"history": {"limit": 2**32}},
        {"moderate": {"room": "#a", "action": "MODERATION_ACTION_SING"}},
        {"moderate": {"room": "#a", "duration": "for ever"}},
        {"nix": {}},
        {"send": None},
        {},
    ],
)
def test_what_is_wrong_is_refused_by_itself_and_keeps_its_ref(wrong: dict[str, Any]) -> None:
    before, refused, after = decode_commands(
        frame({"ping": {}}, {"ref": "7"} | wrong, {"ping": {}})
    )
    assert before == after == Command(0, commands.Ping())
    assert isinstance(refused, tuple)
    assert refused[0] == 7
    assert isinstance(refused[1], InvalidCommand)
    str(refused[1]).encode()  # it can be told


@pytest.mark.parametrize("wrong", [5, None, "send", [], [{"ping": {}}]])
def test_a_command_that_is_no_object_is_refused_by_itself(wrong: object) -> None:
    refused, pong = decode_commands(frame(wrong, {"ref": 1, "ping": {}}))
    assert isinstance(refused, tuple)
    assert refused[0] == 0
    assert isinstance(refused[1], InvalidCommand)
    assert pong == Command(1, commands.Ping())


@pytest.mark.parametrize("data", [b"{}", b'{"commands": []}', b'{"commands": null}', b" { } "])
def test_a_frame_may_ask_for_nothing(data: bytes) -> None:
    assert decode_commands(data) == []


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"hello",
        b"[]",
        b"null",
        b'"commands"',
        b'{"commands": {}}',
        b'{"commands": 5}',
        b'{"send": {"to": "#a", "text": "x"}}',
        b'{"commands": [], "more": 1}',
        b'{"commands": [{"ping": {}}]',
        b'{"commands": [{"ref": NaN}]}',
        b'{"commands": [{"ref": -Infinity}]}',
        b'{"commands": [{"ref": 1, "ref": 2, "ping": {}}]}',
        b'{"commands": [], "commands": []}',
        rb'{"commands": [{"\ud83d": 1, "who": {}}]}',
        rb'{"commands": [{"hello": {"\udc00": "x"}}]}',
        b'{"commands": [{"ref": ' + b"9" * 5000 + b"}]}",
        b"[" * 60_000,
        b'{"commands": [' + b'{"a":' * 10_000 + b"}" * 10_000 + b"]}",
        b'{"commands": "\xff"}',
        "{}".encode("utf-16"),
        b"\xef\xbb\xbf{}",
    ],
)
def test_what_is_no_frame_is_malformed(data: bytes) -> None:
    with pytest.raises(Malformed) as refused:
        decode_commands(data)
    str(refused.value).encode()


def test_a_frame_has_a_bound() -> None:
    decode_commands(b" " * (limits.MAX_FRAME_BYTES - 2) + b"{}")
    with pytest.raises(TooLarge):
        decode_commands(b" " * (limits.MAX_FRAME_BYTES - 1) + b"{}")


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
        lambda inner: (
            st.lists(inner, max_size=4)
            | st.dictionaries(
                st.sampled_from(
                    ["ref", "send", "hello", "to", "text", "resume", "seq", "nonce", "x"]
                ),
                inner,
                max_size=4,
            )
        ),
        max_leaves=12,
    )
)
def test_nothing_but_refusals_comes_of_anything(given_: object) -> None:
    for data in (json.dumps(given_).encode(), json.dumps({"commands": [given_]}).encode()):
        try:
            received = decode_commands(data)
        except Refusal:
            continue
        assert all(isinstance(it, Command) or isinstance(it[1], Refusal) for it in received)


@given(st.binary(max_size=200))
def test_no_bytes_do_harm(data: bytes) -> None:
    with contextlib.suppress(Refusal):
        assert decode_commands(data) == []
