"""How ChatClient comes in, and what it is told when it does not."""

import asyncio

import grpc
import pytest

from chat.v1 import commands_pb2, cursor_pb2, events_pb2
from chat_client import ChatClient, CommandError, Refused, State, Unavailable

from .scripted import Peer, ScriptedServer, goodbye, message, polite, serving


async def test_entering_says_who_it_is() -> None:
    async def script(peer: Peer) -> None:
        hello = await peer.welcome()
        assert hello == commands_pb2.Hello(user="Bob", client_id="secret", backlog=3)
        await peer.until_left()

    async with (
        serving(script) as server,
        ChatClient(server.address, "Bob", client_id="secret", backlog=3) as chat,
    ):
        assert chat.user == "bob"
        inside = chat.state
    assert (inside, chat.state) == (State.CONNECTED, State.CLOSED)


async def test_a_client_id_is_fresh_and_random() -> None:
    ids = []

    async def script(peer: Peer) -> None:
        ids.append((await peer.welcome()).client_id)
        await peer.until_left()

    async with serving(script, script) as server:
        for _ in range(2):
            async with ChatClient(server.address, "bob"):
                pass
    assert len(set(ids)) == 2
    assert all(len(client_id) >= 32 for client_id in ids)


async def test_a_kept_cursor_is_resumed() -> None:
    async def script(peer: Peer) -> None:
        hello = await peer.welcome(message(8), message(9), epoch="e1", seq=7, resumed=True)
        assert hello.resume == cursor_pb2.Cursor(epoch="e1", seq=7)
        await peer.until_left()

    async with serving(script) as server:
        kept = cursor_pb2.Cursor(epoch="e1", seq=7)
        async with ChatClient(server.address, "bob", resume=kept) as chat:
            assert (await anext(chat)).seq == 8
            assert chat.cursor == cursor_pb2.Cursor(epoch="e1", seq=8), "9 is not iterated yet"


async def test_rooms_are_joined_on_entering() -> None:
    async def script(peer: Peer) -> None:
        await peer.welcome()
        frame = await peer.frame()
        assert [c.join.room for c in frame] == ["#a", "#b"]
        for command in frame:
            await peer.ack(command)
        await peer.until_left()

    async with serving(script) as server, ChatClient(server.address, "bob", rooms=["#a", "#b"]):
        pass


async def test_a_room_that_cannot_be_joined_fails_the_entering() -> None:
    async def script(peer: Peer) -> None:
        await peer.welcome()
        await peer.refuse(await peer.command(), events_pb2.ERROR_CODE_INVALID_ADDRESS)

    async with serving(script) as server:
        with pytest.raises(CommandError):
            await ChatClient(server.address, "bob", rooms=["nonsense"]).__aenter__()


@pytest.mark.parametrize("split", [True, False], ids=["two frames", "one frame"])
async def test_a_name_that_is_taken_is_refused(split: bool) -> None:
    error = events_pb2.Event(
        error=events_pb2.Error(code=events_pb2.ERROR_CODE_NAME_TAKEN, message="bob is taken")
    )
    farewell = goodbye(events_pb2.GOODBYE_REASON_REFUSED)

    async def script(peer: Peer) -> None:
        await peer.command()
        for events in ([error], [farewell]) if split else ([error, farewell],):
            await peer.say(*events)
        await peer.drop(grpc.StatusCode.ALREADY_EXISTS)

    async with serving(script) as server:
        with pytest.raises(Refused, match="bob is taken") as refusal:
            await ChatClient(server.address, "bob").__aenter__()
    assert refusal.value.code == events_pb2.ERROR_CODE_NAME_TAKEN


async def test_a_refusal_that_invites_back_is_tried_again_in_the_time_allowed() -> None:
    async def script(peer: Peer) -> None:
        await peer.command()
        error = events_pb2.Error(code=events_pb2.ERROR_CODE_UNAVAILABLE)
        await peer.say(
            events_pb2.Event(error=error),
            goodbye(events_pb2.GOODBYE_REASON_REFUSED, reconnect=True),
        )

    async with serving(script, polite, script) as server:
        async with ChatClient(server.address, "bob", connect_timeout=10):
            pass
        with pytest.raises(Refused):
            await ChatClient(server.address, "bob").__aenter__()


async def test_a_server_that_is_away_is_unavailable() -> None:
    async with serving() as server:
        pass
    with pytest.raises(Unavailable, match=server.address):
        await ChatClient(server.address, "bob").__aenter__()


async def test_entering_can_wait_for_the_server() -> None:
    async with serving() as server:
        pass
    entering = asyncio.create_task(
        ChatClient(server.address, "bob", connect_timeout=None).__aenter__()
    )
    late = ScriptedServer(polite)
    async with late.serving(int(server.address.partition(":")[2])):
        chat = await entering
        await chat.close()


async def test_a_server_of_another_kind_is_not_tried_again() -> None:
    async def script(peer: Peer) -> None:
        await peer.drop(grpc.StatusCode.UNIMPLEMENTED)

    async with serving(script) as server:
        with pytest.raises(Unavailable):
            await ChatClient(server.address, "bob", connect_timeout=None).__aenter__()


async def test_entering_can_be_cancelled() -> None:
    started = asyncio.Event()

    async def silent(peer: Peer) -> None:
        started.set()
        await peer.command()
        await peer.until_left()

    async with serving(silent) as server:
        entering = asyncio.create_task(ChatClient(server.address, "bob").__aenter__())
        await started.wait()
        entering.cancel()
        with pytest.raises(asyncio.CancelledError):
            await entering
