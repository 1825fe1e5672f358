"""What ChatClient promises when streams break."""

import asyncio

import pytest

from chat.v1 import commands_pb2, cursor_pb2, events_pb2
from chat_client import ChatClient, Closed, State, Unavailable

from .scripted import Peer, eventually, goodbye, message, serving


async def seqs(chat: ChatClient, count: int) -> list[int]:
    return [(await anext(chat)).seq for _ in range(count)]


async def test_a_broken_stream_is_resumed_behind_the_last_event() -> None:
    async def first(peer: Peer) -> None:
        await peer.welcome(message(5), epoch="e1", seq=4)
        await peer.say(message(6))
        await peer.drop()

    async def second(peer: Peer) -> None:
        hello = await peer.welcome(message(7), epoch="e1", seq=6, resumed=True)
        assert hello.resume == cursor_pb2.Cursor(epoch="e1", seq=6)
        assert hello.backlog == 0, "a backlog is for those who have nothing to resume"
        assert hello.client_id == "secret"
        await peer.until_left()

    async with (
        serving(first, second) as server,
        ChatClient(server.address, "bob", client_id="secret", backlog=9) as chat,
    ):
        assert await seqs(chat, 3) == [5, 6, 7]


async def test_a_stream_that_ends_well_but_unasked_is_resumed_too() -> None:
    async def first(peer: Peer) -> None:
        await peer.welcome(message(1))

    async def second(peer: Peer) -> None:
        await peer.welcome(message(2), seq=1, resumed=True)
        await peer.until_left()

    async with serving(first, second) as server, ChatClient(server.address, "bob") as chat:
        assert await seqs(chat, 2) == [1, 2]


async def test_repeats_are_dropped() -> None:
    async def first(peer: Peer) -> None:
        await peer.welcome(message(1), message(2), message(2), message(1))
        await peer.drop()

    async def second(peer: Peer) -> None:
        await peer.welcome(message(1), message(2), message(3), seq=2, resumed=True)
        await peer.until_left()

    async with serving(first, second) as server, ChatClient(server.address, "bob") as chat:
        assert await seqs(chat, 3) == [1, 2, 3]


async def test_unacknowledged_sends_are_sent_again_in_order_before_new_ones() -> None:
    async def first(peer: Peer) -> None:
        await peer.welcome()
        commands = [await peer.command() for _ in range(4)]
        await peer.ack(commands[0], seq=1)
        await peer.drop()

    async def second(peer: Peer) -> None:
        await peer.welcome(last_nonce=3, resumed=True)
        commands = [await peer.command() for _ in range(4)]
        assert [(c.send.text, c.send.nonce) for c in commands] == [
            ("b", 2),
            ("c", 3),
            ("d", 4),
            ("e", 5),
        ]
        for command, seq in zip(commands, (0, 3, 4, 5), strict=True):
            await peer.ack(command, seq, duplicate=command.send.nonce <= 3)
        await peer.until_left()

    async with serving(first, second) as server, ChatClient(server.address, "bob") as chat:
        sends = [asyncio.create_task(chat.send("#lobby", text)) for text in "abcd"]
        await sends[0]
        late = asyncio.create_task(chat.send("#lobby", "e"))
        acks = [await send for send in (*sends, late)]
    assert [ack.seq for ack in acks] == [1, 0, 3, 4, 5]
    assert [ack.duplicate for ack in acks] == [False, True, True, False, False]


async def test_queries_and_joins_in_flight_are_asked_again() -> None:
    async def first(peer: Peer) -> None:
        await peer.welcome()
        for _ in range(3):
            await peer.command()
        await peer.drop()

    async def second(peer: Peer) -> None:
        await peer.welcome(resumed=True)
        await peer.ack(await peer.command())
        who = await peer.command()
        await peer.say(events_pb2.Event(ref=who.ref, roster=events_pb2.Roster(to="#dev")))
        ping = await peer.command()
        await peer.say(events_pb2.Event(ref=ping.ref, pong=events_pb2.Pong()))
        await peer.until_left()

    async with serving(first, second) as server, ChatClient(server.address, "bob") as chat:
        _, members, _ = await asyncio.gather(chat.join("#dev"), chat.who("#dev"), chat.ping())
        assert members == []


async def test_a_send_whose_caller_has_gone_is_not_sent_again() -> None:
    received = asyncio.Event()
    cancelled = asyncio.Event()

    async def first(peer: Peer) -> None:
        await peer.welcome()
        await peer.command()
        received.set()
        await cancelled.wait()
        await peer.drop()

    async def second(peer: Peer) -> None:
        await peer.welcome(resumed=True)
        await peer.until_left()

    async with serving(first, second) as server, ChatClient(server.address, "bob") as chat:
        send = asyncio.create_task(chat.send("#lobby", "never mind"))
        await received.wait()
        send.cancel()
        await asyncio.wait([send])
        cancelled.set()
        await eventually(lambda: len(server.peers) == 2 and chat.state is State.CONNECTED)


async def test_a_gap_is_told() -> None:
    gap = events_pb2.Event(
        gap=events_pb2.Gap(reason=events_pb2.GAP_REASON_TRIMMED, after_seq=1, before_seq=9)
    )

    async def first(peer: Peer) -> None:
        await peer.welcome(message(1))
        await peer.drop()

    async def second(peer: Peer) -> None:
        await peer.welcome(gap, message(9), seq=8)
        await peer.until_left()

    async with serving(first, second) as server, ChatClient(server.address, "bob") as chat:
        assert (await anext(chat)).seq == 1
        assert await anext(chat) == gap
        assert (await anext(chat)).seq == 9


async def test_a_new_log_counts_anew_and_gets_the_rooms_back() -> None:
    async def first(peer: Peer) -> None:
        await peer.welcome(message(900))
        await peer.ack(await peer.command())
        await peer.drop()

    async def second(peer: Peer) -> None:
        await peer.welcome(epoch="e2", seq=3)
        command = await peer.command()
        assert command.join.room == "#dev"
        await peer.ack(command, seq=4)
        await peer.say(message(5, to="#dev"))
        await peer.until_left()

    async with (
        serving(first, second) as server,
        ChatClient(server.address, "bob", rooms=["#dev"]) as chat,
    ):
        assert await seqs(chat, 2) == [900, 5]
        assert chat.cursor == cursor_pb2.Cursor(epoch="e2", seq=5)


async def test_a_shutdown_is_waited_out_as_long_as_the_server_asks() -> None:
    async def first(peer: Peer) -> None:
        await peer.welcome(
            goodbye(events_pb2.GOODBYE_REASON_SHUTDOWN, reconnect=True, retry_after=0.4)
        )

    async def second(peer: Peer) -> None:
        await peer.welcome(message(1), resumed=True)
        await peer.until_left()

    async with serving(first, second) as server, ChatClient(server.address, "bob") as chat:
        assert await seqs(chat, 1) == [1], "no goodbye, since it does not end this client"
        before, after = server.peers
        assert after.opened_at - before.opened_at >= 0.4


async def test_each_change_of_state_is_told_once() -> None:
    async def first(peer: Peer) -> None:
        await peer.welcome()
        await peer.drop()

    async def broken(peer: Peer) -> None:
        await peer.drop()

    async def last(peer: Peer) -> None:
        await peer.welcome(message(1))
        await peer.until_left()

    states: list[State] = []
    async with (
        serving(first, broken, broken, last) as server,
        ChatClient(server.address, "bob", on_state=states.append) as chat,
    ):
        await anext(chat)
    assert states == [State.CONNECTED, State.RECONNECTING, State.CONNECTED, State.CLOSED]


async def test_reconnecting_can_be_given_up() -> None:
    async def script(peer: Peer) -> None:
        await peer.welcome()
        await peer.drop()

    async def broken(peer: Peer) -> None:
        await peer.drop()

    async with (
        serving(script, *(broken for _ in range(50))) as server,
        ChatClient(server.address, "bob", max_reconnect_time=0.3) as chat,
    ):
        with pytest.raises(Unavailable):
            await anext(chat)
        with pytest.raises(Unavailable):
            await chat.ping()


async def test_a_name_lost_meanwhile_ends_it() -> None:
    async def first(peer: Peer) -> None:
        await peer.welcome()
        await peer.drop()

    async def second(peer: Peer) -> None:
        await peer.command()
        await peer.say(goodbye(events_pb2.GOODBYE_REASON_REFUSED))

    async with serving(first, second) as server, ChatClient(server.address, "bob") as chat:
        with pytest.raises(Closed):
            await anext(chat)


async def test_leaving_waits_for_a_reply_that_takes_a_reconnect() -> None:
    async def first(peer: Peer) -> None:
        await peer.welcome()
        await peer.command()
        await peer.drop()

    async def second(peer: Peer) -> None:
        await peer.welcome(resumed=True)
        await peer.acknowledge_all()

    async with serving(first, second) as server:
        async with ChatClient(server.address, "bob") as chat:
            send = asyncio.create_task(chat.send("#lobby", "a"))
            await asyncio.sleep(0)
        assert (await send).seq == 1


FLOOD = 1000
TEXT = "x" * 60_000


async def test_a_caller_that_does_not_iterate_stops_the_server() -> None:
    async def script(peer: Peer) -> None:
        await peer.welcome()
        for n in range(1, FLOOD + 1):
            await peer.say(message(n, TEXT))
        await peer.until_left()

    async with serving(script) as server, ChatClient(server.address, "bob", max_events=8) as chat:
        (peer,) = server.peers
        await eventually(lambda: peer.frames_written > 8)
        stuck_at = -1
        while stuck_at != peer.frames_written:
            stuck_at = peer.frames_written
            await asyncio.sleep(0.1)
        assert stuck_at < FLOOD, "the rest is still the server's"
        assert await seqs(chat, FLOOD) == list(range(1, FLOOD + 1))


async def test_a_caller_far_behind_gets_its_replies_and_then_the_rest() -> None:
    """An echo bot: it awaits an ack that lies behind more events than it has room for."""

    async def first(peer: Peer) -> None:
        await peer.welcome(seq=0)
        command = await peer.command()
        for n in range(1, 101):
            await peer.say(message(n))
        await peer.ack(command, seq=101)
        await peer.until_left()

    async def second(peer: Peer) -> None:
        hello = await peer.welcome()
        kept = hello.resume.seq
        assert 0 < kept < 100
        await peer.say(*(message(n) for n in range(kept + 1, 103)))
        await peer.until_left()

    async with (
        serving(first, second) as server,
        ChatClient(server.address, "bob", max_events=8) as chat,
    ):
        assert (await chat.send("#lobby", "!echo")).seq == 101
        assert await seqs(chat, 102) == list(range(1, 103))


async def test_a_held_stream_is_read_on_for_a_reply() -> None:
    async def first(peer: Peer) -> None:
        await peer.welcome(*(message(n) for n in range(1, 9)))
        await peer.ack(await peer.command(), seq=9)
        await peer.until_left()

    async with (
        serving(first) as server,
        ChatClient(server.address, "bob", max_events=8) as chat,
    ):
        assert (await chat.send("#lobby", "hi")).seq == 9
        assert await seqs(chat, 8) == list(range(1, 9))


async def test_a_second_process_with_the_same_client_id_cannot_swallow_a_send() -> None:
    async def script(peer: Peer) -> None:
        await peer.welcome(last_nonce=1)
        await peer.ack(await peer.command(), duplicate=True)
        await peer.until_left()

    async with serving(script) as server, ChatClient(server.address, "bob") as chat:
        reply = await chat.submit(
            commands_pb2.Command(send=commands_pb2.Send(to="#lobby", text="a"))
        )
        with pytest.raises(Exception, match="another process"):
            await reply


async def test_each_hello_of_its_own_that_arrives_late_does_not_end_it() -> None:
    async def first(peer: Peer) -> None:
        await peer.welcome()
        await peer.drop()

    async def unanswered(peer: Peer) -> None:
        await peer.command()
        await peer.drop()

    async def too_slow(peer: Peer) -> None:
        """Refuse what may happen after all."""
        await peer.refuse(await peer.command(), events_pb2.ERROR_CODE_UNAVAILABLE, retry_after=0.01)
        await peer.say(goodbye(events_pb2.GOODBYE_REASON_REFUSED, reconnect=True))

    async def overtaken(peer: Peer) -> None:
        await peer.welcome(resumed=True)
        await peer.say(goodbye(events_pb2.GOODBYE_REASON_SUPERSEDED))

    async def last(peer: Peer) -> None:
        await peer.welcome(message(1), resumed=True)
        await peer.say(goodbye(events_pb2.GOODBYE_REASON_SUPERSEDED))

    async with (
        serving(first, unanswered, too_slow, overtaken, overtaken, last) as server,
        ChatClient(server.address, "bob") as chat,
    ):
        assert await seqs(chat, 1) == [1]
        await anext(chat)
        with pytest.raises(Closed):
            await anext(chat)
