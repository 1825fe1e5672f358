import asyncio

import pytest

from chat_client.inbox import Inbox

from .scripted import message


def inbox(limit: int = 4) -> tuple[Inbox, list[None]]:
    room: list[None] = []
    return Inbox(limit, on_room=lambda: room.append(None)), room


async def test_events_come_in_order() -> None:
    box, _ = inbox()
    box.extend([message(1), message(2)])
    assert [(await box.get()).seq, (await box.get()).seq] == [1, 2]


async def test_get_waits_for_an_event() -> None:
    box, _ = inbox()
    getting = asyncio.create_task(box.get())
    await asyncio.sleep(0)
    box.extend([message(1)])
    assert (await getting).seq == 1


async def test_full_lasts_until_half_is_taken() -> None:
    box, room = inbox(limit=4)
    box.extend(message(n) for n in range(1, 6))
    for left in (4, 3):
        await box.get()
        assert box.full, left
    assert not room
    await box.get()
    assert not box.full
    assert room


async def test_the_end_comes_behind_the_events_and_stays() -> None:
    box, _ = inbox()
    box.extend([message(1)])
    box.end(None)
    await box.get()
    for _ in range(2):
        with pytest.raises(StopAsyncIteration):
            await box.get()


async def test_an_error_ends_it() -> None:
    box, _ = inbox()
    box.end(ValueError("why"))
    with pytest.raises(ValueError, match="why"):
        await box.get()


async def test_every_waiting_getter_learns_of_the_end() -> None:
    box, _ = inbox()
    getting = [asyncio.create_task(box.get()) for _ in range(2)]
    await asyncio.sleep(0)
    box.end(None)
    ends = await asyncio.gather(*getting, return_exceptions=True)
    assert [type(end) for end in ends] == [StopAsyncIteration] * 2


def test_what_nobody_wants_is_never_kept() -> None:
    box, room = inbox(limit=2)
    box.extend([message(1), message(2)])
    box.discard()
    box.extend([message(3), message(4)])
    assert not box.full
    assert room
