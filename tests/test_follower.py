"""The follower: how long it rests between two fan-outs, and what it does meanwhile."""

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from typing import cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chat_service import follower as follower_module
from chat_service.core.commands import Entry, Send
from chat_service.core.events import Ack
from chat_service.core.outcome import Applied
from chat_service.core.record import Record
from chat_service.follower import Follower, plenty, rests
from chat_service.hub.hub import Hub
from chat_service.log.embedded import EmbeddedLog
from chat_service.state.store import Store
from tests.waiting import until

LONGEST = 0.08
ENOUGH = plenty(0.0)


def test_a_message_to_few_readers_makes_nobody_wait() -> None:
    assert rests(0.0005) == (0.0, 0.0)


def test_a_fan_out_is_followed_by_a_rest_as_long_and_then_by_one_several_times_as_long() -> None:
    assert rests(1 / 256) == (1 / 256, 7 / 256)


@given(st.floats(0.0, 60.0))
def test_no_message_waits_longer_than_the_longest_rest(debt: float) -> None:
    first, then = rests(debt)
    assert first >= 0.0
    assert then >= 0.0
    assert first + then <= LONGEST


@given(st.floats(0.0, 60.0), st.floats(0.0, 60.0))
def test_the_longer_a_fan_out_takes_the_more_is_to_gather_for_it(one: float, other: float) -> None:
    assert 64 <= plenty(min(one, other)) <= plenty(max(one, other))


class Readers:
    """A hub whose fan-outs end when they are let, and the sizes of what it was given."""

    def __init__(self) -> None:
        self.batches: list[int] = []
        self.let_go = asyncio.Event()

    def fan_out(self, batch: Sequence[Applied]) -> list[Applied]:
        self.batches.append(len(batch))
        return list(batch)

    async def wake(self, _told: Sequence[Applied]) -> None:
        await self.let_go.wait()


class Commits:
    """A store whose commits end when they are let, and the sizes of what it was given."""

    def __init__(self) -> None:
        self.batches: list[int] = []
        self.let_go = asyncio.Event()

    async def apply_records(self, records: Sequence[Record]) -> list[Applied]:
        entries = [entry for record in records for entry in record.entries]
        self.batches.append(len(entries))
        await self.let_go.wait()
        return [Applied(entry, Ack()) for entry in entries]


House = tuple[EmbeddedLog, Commits, Readers]


@pytest.fixture
async def house() -> AsyncIterator[House]:
    log, store, hub = EmbeddedLog(), Commits(), Readers()
    follower = Follower(log, cast("Store", store), cast("Hub", hub))
    following = asyncio.create_task(follower.run())
    yield log, store, hub
    following.cancel()
    await asyncio.gather(following, return_exceptions=True)


def say(log: EmbeddedLog, count: int) -> None:
    for _ in range(count):
        log.append(Entry("s", 0, "ann", b"", 0, Send("#lobby", "hi")))


async def test_where_plenty_waits_it_is_committed_while_the_last_batch_goes_out(
    house: House,
) -> None:
    log, store, hub = house
    say(log, 1)
    await until(lambda: store.batches == [1])
    say(log, plenty(0.0))
    store.let_go.set()
    await until(lambda: store.batches == [1, plenty(0.0)])
    assert hub.batches == [1], "the second batch is committed, and the first is still going out"
    hub.let_go.set()
    await until(lambda: hub.batches == [1, plenty(0.0)])


async def test_what_is_little_is_committed_when_the_last_batch_has_gone_out(house: House) -> None:
    log, store, hub = house
    say(log, 1)
    await until(lambda: store.batches == [1])
    say(log, plenty(0.0) - 1)
    store.let_go.set()
    await until(lambda: hub.batches == [1])
    for _ in range(10):
        await asyncio.sleep(0)
    assert store.batches == [1]
    hub.let_go.set()
    await until(lambda: hub.batches == [1, plenty(0.0) - 1])


class ThreadTime:
    """Seconds of work: `done` so far, and `each` time that it is asked for more."""

    done = 0.0
    each = 0.0

    def __call__(self) -> float:
        self.done += self.each
        return self.done


@pytest.fixture
def no_end(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Rests that nothing but what gathers brings to an end, and the debts they were for."""
    debts: list[float] = []

    def endless(debt: float) -> tuple[float, float]:
        debts.append(debt)
        return 60.0, 60.0

    monkeypatch.setattr(follower_module, "rests", endless)
    return debts


@pytest.fixture
def thread_time(monkeypatch: pytest.MonkeyPatch) -> ThreadTime:
    """What this thread is said to have worked."""
    it = ThreadTime()
    monkeypatch.setattr(time, "thread_time", it)
    return it


async def rest_after_one(house: House, debts: list[float]) -> None:
    log, store, hub = house
    store.let_go.set()
    hub.let_go.set()
    say(log, 1)
    await until(lambda: len(debts) == 1, what="the rest")


async def test_the_rest_ends_once_enough_has_come_and_nothing_more_does(
    house: House, no_end: list[float], thread_time: ThreadTime
) -> None:
    log, _, hub = house
    await rest_after_one(house, no_end)
    say(log, ENOUGH - 1)
    await asyncio.sleep(0.05)
    assert hub.batches == [1]
    say(log, 1)
    await until(lambda: hub.batches == [1, ENOUGH], what="the next batch")


async def test_while_readers_who_are_behind_are_written_to_it_is_not_quiet(
    house: House, no_end: list[float], thread_time: ThreadTime
) -> None:
    log, _, hub = house
    thread_time.each = 0.01  # for which plenty is more than enough
    await rest_after_one(house, no_end)
    say(log, ENOUGH)
    await asyncio.sleep(0.05)
    assert hub.batches == [1]
    thread_time.each = 0.0
    await until(lambda: hub.batches == [1, ENOUGH], what="the next batch")


async def test_what_was_taken_is_done_with_once_it_was_delivered(house: House) -> None:
    log, store, hub = house
    store.let_go.set()
    say(log, 3)
    idle = asyncio.create_task(log.idle())
    await until(lambda: hub.batches == [3])
    await asyncio.sleep(0)
    assert not idle.done()
    hub.let_go.set()
    await idle
