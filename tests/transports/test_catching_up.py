"""What a client does while it is sent what it has missed: it leaves, or loses a room."""

import asyncio
from typing import Any

import pytest

from chat.v1 import commands_pb2, cursor_pb2, events_pb2, moderation_pb2
from chat_service.core.errors import Unavailable
from chat_service.node import Node
from chat_service.state.store import Store
from tests.accounts import PASSWORD, make_account
from tests.conftest import StartNode
from tests.transports.conftest import Dial, Enter, OpenStream
from tests.transports.stream import Stream
from tests.waiting import until


class Gate:
    """Holds up whoever catches up, until it is opened."""

    def __init__(self) -> None:
        self.reached = asyncio.Event()
        self.opened = asyncio.Event()

    async def is_reached(self) -> None:
        await until(self.reached.is_set, what="somebody who catches up")

    async def pass_(self) -> None:
        self.reached.set()
        await self.opened.wait()


@pytest.fixture
def gate(monkeypatch: pytest.MonkeyPatch) -> Gate:
    """A gate before the archive."""
    gate = Gate()
    history, missed = Store.history, Store.missed

    async def gated_history(self: Store, *args: Any, **bounds: Any) -> Any:
        await gate.pass_()
        return await history(self, *args, **bounds)

    async def gated_missed(self: Store, *args: Any, **bounds: Any) -> Any:
        await gate.pass_()
        return await missed(self, *args, **bounds)

    monkeypatch.setattr(Store, "history", gated_history)
    monkeypatch.setattr(Store, "missed", gated_missed)
    return gate


def histories(stream: Stream) -> dict[str, list[str]]:
    """Return the texts of each backlog that came."""
    pages = [event.history for event in stream.events if event.HasField("history")]
    return {page.to: [it.message.text for it in page.events] for page in pages}


# --- rooms that go meanwhile ---


async def kick(owner: Stream, user: str, room: str) -> None:
    action = moderation_pb2.MODERATION_ACTION_KICK
    moderate = commands_pb2.Moderate(room=room, action=action, user=user)
    assert (await owner.ask(moderate=moderate)).HasField("ack")


async def leave(other: Stream, room: str) -> None:
    assert (await other.ask(leave=commands_pb2.Leave(room=room))).HasField("ack")


@pytest.mark.parametrize("kicked", [True, False], ids=["kicked", "gone by another session"])
async def test_a_room_that_is_lost_on_the_way_is_left_out_and_the_rest_arrives(
    node: Node, enter: Enter, open_stream: OpenStream, gate: Gate, kicked: bool
) -> None:
    ann, bob = await enter(node, "ann"), await enter(node, "bob", "one")
    for room in ("#art", "#dev", "#zoo"):
        for it in (ann, bob):
            await it.join(room)
        await ann.say(f"of {room}", room)
    late = open_stream(node)
    await late.enter("bob", "two", token=bob.welcome.token, backlog=5)
    await gate.is_reached()
    await (kick(ann, "bob", "#dev") if kicked else leave(bob, "#dev"))
    gate.opened.set()
    await ann.say("to the lobby")
    await late.hears_text("to the lobby")
    assert histories(late) == {"#art": ["of #art"], "#zoo": ["of #zoo"]}
    await late.ping()


async def test_a_backlog_waits_until_the_storage_gives_it(
    node: Node, enter: Enter, monkeypatch: pytest.MonkeyPatch
) -> None:
    await (await enter(node, "ann")).say("long ago")
    history, failures = Store.history, [Unavailable("not now", retry_after=0.01)] * 3

    async def failing_history(self: Store, *args: Any, **bounds: Any) -> Any:
        if failures:
            raise failures.pop()
        return await history(self, *args, **bounds)

    monkeypatch.setattr(Store, "history", failing_history)
    bob = await enter(node, "bob", backlog=5)
    await bob.hears(lambda event: event.HasField("history"))
    assert histories(bob) == {"#lobby": ["long ago"]}


async def test_any_outbox_is_large_enough_to_catch_up(start_node: StartNode, enter: Enter) -> None:
    node = await start_node(outbox_events=64)
    ann = await enter(node, "ann")
    for number in range(600):
        await ann.say(str(number))
    beginning = cursor_pb2.Cursor(epoch=ann.welcome.cursor.epoch, seq=0)
    bob = await enter(node, "bob", resume=beginning)
    await bob.hears_text("599")
    assert bob.texts == [str(number) for number in range(600)]


# --- who leaves at once ---


async def test_who_half_closes_at_once_gets_the_backlog_all_the_same(
    node: Node, enter: Enter, open_stream: OpenStream, gate: Gate
) -> None:
    await (await enter(node, "ann")).say("long ago")
    bob = open_stream(node)
    hello = commands_pb2.Hello(user="bob", backlog=5)
    await bob.send(commands_pb2.Command(ref=1, hello=hello))
    await bob.half_close()
    await gate.is_reached()
    gate.opened.set()
    await bob.leave()
    assert histories(bob) == {"#lobby": ["long ago"]}


async def test_who_ends_the_input_at_once_gets_what_waited(
    node: Node, enter: Enter, dial: Dial, gate: Gate
) -> None:
    await make_account(node, "bob")
    await (await enter(node, "ann")).say("psst", "@bob")
    bob = await dial(node)
    bob.send(f"/login bob\n{PASSWORD}\n")
    bob.end_input()
    await gate.is_reached()
    gate.opened.set()
    await bob.until_ended()
    assert "[ann -> you] psst" in bob.lines


async def test_who_is_cut_off_holds_nothing_up(
    node: Node, enter: Enter, open_stream: OpenStream, gate: Gate
) -> None:
    await (await enter(node, "ann")).say("long ago")
    bob = await open_stream(node).enter("bob", backlog=5)
    await gate.is_reached()
    await bob.half_close()
    bob.vanish()
    await until(lambda: len(node.hub.registry) == 1, what="bob's session to end")


async def test_a_shutdown_waits_for_nobody_who_has_left_and_catches_up(
    node: Node, enter: Enter, open_stream: OpenStream, dial: Dial, gate: Gate
) -> None:
    await make_account(node, "cyd")
    ann = await enter(node, "ann")
    await ann.say("long ago")
    await ann.say("psst", "@cyd")
    bob, cyd = await open_stream(node).enter("bob", backlog=5), await dial(node)
    cyd.send(f"/login cyd\n{PASSWORD}\n")
    await until(lambda: "cyd" in node.hub.registry.users, what="cyd")
    await bob.half_close()
    cyd.end_input()
    await asyncio.wait_for(node.stop(), 3)
    await bob.ended()
    assert bob.events[-1].goodbye.reason == events_pb2.GOODBYE_REASON_SHUTDOWN
    assert cyd.lines[-1] == "* server shutting down"
