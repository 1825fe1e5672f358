"""Passwords on a connection where somebody types: when one is asked for, and what comes of it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chat_service.core import events
from chat_service.core.commands import (
    ChangePassword,
    Command,
    Hello,
    MayChangePassword,
    MaySignUp,
    Ping,
    Quit,
    Secret,
    Send,
    SignUp,
)
from chat_service.core.errors import ErrorCode, InvalidCommand, InvalidText, Unauthenticated
from chat_service.core.events import Ack, Error, Event, Goodbye, GoodbyeReason, Pong
from chat_service.wire.line import LineCodec
from tests.wire.talk import GREETING, WELCOME, asked, durable, named, refused, told

WILL_ECHO = b"\xff\xfb\x01"
WONT_ECHO = b"\xff\xfc\x01"
SHOWN = WONT_ECHO + b"\n"
REGISTERED = Error(ErrorCode.UNAUTHENTICATED, "ann is registered: a password is needed")
WRONG = Error(ErrorCode.UNAUTHENTICATED, "wrong name or password")
PASSWORDS = st.text(
    st.characters(exclude_characters="\n\r\0", exclude_categories=["Cs"]), min_size=1
)


def question(words: str) -> bytes:
    return f"* {words}?\n".encode() + WILL_ECHO


def answer(codec: LineCodec, body: events.EventBody, ref: int = 0) -> bytes:
    return codec.encode(Event(body, ref=ref))


def challenged() -> LineCodec:
    """Return a codec that was asked for ann's password in the reply to ref 1."""
    codec = LineCodec()
    asked(codec, "ann")
    told_why = b"! ann is registered: a password is needed\n"
    assert answer(codec, REGISTERED, ref=1) == told_why + question("password for ann")
    return codec


# At the name


def test_a_name_that_takes_a_password_is_asked_for_it_and_the_next_line_is_that() -> None:
    codec = challenged()
    assert asked(codec, "  pass word ") == [Hello("ann", password=Secret("  pass word "))]
    assert answer(codec, WELCOME, ref=2).startswith(SHOWN + b"* welcome, ann")
    assert asked(codec, "hello") == [Send("#lobby", "hello")]


@given(PASSWORDS)
def test_a_password_is_the_line_as_it_was_typed(password: str) -> None:
    codec = challenged()
    (received,) = codec.feed(password.encode() + b"\r\n")
    assert received == Command(2, Hello("ann", password=Secret(password)))


def test_what_follows_a_name_in_one_packet_is_its_password_if_one_is_wanted() -> None:
    codec = LineCodec()
    assert codec.feed(b"ann\nsecret\nhello\n") == [Command(1, Hello("ann"))]
    answer(codec, REGISTERED, ref=1)
    assert asked(codec) == [Hello("ann", password=Secret("secret"))]
    answer(codec, WELCOME, ref=2)
    assert asked(codec) == [Send("#lobby", "hello")]


def test_a_wrong_password_is_asked_for_again_as_long_as_another_counts() -> None:
    codec = challenged()
    for ref in (2, 3):
        asked(codec, "wrong")
        again = SHOWN + b"! wrong name or password\n" + question("password for ann")
        assert answer(codec, WRONG, ref) == again
    asked(codec, "wrong")
    assert answer(codec, WRONG, ref=4) == SHOWN + b"! wrong name or password\n"
    assert told(codec, Goodbye(GoodbyeReason.REFUSED, "wrong name or password")) == "* bye\n"


@pytest.mark.parametrize("lines", ["ann\nsecret\n", "/login ann\nsecret\nhello\n"])
def test_behind_a_name_that_was_refused_no_line_is_taken_for_anything(lines: str) -> None:
    codec = LineCodec()
    codec.feed(lines.encode())
    slow_down = Error(ErrorCode.RATE_LIMITED, "too many bytes: slow down", 1.0)
    answer(codec, slow_down, ref=codec.ref)
    assert asked(codec) == [Quit()]
    assert asked(codec, "secret") == []


def test_an_empty_line_goes_back_to_the_name() -> None:
    codec = challenged()
    refusal = refused(codec, "")
    assert isinstance(refusal, InvalidCommand)
    error = Error(refusal.code, str(refusal))
    assert answer(codec, error, ref=2) == SHOWN + b"! no password was given\n" + GREETING.encode()
    assert asked(codec, "bob") == [Hello("bob")]


def test_a_password_that_cannot_be_read_is_asked_for_again() -> None:
    codec = challenged()
    (received,) = codec.feed(b"\xc3\n")
    assert isinstance(received, tuple)
    ref, unreadable = received
    assert isinstance(unreadable, InvalidText)
    again = answer(codec, Error(unreadable.code, str(unreadable)), ref)
    assert again == SHOWN + b"! not valid UTF-8\n" + question("password for ann")
    assert asked(codec, "secret") == [Hello("ann", password=Secret("secret"))]


def test_the_terminal_shows_typing_again_when_it_ends_over_a_question() -> None:
    codec = challenged()
    assert told(codec, Error(ErrorCode.HELLO_REQUIRED, "too late")) == "! too late\r\n"
    assert answer(codec, Goodbye(GoodbyeReason.SHUTDOWN, "")) == SHOWN + b"* server shutting down\n"


@pytest.mark.parametrize("line", ["/login Bob", " /LOGIN  Bob ", "/login b@b"])
def test_login_asks_for_a_password_whoever_it_is(line: str) -> None:
    codec = LineCodec()
    refusal = refused(codec, line)
    assert isinstance(refusal, Unauthenticated)
    name = line.split()[1]
    assert answer(codec, Error(refusal.code, str(refusal)), ref=1) == question(
        f"password for {name}"
    )
    assert asked(codec, "secret") == [Hello(name, password=Secret("secret"))]


def test_login_without_a_name_leaves_one_at_the_name() -> None:
    codec = LineCodec()
    refusal = refused(codec, "/login")
    assert str(refusal) == "usage: /login NAME"
    assert told(codec, Error(refusal.code, str(refusal)), ref=1) == "! usage: /login NAME\n" + (
        GREETING
    )


def test_no_question_lets_a_terminal_obey_a_name() -> None:
    codec = LineCodec()
    refusal = refused(codec, "/login \x1b[31m\x9b")
    asking = answer(codec, Error(refusal.code, str(refusal)), ref=1)
    assert asking == question("password for ␛[31m\ufffd")


# In the open


def test_register_asks_for_a_new_password_twice() -> None:
    codec = named()
    assert asked(codec, "/register") == [MaySignUp("ann")]
    assert answer(codec, Pong(), ref=2) == question("new password")
    assert asked(codec, " secret") == [MaySignUp("ann")]
    assert answer(codec, Pong(), ref=3) == SHOWN + question("new password, once more")
    assert asked(codec, " secret") == [SignUp("ann", Secret(" secret"))]
    done = b"* ann is registered now: the name takes your password from here on\n"
    assert answer(codec, Ack(), ref=4) == SHOWN + done
    assert asked(codec, "hello") == [Send("#lobby", "hello")]


def test_what_has_come_as_an_answer_is_dropped_with_the_question() -> None:
    codec = named()
    asked(codec, "/register", "secret", "other", "hello")
    closed = Error(ErrorCode.PERMISSION_DENIED, "registration is closed")
    assert answer(codec, closed, ref=2) == b"! registration is closed\n"
    assert asked(codec) == [Send("#lobby", "hello")]


def test_a_new_account_is_made_in_the_place_of_the_name() -> None:
    codec = LineCodec()
    assert asked(codec, "/register Ann", "secret", "secret", "hi") == [MaySignUp("ann")]
    assert answer(codec, Pong(), ref=1) == question("new password")
    assert asked(codec) == [MaySignUp("ann")]
    answer(codec, Pong(), ref=2)
    assert asked(codec) == [SignUp("ann", Secret("secret"))]
    done = b"* ann is registered now: the name takes your password from here on\n"
    assert codec.encode_acks([(3, Ack())]) == (SHOWN + done, 1)
    assert asked(codec) == [Hello("ann", password=Secret("secret"))]
    answer(codec, WELCOME, ref=4)
    assert asked(codec) == [Send("#lobby", "hi")]


def test_a_new_account_is_not_made_of_what_is_no_name() -> None:
    codec = LineCodec()
    for line, why in (("/register", "usage: /register NAME"), ("/register a b", "not a valid")):
        assert why in str(refused(codec, line))
    assert "you are ann" in str(refused(named(), "/register bob"))


def test_two_passwords_that_differ_change_nothing() -> None:
    codec = named()
    asked(codec, "/register")
    answer(codec, Pong(), ref=2)
    asked(codec, "secret")
    answer(codec, Pong(), ref=3)
    refusal = refused(codec, "secert")
    assert str(refusal) == "the two are not the same: nothing was changed"
    assert asked(codec, "hello") == [Send("#lobby", "hello")]


def test_password_asks_for_the_old_one_and_twice_for_the_new_one() -> None:
    codec = named()
    assert asked(codec, "/password") == [MayChangePassword()]
    assert answer(codec, Pong(), ref=2) == question("old password")
    asked(codec, "old")
    assert answer(codec, Pong(), ref=3) == SHOWN + question("new password")
    asked(codec, "/quit")  # whoever wants this for a password
    answer(codec, Pong(), ref=4)
    assert asked(codec, "/quit") == [ChangePassword(Secret("old"), Secret("/quit"))]
    assert answer(codec, Ack(), ref=5) == SHOWN + b"* your password is changed\n"


def test_a_refused_registration_is_told_and_over() -> None:
    codec = named()
    asked(codec, "/register", "secret", "secret")
    taken = Error(ErrorCode.NAME_TAKEN, "the name ann is registered")
    for ref in (2, 3):
        answer(codec, Pong(), ref)
        asked(codec)
    assert answer(codec, taken, ref=4) == SHOWN + b"! the name ann is registered\n"
    assert asked(codec, "hello") == [Send("#lobby", "hello")]


def test_a_question_that_was_refused_is_asked_all_the_same() -> None:
    codec = named()
    asked(codec, "/register")
    slow_down = Error(ErrorCode.RATE_LIMITED, "too many commands: slow down", 1.0)
    asking = answer(codec, slow_down, ref=2)
    assert asking == b"! too many commands: slow down (try again in 1 s)\n" + question(
        "new password"
    )
    assert asked(codec, "secret") == [MaySignUp("ann")]


def test_others_are_heard_while_a_password_is_asked_for() -> None:
    codec = named()
    asked(codec, "/register")
    answer(codec, Pong(), ref=2)
    hello = events.Message("#lobby", "bob", 1, "hello", 0)
    assert codec.sharing(private=False) is codec  # a terminal that hides wants lines of its own
    assert codec.join([durable(hello)]) == b"bob: hello\r\n"
    assert answer(codec, events.Presence("cyd", online=True)) == b"* cyd joined\r\n"
    asked(codec, "secret")
    assert answer(codec, Pong(), ref=3).startswith(SHOWN)
    asked(codec, "secret")
    answer(codec, Ack(), ref=4)
    assert codec.join([durable(hello)]) == b"bob: hello\n"
    assert codec.sharing(private=False) == ("line", "#lobby")


@pytest.mark.parametrize("dialogue", ["/register", "/password", "/login bob"])
def test_an_empty_line_ends_a_dialogue(dialogue: str) -> None:
    codec = named()
    asked(codec, dialogue)
    answer(codec, Pong(), ref=2)
    assert str(refused(codec, "")) == "no password was given"
    assert asked(codec, "hello") == [Send("#lobby", "hello")]


# /login in an open session


def test_login_leaves_and_another_codec_begins_with_what_was_typed() -> None:
    codec = named()
    assert asked(codec, "/login bob") == [Ping()]
    assert answer(codec, Pong(), ref=2) == question("password for bob")
    assert codec.feed(b"secret\nhello\nhalf a l") == [Command(3, Quit())]
    assert codec.successor is None
    assert answer(codec, Goodbye(GoodbyeReason.LEFT, "bye")) == SHOWN
    following = codec.successor
    assert following is not None
    assert following.waiting
    assert following.feed(b"") == [Command(1, Hello("bob", password=Secret("secret")))]
    welcome = WELCOME.replace(user="bob")
    assert answer(following, welcome, ref=1).startswith(b"* welcome, bob")
    assert asked(following, "ine") == [Send("#lobby", "hello"), Send("#lobby", "half a line")]


def test_a_login_with_a_wrong_password_is_asked_again() -> None:
    codec = named()
    codec.feed(b"/login bob\nwrong\n")
    answer(codec, Goodbye(GoodbyeReason.LEFT, "bye"))
    assert codec.successor is not None
    codec = codec.successor
    codec.feed(b"")
    again = b"! wrong name or password\n" + question("password for bob")
    assert answer(codec, WRONG, ref=1) == again


def test_a_login_as_nobody_at_all_leaves_one_where_one_is() -> None:
    codec = named()
    asked(codec, "/login b@b")
    assert refused(codec, "secret").code is ErrorCode.INVALID_ADDRESS
    assert asked(codec, "hello") == [Send("#lobby", "hello")]


def test_a_login_that_the_server_forestalls_is_none() -> None:
    codec = named()
    asked(codec, "/login bob", "secret")
    assert answer(codec, Goodbye(GoodbyeReason.SHUTDOWN, "")) == b"* server shutting down\n"
    assert codec.successor is None
    codec = named()
    asked(codec, "/login bob", "secret")
    answer(codec, Error(ErrorCode.RATE_LIMITED, "slow down", 1.0), ref=3)
    assert asked(codec, "hello", "/quit") == [Send("#lobby", "hello"), Quit()]
    assert answer(codec, Goodbye(GoodbyeReason.LEFT, "bye")) == b"* bye\n"
    assert codec.successor is None


def test_nothing_behind_quit_is_looked_at() -> None:
    codec = named()
    assert codec.feed(b"/quit\n/login bob\nsecret\n") == [Command(2, Quit())]
    assert answer(codec, Goodbye(GoodbyeReason.LEFT, "bye")) == b"* bye\n"
    assert codec.successor is None


# Secrets


def test_no_password_shows_in_what_is_written_down_or_told() -> None:
    seen: list[object] = []
    codec = named()
    told_back = b""
    for line in ("/register", "s3cret", "s3cret", "/password", "s3cret", "s3cret", "s3cre"):
        received = codec.feed(f"{line}\n".encode())
        seen += received
        for it in received:
            ref = it.ref if isinstance(it, Command) else it[0]
            told_back += answer(codec, Ack(), ref)
    codec.feed(b"/login bob\ns3cret\n")
    answer(codec, Goodbye(GoodbyeReason.LEFT, "bye"))
    assert codec.successor is not None
    seen += codec.successor.feed(b"")
    assert "s3cre" not in repr(seen)
    assert b"s3cre" not in told_back
