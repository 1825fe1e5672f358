"""The line protocol: a conversation of one connection with its codec."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chat_service.core import commands, events
from chat_service.core.commands import Command, CommandBody, Cursor, Hello, Join, Leave, Ping, Send
from chat_service.core.errors import (
    ErrorCode,
    InvalidAddress,
    InvalidCommand,
    InvalidText,
    Refusal,
    TooLarge,
)
from chat_service.core.events import Ack, Error, Event, EventBody, Pong
from chat_service.core.limits import MAX_HISTORY
from chat_service.core.outcome import Durable
from chat_service.wire.line import LineCodec
from chat_service.wire.port import Codec, Received
from chat_service.wire.protobuf import encode_event

REFUSED = Error(ErrorCode.LIMIT_REACHED, "no")
GREETING = "* what is your name?\n"


def named() -> LineCodec:
    """Return the codec of ann, whose Hello (ref 1) has been answered."""
    codec = LineCodec()
    codec.feed(b"ann\n")
    welcome = events.Welcome("ann", "s1", Cursor("e", 0), False, 0, ("#lobby",), 500, "1")
    codec.encode(Event(welcome, ref=1))
    return codec


def asked(codec: LineCodec, *lines: str) -> list[CommandBody]:
    """Feed lines that are all understood, and return what they ask."""
    received = codec.feed("".join(line + "\n" for line in lines).encode())
    assert all(isinstance(it, Command) for it in received), received
    return [it.body for it in received if isinstance(it, Command)]


def refused(codec: LineCodec, line: str) -> Refusal:
    """Feed a line that is refused, and return why."""
    (received,) = codec.feed(line.encode() + b"\n")
    assert not isinstance(received, Command)
    return received[1]


def told(codec: LineCodec, body: EventBody, ref: int = 0) -> str:
    return codec.encode(Event(body, ref=ref)).decode()


def comparable(received: list[Received]) -> list[object]:
    return [it if isinstance(it, Command) else (it[0], type(it[1]), str(it[1])) for it in received]


def test_it_is_a_codec_that_is_told_nothing_of_its_own_doing() -> None:
    codec: Codec = LineCodec()
    assert not codec.echoes
    assert codec.user == ""


def test_it_greets_by_asking_for_a_name_in_one_line() -> None:
    assert LineCodec().greeting().decode() == GREETING


def test_the_first_line_that_is_not_empty_is_the_name() -> None:
    received = LineCodec().feed(b"\n\r\n  \n  Ann \r\nhello\r\n")
    assert received == [Command(1, Hello("Ann")), Command(2, Send("#lobby", "hello"))]


def test_a_name_that_cannot_be_read_is_asked_for_again() -> None:
    codec = LineCodec()
    ((ref, unreadable),) = codec.feed(b"\xff\xff\n")
    assert isinstance(unreadable, InvalidText)
    assert isinstance(ref, int)
    error = Error(ErrorCode.INVALID_TEXT, "not valid UTF-8")
    assert told(codec, error, ref) == "! not valid UTF-8\n" + GREETING
    ((_, too_long),) = codec.feed(b"x" * 10_000 + b"\n")
    assert isinstance(too_long, TooLarge)
    assert asked(codec, "ann") == [Hello("ann")]
    assert told(codec, Error(ErrorCode.NAME_TAKEN, "taken"), ref=3) == "! taken\n"


def test_nobody_is_asked_again_by_an_error_that_answers_no_line() -> None:
    assert told(LineCodec(), Error(ErrorCode.HELLO_REQUIRED, "too late")) == "! too late\n"


def test_end_of_input_ends_the_last_line() -> None:
    codec = LineCodec()
    assert codec.feed(b"ann\nbye") == [Command(1, Hello("ann"))]
    assert codec.end_of_input() == [Command(2, Send("#lobby", "bye"))]
    assert codec.end_of_input() == []


@pytest.mark.parametrize(
    ("line", "body"),
    [
        ("hello", Send("#lobby", "hello")),
        ("  indented ", Send("#lobby", "  indented ")),
        ("\x1b[A", Send("#lobby", "\x1b[A")),
        (" /join is a word", Send("#lobby", " /join is a word")),
        ("//etc/hosts", Send("#lobby", "/etc/hosts")),
        ("//", Send("#lobby", "/")),
        ("/msg bob psst", Send("@bob", "psst")),
        ("/msg @bob psst", Send("@bob", "psst")),
        ("/MSG bob  two  words", Send("@bob", "two  words")),
        ("/join #Dev", Join("#dev")),
        ("/join dev ", Join("#dev")),
        ("/join #lobby", Join("#lobby")),
        ("/leave", Leave("#lobby")),
        ("/leave Dev", Leave("#dev")),
        ("/who", commands.Who("#lobby")),
        ("/history", commands.History("#lobby", limit=20)),
        ("/history 5", commands.History("#lobby", limit=5)),
        ("/history 1000000", commands.History("#lobby", limit=MAX_HISTORY)),
        ("/rooms", Ping()),
        ("/help", Ping()),
        ("/quit", commands.Quit()),
    ],
)
def test_a_line_asks(line: str, body: CommandBody) -> None:
    assert asked(named(), line) == [body]


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("/foo bar", "no such command: /foo (/help lists them)"),
        ("/", "no such command: / (/help lists them)"),
        ("/ join", "no such command: / (/help lists them)"),
        ("/" + "x" * 4000, "no such command: /" + "x" * 31 + " (/help lists them)"),
        ("/msg", "usage: /msg NAME text"),
        ("/msg bob", "usage: /msg NAME text"),
        ("/join", "usage: /join #room"),
        ("/who #dev", "usage: /who"),
        ("/rooms all", "usage: /rooms"),
        ("/help me", "usage: /help"),
        ("/quit now", "usage: /quit"),
        ("/history many", "usage: /history [N], with N from 1 on"),
        ("/history 0", "usage: /history [N], with N from 1 on"),
        ("/history -1", "usage: /history [N], with N from 1 on"),
        ("/history " + "9" * 4340, "usage: /history [N], with N from 1 on"),
    ],
)
def test_a_line_that_asks_nothing_is_refused_with_the_way_to_ask(line: str, why: str) -> None:
    refusal = refused(named(), line)
    assert isinstance(refusal, InvalidCommand)
    assert str(refusal) == why


@pytest.mark.parametrize(
    "line", ["/join #a b", "/join @bob", "/join ##dev", "/leave #", "/join 🙂"]
)
def test_what_is_no_room_is_refused_at_once_and_moves_nobody(line: str) -> None:
    codec = named()
    assert isinstance(refused(codec, line), InvalidAddress)
    assert asked(codec, "hello") == [Send("#lobby", "hello")]


def test_every_line_but_an_empty_one_has_the_next_ref() -> None:
    received = named().feed(b"one\n\n/foo\n\xc3\nfour\n")
    assert [it.ref if isinstance(it, Command) else it[0] for it in received] == [2, 3, 4, 5]


# The current room


def test_lines_behind_a_join_go_to_that_room_at_once() -> None:
    codec = named()
    assert asked(codec, "/join #Dev", "hello", "/who") == [
        Join("#dev"),
        Send("#dev", "hello"),
        commands.Who("#dev"),
    ]
    assert told(codec, Ack(), ref=2) == "* you are in #dev now\n"
    assert told(codec, Ack(seq=1, number=1), ref=3) == ""
    assert asked(codec, "again") == [Send("#dev", "again")]


def test_a_refused_join_leaves_one_where_one_was() -> None:
    codec = named()
    asked(codec, "/join #dev")
    assert told(codec, REFUSED, ref=2) == "! no\n"
    assert asked(codec, "hello") == [Send("#lobby", "hello")]


def test_of_joins_under_way_those_that_are_refused_lead_nowhere() -> None:
    codec = named()
    asked(codec, "/join #a", "/join #b", "/join #c")
    told(codec, REFUSED, ref=3)
    assert asked(codec, "hello") == [Send("#c", "hello")]
    told(codec, REFUSED, ref=2)
    told(codec, REFUSED, ref=4)
    assert asked(codec, "hello") == [Send("#lobby", "hello")]


def test_leaving_the_current_room_leads_to_the_lobby_at_once() -> None:
    codec = named()
    bodies = asked(codec, "/join #dev", "/leave", "hello")
    assert bodies == [Join("#dev"), Leave("#dev"), Send("#lobby", "hello")]
    told(codec, Ack(), ref=2)
    assert told(codec, Ack(), ref=3) == "* you left #dev; you are in #lobby now\n"


def test_a_refused_leave_leaves_one_where_one_was() -> None:
    codec = named()
    asked(codec, "/join #dev")
    told(codec, Ack(), ref=2)
    asked(codec, "/leave")
    told(codec, REFUSED, ref=3)
    assert asked(codec, "hello") == [Send("#dev", "hello")]


def test_leaving_another_room_leaves_one_where_one_is() -> None:
    codec = named()
    asked(codec, "/join #a", "/join #b", "/leave #a")
    told(codec, Ack(), ref=2)
    told(codec, Ack(), ref=3)
    assert told(codec, Ack(), ref=4) == "* you left #a\n"
    assert asked(codec, "hello") == [Send("#b", "hello")]


def test_nobody_falls_back_into_a_room_left_meanwhile() -> None:
    codec = named()
    asked(codec, "/join #a")
    told(codec, Ack(), ref=2)
    asked(codec, "/join #b", "/leave #a")
    told(codec, REFUSED, ref=3)
    assert told(codec, Ack(), ref=4) == "* you left #a; you are in #lobby now\n"
    assert asked(codec, "hello") == [Send("#lobby", "hello")]


# Replies


def test_rooms_tells_where_one_is_when_its_turn_comes() -> None:
    codec = named()
    asked(codec, "/join #dev", "/rooms", "/leave", "/rooms")
    told(codec, Ack(), ref=2)
    assert told(codec, Pong(), ref=3) == "* you are in: #lobby, #dev (current: #dev)\n"
    told(codec, Ack(), ref=4)
    assert told(codec, Pong(), ref=5) == "* you are in: #lobby (current: #lobby)\n"


def test_rooms_follows_what_the_user_does_elsewhere() -> None:
    codec = named()
    told(codec, events.Joined("#ops", "ann"))
    told(codec, events.Joined("#dev", "bob"))
    told(codec, events.Joined("#dev", "ann"))
    told(codec, events.Left("#ops", "ann"))
    told(codec, events.Left("#dev", "bob"))
    asked(codec, "/rooms")
    assert told(codec, Pong(), ref=2) == "* you are in: #lobby, #dev (current: #lobby)\n"


def test_help_lists_every_command() -> None:
    codec = named()
    asked(codec, "/help")
    lines = told(codec, Pong(), ref=2).splitlines()
    assert all(line.startswith("* /") for line in lines)
    words = ["/msg", "/join", "/leave", "/who", "/rooms", "/history", "/help", "/quit", "//text"]
    assert [line.split()[1] for line in lines] == words


def test_a_refused_question_is_told_as_any_error() -> None:
    codec = named()
    asked(codec, "/help")
    assert told(codec, REFUSED, ref=2) == "! no\n"


def test_what_was_remembered_of_a_command_is_forgotten_with_its_reply() -> None:
    codec = named()
    asked(codec, "/join #a", "/leave", "/rooms", "/help", "hello", "/who", "/history")
    for ref in (2, 3):
        told(codec, Ack(), ref)
    told(codec, Pong(), ref=4)
    told(codec, REFUSED, ref=5)
    assert codec._asked == {}
    assert told(codec, Pong(), ref=4) == ""


# Committed events


def durable(body: events.DurableBody) -> Durable:
    return Durable(1, "#lobby", 1, body, b"")


def test_committed_events_are_told_in_one_piece() -> None:
    codec = named()
    said = [
        durable(events.Message("#lobby", "bob", 1, "hi", 0)),
        durable(events.Joined("#dev", "bob")),
        durable(events.Message("@ann", "bob", 1, "psst", 0)),
    ]
    assert codec.join(said).decode() == "bob: hi\n[#dev] * bob joined\n[bob -> you] psst\n"


def test_stored_events_are_told_as_those_that_just_came() -> None:
    codec = named()
    said = events.Message("@ann", "bob", 1, "psst", 0)
    frames = [encode_event(Event(said, 7)), encode_event(Event(events.Joined("#dev", "bob"), 8))]
    assert codec.recall(frames).decode() == "[bob -> you] psst\n[#dev] * bob joined\n"


def test_connections_share_what_is_said_in_rooms_if_they_are_in_the_same_one() -> None:
    ann, bob = named(), named()
    bob.user = "bob"
    assert ann.sharing(private=False) == bob.sharing(private=False) == ("line", "#lobby")
    assert ann.sharing(private=True) != bob.sharing(private=True)
    asked(bob, "/join #dev")
    assert ann.sharing(private=False) != bob.sharing(private=False) == ("line", "#dev")


def test_rendering_for_others_changes_nothing_of_ones_own() -> None:
    codec = named()
    codec.join([durable(events.Joined("#dev", "ann"))])
    asked(codec, "/rooms")
    assert told(codec, Pong(), ref=2) == "* you are in: #lobby (current: #lobby)\n"


# Whatever comes

LINES = st.lists(
    st.text(st.characters(exclude_characters="\n\r\0", exclude_categories=["Cs"]))
    | st.sampled_from(["/join #a", "/join b", "/join #!", "/leave", "/leave #a", "/msg bob hi"])
    | st.sampled_from(["", "/", "//x", "/x", "/msg", "/who", "/rooms", "/history 3", "/quit"])
)


@given(LINES, st.sampled_from(["\n", "\r\n", "\r\0"]), st.text("xyz/"))
@settings(deadline=None)
def test_the_same_lines_ask_the_same_whole_and_byte_by_byte(
    lines: list[str], end: str, trailing: str
) -> None:
    data = (end.join([*lines, trailing])).encode()
    whole, bytewise = LineCodec(), LineCodec()
    received = whole.feed(data) + whole.end_of_input()
    one_by_one = [it for i in range(len(data)) for it in bytewise.feed(data[i : i + 1])]
    one_by_one += bytewise.end_of_input()
    assert comparable(received) == comparable(one_by_one)
    assert len(received) == sum(bool(line.strip()) for line in [*lines, trailing])


@given(
    st.lists(st.binary() | LINES.map(lambda lines: "\n".join(lines).encode()), max_size=20),
    st.data(),
)
@settings(deadline=None)
def test_no_bytes_and_no_replies_are_unexpected(chunks: list[bytes], data: st.DataObject) -> None:
    codec = LineCodec()
    bodies: list[EventBody] = [Ack(), Pong(), REFUSED, events.Roster("#a", ())]
    replies = st.sampled_from(bodies)
    for chunk in chunks:
        for it in codec.feed(chunk):
            ref = it.ref if isinstance(it, Command) else it[0]
            assert isinstance(told(codec, data.draw(replies), ref), str)
    codec.end_of_input()
    assert codec._room.startswith("#")
