"""One gRPC stream: from its Hello to its status, and what each bad frame brings about."""

import grpc
import pytest

from chat.v1 import chat_pb2, commands_pb2, events_pb2
from chat_service import __version__
from chat_service.core import limits
from chat_service.node import Node
from tests.conftest import StartNode
from tests.transports.conftest import Enter, OpenStream
from tests.transports.stream import Stream

# --- the first command ---


async def test_the_welcome_says_who_one_is_and_what_is_allowed(node: Node, enter: Enter) -> None:
    ann = await enter(node, "Ann", "secret")
    it = ann.welcome
    assert it.user == "ann"
    assert it.session_id
    assert it.cursor.epoch
    assert (it.resumed, it.last_nonce, list(it.rooms)) == (False, 0, ["#lobby"])
    assert it.version == __version__
    assert it.limits == events_pb2.Limits(
        max_text_bytes=4096,
        max_frame_bytes=65536,
        max_backlog=100,
        max_history=200,
        max_roster=1000,
        max_rooms=100,
        max_conversations=200,
        presence_limit=500,
    )


async def test_the_welcome_is_the_first_event_and_answers_the_hello(
    node: Node, enter: Enter
) -> None:
    ann = await enter(node, "ann", backlog=10)
    assert (ann.events[0].WhichOneof("kind"), ann.events[0].ref) == ("welcome", 1)


async def test_a_second_hello_is_refused_and_changes_nothing(node: Node, enter: Enter) -> None:
    ann = await enter(node, "ann")
    reply = await ann.hello("bob")
    assert reply.error.code == events_pb2.ERROR_CODE_INVALID_COMMAND
    said = await ann.say("still me")
    assert said.HasField("ack")
    assert (await ann.hears_text("still me")).message.sender == "ann"


@pytest.mark.parametrize(
    "kind",
    [
        {"send": commands_pb2.Send(to="#lobby", text="hi")},
        {"join": commands_pb2.Join(room="#dev")},
        {"leave": commands_pb2.Leave(room="#dev")},
        {"who": commands_pb2.Who()},
        {"history": commands_pb2.History(to="#lobby")},
        {"conversations": commands_pb2.Conversations()},
        {"ping": commands_pb2.Ping()},
    ],
    ids=lambda kind: next(iter(kind)),
)
async def test_whatever_comes_before_the_hello_ends_the_stream(
    node: Node, open_stream: OpenStream, kind: dict[str, object]
) -> None:
    stream = open_stream(node)
    reply = await stream.ask(**kind)
    assert reply.error.code == events_pb2.ERROR_CODE_HELLO_REQUIRED
    await broken_off(stream, grpc.StatusCode.FAILED_PRECONDITION, "HELLO_REQUIRED")
    assert [event.WhichOneof("kind") for event in stream.events] == ["error", "goodbye"]


async def test_a_stream_that_says_nothing_is_ended(
    node: Node, open_stream: OpenStream, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "HELLO_TIMEOUT", 0.2)
    stream = open_stream(node)
    await broken_off(stream, grpc.StatusCode.FAILED_PRECONDITION, "HELLO_REQUIRED")
    assert stream.events[0].error.code == events_pb2.ERROR_CODE_HELLO_REQUIRED


async def test_who_has_said_hello_may_be_silent(
    node: Node, enter: Enter, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "HELLO_TIMEOUT", 0.2)
    ann = await enter(node, "ann")
    silent = Stream.open(node)
    await silent.ended()  # it came later, and its time is up already
    await silent.hang_up()
    await ann.ping()


@pytest.mark.parametrize(
    "name",
    ["", " ", "a b", "#ann", "@ann", "-ann", ".", "a" * 33, "a\nb", "a\0b", "a/b", "\u202eann"],
    ids=ascii,
)
async def test_a_name_against_the_grammar_is_refused(
    node: Node, open_stream: OpenStream, name: str
) -> None:
    stream = open_stream(node)
    reply = await stream.hello(name)
    assert reply.error.code == events_pb2.ERROR_CODE_INVALID_ADDRESS
    await ended_by(
        stream,
        events_pb2.GOODBYE_REASON_REFUSED,
        grpc.StatusCode.INVALID_ARGUMENT,
        "INVALID_ADDRESS",
    )
    assert len(node.hub.registry) == 0


async def test_a_client_id_over_the_limit_is_refused(node: Node, open_stream: OpenStream) -> None:
    stream = open_stream(node)
    reply = await stream.hello("ann", "x" * 129)
    assert reply.error.code == events_pb2.ERROR_CODE_INVALID_COMMAND
    assert await stream.ended() is grpc.StatusCode.INVALID_ARGUMENT


async def test_a_full_server_says_so_and_when_to_come_again(
    start_node: StartNode, enter: Enter, open_stream: OpenStream
) -> None:
    node = await start_node(max_sessions=1)
    ann = await enter(node, "ann")
    late = open_stream(node)
    await ended_by(
        late, events_pb2.GOODBYE_REASON_REFUSED, grpc.StatusCode.UNAVAILABLE, "UNAVAILABLE"
    )
    assert late.events[-1].goodbye.reconnect
    assert await late.retry_delay() == 5
    await ann.ping()


# --- commands and replies ---


async def test_each_command_gets_one_reply_with_its_ref(node: Node, enter: Enter) -> None:
    ann = await enter(node, "ann")
    kinds: list[dict[str, object]] = [
        {"send": commands_pb2.Send(to="#lobby", text="hi")},
        {"send": commands_pb2.Send(to="@nobody", text="hi")},
        {"send": commands_pb2.Send(to="#dev", text="not in there")},
        {"join": commands_pb2.Join(room="#dev")},
        {"join": commands_pb2.Join(room="#dev")},
        {"join": commands_pb2.Join(room="no room")},
        {"who": commands_pb2.Who(to="#dev")},
        {"history": commands_pb2.History(to="#lobby")},
        {"history": commands_pb2.History(to="#elsewhere")},
        {"conversations": commands_pb2.Conversations()},
        {"leave": commands_pb2.Leave(room="#dev")},
        {"leave": commands_pb2.Leave(room="#lobby")},
        {},
        {"ping": commands_pb2.Ping()},
    ]
    commands = [commands_pb2.Command(ref=100 + i, **kind) for i, kind in enumerate(kinds)]  # type: ignore[arg-type]
    await ann.send(*commands)
    await ann.ping()
    replies = {event.ref: event.WhichOneof("kind") for event in ann.events if event.ref >= 100}
    assert sum(event.ref >= 100 for event in ann.events) == len(kinds)
    assert [replies[100 + i] for i in range(len(kinds))] == (
        "ack error error ack ack error roster history error conversations "
        "ack error error pong".split()
    )


async def test_an_ack_names_the_message_that_comes_of_it(node: Node, enter: Enter) -> None:
    ann = await enter(node, "ann")
    ack = (await ann.say("one", nonce=1)).ack
    told = await ann.hears_text("one")
    assert (ack.seq, ack.number, ack.nonce, ack.duplicate) == (told.seq, 1, 1, False)
    assert ack.sent_at == told.message.sent_at


async def test_an_error_ends_nothing(node: Node, enter: Enter) -> None:
    ann = await enter(node, "ann")
    for _ in range(100):
        reply = await ann.say("anyone?", to="@nobody")
        assert reply.error.code == events_pb2.ERROR_CODE_NO_SUCH_USER
    await ann.say("still here")
    await ann.hears_text("still here")


@pytest.mark.parametrize("text", ["", " ", "\n\t ", "x" * 4097, "é" * 2049], ids=len)
async def test_an_empty_or_too_long_text_is_refused(node: Node, enter: Enter, text: str) -> None:
    ann, bob = await enter(node, "ann"), await enter(node, "bob")
    reply = await ann.say(text)
    assert reply.error.code == events_pb2.ERROR_CODE_INVALID_TEXT
    await ann.say("next")
    await bob.hears_text("next")
    assert bob.texts == ["next"]


@pytest.mark.parametrize("text", ["x" * 4096, "é" * 2048, "\0", "a\r\nb", "\U0001f600"], ids=len)
async def test_any_other_text_arrives_as_it_was_sent(node: Node, enter: Enter, text: str) -> None:
    ann, bob = await enter(node, "ann"), await enter(node, "bob")
    await ann.say(text)
    await bob.hears_text(text)


async def test_a_reply_to_is_passed_on(node: Node, enter: Enter) -> None:
    ann = await enter(node, "ann")
    first = await ann.say("question")
    await ann.ask(send=commands_pb2.Send(to="#lobby", text="answer", reply_to=first.ack.seq))
    assert (await ann.hears_text("answer")).message.reply_to == first.ack.seq


# --- frames that are not as they should be ---


def hello_bytes(user: str) -> bytes:
    command = commands_pb2.Command(ref=1, hello=commands_pb2.Hello(user=user))
    return chat_pb2.ClientFrame(commands=[command]).SerializeToString()


@pytest.fixture
async def raw_ann(node: Node, open_stream: OpenStream) -> Stream:
    """Ann, whose stream takes any bytes."""
    ann = open_stream(node, raw=True)
    await ann.send_bytes(hello_bytes("ann"))
    await ann.reply(1)
    return ann


def in_command(field: bytes) -> bytes:
    """Lay bytes into a command with ref 7, and that into a frame."""
    command = b"\x08\x07" + field
    return b"\x0a" + bytes([len(command)]) + command


MALFORMED = {
    "text": b"hello\n",
    "cut short": hello_bytes("bob")[:-1],
    "all ones": b"\xff" * 64,
    "unended group": b"\x0b",
    "field number 0": b"\x02\x00",
    "invalid UTF-8": in_command(b"\x1a\x09\x0a\x02#l\x12\x03a\xff\xfe"),
    "length past the end": b"\x0a\xff\xff\xff\xff\x07",
}


@pytest.mark.parametrize("frame", MALFORMED.values(), ids=MALFORMED)
async def test_a_malformed_frame_ends_that_stream_alone(
    node: Node, raw_ann: Stream, enter: Enter, frame: bytes
) -> None:
    bob, cyd = await enter(node, "bob"), await enter(node, "cyd")
    await raw_ann.send_bytes(frame)
    await broken_off(raw_ann, grpc.StatusCode.INVALID_ARGUMENT, "MALFORMED")
    await bob.say("still here")
    await cyd.hears_text("still here")


async def test_a_malformed_frame_before_the_hello_ends_the_stream(
    node: Node, open_stream: OpenStream
) -> None:
    stream = open_stream(node, raw=True)
    await stream.send_bytes(b"GET / HTTP/1.1\r\n\r\n")
    await broken_off(stream, grpc.StatusCode.INVALID_ARGUMENT, "MALFORMED")


async def test_an_empty_frame_is_nothing(raw_ann: Stream) -> None:
    await raw_ann.send_bytes(b"")
    await raw_ann.send_bytes(in_command(b"\x42\x00"))
    assert (await raw_ann.reply(7)).HasField("pong")


@pytest.mark.parametrize(
    "field",
    [
        b"",  # no kind
        b"\x92\x03\x00",  # field 50: a kind of a later version
        b"\x42\x02\x08\x01",  # Ping with a field 1
        b"\x1a\x0c\x0a\x06#lobby\x12\x00\x78\x01",  # Send with a field 15
    ],
    ids=["no kind", "unknown kind", "unknown field in Ping", "unknown field in Send"],
)
async def test_what_the_server_does_not_know_is_refused_and_ends_nothing(
    raw_ann: Stream, field: bytes
) -> None:
    await raw_ann.send_bytes(in_command(field))
    reply = await raw_ann.reply(7)
    assert reply.error.code == events_pb2.ERROR_CODE_INVALID_COMMAND
    await raw_ann.send_bytes(in_command(b"\x42\x00").replace(b"\x08\x07", b"\x08\x08"))
    assert (await raw_ann.reply(8)).HasField("pong")


async def test_the_largest_frame_is_executed_to_its_last_command(
    start_node: StartNode, open_stream: OpenStream
) -> None:
    node = await start_node(rate_commands=None)
    ann = open_stream(node, raw=True)
    await ann.send_bytes(hello_bytes("ann"))
    ping = in_command(b"\x42\x00")
    count = limits.MAX_FRAME_BYTES // len(ping)
    assert count > 8192  # more replies than an outbox holds
    await ann.send_bytes(ping * count)
    await ann.send_bytes(in_command(b"\x42\x00").replace(b"\x08\x07", b"\x08\x08"))
    assert (await ann.reply(8)).HasField("pong")
    assert sum(event.ref == 7 for event in ann.events) == count


@pytest.mark.parametrize("size", [limits.MAX_FRAME_BYTES + 1, 1 << 20], ids=str)
async def test_who_sends_too_large_a_frame_alone_pays_for_it(
    node: Node, raw_ann: Stream, enter: Enter, size: int
) -> None:
    bob, cyd = await enter(node, "bob"), await enter(node, "cyd")
    await raw_ann.send_bytes(b"\x0a" * size)
    assert await raw_ann.ended() is grpc.StatusCode.RESOURCE_EXHAUSTED
    await bob.say("still here")
    await cyd.hears_text("still here")
    await bob.hears_presence("ann", online=False)


# --- the end ---


async def test_whatever_was_sent_before_a_half_close_is_answered(node: Node, enter: Enter) -> None:
    ann, bob = await enter(node, "ann"), await enter(node, "bob")
    sends = [
        commands_pb2.Command(ref=100 + i, send=commands_pb2.Send(to="#lobby", text=f"line {i}"))
        for i in range(500)
    ]
    await ann.send(*sends[:250])
    await ann.send(*sends[250:])
    await ann.leave()
    acks = [event.ref for event in ann.events if event.HasField("ack")]
    assert acks == list(range(100, 600))
    await bob.hears_text("line 499")
    assert bob.texts == [f"line {i}" for i in range(500)]
    await bob.hears_presence("ann", online=False, within=1)


async def test_hello_a_message_and_the_half_close_may_come_at_once(
    node: Node, open_stream: OpenStream
) -> None:
    stream = open_stream(node)
    hello = commands_pb2.Command(ref=1, hello=commands_pb2.Hello(user="ann"))
    send = commands_pb2.Command(ref=2, send=commands_pb2.Send(to="#lobby", text="hi"))
    await stream.send(hello, send)
    await stream.leave()
    assert [event.ref for event in stream.events if event.ref] == [1, 2]
    assert stream.texts == ["hi"]


async def test_a_half_close_without_a_word_ends_with_ok(
    node: Node, open_stream: OpenStream
) -> None:
    stream = open_stream(node)
    await stream.leave()
    assert stream.events == []
    assert len(node.hub.registry) == 0


async def broken_off(stream: Stream, code: grpc.StatusCode, reason: str) -> None:
    """Check that a stream has ended by its client's fault."""
    await ended_by(stream, events_pb2.GOODBYE_REASON_PROTOCOL_ERROR, code, reason)


async def ended_by(
    stream: Stream, goodbye: events_pb2.GoodbyeReason, code: grpc.StatusCode, reason: str
) -> None:
    """Check a stream's last event, its status, and the reason in the rich details."""
    assert await stream.ended() is code
    assert stream.events[-1].goodbye.reason == goodbye
    info = await stream.error_info()
    assert (info.reason, info.domain) == (reason, "chat.v1")
