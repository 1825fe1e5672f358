"""Resume by cursor: all that was missed, in order, then what is live, and nothing twice."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from chat.v1 import commands_pb2, cursor_pb2, events_pb2
from chat_service.config import Config
from chat_service.node import Node
from tests.conftest import ANY_PORT, StartNode
from tests.transports.conftest import Enter as LetIn
from tests.transports.stream import Stream
from tests.waiting import until

UNLIMITED = {"rate_commands": None, "rate_bytes": None, "rate_connects": None}


def seqs(stream: Stream) -> list[int]:
    """Return the seqs of the durable events told, in the order of their arrival."""
    return [event.seq for event in stream.events if event.seq]


def gaps(stream: Stream) -> list[events_pb2.Gap]:
    return [event.gap for event in stream.events if event.HasField("gap")]


def told(stream: Stream) -> list[str]:
    """Return the durable events told, in short."""
    short = []
    for event in stream.events:
        if event.HasField("message"):
            short.append(event.message.text)
        elif event.HasField("joined"):
            short.append(f"{event.joined.user} joined {event.joined.room}")
        elif event.HasField("left"):
            short.append(f"{event.left.user} left {event.left.room}")
    return short


async def comes_to(node: Node, seq: int) -> None:
    await until(lambda: node.hub.seq > seq)


async def sees_past(stream: Stream, seq: int) -> None:
    await stream.hears(lambda event: event.seq > seq)


async def history(stream: Stream, to: str = "#lobby") -> list[int]:
    """Return the seqs of all messages of a room, page by page."""
    found: list[int] = []
    while True:
        before = found[0] if found else 0
        page = (await stream.ask(history=commands_pb2.History(to=to, before_seq=before))).history
        found[:0] = [event.seq for event in page.events]
        if not page.more:
            return found


@asynccontextmanager
async def talking(stream: Stream, to: str = "#lobby") -> AsyncIterator[None]:
    """Let a stream send as fast as it can meanwhile."""

    async def talk() -> None:
        burst = [commands_pb2.Command(send=commands_pb2.Send(to=to, text="more"))] * 20
        while True:
            for _ in range(10):
                await stream.send(*burst)
            await stream.ping()

    task = asyncio.create_task(talk())
    try:
        yield
    finally:
        task.cancel()
        results = await asyncio.gather(task, return_exceptions=True)
        assert isinstance(results[0], asyncio.CancelledError), results


# --- the seam ---


async def test_at_the_seam_of_missed_and_live_there_is_no_hole_and_no_repeat(
    start_node: StartNode, enter: LetIn
) -> None:
    node = await start_node(**UNLIMITED)
    ann = await enter(node, "ann", "a")
    first = await enter(node, "bob", "b")
    cursor = first.welcome.cursor
    await first.hang_up()
    seen: list[int] = []
    async with talking(ann):
        for behind in range(40):
            start = node.hub.seq
            await comes_to(node, start + 30 * behind)
            bob = await enter(node, "bob", "b", resume=cursor)
            assert bob.welcome.resumed
            assert bob.welcome.cursor == cursor
            await sees_past(bob, node.hub.seq + 200)
            await bob.hang_up()
            assert gaps(bob) == []
            seen += seqs(bob)
            cursor = bob.cursor
    bob = await enter(node, "bob", "b", resume=cursor)
    await until(lambda: bob.cursor.seq == node.hub.seq)
    seen += seqs(bob)
    assert seen == await history(await enter(node, "cyd"))
    assert len(seen) > 40 * 200


async def test_many_who_resume_at_once_from_different_places_see_each_the_rest(
    start_node: StartNode, enter: LetIn
) -> None:
    node = await start_node(**UNLIMITED)
    ann = await enter(node, "ann", "a")
    for _ in range(30):
        await ann.send(*[commands_pb2.Command(send=commands_pb2.Send(to="#lobby", text="x"))] * 100)
    await ann.ping()
    epoch = ann.welcome.cursor.epoch
    async with talking(ann):
        cursors = [cursor_pb2.Cursor(epoch=epoch, seq=100 * n) for n in range(30)]
        streams = await asyncio.gather(
            *(enter(node, f"user{c.seq}", "c", resume=c) for c in cursors)
        )
        live = node.hub.seq + 200
        for stream in streams:
            await sees_past(stream, live)
    everything = await history(await enter(node, "cyd"))
    for stream, cursor in zip(streams, cursors, strict=True):
        await stream.hears(lambda event: event.seq == everything[-1])
        assert seqs(stream) == everything[cursor.seq :]


async def test_a_resume_after_a_restart_of_the_server_goes_on_where_it_was(
    start_node: StartNode, enter: LetIn, tmp_path: Path
) -> None:
    former = Node(Config(grpc=ANY_PORT, tcp=None, web=None, data=tmp_path / "data"))
    await former.start()
    ann, bob = await enter(former, "ann", "a"), await enter(former, "bob", "b")
    await ann.say("one")
    await bob.hears_text("one")
    await bob.hang_up()
    await ann.say("two")
    await former.stop()
    again = await enter(await start_node(), "bob", "b", resume=bob.cursor)
    await again.hears_text("two")
    assert again.welcome.resumed
    assert again.texts == ["two"]


async def test_who_has_missed_nothing_is_live_at_once(node: Node, enter: LetIn) -> None:
    ann, bob = await enter(node, "ann", "a"), await enter(node, "bob", "b")
    await ann.say("one")
    await bob.hears_text("one")
    again = await enter(node, "bob", "b", resume=bob.cursor)
    await ann.say("two")
    await again.hears_text("two")
    assert again.welcome.resumed
    assert again.texts == ["two"]


# --- what one was to see ---


async def test_a_room_is_seen_from_each_joining_to_each_leaving(node: Node, enter: LetIn) -> None:
    ann, bob = await enter(node, "ann", "a"), await enter(node, "bob", "b")
    start = bob.cursor
    await ann.join("#dev")
    await ann.say("before", "#dev")
    await bob.join("#dev")
    await ann.say("first stay", "#dev")
    await bob.ask(leave=commands_pb2.Leave(room="#dev"))
    await ann.say("between", "#dev")
    await ann.say("in the lobby")
    await bob.join("#dev")
    await ann.say("second stay", "#dev")
    await bob.hears_text("second stay")
    await bob.hang_up()
    await ann.say("away", "#dev")
    again = await enter(node, "bob", "b", resume=start)
    await again.hears_text("away")
    assert told(again) == [
        "bob joined #dev",
        "first stay",
        "bob left #dev",
        "in the lobby",
        "bob joined #dev",
        "second stay",
        "away",
    ]
    assert told(again)[:-1] == told(bob)


async def test_whose_name_passed_to_another_sees_the_rooms_up_to_then(
    node: Node, enter: LetIn
) -> None:
    ann, bob = await enter(node, "ann", "a"), await enter(node, "bob", "b")
    await ann.join("#dev")
    await bob.join("#dev")
    await bob.ping()
    start = bob.cursor
    await bob.leave()
    await ann.say("missed", "#dev")
    other = await enter(node, "bob", "another")
    await ann.say("not for bob", "#dev")
    await ann.say("for the other bob", "@bob")
    await other.leave()
    again = await enter(node, "bob", "b", resume=start)
    await ann.say("live")
    await again.hears_text("live")
    assert told(again) == ["missed", "bob left #dev", "live"]
    assert list(again.welcome.rooms) == ["#lobby"]


async def test_private_messages_and_rooms_come_in_one_order_and_others_privacy_holds(
    node: Node, enter: LetIn
) -> None:
    ann, bob, cyd = [await enter(node, name, name) for name in ("ann", "bob", "cyd")]
    await bob.join("#dev")
    await ann.join("#dev")
    await bob.hears(lambda event: event.joined.user == "ann")
    await bob.hang_up()
    await ann.say("1", "@bob")
    await ann.say("2", "#dev")
    await cyd.say("3", "@bob")
    await cyd.say("secret", "@ann")
    await ann.say("4")
    await ann.say("5", "@bob")
    again = await enter(node, "bob", "bob", resume=bob.cursor)
    await again.hears_text("5")
    assert again.texts == ["1", "2", "3", "4", "5"]
    assert seqs(again) == sorted(seqs(again))


async def test_without_a_cursor_only_what_was_said_in_private_waits(
    node: Node, enter: LetIn
) -> None:
    ann, bob = await enter(node, "ann", "a"), await enter(node, "bob", "b")
    await ann.say("seen", "@bob")
    await bob.hears_text("seen")
    await bob.hang_up()
    await until(lambda: "bob" not in node.hub.registry.users)
    await ann.ping()
    await ann.say("in the lobby")
    await ann.say("in private", "@bob")
    again = await enter(node, "bob", "b")
    await ann.say("live")
    await again.hears_text("live")
    assert not again.welcome.resumed
    assert again.texts == ["in private", "live"]


async def test_ones_own_messages_are_missed_like_any_other(node: Node, enter: LetIn) -> None:
    bob = await enter(node, "bob", "b")
    start = bob.cursor
    await bob.say("to all")
    await bob.say("to myself", "@bob")
    await bob.hang_up()
    again = await enter(node, "bob", "b", resume=start)
    await again.hears_text("to myself")
    assert again.texts == ["to all", "to myself"]


# --- another log ---


@pytest.mark.parametrize("seq", [0, 1, 2, 2**63, 2**64 - 1], ids=str)
async def test_a_cursor_of_another_log_gets_a_gap_and_then_what_is_live(
    node: Node, enter: LetIn, seq: int
) -> None:
    ann = await enter(node, "ann", "a")
    await ann.say("past")
    cursor = cursor_pb2.Cursor(epoch="another", seq=seq)
    await starts_anew_behind_a_gap(node, enter, ann, cursor)


@pytest.mark.parametrize("seq", [2, 1_000_000, 2**63, 2**64 - 1], ids=str)
async def test_a_cursor_from_the_future_gets_a_gap_and_then_what_is_live(
    node: Node, enter: LetIn, seq: int
) -> None:
    ann = await enter(node, "ann", "a")
    await ann.say("past")
    cursor = cursor_pb2.Cursor(epoch=ann.welcome.cursor.epoch, seq=seq)
    await starts_anew_behind_a_gap(node, enter, ann, cursor)


async def starts_anew_behind_a_gap(
    node: Node, enter: LetIn, ann: Stream, cursor: cursor_pb2.Cursor
) -> None:
    bob = await enter(node, "bob", "b", resume=cursor)
    await ann.say("live")
    await bob.hears_text("live")
    assert not bob.welcome.resumed
    assert bob.welcome.cursor == cursor_pb2.Cursor(epoch=ann.welcome.cursor.epoch, seq=1)
    (gap,) = gaps(bob)
    assert (gap.to, gap.reason) == ("", events_pb2.GAP_REASON_EPOCH_CHANGED)
    assert (gap.after_seq, gap.before_seq) == (cursor.seq, 2)
    assert bob.texts == ["live"]


async def test_a_cursor_survives_the_gap_that_it_was_told_of(node: Node, enter: LetIn) -> None:
    ann = await enter(node, "ann", "a")
    await ann.say("past")
    bob = await enter(node, "bob", "b", resume=cursor_pb2.Cursor(epoch="another", seq=7))
    await bob.hang_up()
    await ann.say("missed")
    again = await enter(node, "bob", "b", resume=bob.welcome.cursor)
    await again.hears_text("missed")
    assert again.welcome.resumed
    assert again.texts == ["missed"]
