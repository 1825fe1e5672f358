"""The store: steps that others come between, one thread that commits, one that reads."""

import asyncio
import shutil
import threading
from collections.abc import AsyncIterator
from pathlib import Path

import apsw
import pytest

from chat_service.core.errors import NotAMember, Unavailable
from chat_service.core.events import Ack
from chat_service.core.moderation import Role
from chat_service.core.outcome import Entered
from chat_service.state.store import Store
from tests.mounts import small_disk
from tests.state.batches import enter, join, say, told
from tests.waiting import until

MANY = 3_000
"""Entries that take several turns."""


@pytest.fixture(params=["file", "memory"])
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Store]:
    store = Store.open(tmp_path / "data" if request.param == "file" else None)
    yield store
    await store.close()


async def test_what_was_applied_can_be_read(store: Store) -> None:
    await store.apply([enter("ann"), join("ann", "#dev"), say("ann", "x", "#dev")])
    assert store.seq == 2
    assert told((await store.history(1, "#dev", before_seq=0, limit=9)).frames) == ["x"]
    assert await store.members(1, "#dev", after="", limit=9) == [("ann", Role.OWNER)]
    assert (await store.missed(1, after=0, rooms_after=0, upto=2)).seq == 2
    with pytest.raises(NotAMember):
        await store.members(1, "#other", after="", limit=9)


async def test_readers_read_whole_batches_while_others_are_written(store: Store) -> None:
    (entered,) = await store.apply([enter("ann")])
    assert isinstance(entered.reply, Entered)
    done = asyncio.Event()

    async def write() -> None:
        for _ in range(50):
            await store.apply([say("ann", "x") for _ in range(10)])
        done.set()

    async def read() -> int:
        seen = 0
        while not done.is_set():
            page = await store.missed(1, after=0, rooms_after=0, upto=10**6)
            assert len(page.frames) % 10 == 0
            assert len(page.frames) >= seen
            seen = min(len(page.frames), 500)
        return seen

    async with asyncio.TaskGroup() as group:
        group.create_task(write())
        reads = group.create_task(read())
    assert reads.result() > 0
    assert store.seq == 500


async def test_a_read_does_not_wait_for_a_write(tmp_path: Path) -> None:
    store = Store.open(tmp_path / "data")
    await store.apply([enter("ann"), say("ann", "x")])
    go = threading.Event()
    writing = store._commit_thread.submit(go.wait, 10)
    page = await asyncio.wait_for(store.history(1, "#lobby", before_seq=0, limit=9), 5)
    assert told(page.frames) == ["x"]
    assert not writing.done()
    go.set()
    await store.close()


async def test_while_a_large_batch_is_applied_others_have_their_turns(store: Store) -> None:
    await store.apply([enter("ann")])
    turns = 0

    async def take_turns() -> None:
        nonlocal turns
        while not applying.done():
            turns += 1
            await asyncio.sleep(0)

    applying = asyncio.create_task(store.apply([say("ann", "x")] * MANY))
    await take_turns()
    assert len(applying.result()) == MANY
    assert turns >= 5


async def test_of_a_batch_that_is_given_up_half_way_nothing_has_happened(store: Store) -> None:
    await store.apply([enter("ann"), say("ann", "first")])
    applying = asyncio.create_task(store.apply([say("ann", "x")] * MANY))
    await asyncio.sleep(0)  # it begins
    await asyncio.sleep(0)
    assert 1 < store.seq < MANY
    applying.cancel()
    with pytest.raises(asyncio.CancelledError):
        await applying
    assert store.seq == 1
    (applied,) = await store.apply([say("ann", "second")])
    assert isinstance(applied.reply, Ack)
    assert applied.reply.number == 2
    assert told((await store.history(1, "#lobby", before_seq=0, limit=9)).frames) == [
        "first",
        "second",
    ]


async def test_batches_of_two_who_apply_do_not_mix(store: Store) -> None:
    await store.apply([enter("ann"), enter("bob")])
    batches = [[say(user, user)] * MANY for user in ("ann", "bob")]
    await asyncio.gather(*(store.apply(batch) for batch in batches))
    frames = (await store.missed(1, after=0, rooms_after=0, upto=10**6)).frames
    texts = told(frames)
    assert texts == sorted(texts)
    assert store.seq == 2 * MANY


async def test_a_commit_that_is_given_up_is_done_before_anything_else(tmp_path: Path) -> None:
    store = Store.open(tmp_path / "data")
    await store.apply([enter("ann")])
    go = threading.Event()
    store._commit_thread.submit(go.wait, 10)
    applying = asyncio.create_task(store.apply([say("ann", "first")]))
    await until(lambda: store.seq == 1, what="what comes before the commit")
    applying.cancel()
    another = asyncio.create_task(store.apply([say("ann", "second")]))
    await asyncio.sleep(0.05)
    go.set()
    assert len(await another) == 1
    with pytest.raises(asyncio.CancelledError):
        await applying
    page = await store.history(1, "#lobby", before_seq=0, limit=9)
    assert told(page.frames) == ["first", "second"]
    await store.close()


async def test_in_memory_a_read_that_is_given_up_is_done_before_anything_else() -> None:
    store = Store.open(None)
    await store.apply([enter("ann")])
    go = threading.Event()
    store._commit_thread.submit(go.wait, 10)
    reading = asyncio.create_task(store.history(1, "#lobby", before_seq=0, limit=9))
    await asyncio.sleep(0)
    reading.cancel()
    applying = asyncio.create_task(store.apply([say("ann", "first")]))
    await asyncio.sleep(0.05)
    assert store.seq == 0
    go.set()
    assert len(await applying) == 1
    await store.close()


async def test_closing_finishes_what_is_under_way(tmp_path: Path) -> None:
    store = Store.open(tmp_path / "data")
    applying = asyncio.create_task(store.apply([enter("ann"), say("ann", "x")]))
    await asyncio.sleep(0)
    await store.close()
    assert len(await applying) == 2
    store = Store.open(tmp_path / "data")
    assert store.seq == 1
    await store.close()


async def test_closing_merges_the_log_into_the_file_and_ends_the_threads(tmp_path: Path) -> None:
    store = Store.open(tmp_path / "data")
    await store.apply([enter("ann"), say("ann", "x")])
    await store.close()
    assert {path.name for path in (tmp_path / "data").iterdir()} == {"chat.db", "chat.lock"}
    await until(lambda: not [t for t in threading.enumerate() if t.name.startswith("state-")])


async def test_on_a_full_disk_nothing_happens_and_later_everything_does(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", 1 << 20) as disk:
        store = Store.open(disk / "data")
        await store.apply([enter("ann"), say("ann", "first")])
        (disk / "ballast").write_bytes(b"x" * shutil.disk_usage(disk).free)
        with pytest.raises(Unavailable) as refusal:
            await store.apply([say("ann", "y" * 4000, nonce=n) for n in range(1, 100)])
        assert refusal.value.retry_after
        assert store.seq == 1
        page = await store.history(1, "#lobby", before_seq=0, limit=9)
        assert told(page.frames) == ["first"]
        (disk / "ballast").unlink()
        (applied,) = await store.apply([say("ann", "second", nonce=1)])
        assert isinstance(applied.reply, Ack)
        assert applied.reply.replace(sent_at=0) == Ack(2, 2, 1)
        await store.close()


async def test_a_corrupt_database_is_no_passing_failure(tmp_path: Path) -> None:
    store = Store.open(tmp_path / "data")
    store._machine._db.execute("DROP TABLE clients")
    with pytest.raises(apsw.SQLError):
        await store.apply([enter("ann")])
    await store.close()
