"""The outbox: bounded, never blocking, taken in large pieces."""

import asyncio

from chat_service.hub.outbox import WRITE_BYTES, Outbox


async def settle() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


def test_it_is_bounded_in_events() -> None:
    outbox = Outbox(3, 1000)
    assert outbox.put(b"abc", 3)
    assert not outbox.put(b"d")
    assert outbox.take() == b"abc"
    assert outbox.put(b"d")


def test_it_is_bounded_in_bytes() -> None:
    outbox = Outbox(1000, 10)
    assert outbox.put(b"x" * 10)
    assert not outbox.put(b"y")
    outbox.take()
    assert outbox.put(b"y")


def test_a_blob_larger_than_the_bound_fits_where_nothing_waits() -> None:
    outbox = Outbox(1000, 10)
    assert outbox.put(b"x" * 11)
    assert not outbox.put(b"y")
    outbox.take()
    outbox.put(b"y")
    assert not outbox.put(b"x" * 11)


def test_a_blob_of_more_events_than_the_bound_fits_where_no_more_than_half_waits() -> None:
    outbox = Outbox(4, 1000)
    assert outbox.put(b"ab", 2)
    assert outbox.put(b"cdefg", 5)
    assert not outbox.put(b"h")


def test_what_does_not_fit_is_left_out_whole() -> None:
    outbox = Outbox(3, 1000)
    outbox.put(b"a", 2)
    assert not outbox.put(b"bc", 2)
    assert len(outbox) == 2
    assert outbox.take() == b"a"


def test_it_counts_what_waits() -> None:
    outbox = Outbox(10, 1000)
    outbox.put(b"ab", 2)
    outbox.put(b"c")
    assert len(outbox) == 3
    outbox.take()
    assert len(outbox) == 0


def test_small_blobs_are_taken_together_and_in_order() -> None:
    outbox = Outbox(100, 1000)
    for blob in (b"a", b"b", b"c"):
        outbox.put(blob)
    assert outbox.take() == b"abc"
    assert outbox.take() == b""


def test_one_take_is_bounded_but_for_a_single_larger_blob() -> None:
    outbox = Outbox(100, 10 * WRITE_BYTES)
    half = b"x" * (WRITE_BYTES // 2)
    for blob in (half, half, b"y", b"z" * (2 * WRITE_BYTES)):
        outbox.put(blob)
    sizes = []
    while blob := outbox.take():
        sizes.append(len(blob))
    assert sizes == [WRITE_BYTES, 1, 2 * WRITE_BYTES]


def test_a_blob_taken_alone_is_the_very_object_that_was_put() -> None:
    outbox = Outbox(100, 1000)
    blob = bytes(range(100))
    outbox.put(blob)
    assert outbox.take() is blob


def test_past_half_of_either_bound_the_reader_is_behind() -> None:
    by_events, by_bytes = Outbox(10, 1000), Outbox(1000, 10)
    for outbox in (by_events, by_bytes):
        outbox.put(b"12345", 5)
        assert not outbox.past_half
        outbox.put(b"6")
        assert outbox.past_half


def test_a_closed_outbox_takes_its_last_event_whatever_the_bounds_and_nothing_more() -> None:
    outbox = Outbox(1, 1)
    outbox.put(b"a")
    outbox.close(b"goodbye")
    assert outbox.put(b"b")  # owed nothing more, so not full
    outbox.close(b"again")
    assert not outbox.finished
    assert outbox.take() == b"agoodbye"
    assert outbox.finished


def test_clearing_leaves_room_for_everything() -> None:
    outbox = Outbox(1, 1)
    outbox.put(b"a")
    outbox.clear()
    assert (len(outbox), outbox.take()) == (0, b"")
    assert outbox.put(b"b")


async def test_who_waits_gets_what_comes_with_the_wake() -> None:
    outbox = Outbox(10, 1000)
    getting = asyncio.create_task(outbox.get())
    await settle()
    outbox.put(b"a")
    outbox.put(b"b")
    await settle()
    assert not getting.done()
    outbox.wake()
    assert await getting == b"ab"


async def test_what_waits_already_is_had_at_once() -> None:
    outbox = Outbox(10, 1000)
    outbox.put(b"a")
    assert await outbox.get() == b"a"


async def test_who_waits_on_an_outbox_that_closes_gets_the_last_event_then_the_end() -> None:
    outbox = Outbox(10, 1000)
    getting = asyncio.create_task(outbox.get())
    await settle()
    outbox.close(b"goodbye")
    assert await getting == b"goodbye"
    assert await outbox.get() == b""


async def test_closing_alone_ends_the_wait() -> None:
    outbox = Outbox(10, 1000)
    getting = asyncio.create_task(outbox.get())
    await settle()
    outbox.close()
    assert await getting == b""


def test_a_transport_without_a_task_is_called() -> None:
    outbox = Outbox(10, 1000)
    taken: list[bytes] = []
    outbox.on_ready = lambda: taken.append(outbox.take())
    outbox.put(b"a")
    assert taken == []
    outbox.wake()
    outbox.close(b"z")
    assert taken == [b"a", b"z"]


async def test_there_is_room_once_no_more_than_half_waits() -> None:
    outbox = Outbox(100, 2 * WRITE_BYTES)
    outbox.put(b"x" * WRITE_BYTES)
    await outbox.room()
    outbox.put(b"y" * (WRITE_BYTES // 2))
    outbox.put(b"z" * (WRITE_BYTES // 2))
    waiting = asyncio.create_task(outbox.room())
    await settle()
    assert not waiting.done()
    outbox.take()
    await waiting
