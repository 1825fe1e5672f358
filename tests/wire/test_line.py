"""The line protocol: a conversation of one connection with its codec."""

from collections import deque
from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chat_service.core import commands, events
from chat_service.core.commands import Command, CommandBody, Hello, Join, Leave, Ping, Send
from chat_service.core.errors import (
    ErrorCode,
    InvalidAddress,
    InvalidCommand,
    InvalidText,
    TooLarge,
)
from chat_service.core.events import (
    Ack,
    Error,
    Event,
    EventBody,
    Goodbye,
    GoodbyeReason,
    Joined,
    Left,
    Pong,
)
from chat_service.core.limits import MAX_HISTORY
from chat_service.wire.events import encode_event
from chat_service.wire.line import LineCodec
from chat_service.wire.port import Codec, Received
from tests.wire.talk import GREETING, REFUSED, WELCOME, asked, does, durable, named, refused, told


def comparable(received: list[Received]) -> list[object]:
    return [it if isinstance(it, Command) else (it[0], type(it[1]), str(it[1])) for it in received]


def test_it_is_a_codec_that_is_told_nothing_of_its_own_doing() -> None:
    codec: Codec = LineCodec()
    assert not codec.echoes
    assert codec.user == ""


def test_it_greets_by_asking_for_a_name_in_one_line() -> None:
    assert LineCodec().greeting().decode() == GREETING


def test_the_first_line_that_is_not_empty_is_the_name() -> None:
    codec = LineCodec()
    assert codec.feed(b"\n\r\n  \n  Ann \r\nhello\r\n") == [Command(1, Hello("Ann"))]
    assert told(codec, WELCOME, ref=1).startswith("* welcome, ann")
    assert codec.feed(b"") == [Command(2, Send("#lobby", "hello"))]


def test_lines_behind_a_name_wait_until_it_is_known_whether_they_are_a_password() -> None:
    codec = LineCodec()
    codec.feed(b"ann\nhello\n")
    assert not codec.waiting
    assert codec.feed(b"again\n") == codec.end_of_input() == []
    told(codec, WELCOME, ref=1)
    assert codec.waiting
    assert asked(codec) == [Send("#lobby", "hello"), Send("#lobby", "again")]
    assert not codec.waiting


def test_a_name_that_cannot_be_read_is_asked_for_again() -> None:
    codec = LineCodec()
    (received,) = codec.feed(b"\xff\xff\n")
    assert isinstance(received, tuple)
    ref, unreadable = received
    assert isinstance(unreadable, InvalidText)
    error = Error(ErrorCode.INVALID_TEXT, "not valid UTF-8")
    assert told(codec, error, ref) == "! not valid UTF-8\n" + GREETING
    assert isinstance(refused(codec, "x" * 10_000), TooLarge)
    assert asked(codec, "ann") == [Hello("ann")]
    assert told(codec, Error(ErrorCode.NAME_TAKEN, "taken"), ref=3) == "! taken\n"


def test_nobody_is_asked_again_by_an_error_that_answers_no_line() -> None:
    assert told(LineCodec(), Error(ErrorCode.HELLO_REQUIRED, "too late")) == "! too late\n"


def test_end_of_input_ends_the_last_line() -> None:
    codec = LineCodec()
    assert codec.feed(b"ann\nbye") == [Command(1, Hello("ann"))]
    told(codec, WELCOME, ref=1)
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
        ("/conversations", commands.Conversations()),
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
        ("/conversations all", "usage: /conversations"),
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


# Replies


def test_rooms_tells_where_one_is_when_its_turn_comes() -> None:
    codec = named()
    asked(codec, "/join #dev", "/rooms", "/leave", "/rooms")
    does(codec, Joined("#dev", "ann"), ref=2)
    assert told(codec, Pong(), ref=3) == "* you are in: #lobby, #dev (current: #dev)\n"
    does(codec, Left("#dev", "ann"), ref=4)
    assert told(codec, Pong(), ref=5) == "* you are in: #lobby (current: #lobby)\n"


def test_rooms_follows_what_the_user_does_elsewhere() -> None:
    codec = named()
    codec.moved(Joined("#ops", "ann"))
    codec.moved(Joined("#dev", "ann"))
    codec.moved(Left("#ops", "ann"))
    asked(codec, "/rooms")
    assert told(codec, Pong(), ref=2) == "* you are in: #lobby, #dev (current: #lobby)\n"


def test_help_lists_every_command() -> None:
    codec = named()
    asked(codec, "/help")
    lines = told(codec, Pong(), ref=2).splitlines()
    assert all(line.startswith("* /") for line in lines)
    words = [line.split()[1] for line in lines]
    assert words == [
        *("/msg", "/join", "/leave", "/who", "/rooms", "/history", "/conversations"),
        *("/kick", "/ban", "/unban", "/mute", "/unmute", "/invite", "/private", "/public"),
        *("/op", "/deop", "/handover", "/register", "/login", "/password"),
        *("/help", "/quit", "//text"),
    ]


def test_help_is_a_table_that_fits_a_terminal() -> None:
    codec = named()
    asked(codec, "/help")
    lines = told(codec, Pong(), ref=2).splitlines()
    column = lines[0].index("says something")
    assert all(line[column - 2 : column] == "  " and line[column] != " " for line in lines)
    assert max(map(len, lines)) <= 80


def test_of_many_acks_those_are_told_that_more_is_to_be_said_of() -> None:
    codec = named()
    asked(codec, "hello", "/join #dev", "again")
    codec.moved(Joined("#dev", "ann"))
    acks = [(ref, Ack()) for ref in (2, 3, 4)]
    assert codec.encode_acks(acks) == (b"* you are in #dev now\n", 1)
    assert codec.encode_acks(acks) == (b"", 0)


def test_a_refused_question_is_told_as_any_error() -> None:
    codec = named()
    asked(codec, "/help")
    assert told(codec, REFUSED, ref=2) == "! no\n"


def test_what_was_remembered_of_a_command_is_forgotten_with_its_reply() -> None:
    codec = named()
    asked(codec, "/join #a", "/leave", "/rooms", "/help", "hello", "/who", "/history")
    does(codec, Joined("#a", "ann"), ref=2)
    does(codec, Left("#a", "ann"), ref=3)
    told(codec, Pong(), ref=4)
    told(codec, REFUSED, ref=5)
    assert not codec._answers
    assert not codec.places._moves
    assert told(codec, Pong(), ref=4) == ""


# Committed events


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
    | st.sampled_from(["/register", "/password", "/login bob", "/login", "secret", "/kick bob"])
    | st.sampled_from(["/ban bob 7d spam", "/ban b@b", "/mute bob 10x", "/private", "/op bob"])
)


def conversation(chunks: Iterable[bytes], refused: int) -> list[object]:
    """Feed a connection, answer each line at once, and return what was asked and told.

    Every Hello whose ref is a multiple of `refused` wants a password. What follows by `/login` is
    part of it.
    """
    codec, waiting, ended = LineCodec(), deque(chunks), False
    record: list[object] = []
    while codec.waiting or waiting or not ended:
        if codec.waiting or waiting:
            received = codec.feed(b"" if codec.waiting else waiting.popleft())
        else:
            received, ended = codec.end_of_input(), True
        for it in received:
            record += comparable([it])
            record.append(codec.encode(answer_to(codec, it, refused)))
        codec = codec.successor or codec
    return record


def answer_to(codec: LineCodec, it: Received, refused: int) -> Event:
    """Return what a server answers, having told of the moves that it makes."""
    if not isinstance(it, Command):
        return Event(Error(it[1].code, str(it[1])), ref=it[0])
    match it.body:
        case Hello():
            wrong = Error(ErrorCode.UNAUTHENTICATED, "wrong name or password")
            return Event(WELCOME if it.ref % refused else wrong, ref=it.ref)
        case commands.Quit():
            return Event(Goodbye(GoodbyeReason.LEFT, "bye"))
        case Join(room):
            codec.moved(Joined(room, "ann"))
        case Leave("#lobby"):
            return Event(REFUSED, ref=it.ref)
        case Leave(room):
            codec.moved(Left(room, "ann"))
    return Event(Ack(), ref=it.ref)


@given(LINES, st.sampled_from(["\n", "\r\n", "\r\0"]), st.text("xyz/"), st.integers(1, 7))
def test_the_same_lines_ask_and_tell_the_same_whole_and_byte_by_byte(
    lines: list[str], end: str, trailing: str, refused: int
) -> None:
    data = (end.join([*lines, trailing])).encode()
    bytewise = (data[i : i + 1] for i in range(len(data)))
    assert conversation([data], refused) == conversation(bytewise, refused)


@given(
    st.lists(st.binary() | LINES.map(lambda lines: "\n".join(lines).encode()), max_size=20),
    st.data(),
)
def test_no_bytes_and_no_replies_are_unexpected(chunks: list[bytes], data: st.DataObject) -> None:
    codec = LineCodec()
    bodies: list[EventBody] = [Ack(), Pong(), REFUSED, events.Roster("#a", ()), WELCOME]
    bodies += [Error(ErrorCode.UNAUTHENTICATED, "wrong"), Goodbye(GoodbyeReason.LEFT, "bye")]
    replies = st.sampled_from(bodies)
    bodies_of_moves: list[Joined | Left] = [Joined("#a", "ann"), Left("#a", "ann")]
    moves = st.sampled_from(bodies_of_moves)
    for chunk in chunks:
        for it in codec.feed(chunk):
            ref = it.ref if isinstance(it, Command) else it[0]
            codec.moved(data.draw(moves))
            assert isinstance(codec.encode(Event(data.draw(replies), ref=ref)), bytes)
    codec.end_of_input()
    assert codec.places.current.startswith("#")


def test_what_one_says_while_catching_up_does_not_come_back() -> None:
    codec = named()
    codec.encode_acks([(3, Ack(7, 1))])
    said = [events.Message("#lobby", name, 1, name, 0, 0) for name in ("ann", "bob")]
    frames = [encode_event(Event(it, seq)) for it, seq in zip(said, (7, 8), strict=True)]
    assert codec.recall(frames).decode() == "bob: bob\n"
