"""Retention: what it takes is told, what it leaves is whole, and nobody waits for it."""

from collections.abc import Iterable
from pathlib import Path

import pytest

from chat.v1 import commands_pb2, cursor_pb2, events_pb2
from chat_service.config import Keep
from tests.conftest import StartNode
from tests.faults.clock import Clock
from tests.faults.past import PAST, fill
from tests.faults.streams import connect, receive
from tests.faults.trimmed import page, quick, trimmed_to  # noqa: F401  (quick is a fixture)
from tests.transports.conftest import Enter as LetIn
from tests.transports.stream import Stream, channel_to
from tests.waiting import until

TRIMMED = events_pb2.GAP_REASON_TRIMMED


async def say_all(stream: Stream, texts: Iterable[object], to: str = "#lobby") -> None:
    for text in texts:
        await stream.send(commands_pb2.Command(send=commands_pb2.Send(to=to, text=str(text))))
    await stream.ping()


def gaps(stream: Stream) -> list[tuple[str, int, int, int]]:
    """Return each gap's address, bounds and reason."""
    found = [event.gap for event in stream.events if event.HasField("gap")]
    return [(gap.to, gap.after_seq, gap.before_seq, gap.reason) for gap in found]


# --- what is kept ---


@pytest.mark.parametrize("to", ["#lobby", "#dev", "@bob"])
async def test_the_latest_so_many_messages_of_each_room_and_conversation_are_kept(
    start_node: StartNode, enter: LetIn, to: str
) -> None:
    node = await start_node(keep=Keep(messages=10))
    ann = await enter(node, "ann", "a")
    await enter(node, "bob", "b")
    await ann.join("#dev")
    await say_all(ann, range(50), to)
    assert await trimmed_to(ann, 10, to) == [str(number) for number in range(40, 50)]
    assert (await ann.say("next", to)).ack.number == 51


async def test_a_room_with_few_messages_keeps_them_however_old(
    start_node: StartNode, enter: LetIn
) -> None:
    node = await start_node(keep=Keep(messages=10))
    ann = await enter(node, "ann", "a")
    await ann.join("#dev")
    await say_all(ann, range(10), "#dev")
    await say_all(ann, range(1000))
    await trimmed_to(ann, 10)
    assert await trimmed_to(ann, 10, "#dev") == [str(number) for number in range(10)]


async def test_what_is_older_than_the_age_goes_from_everywhere(
    start_node: StartNode, enter: LetIn, clock: Clock
) -> None:
    node = await start_node(keep=Keep(seconds=3600))
    ann = await enter(node, "ann", "a")
    await enter(node, "bob", "b")
    await ann.join("#dev")
    for to in ("#lobby", "#dev", "@bob"):
        await say_all(ann, ["old", "older"], to)
    clock.advance(3000)
    for to in ("#lobby", "#dev", "@bob"):
        await say_all(ann, ["new"], to)
    clock.advance(1000)
    for to in ("#lobby", "#dev", "@bob"):
        assert await trimmed_to(ann, 1, to) == ["new"]
    clock.advance(3000)
    for to in ("#lobby", "#dev", "@bob"):
        assert await trimmed_to(ann, 0, to) == []
        assert (await ann.say("next", to)).ack.number == 4


async def test_by_age_and_number_the_stricter_one_decides(
    start_node: StartNode, enter: LetIn, clock: Clock
) -> None:
    node = await start_node(keep=Keep(seconds=3600, messages=3))
    ann = await enter(node, "ann", "a")
    await say_all(ann, range(8))
    assert await trimmed_to(ann, 3) == ["5", "6", "7"]
    clock.advance(3000)
    await say_all(ann, [8])
    assert await trimmed_to(ann, 3) == ["6", "7", "8"]
    clock.advance(1000)
    assert await trimmed_to(ann, 1) == ["8"]


async def test_members_stay_in_a_room_whose_past_is_gone(
    start_node: StartNode, enter: LetIn
) -> None:
    node = await start_node(keep=Keep(messages=1))
    ann, bob = await enter(node, "ann", "a"), await enter(node, "bob", "b")
    await ann.join("#dev")
    await bob.join("#dev")
    await say_all(ann, range(20), "#dev")
    await trimmed_to(ann, 1, "#dev")
    await bob.hang_up()
    again = await enter(node, "bob", "b")
    assert list(again.welcome.rooms) == ["#lobby", "#dev"]
    await ann.say("live", "#dev")
    await again.hears_text("live")


async def test_nonces_outlive_the_messages_that_they_numbered(
    start_node: StartNode, enter: LetIn
) -> None:
    node = await start_node(keep=Keep(messages=1))
    ann = await enter(node, "ann", "a")
    first = (await ann.say("first", nonce=1)).ack
    await ann.say("second")
    await trimmed_to(ann, 1)
    again = (await ann.say("first", nonce=1)).ack
    assert (again.duplicate, again.seq, again.number) == (True, first.seq, first.number)


# --- resume ---


async def test_a_resume_across_the_trimmed_part_gets_a_gap_and_what_is_left(
    start_node: StartNode, enter: LetIn
) -> None:
    node = await start_node(keep=Keep(messages=10))
    ann, bob = await enter(node, "ann", "a"), await enter(node, "bob", "b")
    await ann.say("seen")
    await bob.hears_text("seen")
    await bob.hang_up()
    await say_all(ann, range(50))
    left = await trimmed_to(ann, 10)
    again = await enter(node, "bob", "b", resume=bob.cursor)
    await ann.say("live")
    await again.hears_text("live")
    assert not again.welcome.resumed
    assert again.welcome.cursor == bob.cursor
    assert gaps(again) == [("#lobby", 1, 42, TRIMMED)]  # 2 to 41 are gone
    assert again.texts == [*left, "live"]


async def test_each_room_and_conversation_that_lost_something_has_a_gap_of_its_own(
    start_node: StartNode, enter: LetIn
) -> None:
    node = await start_node(keep=Keep(messages=2))
    ann, bob = await enter(node, "ann", "a"), await enter(node, "bob", "b")
    await ann.join("#dev")
    await bob.join("#dev")
    await bob.ping()
    await bob.hang_up()
    for to in ("#lobby", "#dev", "@bob"):
        await say_all(ann, [f"{to} {n}" for n in range(4)], to)
        await trimmed_to(ann, 2, to)
    again = await enter(node, "bob", "b", resume=bob.cursor)
    await again.hears_text("@bob 3")
    assert not again.welcome.resumed
    assert gaps(again) == [
        ("#dev", 2, 9, TRIMMED),
        ("#lobby", 2, 5, TRIMMED),
        ("@ann", 2, 13, TRIMMED),
    ]
    assert again.texts == [f"{to} {n}" for to in ("#lobby", "#dev", "@bob") for n in (2, 3)]


async def test_very_many_gaps_are_told_as_one(start_node: StartNode, enter: LetIn) -> None:
    node = await start_node(keep=Keep(messages=1))
    ann, bob = await enter(node, "ann", "a"), await enter(node, "bob", "b")
    rooms = [f"#room{number}" for number in range(40)]
    for room in rooms:
        await ann.join(room)
        await bob.join(room)
    await bob.ping()
    await bob.hang_up()
    for room in rooms:
        await say_all(ann, ["lost", "left"], room)
    for room in rooms:
        await trimmed_to(ann, 1, room)
    again = await enter(node, "bob", "b", resume=bob.cursor)
    await ann.say("live")
    await again.hears_text("live")
    assert not again.welcome.resumed
    assert gaps(again) == [("", 80, 160, TRIMMED)]  # 159 was the last that is lost
    assert again.texts == ["left"] * 40 + ["live"]


async def test_a_resume_that_trimming_did_not_touch_has_no_gap(
    start_node: StartNode, enter: LetIn
) -> None:
    node = await start_node(keep=Keep(messages=2))
    ann, bob = await enter(node, "ann", "a"), await enter(node, "bob", "b")
    await ann.join("#dev")
    await enter(node, "cyd", "c")
    await say_all(ann, range(10))  # bob sees them before they are trimmed
    await bob.hears_text("9")
    await bob.hang_up()
    await trimmed_to(ann, 2)
    await say_all(ann, range(10), "#dev")  # bob is not in there
    await trimmed_to(ann, 2, "#dev")
    await say_all(ann, range(10), "@cyd")  # nor is that for bob
    await trimmed_to(ann, 2, "@cyd")
    again = await enter(node, "bob", "b", resume=bob.cursor)
    await ann.say("live")
    await again.hears_text("live")
    assert again.welcome.resumed
    assert gaps(again) == []
    assert again.texts == ["live"]


async def test_what_was_trimmed_outside_of_ones_stay_is_no_gap(
    start_node: StartNode, enter: LetIn
) -> None:
    node = await start_node(keep=Keep(messages=3))
    ann, bob = await enter(node, "ann", "a"), await enter(node, "bob", "b")
    start = bob.cursor
    await ann.join("#dev")
    await say_all(ann, range(10), "#dev")
    await trimmed_to(ann, 3, "#dev")
    await bob.join("#dev")
    await ann.say("during", "#dev")
    await bob.hears_text("during")
    await bob.hang_up()
    again = await enter(node, "bob", "b", resume=start)
    await again.hears_text("during")
    assert again.welcome.resumed
    assert gaps(again) == []


async def test_private_messages_that_waited_and_are_gone_leave_a_gap_without_a_cursor(
    start_node: StartNode, enter: LetIn
) -> None:
    node = await start_node(keep=Keep(messages=2))
    ann, bob = await enter(node, "ann", "a"), await enter(node, "bob", "b")
    await bob.hang_up()
    await until(lambda: "bob" not in node.hub.registry.users)
    await ann.ping()
    await say_all(ann, range(5), "@bob")
    await say_all(ann, range(5))
    await trimmed_to(ann, 2, "@bob")
    await trimmed_to(ann, 2)
    again = await enter(node, "bob", "b")
    await again.hears_text("4")
    assert not again.welcome.resumed
    assert gaps(again) == [("@ann", 0, 4, TRIMMED)]
    assert again.texts == ["3", "4"]


async def test_what_is_trimmed_before_a_reader_has_caught_up_is_no_silent_hole(
    start_node: StartNode, enter: LetIn, tmp_path: Path, clock: Clock
) -> None:
    count = 6000
    clock.now = PAST
    epoch = await fill(tmp_path / "data", ["x" * 4000] * count)
    node = await start_node(keep=Keep(seconds=60))
    ann = await enter(node, "ann", "ann")
    channel = channel_to(node)
    bob = await connect(channel, "bob", "bob", cursor_pb2.Cursor(epoch=epoch, seq=0))
    told = list((await receive(bob)).events)  # and no more for now
    assert told[0].welcome.resumed
    clock.advance(61)
    await trimmed_to(ann, 0)
    await ann.say("left")
    while told[-1].message.text != "left":
        if told[-1].HasField("goodbye"):
            assert told[-1].goodbye.reconnect
            last = max(event.seq for event in told)
            bob = await connect(channel, "bob", "bob", cursor_pb2.Cursor(epoch=epoch, seq=last))
        told += (await receive(bob)).events
    bob.cancel()
    await channel.close()
    seen = [event.seq for event in told if event.seq]
    holes = [event.gap for event in told if event.HasField("gap")]
    assert seen == sorted(set(seen))
    assert 100 < len(seen) < count
    assert [(gap.to, gap.after_seq, gap.before_seq) for gap in holes] == [
        ("#lobby", seen[-2], count + 1)
    ]
    assert seen[:-1] == list(range(1, seen[-2] + 1))
