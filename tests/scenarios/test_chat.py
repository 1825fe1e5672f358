"""What people do in a chat holds whichever transport each of them uses."""

from tests.scenarios.conftest import Meet
from tests.scenarios.heard import Came, JoinedRoom, LeftRoom, Said, Went
from tests.waiting import until


async def test_what_one_says_in_the_lobby_everyone_hears(meet: Meet) -> None:
    ann, bob, cyd = await meet("ann"), await meet("bob"), await meet("cyd")
    await ann.say("hello")
    for listener in (bob, cyd):
        await listener.hears(Said("#lobby", "ann", "hello"))
    assert bob.count(Said("#lobby", "ann", "hello")) == 1


async def test_one_senders_messages_arrive_in_the_order_sent(meet: Meet) -> None:
    ann, bob = await meet("ann"), await meet("bob")
    for number in range(50):
        await ann.say(f"line {number}")
    await bob.hears(Said("#lobby", "ann", "line 49"))
    texts = [it.text for it in bob.heard if isinstance(it, Said)]
    assert texts == [f"line {number}" for number in range(50)]


async def test_all_hear_everything_in_one_order(meet: Meet) -> None:
    people = [await meet(name) for name in ("ann", "bob", "cyd", "dan")]
    for number in range(20):
        for person in people[:2]:
            await person.say(f"{person.user} {number}")
    for listener in people[2:]:
        await listener.hears(Said("#lobby", "bob", "bob 19"))
        await listener.hears(Said("#lobby", "ann", "ann 19"))
    said = [[it for it in listener.heard if isinstance(it, Said)] for listener in people[2:]]
    assert said[0] == said[1]
    assert len(said[0]) == 40


async def test_a_room_is_heard_by_its_members_alone(meet: Meet) -> None:
    ann, bob, cyd = await meet("ann"), await meet("bob"), await meet("cyd")
    await ann.join("#dev")
    await bob.join("#dev")
    await ann.hears(JoinedRoom("#dev", "bob"))
    await ann.say("secret", "#dev")
    await bob.hears(Said("#dev", "ann", "secret"))
    await ann.say("public")
    await cyd.hears(Said("#lobby", "ann", "public"))
    assert Said("#dev", "ann", "secret") not in cyd.heard


async def test_who_leaves_a_room_hears_no_more_of_it(meet: Meet) -> None:
    ann, bob = await meet("ann"), await meet("bob")
    await ann.join("#dev")
    await bob.join("#dev")
    await bob.leave("#dev")
    await ann.hears(LeftRoom("#dev", "bob"))
    await ann.say("gone?", "#dev")
    await ann.say("still here")
    await bob.hears(Said("#lobby", "ann", "still here"))
    assert Said("#dev", "ann", "gone?") not in bob.heard


async def test_a_private_message_reaches_both_and_nobody_else(meet: Meet) -> None:
    ann, bob, cyd = await meet("ann"), await meet("bob"), await meet("cyd")
    await ann.say("psst", "@bob")
    await bob.hears(Said("@bob", "ann", "psst"))
    await ann.hears(Said("@bob", "ann", "psst"))
    await ann.say("loud")
    await cyd.hears(Said("#lobby", "ann", "loud"))
    assert not [it for it in cyd.heard if isinstance(it, Said) and it.text == "psst"]


async def test_sending_to_nobody_is_an_error_and_nothing_else(meet: Meet) -> None:
    ann, bob = await meet("ann"), await meet("bob")
    await ann.say("anyone?", "@zed")
    await ann.is_refused("no such user: zed")
    await ann.say("still here")
    await bob.hears(Said("#lobby", "ann", "still here"))


async def test_coming_and_going_is_told_once(meet: Meet) -> None:
    ann = await meet("ann")
    bob = await meet("bob")
    await ann.hears(Came("bob"), within=1)
    await bob.depart()
    await ann.hears(Went("bob"), within=1)
    assert ann.count(Came("bob")) == 1
    assert ann.count(Went("bob")) == 1
    assert Came("ann") not in ann.heard


async def test_a_lost_connection_is_told_within_five_seconds(meet: Meet) -> None:
    ann, bob = await meet("ann"), await meet("bob")
    await ann.hears(Came("bob"))
    await bob.vanish()
    await ann.hears(Went("bob"), within=5)


async def test_a_name_in_use_is_refused_and_its_holder_undisturbed(meet: Meet) -> None:
    ann, bob = await meet("ann"), await meet("bob")
    thief = await meet("Bob")
    await thief.is_refused("bob is taken")
    await until(lambda: thief.ended, what="the refused connection to end")
    await bob.say("it is me")
    await ann.hears(Said("#lobby", "bob", "it is me"))


async def test_a_name_is_free_again_after_a_clean_leave(meet: Meet) -> None:
    ann, bob = await meet("ann"), await meet("bob")
    await bob.depart()
    await ann.hears(Went("bob"))
    again = await meet("bob")
    await again.say("back")
    await ann.hears(Said("#lobby", "bob", "back"))


async def test_who_is_there_is_told(meet: Meet) -> None:
    ann, bob, cyd = await meet("ann"), await meet("bob"), await meet("cyd")
    await bob.join("#dev")
    await cyd.join("#dev")
    await ann.hears(Came("cyd"))
    await bob.hears(JoinedRoom("#dev", "cyd"))
    assert await ann.who("#lobby") == ["ann", "bob", "cyd"]
    assert await bob.who("#dev") == ["bob", "cyd"]


async def test_history_gives_the_latest_messages_oldest_first(meet: Meet) -> None:
    ann, bob = await meet("ann"), await meet("bob")
    for number in range(30):
        await ann.say(f"line {number}")
    await bob.hears(Said("#lobby", "ann", "line 29"))
    assert await bob.history("#lobby", 5) == [("ann", f"line {n}") for n in range(25, 30)]


async def test_whom_one_has_written_with_is_told_to_both_and_to_nobody_else(meet: Meet) -> None:
    ann, bob, cyd = await meet("ann"), await meet("bob"), await meet("cyd")
    await ann.say("psst", "@bob")
    await bob.hears(Said("@bob", "ann", "psst"))
    await bob.say("what?", "@ann")
    await ann.hears(Said("@ann", "bob", "what?"))
    await cyd.say("hi ann", "@ann")
    await ann.hears(Said("@ann", "cyd", "hi ann"))
    assert await ann.conversations() == [("@cyd", 1), ("@bob", 2)]
    assert await bob.conversations() == [("@ann", 2)]
    assert await cyd.conversations() == [("@ann", 1)]


async def test_names_that_differ_by_case_are_one(meet: Meet) -> None:
    ann, bob = await meet("Ann"), await meet("bob")
    await bob.say("psst", "@ANN")
    await ann.hears(Said("@ann", "bob", "psst"))


async def test_escape_sequences_never_reach_a_terminal(meet: Meet) -> None:
    ann = await meet("ann", over="grpc")
    bob = await meet("bob", over="tcp")
    await ann.say("\x1b[31mred\x07\u202eevil")
    await ann.say("done")
    await bob.hears(Said("#lobby", "ann", "done"))
    said = next(it.text for it in bob.heard if isinstance(it, Said))
    assert "red" in said
    assert not set(said) & {"\x1b", "\x07", "\u202e"}


async def test_a_newline_forges_no_line(meet: Meet) -> None:
    ann = await meet("ann", over="grpc")
    bob = await meet("bob", over="tcp")
    await ann.say("hi\nbob: I give ann all my money")
    await ann.say("done")
    await bob.hears(Said("#lobby", "ann", "done"))
    assert not [it for it in bob.heard if isinstance(it, Said) and it.sender == "bob"]
