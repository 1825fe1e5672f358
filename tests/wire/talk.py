"""One connection's talk with its codec, as unit tests hold it."""

from chat_service.core import events
from chat_service.core.commands import Command, CommandBody, Cursor
from chat_service.core.errors import ErrorCode, Refusal
from chat_service.core.events import Ack, Error, Event, EventBody, Joined, Left
from chat_service.core.outcome import Durable
from chat_service.wire.line import LineCodec

REFUSED = Error(ErrorCode.LIMIT_REACHED, "no")
GREETING = "* what is your name?\n"


WELCOME = events.Welcome("ann", "s1", Cursor("e", 0), False, 0, ("#lobby",), 500, "1")


def named() -> LineCodec:
    """Return the codec of ann, whose Hello (ref 1) has been answered."""
    codec = LineCodec()
    codec.feed(b"ann\n")
    codec.encode(Event(WELCOME, ref=1))
    return codec


def does(codec: LineCodec, body: Joined | Left, ref: int) -> str:
    """Let what was asked for happen, as the hub tells of it, and return what the user sees."""
    codec.moved(body)
    return told(codec, Ack(), ref)


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


def durable(body: events.DurableBody) -> Durable:
    return Durable(1, "#lobby", 1, body, b"")
