"""What every log does, the one in the process and the one of many nodes alike."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from chat_service.log import embedded, jetstream
from chat_service.log.embedded import MAX_PENDING, EmbeddedLog
from chat_service.log.jetstream import MAX_UNDER_WAY
from tests.cluster.servers import NatsServers
from tests.log.followed import Followed, entry, followed, shared
from tests.waiting import until

MAX_BATCH = embedded.MAX_BATCH
MOST = {"embedded": MAX_PENDING, "jetstream": MAX_UNDER_WAY}


@pytest.fixture(params=["embedded", "jetstream"])
async def log(
    request: pytest.FixtureRequest, nats_server: NatsServers, stream: str
) -> AsyncIterator[Followed]:
    """A log that is followed."""
    opened = followed(EmbeddedLog()) if request.param == "embedded" else None
    async with opened or shared(nats_server.url, stream) as it:
        yield it


async def test_what_was_appended_comes_out_once_and_in_its_order(log: Followed) -> None:
    log.append(*range(2 * MAX_BATCH + 1))
    await until(lambda: len(log.refs) == 2 * MAX_BATCH + 1)
    assert log.refs == list(range(2 * MAX_BATCH + 1))


async def test_entries_come_out_as_they_went_in(log: Followed) -> None:
    it = entry(7, "hello, wörld")
    log.log.append(it)
    await until(lambda: log.taken)
    assert [*log.taken[0].entries] == [it]


async def test_a_batch_is_bounded(log: Followed) -> None:
    log.held.clear()
    log.append(*range(3 * MAX_BATCH))
    await until(lambda: log.log.has_gathered(MAX_BATCH))
    batch = log.log.take()
    assert 0 < sum(len(record.entries) for record in batch) <= MAX_BATCH


async def test_it_is_idle_once_everything_appended_is_done_with(log: Followed) -> None:
    await log.log.idle()
    log.held.clear()
    log.append(1, 2, 3)
    idle = asyncio.create_task(log.log.idle())
    await until(lambda: log.log.has_gathered(1))
    assert not idle.done()
    log.held.set()
    await asyncio.wait_for(idle, 5)
    assert log.refs == [1, 2, 3]


async def test_nothing_is_taken_where_nothing_was_appended(log: Followed) -> None:
    assert not log.log.has_gathered(1)
    assert not log.log.take()


async def test_who_asks_for_room_waits_while_too_much_is_under_way(
    log: Followed, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(embedded, "MAX_PENDING", 10)
    monkeypatch.setattr(jetstream, "MAX_UNDER_WAY", 10)
    log.held.clear()
    log.append(*range(9))
    assert log.log.has_room
    log.append(9)
    assert not log.log.has_room
    room = asyncio.create_task(log.log.room())
    await until(lambda: log.log.has_gathered(1))
    assert not room.done()
    log.held.set()
    await asyncio.wait_for(room, 5)


async def test_after_syncing_all_that_was_acknowledged_is_done_with(log: Followed) -> None:
    log.append(1)
    await log.log.idle()
    await log.log.synced()
    assert log.refs == [1]


async def test_who_waits_for_more_to_gather_gets_what_there_is_if_it_gives_up(
    log: Followed,
) -> None:
    log.held.clear()
    log.append(1)
    await until(lambda: log.log.has_gathered(1))
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.01):
            await log.log.gathered(1000)
    log.append(2)
    log.held.set()
    await until(lambda: log.refs == [1, 2])
