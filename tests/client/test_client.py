"""What ChatClient promises while all is well, and how it goes."""

import asyncio
import time

import pytest
from google.protobuf import any_pb2
from google.rpc import code_pb2, error_details_pb2, status_pb2
from grpc_status import rpc_status

from chat.v1 import commands_pb2, events_pb2
from chat_client import ChatClient, ChatError, Closed, CommandError, Refused, State, Unavailable

from .scripted import Ended, Peer, eventually, goodbye, message, polite, serving


async def test_a_send_returns_its_ack() -> None:
    async def script(peer: Peer) -> None:
        await peer.welcome(last_nonce=6)
        command = await peer.command()
        assert command.send == commands_pb2.Send(to="#lobby", text="hi", nonce=7, reply_to=3)
        await peer.ack(command, seq=12)
        await peer.until_left()

    async with serving(script) as server, ChatClient(server.address, "bob") as chat:
        ack = await chat.send("#lobby", "hi", reply_to=3)
        assert (ack.seq, ack.nonce) == (12, 7)


async def test_a_refused_send_is_the_callers_to_repeat() -> None:
    async def script(peer: Peer) -> None:
        await peer.welcome()
        await peer.refuse(
            await peer.command(), events_pb2.ERROR_CODE_RATE_LIMITED, "slow down", retry_after=2
        )
        command = await peer.command()
        assert (command.send.text, command.send.nonce) == ("b", 2)
        await peer.ack(command, seq=1)
        await peer.until_left()

    async with serving(script) as server, ChatClient(server.address, "bob") as chat:
        with pytest.raises(CommandError, match="slow down") as refusal:
            await chat.send("#lobby", "a")
        assert refusal.value.code == events_pb2.ERROR_CODE_RATE_LIMITED
        assert refusal.value.retry_after == 2.0
        assert (await chat.send("#lobby", "b")).seq == 1


async def test_sends_made_at_once_share_frames_and_keep_their_order() -> None:
    frames: list[list[commands_pb2.Command]] = []

    async def script(peer: Peer) -> None:
        await peer.welcome()
        while sum(map(len, frames)) < 100:
            frames.append(await peer.frame())
            for command in frames[-1]:
                await peer.ack(command, command.send.nonce)
        await peer.until_left()

    async with serving(script) as server, ChatClient(server.address, "bob") as chat:
        acks = await asyncio.gather(*(chat.send("#lobby", str(n)) for n in range(100)))
    assert [ack.seq for ack in acks] == list(range(1, 101))
    assert [c.send.text for frame in frames for c in frame] == [str(n) for n in range(100)]
    assert len(frames) < 10


async def test_a_send_waits_while_too_many_are_open() -> None:
    async def script(peer: Peer) -> None:
        await peer.welcome()
        first = [await peer.command(), await peer.command()]
        third = asyncio.create_task(peer.command())
        _, early = await asyncio.wait([third], timeout=0.1)
        assert early, "the third was not to come before a reply"
        for number, command in enumerate([*first, None], start=1):
            await peer.ack(command or await third, number)
        await peer.until_left()

    async with (
        serving(script) as server,
        ChatClient(server.address, "bob", max_in_flight=2) as chat,
    ):
        acks = await asyncio.gather(*(chat.send("#lobby", text) for text in "abc"))
    assert [ack.seq for ack in acks] == [1, 2, 3]


async def test_queries_get_their_answers() -> None:
    async def script(peer: Peer) -> None:
        await peer.welcome()
        command = await peer.command()
        assert command.history == commands_pb2.History(to="#dev", before_seq=9, limit=2)
        page = events_pb2.HistoryPage(to="#dev", events=[message(7), message(8)], more=True)
        await peer.say(events_pb2.Event(ref=command.ref, history=page))
        command = await peer.command()
        assert command.conversations == commands_pb2.Conversations(before_seq=9, limit=2)
        ann = events_pb2.Conversation(to="@ann", last_seq=8, last_number=3)
        listed = events_pb2.ConversationsPage(conversations=[ann], more=True)
        await peer.say(events_pb2.Event(ref=command.ref, conversations=listed))
        command = await peer.command()
        await peer.say(events_pb2.Event(ref=command.ref, pong=events_pb2.Pong()))
        await peer.until_left()

    async with serving(script) as server, ChatClient(server.address, "bob") as chat:
        page = await chat.history("#dev", before_seq=9, limit=2)
        assert [event.seq for event in page.events] == [7, 8]
        listed = await chat.conversations(before_seq=9, limit=2)
        assert ([it.to for it in listed.conversations], listed.more) == (["@ann"], True)
        assert 0 < await chat.ping() < 10


async def test_who_asks_for_all_the_pages() -> None:
    async def script(peer: Peer) -> None:
        await peer.welcome()
        for after, names, more in (("", ("ann", "bob"), True), ("bob", ("cy",), False)):
            command = await peer.command()
            assert command.who == commands_pb2.Who(to="#dev", after=after)
            members = [events_pb2.Member(user=name) for name in names]
            roster = events_pb2.Roster(to="#dev", members=members, more=more)
            await peer.say(events_pb2.Event(ref=command.ref, roster=roster))
        await peer.until_left()

    async with serving(script) as server, ChatClient(server.address, "bob") as chat:
        assert [member.user for member in await chat.who("#dev")] == ["ann", "bob", "cy"]


async def test_iteration_yields_what_others_do_and_no_replies() -> None:
    others = [
        events_pb2.Event(history=events_pb2.HistoryPage(to="#lobby", events=[message(1)])),
        message(5),
        events_pb2.Event(seq=6, joined=events_pb2.Joined(room="#lobby", user="ann")),
        events_pb2.Event(presence=events_pb2.Presence(user="ann", online=True)),
        events_pb2.Event(gap=events_pb2.Gap(after_seq=2, before_seq=4)),
    ]

    async def script(peer: Peer) -> None:
        await peer.welcome(*others[:2], seq=4)
        await peer.ack(await peer.command())
        await peer.say(events_pb2.Event(), events_pb2.Event(pong=events_pb2.Pong()), *others[2:])
        await peer.until_left()

    async with serving(script) as server, ChatClient(server.address, "bob") as chat:
        await chat.send("#lobby", "hi")
        assert [await anext(chat) for _ in others] == others


async def test_closing_waits_for_replies_and_leaves_the_events_to_be_iterated() -> None:
    async def script(peer: Peer) -> None:
        await peer.welcome()
        command = await peer.command()
        with pytest.raises(Ended):
            await peer.command()
        await peer.ack(command, seq=1)
        await peer.say(message(1))

    async with serving(script) as server, ChatClient(server.address, "bob") as chat:
        reply = await chat.submit(
            commands_pb2.Command(send=commands_pb2.Send(to="#lobby", text="a"))
        )
        await chat.close()
        assert reply.result().ack.seq == 1
        assert [event.seq async for event in chat] == [1]
        with pytest.raises(Closed):
            await chat.send("#lobby", "b")


async def test_leaving_waits_only_so_long() -> None:
    async def script(peer: Peer) -> None:
        await peer.welcome()
        await peer.command()
        await peer.until_left()
        await asyncio.Event().wait()

    async with serving(script) as server:
        async with ChatClient(server.address, "bob", leave_timeout=0.2) as chat:
            send = asyncio.create_task(chat.send("#lobby", "a"))
            await asyncio.sleep(0)
            start = time.monotonic()
        assert time.monotonic() - start < 5
        with pytest.raises(Closed):
            await send


async def test_leaving_does_not_hang_on_events_that_nobody_iterates() -> None:
    async def script(peer: Peer) -> None:
        await peer.welcome(*(message(n) for n in range(1, 101)))
        await peer.until_left()

    async with serving(script) as server:
        async with ChatClient(server.address, "bob", max_events=4):
            start = time.monotonic()
        assert time.monotonic() - start < 4


async def test_leaving_while_the_connection_is_lost_does_not_wait() -> None:
    async def script(peer: Peer) -> None:
        await peer.welcome()
        await peer.say(goodbye(events_pb2.GOODBYE_REASON_SHUTDOWN, reconnect=True, retry_after=60))

    async with serving(script) as server:
        async with ChatClient(server.address, "bob") as chat:
            await eventually(lambda: chat.state is State.RECONNECTING)
            start = time.monotonic()
        assert time.monotonic() - start < 4


async def test_being_superseded_ends_it_all() -> None:
    farewell = goodbye(events_pb2.GOODBYE_REASON_SUPERSEDED)

    async def script(peer: Peer) -> None:
        await peer.welcome()
        await peer.command()
        await peer.say(farewell)

    async with serving(script) as server, ChatClient(server.address, "bob") as chat:
        with pytest.raises(Closed):
            await chat.send("#lobby", "in flight")
        assert await anext(chat) == farewell
        for attempt in (anext(chat), chat.send("#lobby", "too late")):
            with pytest.raises(Closed) as end:
                await attempt
            assert end.value.reason == events_pb2.GOODBYE_REASON_SUPERSEDED


async def test_being_asked_to_leave_as_one_wished_ends_quietly() -> None:
    farewell = goodbye(events_pb2.GOODBYE_REASON_LEFT)

    async def script(peer: Peer) -> None:
        await peer.welcome()
        await peer.say(farewell)

    async with serving(script) as server, ChatClient(server.address, "bob") as chat:
        assert [event async for event in chat] == [farewell]


async def test_a_client_that_only_sends_keeps_no_events() -> None:
    async def script(peer: Peer) -> None:
        await peer.welcome()
        command = await peer.command()
        for n in range(100):
            await peer.say(message(2 * n + 1), message(2 * n + 2))
        await peer.ack(command)
        await peer.until_left()

    async with serving(script) as server:
        async with ChatClient(server.address, "bob", listen=False, max_events=4) as chat:
            await chat.send("#lobby", "hi")
            await chat.close()
            assert [event async for event in chat] == []
        assert len(server.peers) == 1


async def test_retry_info_of_a_status_is_honoured() -> None:
    async def script(peer: Peer) -> None:
        retry = error_details_pb2.RetryInfo()
        retry.retry_delay.FromMilliseconds(300)
        detail = any_pb2.Any()
        detail.Pack(retry)
        status = status_pb2.Status(code=code_pb2.UNAVAILABLE, message="busy", details=[detail])
        await peer.drop_with(rpc_status.to_status(status))

    async with serving(script, polite) as server:
        async with ChatClient(server.address, "bob", connect_timeout=None):
            pass
        first, second = server.peers
        assert second.opened_at - first.opened_at >= 0.3


async def test_errors_form_one_tree() -> None:
    assert issubclass(Refused, ChatError)
    assert issubclass(CommandError, ChatError)
    assert issubclass(Closed, ChatError)
    assert issubclass(Unavailable, ChatError)
