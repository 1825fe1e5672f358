"""What is somebody else's: a cursor, a client_id, a conversation."""

import pytest

from chat.v1 import commands_pb2, cursor_pb2, events_pb2
from chat.v1.admin_pb2 import DeleteAccountRequest
from chat_service.node import Node
from tests.accounts import PASSWORD, Call, make_account
from tests.transports.conftest import Enter, OpenStream
from tests.transports.stream import Stream


async def history(stream: Stream, to: str) -> list[str]:
    """Return the texts of a conversation or room, as far as they are shown."""
    reply = await stream.ask(history=commands_pb2.History(to=to))
    return [event.message.text for event in reply.history.events]


async def conversations(stream: Stream) -> list[str]:
    """Return whom somebody has written with, as far as it is told."""
    reply = await stream.ask(conversations=commands_pb2.Conversations())
    return [it.to for it in reply.conversations.conversations]


async def have_talked(ann: Stream, bob: Stream) -> None:
    """Let two say things that are nobody else's business."""
    for stream in (ann, bob):
        await stream.join("#dev")
    await ann.say("from ann", to="@bob")
    await bob.say("from bob", to="@ann")
    await ann.say("in the room", to="#dev")
    await bob.hears_text("in the room")
    await ann.hears_text("from bob")


@pytest.mark.parametrize("seq", ["the cursor of bob", 0, 1])
async def test_with_anothers_cursor_one_sees_ones_own_alone(
    node: Node, enter: Enter, seq: int | str
) -> None:
    ann, bob = await enter(node, "ann", "ann's"), await enter(node, "bob", "bob's")
    begun = bob.welcome.cursor
    await have_talked(ann, bob)
    cursor = cursor_pb2.Cursor(epoch=begun.epoch, seq=seq if isinstance(seq, int) else begun.seq)
    eve = await enter(node, "eve", "eve's", resume=cursor)
    await ann.say("in the lobby")
    await eve.hears_text("in the lobby")
    await eve.ping()
    assert eve.texts == ["in the lobby"]
    assert not [it for it in eve.events if it.HasField("joined") or it.HasField("left")]


async def test_with_the_cursor_of_a_time_before_one_joined_a_room_shows_nothing_of_then(
    node: Node, enter: Enter
) -> None:
    ann, eve = await enter(node, "ann", "ann's"), await enter(node, "eve", "eve's")
    start = ann.cursor
    await ann.join("#dev")
    await ann.say("before eve", to="#dev")
    await eve.join("#dev")
    await ann.say("with eve", to="#dev")
    await eve.hears_text("with eve")
    again = await enter(node, "eve", "eve's", resume=start)
    await again.hears_text("with eve")
    assert again.texts == ["with eve"]


async def test_anothers_client_id_under_another_name_is_of_no_use(node: Node, enter: Enter) -> None:
    ann, bob = await enter(node, "ann", "ann's"), await enter(node, "bob", "bob's")
    await have_talked(ann, bob)
    await bob.say("numbered", nonce=7)
    eve = await enter(node, "eve", "bob's", backlog=100, resume=ann.welcome.cursor)
    assert eve.welcome.last_nonce == 0
    assert list(eve.welcome.rooms) == ["#lobby"]
    assert await history(eve, "@ann") == []
    reply = await eve.say("mine", nonce=1)
    assert not reply.ack.duplicate
    await bob.ping()


async def test_an_account_is_not_had_by_its_client_id(
    node: Node, enter: Enter, open_stream: OpenStream
) -> None:
    token = await make_account(node, "bob")
    bob = await enter(node, "bob", "bob's", token=token)
    reply = await open_stream(node).hello("bob", "bob's")
    assert reply.error.code == events_pb2.ERROR_CODE_UNAUTHENTICATED
    await bob.ping()
    await bob.leave()
    reply = await open_stream(node).hello("bob", "bob's")
    assert reply.error.code == events_pb2.ERROR_CODE_UNAUTHENTICATED


async def test_two_clients_of_one_account_have_nonces_of_their_own(
    node: Node, enter: Enter
) -> None:
    await make_account(node, "bob")
    first = await enter(node, "bob", "one", password=PASSWORD)
    await first.say("numbered", nonce=9)
    second = await enter(node, "bob", "two", password=PASSWORD)
    assert second.welcome.last_nonce == 0
    assert not (await second.say("mine", nonce=1)).ack.duplicate


async def test_history_shows_only_ones_own_conversations(node: Node, enter: Enter) -> None:
    ann, bob = await enter(node, "ann", "ann's"), await enter(node, "bob", "bob's")
    await have_talked(ann, bob)
    eve = await enter(node, "eve", "eve's")
    assert await history(eve, "@ann") == await history(eve, "@bob") == []
    await eve.say("hello ann", to="@ann")
    assert await history(eve, "@ann") == ["hello ann"]
    assert await history(ann, "@bob") == ["from ann", "from bob"]
    assert await history(ann, "@eve") == ["hello ann"]
    assert await history(ann, "@ann") == []


async def test_only_ones_own_conversations_are_listed(node: Node, enter: Enter) -> None:
    ann, bob = await enter(node, "ann", "ann's"), await enter(node, "bob", "bob's")
    await have_talked(ann, bob)
    eve = await enter(node, "eve", "eve's")
    assert await conversations(eve) == []
    await eve.say("hello ann", to="@ann")
    assert await conversations(eve) == ["@ann"]
    assert await conversations(ann) == ["@eve", "@bob"]
    assert await conversations(bob) == ["@ann"]


async def test_a_deleted_accounts_conversations_are_nobodys_who_has_its_name_then(
    node: Node, enter: Enter, call: Call
) -> None:
    root = await make_account(node, "root", admin=True)
    token = await make_account(node, "bob")
    ann, bob = await enter(node, "ann", "ann's"), await enter(node, "bob", "bob's", token=token)
    await have_talked(ann, bob)
    await call(node, DeleteAccountRequest(user="bob"), root)
    await bob.ended()
    guest = await enter(node, "bob", "bob's")
    assert await conversations(ann) == await conversations(guest) == []


async def test_history_of_a_room_that_one_is_not_in_is_refused(node: Node, enter: Enter) -> None:
    ann, bob = await enter(node, "ann", "ann's"), await enter(node, "bob", "bob's")
    await have_talked(ann, bob)
    eve = await enter(node, "eve", "eve's")
    for room in ("#dev", "#nowhere"):
        reply = await eve.ask(history=commands_pb2.History(to=room))
        assert reply.error.code == events_pb2.ERROR_CODE_NOT_A_MEMBER
        assert reply.error.message == f"you are not in {room}"


async def test_no_event_ever_shows_a_client_id_or_a_token(node: Node, enter: Enter) -> None:
    eve = await enter(node, "eve", "eve's")
    ann, bob = await enter(node, "ann", "secret-of-ann"), await enter(node, "bob", "secret-of-bob")
    await have_talked(ann, bob)
    await eve.ask(who=commands_pb2.Who())
    await eve.ping()
    told = str([*eve.events, *bob.events])
    assert "secret-of-ann" not in told
    assert ann.welcome.token not in told
    assert ann.welcome.session_id not in told
