import asyncio

import pytest

from chat.v1 import commands_pb2, events_pb2
from chat_client import ChatError, CommandError
from chat_client.in_flight import InFlight

Future = asyncio.Future[events_pb2.Event]


def send(text: str) -> commands_pb2.Command:
    return commands_pb2.Command(send=commands_pb2.Send(to="#lobby", text=text))


def join(room: str) -> commands_pb2.Command:
    return commands_pb2.Command(join=commands_pb2.Join(room=room))


def welcome(last_nonce: int = 0, max_frame_bytes: int = 0) -> events_pb2.Welcome:
    limits = events_pb2.Limits(max_frame_bytes=max_frame_bytes)
    return events_pb2.Welcome(last_nonce=last_nonce, limits=limits)


def opened(limit: int = 8, *, last_nonce: int = 0, max_frame_bytes: int = 0) -> InFlight:
    in_flight = InFlight(limit)
    in_flight.reopen(welcome(last_nonce, max_frame_bytes))
    return in_flight


async def add(in_flight: InFlight, *commands: commands_pb2.Command) -> list[Future]:
    replies = []
    for command in commands:
        await in_flight.slot()
        replies.append(in_flight.add(command))
    return replies


def written(in_flight: InFlight) -> list[commands_pb2.Command]:
    frame = in_flight.next_frame()
    return list(frame.commands) if frame else []


def nonces(commands: list[commands_pb2.Command]) -> list[int]:
    return [command.send.nonce for command in commands]


def acked(ref: int, seq: int = 0, *, duplicate: bool = False) -> events_pb2.Event:
    return events_pb2.Event(ref=ref, ack=events_pb2.Ack(seq=seq, duplicate=duplicate))


def refused(ref: int) -> events_pb2.Event:
    return events_pb2.Event(
        ref=ref, error=events_pb2.Error(code=events_pb2.ERROR_CODE_RATE_LIMITED)
    )


def too_soon(ref: int, milliseconds: int) -> events_pb2.Event:
    error = events_pb2.Error(code=events_pb2.ERROR_CODE_UNAVAILABLE)
    error.retry_after.FromMilliseconds(milliseconds)
    return events_pb2.Event(ref=ref, error=error)


async def test_waiting_commands_share_a_frame_in_order() -> None:
    in_flight = opened()
    await add(in_flight, send("a"), join("#dev"), send("b"))
    assert [c.WhichOneof("kind") for c in written(in_flight)] == ["send", "join", "send"]
    assert in_flight.next_frame() is None


async def test_nonces_go_on_from_the_last_one_accepted() -> None:
    in_flight = opened(last_nonce=41)
    await add(in_flight, send("a"), join("#dev"), send("b"))
    assert nonces(written(in_flight)) == [42, 0, 43]


async def test_refs_are_unique() -> None:
    in_flight = opened()
    await add(in_flight, send("a"), send("b"))
    assert len({c.ref for c in written(in_flight)} - {0}) == 2


async def test_a_frame_never_passes_the_limit() -> None:
    in_flight = opened(limit=100, max_frame_bytes=300)
    await add(in_flight, *(send("x" * 50) for _ in range(20)))
    frames = []
    while frame := in_flight.next_frame():
        frames.append(frame)
    assert max(frame.ByteSize() for frame in frames) <= 300
    assert nonces([c for frame in frames for c in frame.commands]) == list(range(1, 21))


async def test_what_no_frame_can_hold_is_refused_at_once() -> None:
    in_flight = opened(limit=1, max_frame_bytes=300)
    with pytest.raises(CommandError, match="300 bytes") as refusal:
        await add(in_flight, send("x" * 300))
    assert refusal.value.code == events_pb2.ERROR_CODE_TOO_LARGE
    await add(in_flight, send("it has given back its slot"))


async def test_what_has_no_reply_is_written_again_with_its_nonce_before_the_rest() -> None:
    in_flight = opened()
    a, *_ = await add(in_flight, send("a"), send("b"), send("c"))
    first = written(in_flight)
    in_flight.resolve(acked(first[0].ref, seq=7))
    await add(in_flight, send("d"))
    in_flight.reopen(welcome(last_nonce=2))
    again = written(in_flight)
    assert [c.send.text for c in again] == ["b", "c", "d"]
    assert nonces(again) == [2, 3, 4]
    assert (await a).ack.seq == 7


async def test_a_refused_nonce_is_skipped() -> None:
    in_flight = opened()
    replies = await add(in_flight, send("a"), send("b"))
    first = written(in_flight)
    in_flight.resolve(refused(first[0].ref))
    in_flight.resolve(acked(first[1].ref))
    in_flight.reopen(welcome(last_nonce=2))
    await add(in_flight, send("c"))
    assert nonces(written(in_flight)) == [3]
    with pytest.raises(CommandError):
        await replies[0]


async def test_what_was_never_written_takes_a_nonce_above_the_servers() -> None:
    in_flight = opened()
    await add(in_flight, send("a"))
    in_flight.reopen(welcome(last_nonce=9))
    assert nonces(written(in_flight)) == [10]


async def test_a_log_that_starts_anew_does_not_take_nonces_back() -> None:
    in_flight = opened(last_nonce=5)
    await add(in_flight, send("a"))
    assert nonces(written(in_flight)) == [6]
    in_flight.reopen(welcome(last_nonce=0))
    await add(in_flight, send("b"))
    assert nonces(written(in_flight)) == [6, 7]


async def test_a_repeat_that_was_written_twice_is_a_success() -> None:
    in_flight = opened()
    (reply,) = await add(in_flight, send("a"))
    written(in_flight)
    in_flight.reopen(welcome(last_nonce=1))
    (again,) = written(in_flight)
    in_flight.resolve(acked(again.ref, duplicate=True))
    assert (await reply).ack.duplicate


async def test_a_repeat_that_was_written_once_was_not_said() -> None:
    in_flight = opened()
    (reply,) = await add(in_flight, send("a"))
    (command,) = written(in_flight)
    in_flight.resolve(acked(command.ref, duplicate=True))
    with pytest.raises(ChatError, match="not sent"):
        await reply


async def test_a_join_that_changes_nothing_is_a_success() -> None:
    in_flight = opened()
    (reply,) = await add(in_flight, join("#dev"))
    (command,) = written(in_flight)
    in_flight.resolve(acked(command.ref, duplicate=True))
    assert (await reply).ack.duplicate


async def test_a_caller_that_has_gone_takes_an_unwritten_command_along() -> None:
    in_flight = opened(limit=2)
    a, _ = await add(in_flight, send("a"), send("b"))
    a.cancel()
    assert [(c.send.text, c.send.nonce) for c in written(in_flight)] == [("b", 1)]
    await add(in_flight, send("there is a slot again"))


async def test_a_caller_that_has_gone_has_nothing_written_again() -> None:
    in_flight = opened()
    a, _ = await add(in_flight, send("a"), send("b"))
    written(in_flight)
    a.cancel()
    in_flight.reopen(welcome())
    assert [(c.send.text, c.send.nonce) for c in written(in_flight)] == [("b", 2)]


async def test_a_reply_to_a_caller_that_has_gone_frees_the_slot() -> None:
    in_flight = opened(limit=1)
    (reply,) = await add(in_flight, send("a"))
    (command,) = written(in_flight)
    reply.cancel()
    in_flight.resolve(acked(command.ref))
    assert not in_flight
    await add(in_flight, send("b"))


async def test_a_reply_to_nothing_is_ignored() -> None:
    in_flight = opened()
    in_flight.resolve(acked(ref=99))


async def test_the_slots_are_limited() -> None:
    in_flight = opened(limit=2)
    await add(in_flight, send("a"), send("b"))
    third = asyncio.create_task(add(in_flight, send("c")))
    first = written(in_flight)
    await asyncio.sleep(0)
    assert not third.done()
    in_flight.resolve(acked(first[0].ref))
    await third
    assert nonces(written(in_flight)) == [3]


async def test_failing_tells_everyone_and_frees_the_slots() -> None:
    in_flight = opened(limit=2)
    replies = await add(in_flight, send("a"), send("b"))
    written(in_flight)
    in_flight.fail(ChatError("over"))
    for reply in replies:
        with pytest.raises(ChatError, match="over"):
            await reply
    await add(in_flight, send("c"), send("d"))


async def test_a_copy_that_is_refused_for_the_moment_is_written_again() -> None:
    due = asyncio.Event()
    in_flight = InFlight(8, on_due=due.set)
    in_flight.reopen(welcome())
    (reply,) = await add(in_flight, send("a"))
    (first,) = written(in_flight)
    in_flight.reopen(welcome())
    (again,) = written(in_flight)
    in_flight.resolve(too_soon(again.ref, milliseconds=10))
    assert not reply.done()
    await asyncio.wait_for(due.wait(), 5)
    assert nonces(written(in_flight)) == [first.send.nonce]
    in_flight.resolve(acked(again.ref, seq=7, duplicate=True))
    assert (await reply).ack.seq == 7


async def test_copies_refused_for_the_moment_are_passed_by_nothing() -> None:
    """What is accepted meanwhile would take from the server what they could still become."""
    due = asyncio.Event()
    in_flight = InFlight(8, on_due=due.set)
    in_flight.reopen(welcome())
    await add(in_flight, send("a"), send("b"), send("c"))
    written(in_flight)
    in_flight.reopen(welcome())
    for command in written(in_flight):
        in_flight.resolve(too_soon(command.ref, milliseconds=20))
    await add(in_flight, send("d"))
    assert in_flight.held
    assert not written(in_flight)
    await asyncio.wait_for(due.wait(), 5)
    assert [(c.send.text, c.send.nonce) for c in written(in_flight)] == [
        *(("a", 1), ("b", 2), ("c", 3), ("d", 4))
    ]


async def test_after_a_reconnect_it_is_written_once() -> None:
    in_flight = opened()
    await add(in_flight, send("a"))
    written(in_flight)
    for _ in range(2):
        in_flight.reopen(welcome())
        (command,) = written(in_flight)
        in_flight.resolve(too_soon(command.ref, milliseconds=1))
    in_flight.reopen(welcome())
    assert len(written(in_flight)) == 1
    await asyncio.sleep(0.05)
    assert in_flight.next_frame() is None


async def test_what_was_written_once_and_refused_is_over() -> None:
    in_flight = opened()
    (reply,) = await add(in_flight, send("a"))
    (command,) = written(in_flight)
    in_flight.resolve(refused(command.ref))
    with pytest.raises(CommandError):
        await reply
