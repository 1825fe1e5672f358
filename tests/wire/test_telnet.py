"""Bytes to lines, however they are cut."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chat_service.core.errors import InvalidText, TooLarge
from chat_service.wire.telnet import MAX_LINE_BYTES, Line, LineReader, TelnetFilter

WILL_ECHO = b"\xff\xfb\x01"
DO_TIMING_MARK = b"\xff\xfd\x06"
INTERRUPT = b"\xff\xf4"
WINDOW_SIZE = b"\xff\xfa\x1f\x00\x50\x00\x18\xff\xf0"
WINDOW_OF_255 = b"\xff\xfa\x1f\xff\xff\xff\xff\x00\xf0\xff\xf0"
TELNET = [WILL_ECHO, DO_TIMING_MARK, INTERRUPT, WINDOW_SIZE, WINDOW_OF_255]

ENDS = st.sampled_from([b"\n", b"\r\n", b"\r\0"])
TEXTS = st.text(st.characters(exclude_characters="\n\r\0", exclude_categories=["Cs"]))
ODDITIES = st.sampled_from(
    [*TELNET, b"\xff", b"\xff\xff", b"\xfa", b"\xf0", b"\xfb", b"\r", b"\n", b"\0", b"x" * 4400]
)


def read(*chunks: bytes) -> list[str | tuple[type, str]]:
    """Read chunks to the end of input; a refusal becomes what can be compared."""
    reader = LineReader()
    lines = [line for chunk in chunks for line in reader.feed(chunk)]
    return [comparable(line) for line in lines + reader.end()]


def comparable(line: Line) -> str | tuple[type, str]:
    return line if isinstance(line, str) else (type(line), str(line))


def single_bytes(data: bytes) -> list[bytes]:
    return [data[i : i + 1] for i in range(len(data))]


def cut(data: bytes, places: list[int]) -> list[bytes]:
    marks = [0, *sorted(place % (len(data) + 1) for place in places), len(data)]
    return [data[a:b] for a, b in pairwise(marks)]


@given(
    st.lists(st.tuples(TEXTS, ENDS, st.sampled_from([b"", b"\0", *TELNET]))),
    TEXTS,
    st.lists(st.integers(0, 10_000)),
)
def test_lines_are_the_same_whole_byte_by_byte_and_in_any_cuts(
    lines: list[tuple[str, bytes, bytes]], trailing: str, places: list[int]
) -> None:
    stream = b"".join(noise + text.encode() + end for text, end, noise in lines)
    stream += trailing.encode()
    expected = [text for text, _, _ in lines] + ([trailing] if trailing else [])
    assert read(stream) == expected
    assert read(*single_bytes(stream)) == expected
    assert read(*cut(stream, places)) == expected


@given(st.lists(ODDITIES | st.binary(max_size=20)), st.lists(st.integers(0, 100_000)))
def test_whatever_comes_is_read_alike_in_any_cuts_and_never_piles_up(
    pieces: list[bytes], places: list[int]
) -> None:
    stream = b"".join(pieces)
    reader = LineReader()
    lines: list[Line] = []
    for chunk in cut(stream, places):
        lines += reader.feed(chunk)
        assert len(reader._rest) <= MAX_LINE_BYTES + 1
        assert len(reader._telnet._begun) <= 2
    lines += reader.end()
    assert [comparable(line) for line in lines] == read(stream)


@pytest.mark.parametrize("sequence", TELNET)
def test_a_telnet_sequence_is_dropped_wherever_it_is_cut(sequence: bytes) -> None:
    stream = b"he" + sequence + b"llo\r" + sequence + b"\0"
    for i in range(len(stream) + 1):
        for j in range(i, len(stream) + 1):
            assert read(stream[:i], stream[i:j], stream[j:]) == ["hello"]


def test_a_doubled_iac_is_a_data_byte_and_so_no_utf_8() -> None:
    assert TelnetFilter().strip(b"a\xff\xffb") == b"a\xffb"
    assert read(b"a\xff", b"\xffb\nok\n") == [(InvalidText, "not valid UTF-8"), "ok"]


def test_a_subnegotiation_without_end_is_never_held() -> None:
    telnet = TelnetFilter()
    assert telnet.strip(b"\xff\xfa") == b""
    for _ in range(100):
        assert telnet.strip(b"\xff\xff\n" * 1000) == b""
        assert telnet._begun == b""
    assert telnet.strip(b"\xff\xf0over") == b"over"


def test_a_nul_is_dropped_unless_it_ends_a_line_behind_cr() -> None:
    assert read(b"a\0b\r\0c\n") == ["ab", "c"]


def test_a_cr_within_a_line_belongs_to_its_text() -> None:
    assert read(b"10%\r20%\r\n") == ["10%\r20%"]


def test_invalid_utf_8_costs_its_own_line_alone() -> None:
    assert read(b"a\n\xc3\nb\n\xc3\xa9\n") == ["a", (InvalidText, "not valid UTF-8"), "b", "é"]


@pytest.mark.parametrize("end", [b"\n", b"\r\n", b"\r\0", b""])
def test_a_line_may_be_as_long_as_the_limit_and_no_longer(end: bytes) -> None:
    fits = b"x" * MAX_LINE_BYTES + end
    passes = b"x" * (MAX_LINE_BYTES + 1) + end
    refused = (TooLarge, f"a line has at most {MAX_LINE_BYTES} bytes")
    for stream, line in ((fits, "x" * MAX_LINE_BYTES), (passes, refused)):
        assert read(stream) == [line]
        assert read(*single_bytes(stream)) == [line]


def test_a_line_that_is_too_long_is_told_at_once_and_once_and_skipped_to_its_end() -> None:
    reader = LineReader()
    (refusal,) = reader.feed(b"x" * (MAX_LINE_BYTES + 1))
    assert isinstance(refusal, TooLarge)
    for _ in range(100):
        assert reader.feed(b"y" * 65_536) == []
        assert len(reader._rest) <= 1
    assert reader.feed(b"z\r") == []
    assert reader.feed(b"\0next\n") == ["next"]
    assert reader.end() == []


def test_nothing_is_left_of_a_line_too_long_at_the_end_of_input() -> None:
    reader = LineReader()
    assert len(reader.feed(b"x" * 10_000)) == 1
    assert reader.end() == []
