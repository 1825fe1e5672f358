"""Resume by cursor: all that was missed, in order, then what is live, and nothing twice."""

import asyncio
import hashlib
import secrets
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from itertools import islice
from pathlib import Path

import pytest

from chat.v1 import commands_pb2, cursor_pb2, events_pb2
from chat_service.config import Config
from chat_service.core.commands import Enter, Entry, EntryBody, Exit, Send
from chat_service.node import Node
from chat_service.state.store import Store
from tests.conftest import ANY_PORT, StartNode
from tests.faults.streams import MIB, channel_to, connect, frame, memory, peak_memory, receive
from tests.processes import ServerProcess, StartServer
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


# --- far behind ---


def digest(client_id: str) -> bytes:
    return hashlib.sha256(client_id.encode()).digest()[:16]


async def fill(data: Path, count: int) -> str:
    """Let ann have said so much in the lobby since bob left; returns the epoch."""

    def entry(user: str, body: EntryBody) -> Entry:
        return Entry(f"past of {user}", 0, user, digest(user), time.time_ns() // 1000, body)

    def said() -> Iterator[Entry]:
        for number in range(count):
            yield entry("ann", Send("#lobby", f"{number} {secrets.token_hex(40)}"))

    store = await asyncio.to_thread(Store.open, data)
    await store.apply([entry("ann", Enter()), entry("bob", Enter()), entry("bob", Exit())])
    rest = said()
    while batch := list(islice(rest, 20_000)):
        await store.apply(batch)
    await store.apply([entry("ann", Exit())])
    epoch = store.epoch
    await store.close()
    return epoch


class Chatter:
    """Somebody who talks all the time, and how long it takes to hear each message."""

    def __init__(self, server: ServerProcess) -> None:
        self._channel = channel_to(server)
        self.delays: list[float] = []

    async def run(self) -> None:
        cyd = await connect(self._channel, "cyd", "cyd")
        await cyd.write(frame(commands_pb2.Command(join=commands_pb2.Join(room="#side"))))
        while True:
            text = secrets.token_hex(8)
            started = time.perf_counter()
            send = commands_pb2.Send(to="#side", text=text)
            await cyd.write(frame(commands_pb2.Command(send=send)))
            while all(event.message.text != text for event in (await receive(cyd)).events):
                pass
            self.delays.append(time.perf_counter() - started)
            await asyncio.sleep(0.01)

    @asynccontextmanager
    async def meanwhile(self) -> AsyncIterator[None]:
        task = asyncio.create_task(self.run())
        await until(lambda: self.delays or task.done())
        try:
            yield
        finally:
            task.cancel()
            results = await asyncio.gather(task, return_exceptions=True)
            assert isinstance(results[0], asyncio.CancelledError), results
            await self._channel.close()


async def catches_up(server_process: StartServer, data: Path, count: int) -> None:
    """Let bob come back behind so many events, and pause in the middle of them."""
    epoch = await fill(data, count)
    server = server_process("--data", str(data))
    chatter = Chatter(server)
    channel = channel_to(server)
    async with chatter.meanwhile():
        before = memory(server)
        started = time.perf_counter()
        bob = await connect(channel, "bob", "bob", cursor_pb2.Cursor(epoch=epoch, seq=0))
        expected, paused = 1, False
        while expected <= count:
            for event in (await receive(bob)).events:
                if event.HasField("message"):
                    assert event.seq == expected
                    assert event.message.number == expected
                    expected += 1
                assert not event.HasField("gap")
                assert not event.HasField("welcome") or event.welcome.resumed
            if not paused and expected > count // 2:
                paused = True  # so that what the server has read ahead piles up
                await asyncio.sleep(1)
        took = time.perf_counter() - started - 1
        await until(lambda: len(chatter.delays) > 20)
    grown = peak_memory(server) - before
    delays = sorted(chatter.delays)
    print(
        f"\n{count} missed events in {took:.1f} s ({count / took:,.0f}/s), the server grew by"
        f" {grown / MIB:.1f} MiB from {before / MIB:.0f}; {len(delays)} messages of others"
        f" meanwhile: median {delays[len(delays) // 2] * 1000:.1f} ms,"
        f" max {delays[-1] * 1000:.0f} ms"
    )
    assert grown < 32 * MIB
    assert delays[-1] < 2
    await channel.close()


async def test_who_is_100_000_events_behind_catches_up_and_holds_up_nobody(
    server_process: StartServer, tmp_path: Path
) -> None:
    await catches_up(server_process, tmp_path / "data", 100_000)


@pytest.mark.long
async def test_who_is_1_000_000_events_behind_catches_up_and_holds_up_nobody(
    server_process: StartServer, tmp_path: Path
) -> None:
    await catches_up(server_process, tmp_path / "data", 1_000_000)
