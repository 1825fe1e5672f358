"""What waits to be taken from a shared log: in its order, in bounded batches, decoded in time."""

import asyncio

import pytest

from chat_service.log import backlog as backlog_module
from chat_service.log.backlog import LITTLE, MAX_BATCH, MAX_BATCH_BYTES, Backlog
from chat_service.log.port import LogLost
from chat_service.wire.record import encode_entry, encode_record
from tests.log.followed import entry


def record(number: int, entries: int = 1, text: str = "hi") -> bytes:
    return encode_record("p", number, [encode_entry(entry(it, text)) for it in range(entries)])


def filled(records: int, entries: int = 1, text: str = "hi") -> Backlog:
    backlog = Backlog()
    for position in range(1, records + 1):
        backlog.put(position, record(position, entries, text))
    return backlog


def sizes(backlog: Backlog) -> list[int]:
    """Take everything, and return how many records each batch had."""
    batches = []
    while batch := backlog.take():
        batches.append([it.position for it in batch])
    assert [it for batch in batches for it in batch] == list(range(1, sum(map(len, batches)) + 1))
    return [len(batch) for batch in batches]


def test_records_come_out_whole_and_as_many_as_fit_a_batch() -> None:
    assert sizes(filled(10, entries=500)) == [4, 4, 2]


def test_a_batch_has_no_more_bytes_than_a_reader_can_take_at_once() -> None:
    backlog = filled(100, text="x" * 4000)
    assert all(size <= MAX_BATCH_BYTES // 4000 for size in sizes(backlog))


def test_a_record_that_is_larger_than_a_batch_comes_alone() -> None:
    assert sizes(filled(3, entries=MAX_BATCH + 1)) == [1, 1, 1]


def test_all_of_it_comes_out_however_much_there_is() -> None:
    backlog = filled(20_000)
    assert sum(sizes(backlog)) == 20_000
    assert not backlog.has_gathered(1)
    assert backlog._bytes == backlog._decoded_bytes == 0


def test_only_about_two_batches_are_decoded(monkeypatch: pytest.MonkeyPatch) -> None:
    backlog = filled(3 * MAX_BATCH, text="hi")
    assert len(backlog._decoded) == 2 * MAX_BATCH
    backlog.take()
    assert len(backlog._decoded) == 2 * MAX_BATCH


def test_it_says_when_it_is_no_longer_small(monkeypatch: pytest.MonkeyPatch) -> None:
    backlog = filled(LITTLE // 4000, text="x" * 4000)
    assert not backlog.is_small
    backlog.take()
    assert backlog.is_small
    monkeypatch.setattr(backlog_module, "MOST", 1000)
    assert backlog.is_full


async def test_who_follows_is_told_when_so_many_entries_have_come() -> None:
    backlog = filled(1, entries=3)
    gathered = asyncio.create_task(backlog.gathered(5))
    await asyncio.sleep(0)
    backlog.put(2, record(2))
    await asyncio.sleep(0)
    assert not gathered.done()
    backlog.put(3, record(3))
    await gathered


async def test_what_has_failed_is_told_once_everything_before_it_was_taken() -> None:
    backlog = filled(2)
    backlog.fail(LogLost("gone"))
    await backlog.gathered(1)
    assert sizes(backlog) == [2]
    with pytest.raises(LogLost, match="gone"):
        await backlog.gathered(1)


async def test_who_waits_already_is_told_of_a_failure() -> None:
    backlog = Backlog()
    gathered = asyncio.create_task(backlog.gathered(1))
    await asyncio.sleep(0)
    backlog.fail(LogLost("gone"))
    with pytest.raises(LogLost, match="gone"):
        await gathered


async def test_nothing_behind_what_cannot_be_read_is_given_out() -> None:
    backlog = filled(1)
    backlog.put(2, b"hello")
    backlog.put(3, record(3))
    assert sizes(backlog) == [1]
    with pytest.raises(LogLost, match="record 2 of the log"):
        await backlog.gathered(1)
