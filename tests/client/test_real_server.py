"""The promises of ChatClient kept together with the server's."""

import asyncio
from functools import partial

from chat_client import ChatClient, State

from .conftest import RealServer
from .scripted import eventually

MESSAGES = 3000


async def test_everybody_sees_one_order(real_server: str) -> None:
    async with (
        ChatClient(real_server, "order-a") as a,
        ChatClient(real_server, "order-b") as b,
    ):
        await asyncio.gather(*(chat.send("#lobby", f"{n}") for n in range(50) for chat in (a, b)))
        orders = [[await _message(chat) for _ in range(100)] for chat in (a, b)]
    assert orders[0] == orders[1]
    assert [text for who, text in orders[0] if who == "order-a"] == [str(n) for n in range(50)]


async def _message(chat: ChatClient) -> tuple[str, str]:
    async for event in chat:
        if event.message.sender.startswith("order-"):
            return event.message.sender, event.message.text
    raise AssertionError("it ended")


async def test_rooms_history_and_who(real_server: str) -> None:
    async with ChatClient(real_server, "Roomer", rooms=["#Rooms"]) as chat:
        assert [member.user for member in await chat.who("#rooms")] == ["roomer"]
        ack = await chat.send("#rooms", "hi")
        page = await chat.history("#rooms")
        assert [event.seq for event in page.events] == [ack.seq]
        assert await chat.ping() > 0


async def test_whom_one_has_written_with(real_server: str) -> None:
    async with (
        ChatClient(real_server, "writer") as chat,
        ChatClient(real_server, "reader") as other,
    ):
        assert not (await chat.conversations()).conversations
        ack = await other.send("@writer", "psst")
        (it,) = (await chat.conversations()).conversations
        assert (it.to, it.last_seq, it.last_number) == ("@reader", ack.seq, ack.number)


async def test_a_cursor_bridges_two_processes(real_server: str) -> None:
    async with ChatClient(real_server, "bridge", client_id="kept", rooms=["#bridge"]) as first:
        await first.send("#bridge", "before")
        async for event in first:
            if event.HasField("message"):
                break
        cursor = first.cursor
        await first.send("#bridge", "not iterated")
    async with ChatClient(real_server, "bridge", client_id="kept", resume=cursor) as second:
        assert second.welcome.resumed
        async for event in second:
            assert event.message.text == "not iterated"
            break


async def test_each_message_happens_once_though_the_server_dies(
    mortal_server: RealServer,
) -> None:
    received: list[str] = []
    states: list[State] = []

    async def listen(chat: ChatClient) -> None:
        async for event in chat:
            if event.message.text:
                received.append(event.message.text)  # noqa: PERF401 - it is read meanwhile

    def reached(share: float) -> bool:
        return len(received) >= share * MESSAGES

    async def kill_twice() -> None:
        for share in (0.2, 0.6):
            await eventually(partial(reached, share))
            await asyncio.to_thread(mortal_server.stop, kill=True)
            await asyncio.to_thread(mortal_server.start)

    async with (
        ChatClient(mortal_server.address, "listener", rooms=["#once"]) as ear,
        ChatClient(
            mortal_server.address, "talker", rooms=["#once"], on_state=states.append
        ) as mouth,
        asyncio.TaskGroup() as tasks,
    ):
        listening = tasks.create_task(listen(ear))
        tasks.create_task(kill_twice())
        acks = await asyncio.gather(*(mouth.send("#once", str(n)) for n in range(MESSAGES)))
        await eventually(partial(reached, 1.0))
        listening.cancel()
    assert received == [str(n) for n in range(MESSAGES)]
    assert len(acks) == MESSAGES
    assert states.count(State.RECONNECTING) >= 2
