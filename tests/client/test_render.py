import json
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chat.v1 import events_pb2
from chat_client.render import as_json, as_text, visible

from .scripted import goodbye, message

Event = events_pb2.Event


@pytest.mark.parametrize(
    ("event", "line"),
    [
        (message(1, "hello"), "ann: hello"),
        (message(1, "hello", to="#dev"), "[#dev] ann: hello"),
        (message(1, "psst", to="@bob"), "[ann -> you] psst"),
        (message(1, "psst", to="@ann", sender="bob"), "[you -> ann] psst"),
        (message(1, "note", to="@bob", sender="bob"), "[you -> you] note"),
        (Event(joined=events_pb2.Joined(room="#lobby", user="ann")), "* ann joined"),
        (Event(joined=events_pb2.Joined(room="#dev", user="ann")), "[#dev] * ann joined"),
        (Event(left=events_pb2.Left(room="#lobby", user="ann")), "* ann left"),
        (Event(presence=events_pb2.Presence(user="ann", online=True)), "* ann joined"),
        (Event(presence=events_pb2.Presence(user="ann")), "* ann left"),
        (Event(error=events_pb2.Error(message="no such user: zed")), "! no such user: zed"),
        (
            Event(
                roster=events_pb2.Roster(
                    to="#lobby",
                    members=[
                        events_pb2.Member(user="ann", online=True),
                        events_pb2.Member(user="cy"),
                    ],
                )
            ),
            "* in #lobby: ann, cy (away)",
        ),
        (Event(gap=events_pb2.Gap(after_seq=1)), "* some messages cannot be shown any more"),
        (goodbye(events_pb2.GOODBYE_REASON_SHUTDOWN), "* server shutting down"),
        (Event(goodbye=events_pb2.Goodbye(message="superseded")), "* superseded"),
    ],
)
def test_events_are_the_lines_of_the_line_protocol(event: Event, line: str) -> None:
    assert as_text(event, "#lobby", "bob") == line + "\n"


@pytest.mark.parametrize(
    "event",
    [
        Event(),
        Event(ack=events_pb2.Ack(seq=1)),
        Event(pong=events_pb2.Pong()),
        Event(welcome=events_pb2.Welcome()),
        Event(presence=events_pb2.Presence(user="bob", online=True)),
        Event(history=events_pb2.HistoryPage(to="#lobby")),
    ],
)
def test_what_needs_no_telling_is_no_line(event: Event) -> None:
    assert as_text(event, "#lobby", "bob") == ""


def test_history_is_its_messages() -> None:
    page = events_pb2.HistoryPage(to="#dev", events=[message(1, "a"), message(2, "b", to="#dev")])
    assert as_text(Event(history=page), "#lobby", "bob") == "ann: a\n[#dev] ann: b\n"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain ünï 🙂", "plain ünï 🙂"),
        ("a\tb", "a\tb"),
        ("one\ntwo\r\nthree", "one\n  two\n  three"),
        ("\x1b[31mred\x07", "␛[31mred␇"),
        ("over\rwritten", "over␍written"),
        ("\x00\x7f", "␀␡"),
        ("\x9b31m\x85", "\ufffd31m\ufffd"),
        ("\u202egnp.exe", "\ufffdgnp.exe"),
        ("\u2066\u2069\u200e\u200f\u061c", "\ufffd" * 5),
        ("a\u2028b\u2029c", "a\ufffdb\ufffdc"),
    ],
)
def test_text_is_only_text(text: str, shown: str) -> None:
    assert visible(text) == shown


@given(st.text())
def test_nothing_that_moves_the_cursor_gets_through(text: str) -> None:
    lines = visible(text).split("\n")
    assert all(line.startswith("  ") for line in lines[1:])
    controls = {c for line in lines for c in line if unicodedata.category(c) == "Cc"}
    assert controls <= {"\t"}


@given(st.text())
def test_whatever_is_in_a_name_stays_in_its_line(name: str) -> None:
    joined = Event(joined=events_pb2.Joined(room=name, user=name))
    for event in (message(1, sender=name, to="#" + name), message(1, to="@" + name), joined):
        (line, rest) = as_text(event, "#lobby", "bob").split("\n")
        assert not rest
        assert not {c for c in line if unicodedata.category(c) == "Cc"}


def test_json_is_canonical_and_one_line() -> None:
    line = as_json(message(7, "a\nb\x1b"))
    assert line.count("\n") == 1
    assert json.loads(line) == {
        "seq": "7",
        "message": {"to": "#lobby", "sender": "ann", "number": "7", "text": "a\nb\x1b"},
    }
    assert "\x1b" not in line
