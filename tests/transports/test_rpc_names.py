"""Whose a name is: takeover, the hold after a lost connection, and what is kept from the next."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence

import grpc
import pytest

from chat.v1 import commands_pb2, events_pb2
from chat_service.core.commands import Entry
from chat_service.core.outcome import Applied
from chat_service.log.embedded import EmbeddedLog
from chat_service.node import Node
from chat_service.state.store import Store
from tests.accounts import make_account
from tests.transports.conftest import GRACE, HOLD, Enter, OpenStream
from tests.transports.stream import Stream
from tests.waiting import until


async def test_a_taken_name_is_refused_with_a_status_for_programs(
    node: Node, enter: Enter, open_stream: OpenStream
) -> None:
    ann = await enter(node, "ann", "one")
    thief = open_stream(node)
    reply = await thief.hello("ANN", "two")
    assert reply.error.code == events_pb2.ERROR_CODE_NAME_TAKEN
    assert await thief.ended() is grpc.StatusCode.ALREADY_EXISTS
    assert thief.events[-1].goodbye.reason == events_pb2.GOODBYE_REASON_REFUSED
    assert not thief.events[-1].goodbye.reconnect
    info = await thief.error_info()
    assert (info.reason, info.domain) == ("NAME_TAKEN", "chat.v1")
    assert "ann" in thief.details
    await ann.ping()


async def test_a_client_without_an_id_is_nobody_elses_equal(
    node: Node, enter: Enter, open_stream: OpenStream
) -> None:
    await enter(node, "ann")
    reply = await open_stream(node).hello("ann")
    assert reply.error.code == events_pb2.ERROR_CODE_NAME_TAKEN


async def test_strangers_who_say_a_name_do_not_make_its_owner_wait_for_the_answers_to_them(
    node: Node, open_stream: OpenStream, monkeypatch: pytest.MonkeyPatch
) -> None:
    token = await make_account(node, "bob")
    appended: list[Entry] = []
    append, apply, go = EmbeddedLog.append, Store.apply, asyncio.Event()

    def noted(self: EmbeddedLog, entry: Entry) -> None:
        appended.append(entry)
        append(self, entry)

    async def later(self: Store, entries: Sequence[Entry]) -> list[Applied]:
        await go.wait()
        return await apply(self, entries)

    monkeypatch.setattr(EmbeddedLog, "append", noted)
    monkeypatch.setattr(Store, "apply", later)
    strangers = [
        asyncio.create_task(open_stream(node).hello("bob", f"stranger {it}", token="cst_forged"))
        for it in range(20)
    ]
    bob = asyncio.create_task(open_stream(node).enter("bob", "bob's own", token=token))
    await until(lambda: len(appended) == 21, what="all to be under way, not one behind another")
    go.set()
    assert {(await it).error.code for it in strangers} == {events_pb2.ERROR_CODE_UNAUTHENTICATED}
    assert (await bob).welcome.user == "bob"


async def test_of_many_who_want_one_name_at_once_one_gets_it(
    node: Node, open_stream: OpenStream
) -> None:
    streams = [open_stream(node) for _ in range(20)]
    replies = await asyncio.gather(*(s.hello("ann", f"id {i}") for i, s in enumerate(streams)))
    welcomed = [reply for reply in replies if reply.HasField("welcome")]
    refused = [reply for reply in replies if reply.HasField("error")]
    assert (len(welcomed), len(refused)) == (1, 19)


async def test_of_one_client_that_comes_many_times_at_once_one_connection_stays(
    node: Node, open_stream: OpenStream
) -> None:
    streams = [open_stream(node) for _ in range(20)]
    await asyncio.gather(*(stream.hello("ann", "same") for stream in streams))
    await until(lambda: sum(s.code is None for s in streams) == 1, what="19 streams to end")
    assert {s.code for s in streams} == {None, grpc.StatusCode.ABORTED}
    (stays,) = [s for s in streams if s.code is None]
    await stays.ping()
    assert list(node.hub.registry.users) == ["ann"]


# --- takeover ---


async def test_the_same_client_takes_over_from_itself(node: Node, enter: Enter) -> None:
    old = await enter(node, "ann", "same")
    new = await enter(node, "ann", "same")
    assert await old.ended() is grpc.StatusCode.ABORTED
    assert old.events[-1].goodbye.reason == events_pb2.GOODBYE_REASON_SUPERSEDED
    assert not old.events[-1].goodbye.reconnect
    assert (await old.error_info()).reason == "SUPERSEDED"
    await new.say("it is me")
    await new.hears_text("it is me")


async def test_a_takeover_is_nobody_elses_business(hasty_node: Node, enter: Enter) -> None:
    ann = await enter(hasty_node, "ann")
    old = await enter(hasty_node, "bob", "same")
    await ann.hears_presence("bob", online=True)
    new = await enter(hasty_node, "bob", "same")
    await old.ended()
    await after_the_grace(hasty_node, enter, ann)
    assert [told for told in ann.presences if told[0] == "bob"] == [("bob", True)]
    await new.ping()


async def test_what_was_sent_before_a_takeover_is_answered_or_not_done(
    node: Node, enter: Enter
) -> None:
    old, bob = await enter(node, "ann", "same"), await enter(node, "bob")
    sends = [
        commands_pb2.Command(ref=9, send=commands_pb2.Send(to="#lobby", text=f"{i}", nonce=i))
        for i in range(1, 201)
    ]
    await old.send(*sends)
    new = await enter(node, "ann", "same")
    await old.ended()
    done = new.welcome.last_nonce
    acked = [event.ack.nonce for event in old.events if event.HasField("ack")]
    assert len(acked) <= done <= 200
    for nonce in range(1, 201):
        reply = await new.say(f"{nonce}", nonce=nonce)
        assert reply.ack.duplicate == (nonce <= done)
    await bob.hears_text("200")
    assert bob.texts == [f"{i}" for i in range(1, 201)]


# --- the hold after a lost connection ---


async def test_a_lost_connection_keeps_its_name_for_five_seconds(
    node: Node, enter: Enter, open_stream: OpenStream
) -> None:
    ann = await enter(node, "ann", "one")
    ann.vanish()
    lost = asyncio.get_running_loop().time()
    await ann.ended()
    refusals = 0
    while not (await (stream := open_stream(node)).hello("ann", "two")).HasField("welcome"):
        assert await stream.ended() is grpc.StatusCode.ALREADY_EXISTS
        refusals += 1
        await asyncio.sleep(0.1)
    held = asyncio.get_running_loop().time() - lost
    assert 4.5 < held < 6.0
    assert refusals > 10


async def test_who_was_lost_comes_back_at_once_and_nobody_notices(
    hasty_node: Node, enter: Enter
) -> None:
    ann = await enter(hasty_node, "ann")
    bob = await enter(hasty_node, "bob", "same")
    await bob.join("#dev")
    await ann.hears_presence("bob", online=True)
    for _ in range(5):
        bob.vanish()
        bob = await enter(hasty_node, "bob", "same")
        assert list(bob.welcome.rooms) == ["#lobby", "#dev"]
    await after_the_grace(hasty_node, enter, ann)
    assert [told for told in ann.presences if told[0] == "bob"] == [("bob", True)]


async def test_who_does_not_come_back_is_told_as_gone_after_the_grace(
    node: Node, enter: Enter
) -> None:
    ann, bob = await enter(node, "ann"), await enter(node, "bob", "same")
    await ann.hears_presence("bob", online=True)
    bob.vanish()
    await ann.hears_presence("bob", online=False, within=5)


async def test_a_clean_leave_frees_the_name_at_once(node: Node, enter: Enter) -> None:
    ann = await enter(node, "ann", "one")
    await ann.leave()
    await enter(node, "ann", "two")


# --- the next who has the name ---


async def left(stream: Stream) -> None:
    await stream.leave()


async def lost(stream: Stream) -> None:
    stream.vanish()
    await asyncio.sleep(2 * HOLD)


@pytest.mark.parametrize("depart", [left, lost])
async def test_another_guest_of_the_same_name_learns_nothing_of_the_first(
    hasty_node: Node, enter: Enter, depart: Callable[[Stream], Awaitable[None]]
) -> None:
    ann = await enter(hasty_node, "ann", "ann's")
    first = await enter(hasty_node, "bob", "first")
    await first.join("#dev")
    await first.say("in the room", to="#dev")
    await ann.say("for the first, online", to="@bob")
    await first.hears_text("for the first, online")
    await first.say("from the first", to="@ann")
    await depart(first)
    await ann.say("for the first, offline", to="@bob")

    second = await enter(hasty_node, "bob", "second", backlog=100)
    assert list(second.welcome.rooms) == ["#lobby"]
    refused = await second.ask(history=commands_pb2.History(to="#dev"))
    assert refused.error.code == events_pb2.ERROR_CODE_NOT_A_MEMBER
    page = await second.ask(history=commands_pb2.History(to="@ann"))
    assert list(page.history.events) == []
    await ann.say("for the second", to="@bob")
    await second.hears_text("for the second")
    assert second.texts == ["for the second"]


async def conversations(stream: Stream) -> list[tuple[str, int]]:
    reply = await stream.ask(conversations=commands_pb2.Conversations())
    return [(it.to, it.last_number) for it in reply.conversations.conversations]


@pytest.mark.parametrize("depart", [left, lost])
async def test_a_name_that_has_passed_on_stands_for_no_conversation_of_the_first(
    hasty_node: Node, enter: Enter, depart: Callable[[Stream], Awaitable[None]]
) -> None:
    ann = await enter(hasty_node, "ann", "ann's")
    first = await enter(hasty_node, "bob", "first")
    await first.say("from the first", to="@ann")
    await depart(first)
    assert await conversations(ann) == [("@bob", 1)]

    second = await enter(hasty_node, "bob", "second")
    assert await conversations(ann) == await conversations(second) == []
    for text in ("one", "two"):
        await ann.say(text, to="@bob")
    assert await conversations(ann) == [("@bob", 2)]
    assert await conversations(second) == [("@ann", 2)]


async def test_the_cursor_of_the_first_gives_its_messages_to_no_other(
    node: Node, enter: Enter
) -> None:
    ann = await enter(node, "ann", "ann's")
    first = await enter(node, "bob", "first")
    start = first.cursor
    await ann.say("private", to="@bob")
    await first.hears_text("private")
    await first.leave()
    second = await enter(node, "bob", "second", resume=start)
    await second.ping()
    assert second.texts == []


async def test_the_first_finds_its_own_again_when_the_name_is_free(
    node: Node, enter: Enter
) -> None:
    ann = await enter(node, "ann", "ann's")
    first = await enter(node, "bob", "first")
    await first.join("#dev")
    await ann.say("for the first", to="@bob")
    await first.hears_text("for the first")
    await first.leave()
    second = await enter(node, "bob", "second")
    await ann.say("for the second", to="@bob")
    await second.hears_text("for the second")
    await second.leave()

    first = await enter(node, "bob", "first")
    page = await first.ask(history=commands_pb2.History(to="@ann"))
    assert [event.message.text for event in page.history.events] == ["for the first"]
    assert "for the second" not in first.texts
    assert await conversations(first) == [("@ann", 1)]
    assert await conversations(ann) == [("@bob", 1)]


async def after_the_grace(node: Node, enter: Enter, witness: Stream) -> None:
    """Wait until whatever was held back so far must have been told to a witness."""
    late = await enter(node, "late", "late")
    await witness.hears_presence("late", online=True)
    late.vanish()
    await witness.hears_presence("late", online=False, within=GRACE + 5)
