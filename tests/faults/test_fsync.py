"""A disk whose writes or fsyncs fail: refused is refused, acknowledged is kept."""

import asyncio
import shutil
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from random import Random

import apsw
import pytest

from chat.v1 import commands_pb2, events_pb2
from chat_service.node import Node
from tests.conftest import StartNode
from tests.faults.flaky_disk import BASE, FlakyDisk, in_the_log
from tests.scenarios.heard import Refused, Said
from tests.scenarios.people import TcpPerson
from tests.state.batches import told
from tests.transports.conftest import Enter, OpenStream
from tests.transports.stream import Stream
from tests.waiting import until

UNAVAILABLE = events_pb2.ERROR_CODE_UNAVAILABLE


@pytest.fixture
def disk() -> Iterator[FlakyDisk]:
    """What the databases of this test lie on."""
    with FlakyDisk.installed() as disk:
        yield disk


@pytest.fixture
async def node(disk: FlakyDisk, start_node: StartNode) -> AsyncIterator[Node]:
    """A node whose database lies on that disk."""
    yield await start_node()
    disk.works()


@pytest.fixture(params=["fsync", "write"])
def fail(request: pytest.FixtureRequest, disk: FlakyDisk) -> str:
    """What the disk fails at once the test says so."""
    return str(request.param)


def break_disk(disk: FlakyDisk, fail: str) -> None:
    if fail == "fsync":
        disk.sync_fails = in_the_log
    else:
        disk.write_fails = in_the_log


async def history(stream: Stream) -> list[tuple[int, str]]:
    """Return the numbers and texts in the lobby, page by page."""
    found: list[events_pb2.Event] = []
    while True:
        before = found[0].seq if found else 0
        ask = commands_pb2.History(to="#lobby", before_seq=before)
        page = (await stream.ask(history=ask)).history
        found[:0] = page.events
        if not page.more:
            return [(event.message.number, event.message.text) for event in found]


async def test_senders_are_refused_nobody_sees_what_failed_and_it_recovers(
    node: Node, disk: FlakyDisk, fail: str, enter: Enter
) -> None:
    ann, bob = await enter(node, "ann", "a"), await enter(node, "bob", "b")
    await ann.say("before")
    break_disk(disk, fail)
    for number in range(5):
        reply = await ann.say(f"lost {number}", nonce=1 + number)
        assert reply.error.code == UNAVAILABLE
        assert reply.error.retry_after.ToMilliseconds() > 0
    assert disk.failures >= 5
    disk.works()
    after = await ann.say("after", nonce=6)
    assert (after.ack.seq, after.ack.number, after.ack.duplicate) == (2, 2, False)
    await bob.hears_text("after")
    assert bob.texts == ["before", "after"]
    assert await history(bob) == [(1, "before"), (2, "after")]


async def test_what_was_refused_may_be_sent_again_under_its_nonce(
    node: Node, disk: FlakyDisk, fail: str, enter: Enter
) -> None:
    ann = await enter(node, "ann", "a")
    break_disk(disk, fail)
    assert (await ann.say("again", nonce=1)).error.code == UNAVAILABLE
    disk.works()
    assert not (await ann.say("again", nonce=1)).ack.duplicate
    assert (await ann.say("again", nonce=1)).ack.duplicate
    assert await history(ann) == [(1, "again")]


async def test_readers_stay_and_may_still_ask(
    node: Node, disk: FlakyDisk, fail: str, enter: Enter
) -> None:
    ann, bob = await enter(node, "ann", "a"), await enter(node, "bob", "b")
    await ann.say("before")
    break_disk(disk, fail)
    assert (await ann.say("lost")).error.code == UNAVAILABLE
    assert await history(bob) == [(1, "before")]
    roster = (await bob.ask(who=commands_pb2.Who())).roster
    assert [member.user for member in roster.members] == ["ann", "bob"]
    await bob.ping()
    assert bob.code is None


async def test_joins_and_connects_are_refused_as_well(
    node: Node, disk: FlakyDisk, fail: str, enter: Enter, open_stream: OpenStream
) -> None:
    ann = await enter(node, "ann", "a")
    break_disk(disk, fail)
    reply = await ann.ask(join=commands_pb2.Join(room="#dev"))
    assert reply.error.code == UNAVAILABLE
    late = open_stream(node)
    assert (await late.hello("bob", "b")).error.code == UNAVAILABLE
    await late.ended()
    assert late.events[-1].goodbye.reconnect
    assert await late.retry_delay() > 0
    disk.works()
    bob = await enter(node, "bob", "b")
    await ann.join("#dev")
    await bob.join("#dev")
    await ann.say("now", "#dev")
    await bob.hears_text("now")


async def test_who_leaves_meanwhile_has_left_once_it_recovers(
    node: Node, disk: FlakyDisk, fail: str, enter: Enter, open_stream: OpenStream
) -> None:
    ann = await enter(node, "ann", "a")
    break_disk(disk, fail)
    await ann.leave()
    await until(lambda: disk.failures)
    disk.works()
    other = open_stream(node)
    welcome = await other.hello("ann", "another")
    while welcome.error.code == events_pb2.ERROR_CODE_NAME_TAKEN:
        await other.hang_up()
        other = open_stream(node)
        welcome = await other.hello("ann", "another")
    assert welcome.HasField("welcome"), welcome


async def test_lines_are_refused_with_a_sentence(node: Node, disk: FlakyDisk, fail: str) -> None:
    ann, bob = TcpPerson("ann", ""), TcpPerson("bob", "")
    for person in (ann, bob):
        await person.connect(node)
    break_disk(disk, fail)
    await ann.say("lost")
    await ann.is_refused("the storage cannot")
    disk.works()
    await ann.say("after")
    await bob.hears(Said("#lobby", "ann", "after"))
    assert not any(isinstance(it, Refused) for it in bob.heard)
    for person in (ann, bob):
        await person.hang_up()


async def test_a_refused_batch_stays_refused_though_the_server_crashes_next(
    node: Node, disk: FlakyDisk, fail: str, enter: Enter, tmp_path: Path
) -> None:
    ann = await enter(node, "ann", "a")
    await ann.say("kept")
    break_disk(disk, fail)
    assert (await ann.say("refused")).error.code == UNAVAILABLE
    assert texts_after_a_crash(tmp_path) == ["kept"]


def texts_after_a_crash(tmp_path: Path) -> list[str]:
    """Copy the files as they are and return what their recovery finds was said."""
    copy = tmp_path / "crashed"
    copy.mkdir()
    for name in ("chat.db", "chat.db-wal"):
        shutil.copy(tmp_path / "data" / name, copy / name)
    db = apsw.Connection(str(copy / "chat.db"), vfs=BASE)
    texts = told([frame for (frame,) in db.execute("SELECT frame FROM events ORDER BY seq")])
    db.close()
    return texts


async def test_on_a_disk_that_fails_now_and_then_what_is_acknowledged_happened_once_and_no_more(
    node: Node, disk: FlakyDisk, enter: Enter
) -> None:
    people = [await enter(node, f"user{number}", "c") for number in range(5)]
    bob = await enter(node, "bob", "b")
    random = Random(7)
    disk.sync_fails = lambda file: in_the_log(file) and random.random() < 0.3
    disk.write_fails = lambda file: in_the_log(file) and random.random() < 0.02
    acknowledged: list[str] = []
    refused: list[str] = []

    async def talk(stream: Stream) -> None:
        for number in range(100):
            text = f"{stream.welcome.user} {number}"
            reply = await stream.say(text, nonce=number + 1)
            (acknowledged if reply.HasField("ack") else refused).append(text)

    await asyncio.gather(*map(talk, people))
    disk.works()
    await people[0].say("end")
    await bob.hears_text("end")
    assert len(acknowledged) > 100
    assert len(refused) > 100
    assert sorted(bob.texts) == sorted([*acknowledged, "end"])
    assert await history(bob) == list(enumerate(bob.texts, 1))
