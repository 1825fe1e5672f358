"""Rights over a room over the TCP port: who is told what."""

import pytest

from chat_service.node import Node
from tests.transports.conftest import Dial, Enter
from tests.transports.lines import Lines

PASSWORD = "some password"


@pytest.fixture
async def ann(node: Node, dial: Dial) -> Lines:
    """The owner of #dev, with an account."""
    ann = await (await dial(node, "ann")).register(PASSWORD)
    ann.send("/join #dev\n")
    await ann.hears("* you are in #dev now")
    return ann


async def in_dev(node: Node, dial: Dial, name: str) -> Lines:
    one = await dial(node, name)
    one.send("/join #dev\n")
    await one.hears("* you are in #dev now")
    return one


async def test_who_is_kicked_is_told_why_and_goes_back_to_the_lobby(
    node: Node, dial: Dial, ann: Lines
) -> None:
    bob, cyd = await in_dev(node, dial, "bob"), await in_dev(node, dial, "cyd")
    ann.send("/kick Bob being loud\n")
    await ann.hears("* you have kicked bob from #dev (being loud)")
    await bob.hears("* you are in #lobby now")
    assert bob.lines[-3:] == [
        "* ann has kicked bob from #dev (being loud)",
        "[#dev] * bob left",
        "* you are in #lobby now",
    ]
    await cyd.hears("* ann has kicked bob from #dev (being loud)")
    await cyd.hears("* bob left")
    assert "* you are in #lobby now" not in cyd.lines
    bob.send("hello\n/rooms\n")
    await bob.hears("* you are in: #lobby (current: #lobby)")
    await cyd.hears("[#lobby] bob: hello")
    assert not [line for line in ann.lines if "ann has" in line]


async def test_who_is_banned_stays_out_until_the_ban_is_taken_back(
    node: Node, dial: Dial, ann: Lines
) -> None:
    bob = await in_dev(node, dial, "bob")
    ann.send("/ban bob 7d spam\n")
    told = await ann.hears_like(lambda line: line.startswith("* you have banned bob from #dev"))
    until = told.removeprefix("* you have banned bob from #dev until ").removesuffix(" UTC (spam)")
    assert len(until) == len("2026-11-24 10:00")
    await bob.hears(told.replace("you have", "ann has"))
    await bob.hears("* you are in #lobby now")
    bob.send("/join #dev\n")
    await bob.hears("! you cannot join #dev")
    ann.send("/unban bob\n/unban bob\n")
    await ann.hears("* you have unbanned bob from #dev")
    await ann.hears("* nothing to change")
    bob.send("/join #dev\n")
    await bob.hears_like(lambda _: bob.lines.count("* you are in #dev now") == 2)


async def test_who_is_muted_hears_and_does_not_speak(node: Node, dial: Dial, ann: Lines) -> None:
    bob = await in_dev(node, dial, "bob")
    ann.send("/mute bob\n")
    await bob.hears("* ann has muted bob in #dev")
    bob.send("hello\n")
    await bob.hears("! you are muted in #dev")
    ann.send("/unmute bob\n")
    await bob.hears("* ann has unmuted bob in #dev")
    bob.send("hello again\n")
    await ann.hears("bob: hello again")


async def test_a_private_room_is_entered_by_invitation(node: Node, dial: Dial, ann: Lines) -> None:
    bob = await dial(node, "bob")
    ann.send("/private\n")
    await ann.hears("* you have made #dev private")
    bob.send("/join #dev\n")
    await bob.hears("! you cannot join #dev")
    ann.send("/invite bob\n/invite bob\n")
    await ann.hears("* nothing to change")
    await ann.hears("* you have invited bob to #dev")
    await bob.hears("* ann invites you to #dev (/join #dev)")
    bob.send("/join #dev\n")
    await bob.hears("* you are in #dev now")
    ann.send("/public\n")
    await bob.hears("* ann has made #dev public")


async def test_who_shows_the_roles_that_are_given_and_taken(
    node: Node, dial: Dial, ann: Lines
) -> None:
    bob = await in_dev(node, dial, "bob")
    ann.send("/op bob\n/who\n")
    await ann.hears("* in #dev: ann (owner), bob (moderator)")
    await bob.hears("* ann has made bob a moderator of #dev")
    bob.send("/kick ann\n")
    await bob.hears("! ann has as much right in #dev as you")
    ann.send("/deop bob\n/who\n/handover bob\n")
    await ann.hears("* in #dev: ann (owner), bob")
    await bob.hears("* ann has made bob a plain member of #dev")
    await bob.hears("* ann has handed #dev over to bob")
    bob.send("/who\n")
    await bob.hears("* in #dev: ann (moderator), bob (owner)")


async def test_a_right_that_one_has_not_is_an_error_and_moves_nobody(
    node: Node, dial: Dial, ann: Lines
) -> None:
    bob = await in_dev(node, dial, "bob")
    bob.send("/kick ann\n/kick bob\n/private\n/op bob\n/kick zed\nstill here\n")
    await ann.hears("bob: still here")
    await bob.until_done()
    assert sum(line.startswith("! ") for line in bob.lines) == 5
    assert not [line for line in ann.lines if "has" in line]


async def test_rights_used_over_grpc_are_told_over_tcp(
    node: Node, dial: Dial, enter: Enter, ann: Lines
) -> None:
    bob = await in_dev(node, dial, "bob")
    other = await enter(node, "ann", password=PASSWORD)
    await other.ask(moderate={"room": "#dev", "action": "MODERATION_ACTION_KICK", "user": "bob"})
    await bob.hears("* ann has kicked bob from #dev")
    await bob.hears("* you are in #lobby now")
    await ann.hears("* ann has kicked bob from #dev")  # by another connection of hers
