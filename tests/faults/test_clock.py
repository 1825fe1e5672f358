"""The wall clock jumps: order, nonces, holds and resume take no notice."""

import pytest

from chat.v1 import commands_pb2, events_pb2
from chat_service.node import Node
from tests.conftest import StartNode
from tests.faults.clock import Clock
from tests.transports.conftest import Enter, OpenStream
from tests.transports.stream import Stream
from tests.waiting import until

YEAR = 365 * 86_400.0
JUMPS = [0.0, 3600.0, -7200.0, 30 * YEAR, -80 * YEAR, 0.000_001, -0.000_001, 50 * YEAR]
"""Seconds: to and fro, by a microsecond, and to before 1970."""


@pytest.fixture
async def node(clock: Clock, start_node: StartNode) -> Node:
    """A node with that clock."""
    return await start_node()


def messages(stream: Stream) -> list[events_pb2.Event]:
    return [event for event in stream.events if event.HasField("message")]


async def test_sent_at_is_what_the_clock_said(node: Node, clock: Clock, enter: Enter) -> None:
    ann, bob = await enter(node, "ann", "a"), await enter(node, "bob", "b")
    for number, jump in enumerate(JUMPS):
        clock.advance(jump)
        ack = (await ann.say(f"{number}")).ack
        told = await bob.hears_text(f"{number}")
        assert ack.sent_at.ToMicroseconds() == clock.now
        assert told.message.sent_at == ack.sent_at


async def test_order_numbers_and_history_follow_the_log_and_not_the_clock(
    node: Node, clock: Clock, enter: Enter
) -> None:
    ann, bob = await enter(node, "ann", "a"), await enter(node, "bob", "b")
    for number, jump in enumerate(JUMPS):
        clock.advance(jump)
        await (ann, bob)[number % 2].say(f"{number}")
    texts = [f"{number}" for number in range(len(JUMPS))]
    await bob.hears_text(texts[-1])
    assert bob.texts == texts
    assert [event.message.number for event in messages(bob)] == list(range(1, len(JUMPS) + 1))
    assert [event.seq for event in messages(bob)] == list(range(1, len(JUMPS) + 1))
    page = (await ann.ask(history=commands_pb2.History(to="#lobby"))).history
    assert list(page.events) == messages(bob)


async def test_a_nonce_happens_once_whatever_the_clock_says(
    node: Node, clock: Clock, enter: Enter
) -> None:
    ann = await enter(node, "ann", "a")
    for nonce, jump in enumerate(JUMPS, 1):
        first = (await ann.say("once", nonce=nonce)).ack
        clock.advance(jump)
        again = (await ann.say("once", nonce=nonce)).ack
        assert (first.duplicate, again.duplicate) == (False, True)
        assert (again.seq, again.sent_at) == (first.seq, first.sent_at)
    await ann.hang_up()
    clock.advance(-YEAR)
    back = await enter(node, "ann", "a")
    assert back.welcome.last_nonce == len(JUMPS)
    assert (await back.say("once", nonce=1)).ack.duplicate


@pytest.mark.parametrize("jump", [YEAR, -YEAR], ids=["forth", "back"])
async def test_a_name_is_held_for_its_time_and_no_longer(
    clock: Clock, hasty_node: Node, open_stream: OpenStream, enter: Enter, jump: float
) -> None:
    ann = await enter(hasty_node, "ann", "a")
    await ann.hang_up()
    clock.advance(jump)
    thief = open_stream(hasty_node)
    refused = await thief.hello("ann", "another")
    assert refused.error.code == events_pb2.ERROR_CODE_NAME_TAKEN
    back = await enter(hasty_node, "ann", "a")
    clock.advance(-2 * jump)
    await back.hang_up()
    for _ in range(200):
        heir = open_stream(hasty_node)
        if (await heir.hello("ann", "heir")).HasField("welcome"):
            return
    raise AssertionError("the name is never free again")


async def test_a_departure_is_told_after_its_time(
    clock: Clock, hasty_node: Node, enter: Enter
) -> None:
    ann, bob = await enter(hasty_node, "ann", "a"), await enter(hasty_node, "bob", "b")
    await ann.hears_presence("bob", online=True)
    await bob.hang_up()
    clock.advance(-YEAR)
    await ann.hears_presence("bob", online=False)


async def test_a_resume_goes_on_where_it_was(node: Node, clock: Clock, enter: Enter) -> None:
    ann, bob = await enter(node, "ann", "a"), await enter(node, "bob", "b")
    for number, jump in enumerate(JUMPS):
        await bob.hang_up()
        await ann.say(f"missed {number}")
        clock.advance(jump)
        await ann.say(f"missed too {number}", "@bob")
        cursor = bob.cursor
        bob = await enter(node, "bob", "b", resume=cursor)
        await bob.hears_text(f"missed too {number}")
        assert bob.welcome.resumed
        assert bob.texts == [f"missed {number}", f"missed too {number}"]


async def test_a_rate_is_a_rate_whatever_the_clock_says(
    node: Node, clock: Clock, enter: Enter
) -> None:
    ann = await enter(node, "ann", "a")
    for jump in JUMPS:
        clock.advance(jump)
        for _ in range(5):
            assert (await ann.say("within the rate")).HasField("ack")
    await until(lambda: len(ann.texts) == 5 * len(JUMPS))
