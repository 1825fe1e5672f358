"""What rights over a room do to it, and what is heard of that."""

import pytest

from chat_service.node import Node
from tests.accounts import PASSWORD, make_account
from tests.faults.clock import Clock
from tests.scenarios.conftest import Meet
from tests.scenarios.deeds import Deed
from tests.scenarios.heard import JoinedRoom, LeftRoom, Said, Went
from tests.scenarios.person import Person

ROOM = "#dev"


@pytest.fixture
async def olga(node: Node, meet: Meet) -> Person:
    """The owner of a room, by an account."""
    await make_account(node, "olga")
    olga = await meet("olga", password=PASSWORD)
    await olga.join(ROOM)
    return olga


async def enter(meet: Meet, *names: str) -> list[Person]:
    """Let people into the room."""
    people = [await meet(name) for name in names]
    for person in people:
        await person.join(ROOM)
    return people


async def hear_of_each_other(*people: Person) -> None:
    """Wait until everything that was said so far has been heard."""
    for speaker in people:
        await speaker.say(f"{speaker.user} was here")
        for listener in people:
            if listener is not speaker:
                await listener.hears(Said("#lobby", speaker.user, f"{speaker.user} was here"))


async def test_who_is_kicked_is_out_and_may_come_back(olga: Person, meet: Meet) -> None:
    bob, ann = await enter(meet, "bob", "ann")
    await olga.does("kick", ROOM, "bob", "mind your words")
    for listener in (bob, ann):
        await listener.hears(Deed("kick", ROOM, "bob", "olga", "mind your words"))
    await ann.hears(LeftRoom(ROOM, "bob"))
    await ann.say("he is gone", ROOM)
    assert await bob.tries("leave", ROOM) == f"you are not in {ROOM}"
    await hear_of_each_other(ann, bob)
    assert Said(ROOM, "ann", "he is gone") not in bob.heard
    await bob.does("join", ROOM)
    await ann.say("welcome back", ROOM)
    await bob.hears(Said(ROOM, "ann", "welcome back"))


async def test_who_is_banned_stays_out_until_that_is_taken_back(olga: Person, meet: Meet) -> None:
    bob, ann = await enter(meet, "bob", "ann")
    await olga.does("ban", ROOM, "bob")
    await bob.hears(Deed("ban", ROOM, "bob", "olga"))
    await ann.hears(LeftRoom(ROOM, "bob"))
    assert await bob.tries("join", ROOM) == f"you cannot join {ROOM}"
    await olga.does("unban", ROOM, "bob")
    await ann.hears(Deed("unban", ROOM, "bob", "olga"))
    await bob.does("join", ROOM)


async def test_a_ban_by_name_holds_for_whoever_has_the_name(olga: Person, meet: Meet) -> None:
    (bob,) = await enter(meet, "bob")
    await olga.does("ban", ROOM, "bob")
    await bob.depart()
    await olga.hears(Went("bob"))
    another = await meet("bob")
    assert await another.tries("join", ROOM) == f"you cannot join {ROOM}"


async def test_a_ban_for_a_minute_ends_by_itself(clock: Clock, olga: Person, meet: Meet) -> None:
    (bob,) = await enter(meet, "bob")
    await olga.does("ban", ROOM, "bob", "60s")
    clock.advance(59)
    assert await bob.tries("join", ROOM) == f"you cannot join {ROOM}"
    clock.advance(1)
    await bob.does("join", ROOM)


async def test_who_is_muted_hears_and_says_nothing(olga: Person, meet: Meet) -> None:
    bob, ann = await enter(meet, "bob", "ann")
    await olga.does("mute", ROOM, "bob")
    for listener in (bob, ann):
        await listener.hears(Deed("mute", ROOM, "bob", "olga"))
    assert await bob.tries("say", ROOM) == f"you are muted in {ROOM}"
    await ann.say("can you hear me", ROOM)
    await bob.hears(Said(ROOM, "ann", "can you hear me"))
    await bob.say("elsewhere I may")
    await ann.hears(Said("#lobby", "bob", "elsewhere I may"))
    await olga.does("unmute", ROOM, "bob")
    await bob.say("at last", ROOM)
    await ann.hears(Said(ROOM, "bob", "at last"))


async def test_a_mute_for_a_minute_ends_by_itself(clock: Clock, olga: Person, meet: Meet) -> None:
    (bob,) = await enter(meet, "bob")
    await olga.does("mute", ROOM, "bob", "60s")
    clock.advance(59)
    assert (await bob.tries("say", ROOM)).startswith(f"you are muted in {ROOM} for another ")
    clock.advance(1)
    await bob.does("say", ROOM)


async def test_leaving_and_coming_back_is_no_way_out_of_a_mute(olga: Person, meet: Meet) -> None:
    (bob,) = await enter(meet, "bob")
    await olga.does("mute", ROOM, "bob")
    await bob.does("leave", ROOM)
    await bob.does("join", ROOM)
    assert await bob.tries("say", ROOM) == f"you are muted in {ROOM}"


async def test_into_a_private_room_come_the_invited_alone(olga: Person, meet: Meet) -> None:
    (ann,) = await enter(meet, "ann")
    bob, eve = await meet("bob"), await meet("eve")
    await olga.does("private", ROOM)
    await ann.hears(Deed("private", ROOM, "", "olga"))
    assert await bob.tries("join", ROOM) == f"you cannot join {ROOM}"
    await olga.does("invite", ROOM, "bob")
    await bob.hears(Deed("invite", ROOM, "bob", "olga"))
    await bob.does("join", ROOM)
    assert await eve.tries("join", ROOM) == f"you cannot join {ROOM}"
    await ann.say("still a member", ROOM)
    await bob.hears(Said(ROOM, "ann", "still a member"))
    await hear_of_each_other(ann, eve)
    assert not [it for it in eve.heard if ROOM in str(it) and "cannot join" not in str(it)]
    await olga.does("public", ROOM)
    await ann.hears(Deed("public", ROOM, "", "olga"))
    await eve.does("join", ROOM)


async def test_a_moderator_may_until_dismissed(olga: Person, meet: Meet) -> None:
    mod, bob = await enter(meet, "mod", "bob")
    assert (await mod.tries("mute", ROOM, "bob")).startswith("you have no right")
    await olga.does("op", ROOM, "mod")
    await bob.hears(Deed("op", ROOM, "mod", "olga"))
    await mod.does("mute", ROOM, "bob")
    await bob.hears(Deed("mute", ROOM, "bob", "mod"))
    await olga.does("deop", ROOM, "mod")
    await bob.hears(Deed("deop", ROOM, "mod", "olga"))
    assert (await mod.tries("unmute", ROOM, "bob")).startswith("you have no right")


async def test_a_guest_who_leaves_is_a_moderator_no_more(olga: Person, meet: Meet) -> None:
    mod, _ = await enter(meet, "mod", "bob")
    await olga.does("op", ROOM, "mod")
    await mod.does("leave", ROOM)
    await mod.does("join", ROOM)
    assert (await mod.tries("kick", ROOM, "bob")).startswith("you have no right")


async def test_a_room_that_is_handed_over_has_another_owner(olga: Person, meet: Meet) -> None:
    ann, bob = await enter(meet, "ann", "bob")
    await olga.does("handover", ROOM, "ann")
    await bob.hears(Deed("handover", ROOM, "ann", "olga"))
    assert (await olga.tries("op", ROOM, "bob")).startswith("you have no right")
    await olga.does("mute", ROOM, "bob")  # as a moderator
    await ann.does("op", ROOM, "bob")
    await ann.does("kick", ROOM, "olga")


async def test_an_owner_by_account_is_the_owner_again_after_leaving(
    olga: Person, meet: Meet
) -> None:
    (bob,) = await enter(meet, "bob")
    await olga.does("leave", ROOM)
    await bob.hears(LeftRoom(ROOM, "olga"))
    await olga.does("join", ROOM)
    await olga.does("kick", ROOM, "bob")


async def test_a_room_without_an_owner_is_nobodys_until_it_is_empty(meet: Meet) -> None:
    ann, bob = await enter(meet, "ann", "bob")
    await ann.does("leave", ROOM)
    await ann.does("join", ROOM)
    assert (await ann.tries("kick", ROOM, "bob")).startswith("you have no right")
    for person in (ann, bob):
        await person.does("leave", ROOM)
    await bob.does("join", ROOM)
    await ann.does("join", ROOM)
    await bob.does("kick", ROOM, "ann")


async def test_in_the_lobby_only_admins_mute(node: Node, meet: Meet) -> None:
    await make_account(node, "root", admin=True)
    root, bob, ann = await meet("root", password=PASSWORD), await meet("bob"), await meet("ann")
    assert (await bob.tries("mute", "#lobby", "ann")).startswith("you have no right")
    await root.does("mute", "#lobby", "bob")
    await ann.hears(Deed("mute", "#lobby", "bob", "root"))
    assert await bob.tries("say", "#lobby") == "you are muted in #lobby"
    assert await root.tries("kick", "#lobby", "bob") == "that cannot be done in #lobby"


async def test_who_would_ban_from_the_server_in_a_room_is_told_how(node: Node, meet: Meet) -> None:
    await make_account(node, "root", admin=True)
    root, _ = await meet("root", password=PASSWORD), await meet("bob")
    await root.does("join", ROOM)
    for room, subject in (("#lobby", "bob"), (ROOM, "127.0.0.1"), (ROOM, "2001:db8::1")):
        refused = await root.tries("ban", room, subject)
        assert refused.endswith("from the whole server by `chat-server user ban`")


async def test_nobody_of_that_name_is_nobody_to_be_kicked(olga: Person, meet: Meet) -> None:
    assert await olga.tries("kick", ROOM, "zed") == "no such user: zed"


async def test_joining_twice_is_told_once(olga: Person, meet: Meet) -> None:
    bob, _ = await enter(meet, "bob", "ann")
    await bob.hears(JoinedRoom(ROOM, "ann"))
    assert bob.count(JoinedRoom(ROOM, "ann")) == 1


async def test_a_reason_forges_no_line_on_a_terminal(meet: Meet) -> None:
    ann, bob = await meet("ann", over="grpc"), await meet("bob", over="tcp")
    for person in (ann, bob):
        await person.join(ROOM)
    await ann.does("kick", ROOM, "bob", "\x1b[31mred\nann: I was wrong")
    await bob.hears(LeftRoom(ROOM, "bob"))
    assert not [it for it in bob.heard if isinstance(it, Said)]
    assert not [it for it in bob.heard if "\x1b" in str(it)]
