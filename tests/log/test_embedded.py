"""The log in the process."""

import asyncio

import pytest

from chat_service.core.commands import Entry, Send
from chat_service.log import embedded
from chat_service.log.embedded import MAX_BATCH, MAX_BATCH_BYTES, MAX_PENDING, EmbeddedLog


def entry(number: int) -> Entry:
    return Entry("s", number, "ann", b"", 0, Send("#lobby", "hi"))


def filled(count: int) -> EmbeddedLog:
    log = EmbeddedLog()
    for number in range(count):
        log.append(entry(number))
    return log


def taken(log: EmbeddedLog) -> list[Entry]:
    return [entry for record in log.take() for entry in record.entries]


async def settle() -> None:
    """Let every task run until it waits for something."""
    for _ in range(5):
        await asyncio.sleep(0)


async def test_what_was_appended_comes_out_in_order_and_in_bounded_batches() -> None:
    log = filled(2 * MAX_BATCH + 1)
    batches = [taken(log) for _ in range(3)]
    assert [len(batch) for batch in batches] == [MAX_BATCH, MAX_BATCH, 1]
    assert [it.ref for batch in batches for it in batch] == list(range(2 * MAX_BATCH + 1))


async def test_a_batch_has_no_more_text_than_a_reader_can_take_at_once() -> None:
    log = EmbeddedLog()
    texts = ["x" * 4096, "é" * 2048] * (MAX_BATCH_BYTES // 4096)
    for text in texts:
        log.append(Entry("s", 0, "ann", b"", 0, Send("#lobby", text)))
    assert [len(taken(log)) for _ in range(2)] == [MAX_BATCH_BYTES // 4096] * 2
    assert not taken(log)


async def test_what_arrives_during_a_batch_is_the_next_batch() -> None:
    log = filled(1)
    log.take()
    log.append(entry(1))
    log.append(entry(2))
    assert log.has_gathered(2)
    assert not log.has_gathered(3)
    assert [it.ref for it in taken(log)] == [1, 2]


async def test_a_follower_waits_for_the_first_entry() -> None:
    log = EmbeddedLog()
    gathered = asyncio.create_task(log.gathered(1))
    await settle()
    assert not gathered.done()
    log.append(entry(0))
    await gathered
    assert [it.ref for it in taken(log)] == [0]


async def test_who_asks_for_room_waits_while_too_much_is_pending() -> None:
    log = filled(MAX_PENDING - 1)
    assert log.has_room
    await log.room()
    log.append(entry(0))
    assert not log.has_room
    waiting = asyncio.create_task(log.room())
    await settle()
    assert not waiting.done()
    log.take()
    await waiting


async def test_room_is_not_there_before_the_pending_entries_are_below_the_bound(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(embedded, "MAX_BATCH", 1)
    log = filled(MAX_PENDING + 1)  # appending never waits, so the bound may be passed
    waiting = asyncio.create_task(log.room())
    log.take()
    await settle()
    assert not waiting.done()
    log.take()
    await waiting


async def test_the_log_is_idle_when_all_that_was_taken_is_done_with() -> None:
    log = EmbeddedLog()
    await log.idle()
    log.append(entry(0))
    idle = asyncio.create_task(log.idle())
    await settle()
    assert not idle.done()
    log.done(len(taken(log)))
    await idle


async def test_what_arrives_meanwhile_keeps_it_from_being_idle() -> None:
    log = filled(1)
    batch = taken(log)
    log.append(entry(1))
    idle = asyncio.create_task(log.idle())
    await settle()
    log.done(len(batch))
    await settle()
    assert not idle.done()
    idle.cancel()


def test_entries_that_were_ordered_do_not_outlive_the_process() -> None:
    assert not EmbeddedLog.durable


async def test_who_waits_for_entries_to_gather_waits_for_so_many() -> None:
    log = filled(1)
    gathered = asyncio.create_task(log.gathered(3))
    log.append(entry(1))
    await settle()
    assert not gathered.done()
    log.append(entry(2))
    await gathered
    await log.gathered(3)


async def test_who_gave_up_waiting_for_more_gets_what_there_is() -> None:
    log = filled(2)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0):
            await log.gathered(3)
    assert [it.ref for it in taken(log)] == [0, 1]


async def test_a_full_batch_has_gathered_whatever_its_number() -> None:
    log = EmbeddedLog()
    text = "x" * 4096
    for _ in range(MAX_BATCH_BYTES // len(text)):
        log.append(Entry("s", 0, "ann", b"", 0, Send("#lobby", text)))
    gathered = asyncio.create_task(log.gathered(MAX_BATCH))
    await settle()
    assert not gathered.done()
    log.append(Entry("s", 0, "ann", b"", 0, Send("#lobby", text)))
    await gathered
    log.take()
    assert not log.has_gathered(2), "one entry is left"


async def test_no_more_is_waited_for_than_a_batch_can_hold() -> None:
    await filled(MAX_BATCH).gathered(10 * MAX_BATCH)
