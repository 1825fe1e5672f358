"""A private room is as if it were not there, to everybody who is not in it."""

from typing import Any, Final, NamedTuple

import pytest

from chat.v1 import commands_pb2, events_pb2, moderation_pb2
from chat_service.node import Node
from tests.accounts import make_account
from tests.conftest import StartNode
from tests.transports.conftest import Enter
from tests.transports.stream import Stream

ROOM: Final = "#secret"
NOWHERE: Final = "#nowhere"

ACTIONS: Final = moderation_pb2.ModerationAction.keys()[1:]
WITHOUT_USER: Final = {
    "MODERATION_ACTION_MAKE_PRIVATE",
    "MODERATION_ACTION_MAKE_PUBLIC",
}


async def moderate(stream: Stream, action: str, user: str = "", room: str = ROOM) -> Any:
    """Use a right over a room and return the reply."""
    request = commands_pb2.Moderate(room=room, action=f"MODERATION_ACTION_{action}", user=user)
    return await stream.ask(moderate=request)


async def done(stream: Stream, action: str, user: str = "", room: str = ROOM) -> None:
    """Use a right over a room that one has."""
    reply = await moderate(stream, action, user, room)
    assert reply.HasField("ack"), reply


async def joins(stream: Stream, room: str = ROOM) -> events_pb2.Event:
    """Try to join, and return the reply."""
    return await stream.ask(join=commands_pb2.Join(room=room))


def probes(room: str) -> dict[str, dict[str, Any]]:
    """Return all that may be asked about a room without joining it."""
    moderations = {
        f"moderate {action}": {
            "moderate": commands_pb2.Moderate(
                room=room, action=action, user="" if action in WITHOUT_USER else user
            )
        }
        for action in ACTIONS
        for user in ("bob", "zed")
    }
    return {
        "who": {"who": commands_pb2.Who(to=room)},
        "history": {"history": commands_pb2.History(to=room)},
        "older history": {"history": commands_pb2.History(to=room, before_seq=10, limit=1)},
        "send": {"send": commands_pb2.Send(to=room, text="hello?")},
        "numbered send": {"send": commands_pb2.Send(to=room, text="hello?", nonce=1)},
        "leave": {"leave": commands_pb2.Leave(room=room)},
        **moderations,
    }


async def answers(stream: Stream, room: str) -> dict[str, tuple[int, str]]:
    """Return how everything that is asked about a room is refused."""
    replies = {name: await stream.ask(**kind) for name, kind in probes(room).items()}
    assert all(reply.HasField("error") for reply in replies.values()), replies
    return {
        name: (reply.error.code, reply.error.message.replace(room, "ROOM"))
        for name, reply in replies.items()
    }


class Cast(NamedTuple):
    """An owner and a member of the private room, and one who is in no room with them."""

    owner: Stream
    bob: Stream
    eve: Stream


@pytest.fixture
async def cast(node: Node, enter: Enter) -> Cast:
    """A private room in which something was said."""
    token = await make_account(node, "olga")
    owner = await enter(node, "olga", "olga's", token=token)
    bob, eve = await enter(node, "bob", "bob's"), await enter(node, "eve", "eve's")
    for stream in (owner, bob):
        await stream.join(ROOM)
    await done(owner, "MAKE_PRIVATE")
    await owner.say("between us", to=ROOM)
    await bob.hears_text("between us")
    return Cast(owner, bob, eve)


def is_told_of_the_room(stream: Stream) -> list[events_pb2.Event]:
    """Return what a stream was told of the room, replies apart."""
    return [event for event in stream.events if not event.ref and ROOM in str(event)]


async def test_to_an_outsider_it_is_as_if_there_were_none(cast: Cast) -> None:
    assert await answers(cast.eve, ROOM) == await answers(cast.eve, NOWHERE)


async def test_to_a_member_who_left_it_is_as_if_there_were_none(cast: Cast) -> None:
    await cast.bob.ask(leave=commands_pb2.Leave(room=ROOM))
    assert await answers(cast.bob, ROOM) == await answers(cast.bob, NOWHERE)


@pytest.mark.parametrize("action", ["KICK", "BAN"])
async def test_to_a_member_who_was_put_out_it_is_as_if_there_were_none(
    cast: Cast, action: str
) -> None:
    await done(cast.owner, action, "bob")
    assert await answers(cast.bob, ROOM) == await answers(cast.bob, NOWHERE)


async def test_the_invited_are_outsiders_until_they_join(cast: Cast) -> None:
    await done(cast.owner, "INVITE", "eve")
    await cast.eve.hears(lambda event: event.moderated.room == ROOM)
    assert await answers(cast.eve, ROOM) == await answers(cast.eve, NOWHERE)
    assert (await joins(cast.eve)).HasField("ack")


async def test_only_joining_tells_that_there_is_one_and_the_same_to_all(
    cast: Cast, node: Node, enter: Enter
) -> None:
    dan = await enter(node, "dan", "dan's")
    await done(cast.owner, "BAN", "dan")
    told = {(await joins(it)).error.message for it in (cast.eve, dan)}
    assert told == {"you cannot join #secret"}
    public = await enter(node, "fay", "fay's")
    await public.join("#open")
    await done(public, "BAN", "dan", "#open")
    assert (await joins(dan, "#open")).error.message == "you cannot join #open"


async def test_an_outsider_is_told_of_nothing_that_happens_there(
    cast: Cast, node: Node, enter: Enter
) -> None:
    owner, bob, eve = cast
    await done(owner, "INVITE", "bob")
    await done(owner, "APPOINT", "bob")
    await bob.say("activity", to=ROOM)
    await done(owner, "MUTE", "eve")
    await done(owner, "BAN", "eve")
    await done(owner, "UNBAN", "eve")
    await done(owner, "KICK", "bob")
    await done(owner, "MAKE_PUBLIC")
    await done(owner, "MAKE_PRIVATE")
    await owner.ask(leave=commands_pb2.Leave(room=ROOM))
    await owner.say("in the lobby")
    await eve.hears_text("in the lobby")
    await eve.ping()
    assert is_told_of_the_room(eve) == []
    again = await enter(node, "eve", "eve's", resume=eve.welcome.cursor, backlog=100)
    await again.hears_text("in the lobby")
    await again.ping()
    assert is_told_of_the_room(again) == []
    assert ROOM not in again.welcome.rooms


async def test_the_list_of_who_is_online_tells_no_rooms(cast: Cast) -> None:
    for to in ("", "#lobby"):
        roster = (await cast.eve.ask(who=commands_pb2.Who(to=to))).roster
        assert [it.user for it in roster.members] == ["bob", "eve", "olga"]
        assert all(it.role == moderation_pb2.ROLE_UNSPECIFIED for it in roster.members)


async def test_who_shares_only_a_private_room_is_told_of_comings_and_nobody_else(
    start_node: StartNode, enter: Enter
) -> None:
    node = await start_node(presence_limit=2)  # in the lobby are more, and so told nothing
    token = await make_account(node, "olga")
    owner = await enter(node, "olga", "olga's", token=token)
    bob, *outsiders = [await enter(node, it, f"{it}'s") for it in ("bob", "dan", "eve")]
    for stream in (owner, bob):
        await stream.join(ROOM)
    await done(owner, "MAKE_PRIVATE")
    await bob.leave()
    await owner.hears_presence("bob", online=False)
    again = await enter(node, "bob", "bob's")
    await owner.hears_presence("bob", online=True)
    await again.say("back")
    for stream in outsiders:
        await stream.hears_text("back")
        assert "bob" not in [user for user, _ in stream.presences[1:]]


async def test_who_was_kicked_sees_nothing_of_afterwards(
    cast: Cast, node: Node, enter: Enter
) -> None:
    owner, bob, _ = cast
    start = bob.welcome.cursor
    await done(owner, "KICK", "bob")
    await owner.say("after the kick", to=ROOM)
    await owner.say("in the lobby")
    await bob.hears_text("in the lobby")
    assert "after the kick" not in bob.texts
    for cursor in (start, bob.cursor):
        again = await enter(node, "bob", "bob's", resume=cursor)
        await again.say("here again")
        await again.hears_text("here again")
        assert "after the kick" not in again.texts
        assert ("between us" in again.texts) == (cursor == start)
    fresh = await enter(node, "bob", "bob's", backlog=100)
    await fresh.ping()
    assert is_told_of_the_room(fresh) == []
    assert (await joins(fresh)).HasField("error")


async def test_who_was_kicked_while_away_sees_only_what_came_before(
    cast: Cast, node: Node, enter: Enter
) -> None:
    owner, bob, _ = cast
    cursor = bob.cursor
    bob.vanish()
    await bob.ended()
    await owner.say("before the kick", to=ROOM)
    await done(owner, "KICK", "bob")
    await owner.say("after the kick", to=ROOM)
    await owner.say("in the lobby")
    back = await enter(node, "bob", "bob's", resume=cursor)
    await back.hears_text("in the lobby")
    assert back.texts == ["before the kick", "in the lobby"]
    assert list(back.welcome.rooms) == ["#lobby"]


async def test_an_invitation_is_for_the_one_and_not_for_the_name(
    cast: Cast, node: Node, enter: Enter
) -> None:
    await done(cast.owner, "INVITE", "eve")
    await cast.eve.leave()
    another = await enter(node, "eve", "another's")
    assert (await joins(another)).error.code == events_pb2.ERROR_CODE_PERMISSION_DENIED
    await another.leave()
    eve = await enter(node, "eve", "eve's")
    assert (await joins(eve)).HasField("ack")


async def test_an_invitation_is_good_once(cast: Cast) -> None:
    await done(cast.owner, "INVITE", "eve")
    assert (await joins(cast.eve)).HasField("ack")
    await done(cast.owner, "KICK", "eve")
    assert (await joins(cast.eve)).error.code == events_pb2.ERROR_CODE_PERMISSION_DENIED


async def test_a_guests_room_cannot_be_private(node: Node, enter: Enter) -> None:
    guest = await enter(node, "gus", "gus's")
    await guest.join("#gus")
    reply = await moderate(guest, "MAKE_PRIVATE", room="#gus")
    assert reply.error.code == events_pb2.ERROR_CODE_PERMISSION_DENIED
