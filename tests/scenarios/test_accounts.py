"""Names that belong to somebody, whichever transport they come over."""

from chat_service.node import Node
from tests.accounts import PASSWORD, make_account
from tests.scenarios.conftest import Meet
from tests.scenarios.heard import Said, Went
from tests.waiting import until

OTHER_PASSWORD = "battery staple"


async def test_a_name_that_is_registered_takes_its_password(meet: Meet) -> None:
    ann, bob = await meet("ann"), await meet("bob")
    assert await bob.register(PASSWORD) == ""
    await bob.say("still me")
    await ann.hears(Said("#lobby", "bob", "still me"))
    await bob.depart()
    guest, thief = await meet("bob"), await meet("Bob", password=OTHER_PASSWORD)
    await guest.is_refused("a password or a token is needed")
    await thief.is_refused("wrong name or password")
    back = await meet("BOB", password=PASSWORD)
    await back.say("back")
    await ann.hears(Said("#lobby", "bob", "back"))


async def test_who_registers_keeps_the_rooms(meet: Meet) -> None:
    ann, bob = await meet("ann"), await meet("bob")
    for person in (ann, bob):
        await person.join("#dev")
    assert await bob.register(PASSWORD) == ""
    await bob.depart()
    back = await meet("bob", password=PASSWORD)
    await ann.say("you are still in", "#dev")
    await back.hears(Said("#dev", "ann", "you are still in"))


async def test_what_was_said_in_private_meanwhile_waits_for_the_account(meet: Meet) -> None:
    ann, bob = await meet("ann"), await meet("bob")
    assert await bob.register(PASSWORD) == ""
    await bob.depart()
    await ann.hears(Went("bob"))
    await ann.say("are you there?", "@bob")
    back = await meet("bob", password=PASSWORD)
    await back.hears(Said("@bob", "ann", "are you there?"))


async def test_a_name_that_looks_like_a_registered_one_is_refused(node: Node, meet: Meet) -> None:
    await make_account(node, "bob")
    for alike in ("b0b", "b\N{CYRILLIC SMALL LETTER O}b"):
        await (await meet(alike)).is_refused("looks like bob")


async def test_nobody_registers_beside_a_name_that_looks_the_same(node: Node, meet: Meet) -> None:
    guest = await meet("b0b")
    await make_account(node, "bob")
    assert "looks like bob" in await guest.register(PASSWORD)


async def test_one_account_is_in_from_many_places(node: Node, meet: Meet) -> None:
    await make_account(node, "bob")
    places = [await meet("bob", password=PASSWORD) for _ in range(3)]
    ann = await meet("ann")
    await ann.say("to all of you", "@bob")
    for place in places:
        await place.hears(Said("@bob", "ann", "to all of you"))
    await places[0].depart()
    await places[1].say("still here")
    await ann.hears(Said("#lobby", "bob", "still here"))


async def test_a_changed_password_sends_the_others_away(node: Node, meet: Meet) -> None:
    await make_account(node, "bob")
    bob, other = [await meet("bob", password=PASSWORD) for _ in range(2)]
    refusal = await bob.change_password(OTHER_PASSWORD, OTHER_PASSWORD)
    assert refusal == "wrong name or password"
    assert await bob.change_password(PASSWORD, OTHER_PASSWORD) == ""
    await until(lambda: other.ended, what="the other connection to end")
    await (await meet("bob", password=PASSWORD)).is_refused("wrong name or password")
    await (await meet("bob", password=OTHER_PASSWORD)).say("it is me")


async def test_a_password_that_is_too_short_changes_nothing(meet: Meet) -> None:
    ann, bob = await meet("ann"), await meet("bob")
    assert "at least 8 characters" in await bob.register("short")
    await bob.depart()
    await ann.hears(Went("bob"))
    await (await meet("bob")).say("no password asked")
    await ann.hears(Said("#lobby", "bob", "no password asked"))


async def test_nobody_registers_twice(meet: Meet) -> None:
    bob = await meet("bob")
    assert await bob.register(PASSWORD) == ""
    assert "is registered" in await bob.register(OTHER_PASSWORD)
