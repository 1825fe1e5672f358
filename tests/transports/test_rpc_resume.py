"""Exactly once over gRPC: what was missed comes first, what was sent twice happens once."""

import asyncio

import pytest

from chat.v1 import commands_pb2, cursor_pb2, events_pb2
from chat_service.node import Node
from tests.conftest import StartNode
from tests.transports.conftest import Enter
from tests.transports.stream import Stream
from tests.waiting import until

# --- private messages to somebody who is away ---


async def test_a_private_message_to_who_is_away_waits_for_the_next_connection_alone(
    node: Node, enter: Enter
) -> None:
    ann, bob = await enter(node, "ann"), await enter(node, "bob", "bob's")
    await bob.leave()
    await ann.say("are you there?", to="@bob")
    await ann.say("call me", to="@bob")
    await ann.say("not for you alone")

    bob = await enter(node, "bob", "bob's")
    await bob.hears_text("call me")
    assert bob.texts == ["are you there?", "call me"]
    await bob.leave()

    bob = await enter(node, "bob", "bob's")
    await ann.say("later", to="@bob")
    await bob.hears_text("later")
    assert bob.texts == ["later"]


async def test_a_private_message_to_who_was_lost_waits_as_well(node: Node, enter: Enter) -> None:
    ann, bob = await enter(node, "ann"), await enter(node, "bob", "bob's")
    bob.vanish()
    await until(lambda: "bob" not in node.hub.registry.users, what="bob to be missed")
    await ann.say("are you there?", to="@bob")
    bob = await enter(node, "bob", "bob's")
    await bob.hears_text("are you there?")


async def test_what_waits_outlives_a_restart(start_node: StartNode, enter: Enter) -> None:
    node = await start_node()
    ann, bob = await enter(node, "ann"), await enter(node, "bob", "bob's")
    await bob.leave()
    await ann.say("are you there?", to="@bob")
    await node.stop()

    node = await start_node()
    bob = await enter(node, "bob", "bob's")
    await bob.hears_text("are you there?")


# --- resume ---


async def say_numbers(stream: Stream, numbers: range, to: str = "#lobby") -> None:
    sends = [commands_pb2.Send(to=to, text=f"{number}") for number in numbers]
    await stream.send(*(commands_pb2.Command(send=send) for send in sends))
    await stream.ping()


async def test_what_was_missed_comes_first_in_order_without_holes_or_repeats(
    node: Node, enter: Enter
) -> None:
    ann, bob = await enter(node, "ann"), await enter(node, "bob", "bob's")
    await bob.join("#dev")
    await ann.join("#dev")
    await say_numbers(ann, range(10))
    await bob.hears_text("9")
    cursor = bob.cursor
    bob.vanish()
    await bob.ended()
    await say_numbers(ann, range(10, 20))
    await say_numbers(ann, range(20, 30), "#dev")
    await say_numbers(ann, range(30, 40), "@bob")
    await ann.ask(leave=commands_pb2.Leave(room="#dev"))

    bob = await enter(node, "bob", "bob's", resume=cursor)
    assert bob.welcome.resumed
    assert bob.welcome.cursor == cursor
    await ann.say("40")
    await bob.hears_text("40")
    assert bob.texts == [f"{n}" for n in range(10, 41)]
    assert [event.left.user for event in bob.events if event.HasField("left")] == ["ann"]
    seqs = [event.seq for event in bob.events if event.seq]
    assert seqs == sorted(set(seqs))
    assert seqs[0] > cursor.seq


async def test_long_absences_are_made_up_for_while_the_talk_goes_on(
    node: Node, enter: Enter
) -> None:
    ann, bob = await enter(node, "ann"), await enter(node, "bob", "bob's")
    start = bob.cursor
    await bob.leave()
    await say_numbers(ann, range(1500))
    talking = asyncio.create_task(_talk(ann, range(1500, 3000)))
    readers = [bob]
    while not talking.done():
        readers.append(await enter(node, "bob", "bob's", resume=start))
    await talking
    await readers[-1].hears_text("2999")
    assert readers[-1].texts == [f"{n}" for n in range(3000)]
    for reader in readers:  # all but the last were superseded, at any point
        assert reader.texts == [f"{n}" for n in range(len(reader.texts))]


async def _talk(stream: Stream, numbers: range) -> None:
    for start in numbers[::25]:
        await say_numbers(stream, range(start, min(start + 25, numbers.stop)))


async def test_a_chain_of_short_connections_misses_and_repeats_nothing(
    node: Node, enter: Enter
) -> None:
    ann, bob = await enter(node, "ann"), await enter(node, "bob", "bob's")
    talking = asyncio.create_task(_talk(ann, range(2000)))
    heard: list[str] = []
    while not talking.done():
        cursor = bob.cursor
        heard += bob.texts
        bob.vanish()
        bob = await enter(node, "bob", "bob's", resume=cursor)
        assert bob.welcome.resumed
        await bob.ping()
    await talking
    await ann.say("end")
    await bob.hears_text("end")
    heard += bob.texts
    assert heard == [*(f"{n}" for n in range(2000)), "end"]


async def test_a_room_that_was_left_is_resumed_up_to_the_leaving(node: Node, enter: Enter) -> None:
    ann, bob = await enter(node, "ann"), await enter(node, "bob", "bob's")
    start = bob.cursor
    await ann.join("#dev")
    await say_numbers(ann, range(1), "#dev")
    await bob.join("#dev")
    await say_numbers(ann, range(1, 2), "#dev")
    await bob.ask(leave=commands_pb2.Leave(room="#dev"))
    await say_numbers(ann, range(2, 3), "#dev")
    await bob.join("#dev")
    await say_numbers(ann, range(3, 4), "#dev")
    await bob.hears_text("3")
    live = [event for event in bob.events if event.seq]
    await bob.leave()
    bob = await enter(node, "bob", "bob's", resume=start)
    await bob.hears_text("3")
    assert [event for event in bob.events if event.seq] == live


async def test_resuming_at_the_present_brings_nothing(node: Node, enter: Enter) -> None:
    bob = await enter(node, "bob", "bob's")
    await bob.say("hi")
    await bob.hears_text("hi")
    cursor = bob.cursor
    await bob.leave()
    bob = await enter(node, "bob", "bob's", resume=cursor)
    await bob.ping()
    assert bob.welcome.resumed
    assert [event.WhichOneof("kind") for event in bob.events] == ["welcome", "pong"]


async def test_a_cursor_outlives_a_restart(start_node: StartNode, enter: Enter) -> None:
    node = await start_node()
    ann, bob = await enter(node, "ann"), await enter(node, "bob", "bob's")
    cursor = bob.cursor
    await bob.leave()
    await ann.say("missed")
    await node.stop()
    node = await start_node()
    bob = await enter(node, "bob", "bob's", resume=cursor)
    assert bob.welcome.resumed
    await bob.hears_text("missed")


@pytest.mark.parametrize(
    "cursor",
    [
        cursor_pb2.Cursor(epoch="another", seq=1),
        cursor_pb2.Cursor(epoch="", seq=0),
        cursor_pb2.Cursor(epoch="", seq=2**64 - 1),
    ],
    ids=["another epoch", "empty", "the end of time"],
)
async def test_a_cursor_of_another_log_is_told_as_a_gap(
    node: Node, enter: Enter, cursor: cursor_pb2.Cursor
) -> None:
    ann = await enter(node, "ann")
    await ann.say("before")
    bob = await enter(node, "bob", "bob's", resume=cursor)
    await ann.say("after")
    await bob.hears_text("after")
    assert not bob.welcome.resumed
    assert bob.events[1].gap.reason == events_pb2.GAP_REASON_EPOCH_CHANGED
    assert bob.events[1].gap.to == ""
    assert bob.texts == ["after"]


@pytest.mark.parametrize("ahead", [1, 2**62, 2**63, 2**64 - 10])
async def test_a_cursor_from_the_future_is_told_as_a_gap(
    node: Node, enter: Enter, ahead: int
) -> None:
    ann, bob = await enter(node, "ann"), await enter(node, "bob", "bob's")
    await ann.say("before")
    await bob.hears_text("before")
    cursor = bob.cursor
    cursor.seq += ahead
    await bob.leave()
    bob = await enter(node, "bob", "bob's", resume=cursor)
    assert not bob.welcome.resumed
    assert (await bob.hears(lambda event: event.HasField("gap"))).gap.after_seq == cursor.seq
    await ann.say("after")
    await bob.hears_text("after")
    assert bob.texts == ["after"]


# --- nonces ---


async def test_a_repeated_send_is_acknowledged_and_does_not_happen_again(
    node: Node, enter: Enter
) -> None:
    ann, bob = await enter(node, "ann", "ann's"), await enter(node, "bob")
    first = (await ann.say("once", nonce=1)).ack
    again = (await ann.say("once", nonce=1)).ack
    assert (first.duplicate, again.duplicate) == (False, True)
    assert (again.seq, again.number, again.nonce) == (first.seq, first.number, 1)
    assert again.sent_at == first.sent_at
    await ann.say("end")
    await bob.hears_text("end")
    assert bob.texts == ["once", "end"]


async def test_an_older_nonce_is_a_repeat_whose_seq_is_not_known(node: Node, enter: Enter) -> None:
    ann = await enter(node, "ann", "ann's")
    for nonce in (1, 2, 5):
        await ann.say(f"{nonce}", nonce=nonce)
    for nonce in (1, 2, 3, 4):
        ack = (await ann.say("repeat", nonce=nonce)).ack
        assert (ack.nonce, ack.duplicate, ack.seq) == (nonce, True, 0)
        assert not ack.HasField("sent_at")
    await ann.ping()
    assert ann.texts == ["1", "2", "5"]


async def test_what_was_refused_is_no_repeat_though_later_nonces_leave_a_gap(
    node: Node, enter: Enter
) -> None:
    ann = await enter(node, "ann", "ann's")
    for nonce in (1, 2):
        await ann.say("to nobody", "#nowhere", nonce)
    await ann.say("later", nonce=5)
    for nonce in (2, 1):
        assert (await ann.say("again", nonce=nonce)).HasField("error")
    assert (await ann.say("later", nonce=5)).ack.duplicate


async def test_what_came_again_in_another_order_is_no_repeat(node: Node, enter: Enter) -> None:
    ann = await enter(node, "ann", "ann's")
    for nonce in (3, 2, 1):
        await ann.say("to nobody", "#nowhere", nonce)
    await ann.say("later", nonce=4)
    for nonce in (1, 2, 3):
        assert (await ann.say("again", nonce=nonce)).HasField("error")


async def test_what_is_refused_behind_a_gap_that_was_sent_at_once_is_no_repeat(
    node: Node, enter: Enter
) -> None:
    ann = await enter(node, "ann", "ann's")
    sends = [commands_pb2.Send(to="#nowhere", text="to nobody", nonce=1)]
    sends += [commands_pb2.Send(to="#lobby", text="later", nonce=5)]
    await ann.send(*(commands_pb2.Command(send=it) for it in sends))
    await ann.ping()
    assert (await ann.say("again", nonce=1)).HasField("error")


async def test_the_next_connection_is_told_the_last_nonce(node: Node, enter: Enter) -> None:
    ann = await enter(node, "ann", "ann's")
    for nonce in (1, 2, 3):
        await ann.say(f"{nonce}", nonce=nonce)
    await ann.leave()
    ann = await enter(node, "ann", "ann's")
    assert ann.welcome.last_nonce == 3
    assert (await ann.say("3", nonce=3)).ack.duplicate
    assert not (await ann.say("4", nonce=4)).ack.duplicate


async def test_nonces_outlive_a_restart(start_node: StartNode, enter: Enter) -> None:
    node = await start_node()
    ann = await enter(node, "ann", "ann's")
    seq = (await ann.say("once", nonce=7)).ack.seq
    await node.stop()
    node = await start_node()
    ann = await enter(node, "ann", "ann's")
    assert ann.welcome.last_nonce == 7
    again = (await ann.say("once", nonce=7)).ack
    assert (again.duplicate, again.seq) == (True, seq)


async def test_a_refused_send_uses_up_no_nonce(node: Node, enter: Enter) -> None:
    ann = await enter(node, "ann", "ann's")
    assert (await ann.say("hi", to="@nobody", nonce=1)).HasField("error")
    assert (await ann.say("", nonce=1)).HasField("error")
    assert not (await ann.say("hi", nonce=1)).ack.duplicate


async def test_nonces_of_different_clients_have_nothing_to_do_with_each_other(
    node: Node, enter: Enter
) -> None:
    ann, bob = await enter(node, "ann", "ann's"), await enter(node, "bob", "bob's")
    assert not (await ann.say("a", nonce=5)).ack.duplicate
    assert not (await bob.say("b", nonce=1)).ack.duplicate
    await ann.leave()
    other = await enter(node, "ann", "another's")
    assert other.welcome.last_nonce == 0
    assert not (await other.say("c", nonce=1)).ack.duplicate


async def test_nonce_zero_asks_for_no_such_care(node: Node, enter: Enter) -> None:
    ann = await enter(node, "ann", "ann's")
    await ann.say("twice")
    await ann.say("twice")
    await ann.ping()
    assert ann.texts == ["twice", "twice"]


@pytest.mark.parametrize("nonce", [2**63 - 1, 2**63, 2**64 - 1])
async def test_the_largest_nonces_work_as_well(
    start_node: StartNode, enter: Enter, nonce: int
) -> None:
    node = await start_node()
    ann = await enter(node, "ann", "ann's")
    assert not (await ann.say("hi", nonce=nonce)).ack.duplicate
    assert (await ann.say("hi", nonce=nonce)).ack.duplicate
    await node.stop()
    ann = await enter(await start_node(), "ann", "ann's")
    assert ann.welcome.last_nonce == nonce
