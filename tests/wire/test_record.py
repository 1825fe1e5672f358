"""The encoding of the log's records: there and back, and as it was ever written."""

from pathlib import Path
from typing import Any, Final, get_args, get_type_hints

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import astuple

from chat.cluster.v1 import record_pb2
from chat_service.core.commands import (
    ByPassword,
    ByToken,
    Entry,
    EntryBody,
    Proof,
    Send,
    Token,
    Vouched,
)
from chat_service.core.moderation import ModerationAction
from chat_service.core.record import Record
from chat_service.wire.record import (
    FORMAT,
    BadRecord,
    NewerRecord,
    decode_record,
    encode_entry,
    encode_record,
)
from tests.state.batches import State

KINDS: Final = get_args(EntryBody)
WRITTEN: Final = sorted(Path(__file__).parent.joinpath("records").glob("format-*.txt"))

uint64 = st.integers(0, 2**64 - 1)
int64 = st.integers(-(2**63), 2**63 - 1)
seconds = st.floats(allow_nan=False)
tokens = st.builds(Token, st.binary(), int64, st.text())
VALUES: Final[dict[Any, st.SearchStrategy[Any]]] = {
    str: st.text(),
    bytes: st.binary(),
    bool: st.booleans(),
    int: uint64,
    ModerationAction: st.sampled_from(ModerationAction),
    Token: tokens,
    Token | None: st.none() | tokens,
    int | None: st.none() | uint64,
    str | None: st.none() | st.text(),
    bool | None: st.none() | st.booleans(),
    float | None: st.none() | seconds,
    Proof: st.one_of(
        st.none(),
        st.builds(ByPassword, uint64),
        st.builds(ByToken, st.binary()),
        st.just(Vouched()),
    ),
}


def bodies(kind: type[EntryBody]) -> st.SearchStrategy[EntryBody]:
    fields = get_type_hints(kind)
    return st.builds(kind, **{name: VALUES[type_] for name, type_ in fields.items()})


def entries(body: st.SearchStrategy[EntryBody]) -> st.SearchStrategy[Entry]:
    return st.builds(Entry, st.text(), uint64, st.text(), st.binary(), int64, body)


def there_and_back(*them: Entry) -> Record:
    return decode_record(encode_record("p", 7, map(encode_entry, them)), 3)


@pytest.mark.parametrize("kind", KINDS, ids=lambda it: it.__name__)
@given(data=st.data())
def test_an_entry_of_every_kind_comes_back_as_it_was(
    kind: type[EntryBody], data: st.DataObject
) -> None:
    entry = data.draw(entries(bodies(kind)))
    (back,) = there_and_back(entry).entries
    assert back == entry
    assert list(map(type, astuple(back.body))) == list(map(type, astuple(entry.body)))


@given(st.lists(entries(st.one_of(*map(bodies, KINDS))), min_size=1, max_size=5))
def test_a_record_has_its_entries_in_their_order(them: list[Entry]) -> None:
    assert there_and_back(*them) == Record(3, "p", 7, them)


@given(st.lists(entries(bodies(Send)), min_size=1, max_size=3))
def test_a_record_is_what_protobuf_makes_of_it_at_once(them: list[Entry]) -> None:
    record = record_pb2.Record.FromString(encode_record("p", 7, map(encode_entry, them)))
    assert (record.publisher, record.number, record.needs) == ("p", 7, FORMAT)
    assert record_pb2.Record.FromString(record.SerializeToString()) == record


# --- what cannot be read ---

SAID: Final = record_pb2.Entry(session="s", user="ann", send=record_pb2.Send(to="#lobby"))


def record(**fields: Any) -> bytes:
    whole: dict[str, Any] = {"publisher": "p", "number": 1, "needs": FORMAT, "entries": [SAID]}
    return record_pb2.Record(**(whole | fields)).SerializeToString()


def test_a_record_that_takes_a_later_version_is_said_to() -> None:
    with pytest.raises(NewerRecord, match=r"record 5 .* newer version .*: upgrade this node"):
        decode_record(record(needs=FORMAT + 1), 5)


@pytest.mark.parametrize(
    "data",
    [
        b"hello",
        b"",
        record(publisher=""),
        record(number=0),
        record(entries=[]),
        record(entries=[SAID, record_pb2.Entry(session="s", user="ann")]),
        record(entries=[record_pb2.Entry(moderate=record_pb2.Moderate(action=99))]),  # type: ignore[arg-type]
    ],
    ids=["no record", "nothing", "publisher", "number", "entries", "kind", "action"],
)
def test_what_is_no_record_or_half_of_one_is_not_passed_over(data: bytes) -> None:
    with pytest.raises(BadRecord, match="record 5 of the log"):
        decode_record(data, 5)


def test_what_a_later_version_adds_and_does_not_need_is_passed_over() -> None:
    addition = b"\xf8\x07\x01"  # field 127, a number
    entry = record_pb2.Entry.FromString(SAID.SerializeToString() + addition)
    (read,) = decode_record(record(entries=[entry]) + addition, 5).entries
    assert read == Entry("s", 0, "ann", b"", 0, Send("#lobby", ""))


# --- what was written before ---


def written(path: Path) -> list[tuple[Record, bytes]]:
    """Return the records of a file, each with the digest of the state behind it."""
    lines = [it.split() for it in path.read_text().splitlines() if not it.startswith("#")]
    return [
        (decode_record(bytes.fromhex(record), position), bytes.fromhex(digest))
        for position, (record, digest) in enumerate(lines, 1)
    ]


def test_records_of_every_format_are_kept_to_be_read() -> None:
    assert [it.name for it in WRITTEN] == [f"format-{it}.txt" for it in range(1, FORMAT + 1)]


def test_those_of_the_present_format_are_of_every_kind() -> None:
    kinds = {type(entry.body) for record, _ in written(WRITTEN[-1]) for entry in record.entries}
    assert kinds == set(KINDS)


@pytest.mark.parametrize("path", WRITTEN, ids=lambda it: it.stem)
def test_what_was_written_makes_the_state_that_it_ever_made(path: Path) -> None:
    state = State()
    for record, digest in written(path):
        state.machine.apply_records((record,))
        assert state.machine.progress.digest == digest, f"record {record.position}"
    state.close()


@pytest.mark.parametrize("path", WRITTEN, ids=lambda it: it.stem)
def test_what_was_written_is_encoded_as_it_ever_was(path: Path) -> None:
    for record, _ in written(path):
        encoded = encode_record(record.publisher, record.number, map(encode_entry, record.entries))
        assert decode_record(encoded, record.position) == record
