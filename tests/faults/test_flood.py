"""Floods hurt their sender alone: refusals with a time to retry, then the door."""

import asyncio
from collections import Counter
from contextlib import suppress

import grpc
import pytest

from chat.v1 import commands_pb2, events_pb2
from chat_service.core.bucket import Rate
from chat_service.flood import PATIENCE
from chat_service.node import Node
from tests.accounts import make_account
from tests.conftest import StartNode
from tests.scenarios.heard import Bye, Refused, Said
from tests.scenarios.people import TcpPerson
from tests.transports.conftest import Enter, OpenStream
from tests.transports.stream import Stream
from tests.waiting import until

SLOWLY = 0.001
"""A rate a second that gives nothing within a test."""

RATE_LIMITED = events_pb2.ERROR_CODE_RATE_LIMITED
SAY = commands_pb2.Command(ref=9, send=commands_pb2.Send(to="#lobby", text="hi"))


def replies(stream: Stream) -> list[str]:
    """Return what each Send with ref 9 was answered."""
    return [event.WhichOneof("kind") or "" for event in stream.events if event.ref == 9]


def limited(stream: Stream) -> list[events_pb2.Error]:
    return [event.error for event in stream.events if event.error.code == RATE_LIMITED]


async def say_so_often(stream: Stream, count: int) -> list[str]:
    """Send many messages in one frame and return the replies to them."""
    before = len(replies(stream))
    await stream.send(*[SAY] * count)
    await until(lambda: len(replies(stream)) == before + count, what="all replies")
    return replies(stream)[before:]


# --- commands ---


async def test_commands_above_the_burst_are_refused_with_a_time_to_retry(
    start_node: StartNode, enter: Enter
) -> None:
    node = await start_node(rate_commands=Rate(4, 10))
    ann = await enter(node, "ann", "a")  # which is the first command
    assert Counter(await say_so_often(ann, 20)) == {"ack": 9, "error": 11}
    assert all(0 < it.retry_after.ToMilliseconds() <= 250 for it in limited(ann))


async def test_who_waits_as_long_as_told_is_served_again(
    start_node: StartNode, enter: Enter
) -> None:
    node = await start_node(rate_commands=Rate(10, 10))
    ann = await enter(node, "ann", "a")
    await say_so_often(ann, 30)
    for _ in range(3):
        (reply,) = await say_so_often(ann, 1)
        while reply == "error":
            await asyncio.sleep(limited(ann)[-1].retry_after.ToTimedelta().total_seconds())
            (reply,) = await say_so_often(ann, 1)
            assert reply == "ack"


async def test_a_flood_of_lines_is_refused_with_a_sentence(start_node: StartNode) -> None:
    node = await start_node(rate_commands=Rate(SLOWLY, 10))
    ann, bob = TcpPerson("ann", ""), TcpPerson("bob", "")
    for person in (ann, bob):
        await person.connect(node)
    for number in range(20):
        await ann.say(f"line {number}")
    await until(lambda: ann.count(Refused("too many commands: slow down")) == 11)
    await bob.say("I may")
    await ann.hears(Said("#lobby", "bob", "I may"))
    assert [it.text for it in bob.heard if isinstance(it, Said)] == [f"line {n}" for n in range(9)]
    for person in (ann, bob):
        await person.hang_up()


async def test_commands_that_cannot_be_understood_are_counted_as_well(
    start_node: StartNode, enter: Enter
) -> None:
    node = await start_node(rate_commands=Rate(SLOWLY, 10))
    ann = await enter(node, "ann", "a")
    await ann.send(*[commands_pb2.Command(ref=9)] * 20)
    await until(lambda: len(replies(ann)) == 20)
    assert len(limited(ann)) == 11


async def test_frames_without_a_command_are_counted_as_well(
    start_node: StartNode, enter: Enter
) -> None:
    node = await start_node(rate_commands=Rate(SLOWLY, 10))
    ann = await enter(node, "ann", "a")
    for _ in range(20):
        await ann.send()
    await until(lambda: len(limited(ann)) == 11)


# --- bytes ---


async def test_bytes_above_the_burst_are_refused_with_a_time_to_retry(
    start_node: StartNode, enter: Enter
) -> None:
    node = await start_node(rate_bytes=Rate(1000, 10_000))
    ann = await enter(node, "ann", "a")
    assert (await ann.say("x" * 4000)).HasField("ack")
    assert (await ann.say("x" * 4000)).HasField("ack")
    reply = await ann.say("x" * 4000)
    assert reply.error.code == RATE_LIMITED
    assert 1 < reply.error.retry_after.ToTimedelta().total_seconds() <= 3
    assert (await ann.say("short")).HasField("ack")


async def test_every_command_of_a_frame_with_too_many_bytes_is_refused(
    start_node: StartNode, enter: Enter
) -> None:
    node = await start_node(rate_bytes=Rate(SLOWLY, 1000))
    ann = await enter(node, "ann", "a")
    assert await say_so_often(ann, 20) == ["ack"] * 20
    assert await say_so_often(ann, 50) == ["error"] * 50
    assert len(limited(ann)) == 50


async def test_a_flood_of_bytes_over_tcp_is_refused_with_a_sentence(
    start_node: StartNode,
) -> None:
    node = await start_node(rate_bytes=Rate(SLOWLY, 5000))
    ann = TcpPerson("ann", "")
    await ann.connect(node)
    await ann.say("x" * 4000)
    await until(lambda: node.hub.seq == 1)
    await ann.say("y" * 4000)
    await ann.hears(Refused("too many bytes: slow down"))
    assert node.hub.seq == 1
    await ann.hang_up()


# --- connects ---


async def test_connects_above_the_burst_are_refused_and_those_who_are_in_live_on(
    start_node: StartNode, enter: Enter, open_stream: OpenStream
) -> None:
    node = await start_node(rate_connects=Rate(0.5, 5))
    users = [await enter(node, f"user{number}") for number in range(5)]
    late = open_stream(node)
    assert await late.ended() is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert late.events[0].error.code == RATE_LIMITED
    assert late.events[1].goodbye.reconnect
    assert 0 < await late.retry_delay() <= 2
    assert (await late.error_info()).reason == "RATE_LIMITED"
    await users[0].say("still here")
    await users[4].hears_text("still here")


async def test_a_connection_too_many_gets_a_line_and_is_closed(start_node: StartNode) -> None:
    node = await start_node(rate_connects=Rate(SLOWLY, 2))
    ann = TcpPerson("ann", "")
    await ann.connect(node)
    refused = "! too many connections from your address: slow down (try again in "
    assert not (await lines(node))[0].startswith(refused)
    assert [it[: len(refused)] for it in await lines(node)] == [refused]
    await ann.say("still here")
    await until(lambda: node.hub.seq == 1)
    await ann.hang_up()


async def lines(node: Node) -> list[str]:
    """Connect without a word and return what is said up to the end."""
    endpoint = node.endpoints["tcp"]
    reader, writer = await asyncio.open_connection(endpoint.host, endpoint.port)
    with suppress(ConnectionError):
        writer.write_eof()
    said = (await asyncio.wait_for(reader.read(), 10)).decode()
    writer.close()
    await writer.wait_closed()
    return said.splitlines()


async def test_one_client_that_connects_all_the_time_is_refused_before_the_address_is(
    start_node: StartNode, enter: Enter, open_stream: OpenStream
) -> None:
    node = await start_node(rate_connects=Rate(1, 100))
    for _ in range(10):
        await enter(node, "ann", "a")
    stream = open_stream(node)
    reply = await stream.hello("ann", "a")
    assert reply.error.code == RATE_LIMITED
    assert 0 < reply.error.retry_after.ToTimedelta().total_seconds() <= 10
    assert await stream.ended() is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert stream.events[-1].goodbye.reconnect
    await enter(node, "bob", "b")


@pytest.mark.parametrize("shown", [{}, {"token": "cst_forged"}, {"password": "a guess at it"}])
async def test_strangers_who_say_a_name_do_not_use_up_what_its_owner_may(
    start_node: StartNode, open_stream: OpenStream, enter: Enter, shown: dict[str, str]
) -> None:
    node = await start_node(rate_connects=Rate(SLOWLY, 100), rate_commands=Rate(SLOWLY, 20))
    token = await make_account(node, "bob")
    for number in range(50):
        stream = open_stream(node)
        reply = await stream.hello("bob", f"stranger {number}" if number % 2 else "", **shown)
        assert reply.HasField("error")
        await stream.hang_up()
    for _ in range(10):  # which is all that one client may
        bob = await enter(node, "bob", "bob's own", token=token)
    assert await say_so_often(bob, 19) == ["ack"] * 19


async def test_who_had_a_guests_name_before_leaves_nothing_to_pay(
    start_node: StartNode, enter: Enter
) -> None:
    node = await start_node(rate_commands=Rate(SLOWLY, 20))
    for _ in range(2):
        stranger = await enter(node, "bob", "a stranger's")
        assert "error" in await say_so_often(stranger, 30)
        await stranger.leave()
    bob = await enter(node, "bob", "bob's own")
    assert await say_so_often(bob, 19) == ["ack"] * 19


# --- who is meant, and who is not ---


async def test_one_sessions_flood_leaves_other_sessions_and_users_alone(
    start_node: StartNode, enter: Enter
) -> None:
    node = await start_node(rate_commands=Rate(SLOWLY, 20))
    ann, bob = await enter(node, "ann", "a"), await enter(node, "bob", "b")
    assert "error" in await say_so_often(ann, 30)
    assert await say_so_often(bob, 19) == ["ack"] * 19


async def test_coming_back_does_not_fill_a_users_bucket(
    start_node: StartNode, enter: Enter
) -> None:
    node = await start_node(rate_commands=Rate(SLOWLY, 20))
    granted = 0
    for _ in range(5):
        ann = await enter(node, "ann", "a")
        granted += (await say_so_often(ann, 30)).count("ack")
        await ann.hang_up()
    assert granted == 2 * 20  # the share of a user
    bob = await enter(node, "bob", "b")
    assert "ack" in await say_so_often(bob, 10)


async def test_other_names_do_not_fill_an_addresss_bucket(
    start_node: StartNode, enter: Enter
) -> None:
    node = await start_node(rate_commands=Rate(SLOWLY, 20))
    granted = 0
    for number in range(10):
        stream = await enter(node, f"user{number}")
        granted += 1 + (await say_so_often(stream, 30)).count("ack")
    assert granted == 10 * 20  # the share of an address
    stream = Stream.open(node)
    reply = await stream.hello("another")
    assert reply.error.code == RATE_LIMITED
    await stream.hang_up()


# --- who goes on ---


async def test_who_goes_on_against_the_refusals_is_shown_the_door(
    start_node: StartNode, enter: Enter
) -> None:
    node = await start_node(rate_commands=Rate(SLOWLY, 10))
    ann, bob = await enter(node, "ann", "a"), await enter(node, "bob", "b")
    for _ in range(10):
        await say_so_often(ann, 100)
    assert ann.code is None
    await ann.send(*[SAY] * 300)
    assert await ann.ended() is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert ann.events[-1].goodbye.reason == events_pb2.GOODBYE_REASON_RATE_LIMITED
    assert ann.events[-1].goodbye.reconnect
    assert (await ann.error_info()).reason == "RATE_LIMITED"
    assert await ann.retry_delay() > 0
    assert PATIENCE.burst < len(limited(ann)) < PATIENCE.burst + 200
    assert (await bob.say("still here")).HasField("ack")


async def test_a_tcp_client_who_goes_on_is_told_and_cut_off(start_node: StartNode) -> None:
    node = await start_node(rate_commands=Rate(SLOWLY, 10))
    ann = TcpPerson("ann", "")
    await ann.connect(node)
    for _ in range(1200):
        await ann.say("again")
    await until(lambda: ann.ended)
    assert isinstance(ann.heard[-1], Bye | Refused)
    assert "slow down" in ann.heard[-1].why
    await ann.hang_up()


# --- the defaults ---


async def test_by_default_a_person_may_say_1000_things_at_once(node: Node, enter: Enter) -> None:
    ann = await enter(node, "ann", "a")
    bob = TcpPerson("bob", "")
    await bob.connect(node)
    assert await say_so_often(ann, 1000) == ["ack"] * 1000
    for number in range(1000):
        await bob.say(f"line {number}")
    await ann.hears_text("line 999")
    assert bob.count(Said("#lobby", "ann", "hi")) == 1000
    assert not any(isinstance(it, Refused) for it in bob.heard)
    await bob.hang_up()


# --- admission ---


async def test_a_full_server_refuses_with_a_time_to_retry_and_those_in_it_live_on(
    start_node: StartNode, enter: Enter, open_stream: OpenStream
) -> None:
    node = await start_node(max_sessions=3)
    ann, bob = await enter(node, "ann", "a"), await enter(node, "bob", "b")
    tcp = TcpPerson("cyd", "")
    await tcp.connect(node)
    for _ in range(10):
        late = open_stream(node)
        assert await late.ended() is grpc.StatusCode.UNAVAILABLE
        assert late.events[0].error.code == events_pb2.ERROR_CODE_UNAVAILABLE
        assert late.events[1].goodbye.reason == events_pb2.GOODBYE_REASON_REFUSED
        assert late.events[1].goodbye.reconnect
        assert await late.retry_delay() == 5
        assert (await late.error_info()).reason == "UNAVAILABLE"
        assert await lines(node) == ["! the server is full (try again in 5 s)"]
    await ann.say("still here")
    await bob.hears_text("still here")
    await tcp.hears(Said("#lobby", "ann", "still here"))
    await tcp.hang_up()


async def test_who_leaves_a_full_server_makes_room_for_another(
    start_node: StartNode, enter: Enter
) -> None:
    node = await start_node(max_sessions=2)
    await enter(node, "ann", "a")
    for name in ("bob", "cyd", "dan"):
        stream = await enter(node, name)
        await stream.leave()
        await until(lambda: len(node.hub.registry) == 1)
