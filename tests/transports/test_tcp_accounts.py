"""Accounts over the TCP port: names that take a password, and how they get one."""

import asyncio
import logging
from pathlib import Path

import pytest

from chat_service.core import limits
from chat_service.core.bucket import Rate
from chat_service.node import Node
from tests.auth.issuer import SECRET, sign, write
from tests.conftest import StartNode
from tests.transports.conftest import Dial, Enter
from tests.transports.lines import PROMPT
from tests.waiting import until

PASSWORD = " pass wörd 1"
WRONG = "! wrong name or password"
ASKED = "* password for bob?"
REGISTERED = "! bob is registered: a password or a token is needed"
DONE = "* bob is registered now: the name takes your password from here on"
WILL_ECHO, WONT_ECHO = b"\xff\xfb\x01", b"\xff\xfc\x01"


@pytest.fixture
async def bobs_node(node: Node, dial: Dial) -> Node:
    """A node on which bob has an account, and is not there."""
    bob = await (await dial(node, "bob")).register(PASSWORD)
    bob.send("/quit\n")
    await bob.until_ended()
    return node


async def test_register_leave_and_come_back_with_the_password(node: Node, dial: Dial) -> None:
    bob = await dial(node, "bob")
    bob.send("/register\n")
    await bob.hears("* new password?")
    bob.send(f"{PASSWORD}\n")
    await bob.hears("* new password, once more?")
    bob.send(f"{PASSWORD}\n")
    await bob.hears(DONE)
    bob.send("/quit\n")
    await bob.until_ended()
    again = await dial(node)
    await again.sign_in("bob", PASSWORD)
    assert again.lines[:2] == [PROMPT, REGISTERED]
    assert again.lines[2:4] == [ASKED, ""]


async def test_telnet_is_told_to_hide_the_password_and_nothing_else(
    bobs_node: Node, dial: Dial
) -> None:
    bob = await dial(bobs_node)
    await bob.sign_in("bob", PASSWORD)
    await bob.until_done()
    odd = [line for line in bob.raw.split(b"\n") if b"\xff" in line]
    assert odd == [WILL_ECHO + WONT_ECHO]


async def test_a_script_may_send_name_password_and_lines_in_one_packet(
    bobs_node: Node, dial: Dial
) -> None:
    ann, bob = await dial(bobs_node, "ann"), await dial(bobs_node)
    bob.send(f"bob\n{PASSWORD}\nhello\nlast words")
    bob.end_input()
    await bob.until_ended()
    await ann.hears("bob: last words")
    assert [line for line in ann.lines if line.startswith("bob:")] == [
        "bob: hello",
        "bob: last words",
    ]


async def test_a_script_may_end_with_the_password(bobs_node: Node, dial: Dial) -> None:
    bob = await dial(bobs_node)
    bob.send(f"bob\n{PASSWORD}")
    bob.end_input()
    await bob.until_ended()
    assert bob.lines[-1].startswith("* welcome, bob")


async def test_the_third_wrong_password_is_the_last(bobs_node: Node, dial: Dial) -> None:
    thief = await dial(bobs_node)
    thief.send("bob\n")
    thief.send("wrong\n" * 5)
    await thief.until_ended(within=20)
    assert not thief.reset
    asked = [ASKED, "", WRONG]
    assert thief.lines == [PROMPT, REGISTERED, *asked, *asked, *asked, "* bye"]
    assert thief.raw.count(WILL_ECHO) == thief.raw.count(WONT_ECHO) == 3


async def test_a_password_is_typed_at_leisure(
    bobs_node: Node, dial: Dial, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "HELLO_TIMEOUT", 0.2)
    bob, silent = await dial(bobs_node), await dial(bobs_node)
    bob.send("bob\n")
    await silent.until_ended()  # it came later, and its time is up already
    bob.send(f"{PASSWORD}\n")
    await bob.hears_like(lambda line: line.startswith("* welcome, bob"))


async def test_an_empty_line_goes_back_to_the_name(bobs_node: Node, dial: Dial) -> None:
    ann = await dial(bobs_node)
    ann.send("bob\n\nann\n")
    await ann.hears_like(lambda line: line.startswith("* welcome, ann"))
    assert ann.lines[:6] == [PROMPT, REGISTERED, ASKED, "", "! no password was given", PROMPT]


async def test_a_guest_needs_no_password(bobs_node: Node, dial: Dial) -> None:
    ann = await dial(bobs_node, "ann")
    await ann.until_done()
    assert not {0xFF, ord("\r")} & set(ann.raw)


async def test_login_tells_nothing_of_who_has_an_account(bobs_node: Node, dial: Dial) -> None:
    told = []
    for name in ("bob", "zed"):
        stray = await dial(bobs_node)
        stray.send(f"/login {name}\n")
        await stray.hears(f"* password for {name}?")
        stray.send("wrong\n")
        await stray.hears(WRONG)
        stray.send("\n")
        await stray.hears("! no password was given")
        told.append([line.replace(name, "NAME") for line in stray.lines])
    asked = "* password for NAME?"
    assert told[0] == told[1]
    assert told[0][:6] == [PROMPT, asked, "", WRONG, asked, ""]


async def test_login_lets_one_in_at_the_name(bobs_node: Node, dial: Dial) -> None:
    bob = await dial(bobs_node)
    bob.send(f"/login bob\n{PASSWORD}\n")
    await bob.hears_like(lambda line: line.startswith("* welcome, bob"))


async def test_login_in_an_open_session_begins_another(bobs_node: Node, dial: Dial) -> None:
    cyd, ann = await dial(bobs_node, "cyd"), await dial(bobs_node, "ann")
    ann.send(f"/join #dev\nhello\n/login bob\n{PASSWORD}\nand again\n/rooms\n")
    await ann.hears("* you are in: #lobby (current: #lobby)")
    # That she has left is told to him when it is due, which may be before he is told the rest.
    assert [line for line in ann.lines if line != "* ann left"][-4:] == [
        "* password for bob?",
        "",
        "* welcome, bob: you are in #lobby (/help lists the commands)",
        "* you are in: #lobby (current: #lobby)",
    ]
    await cyd.hears("bob: and again")
    await cyd.hears("* ann left")
    assert len(bobs_node.hub.registry) == 2
    late = await dial(bobs_node, "ann")  # whose name is free
    late.send("/who\n")
    await late.hears("* in #lobby: ann, bob, cyd")


async def test_a_login_with_a_wrong_password_is_asked_again(bobs_node: Node, dial: Dial) -> None:
    ann = await dial(bobs_node, "ann")
    ann.send("/login bob\nwrong\n")
    await ann.hears(WRONG)
    ann.send(f"{PASSWORD}\n")
    await ann.hears_like(lambda line: line.startswith("* welcome, bob"))


async def test_a_script_may_log_in_at_its_end(bobs_node: Node, dial: Dial) -> None:
    ann = await dial(bobs_node, "ann")
    ann.send(f"/login bob\n{PASSWORD}\n/login bob\n{PASSWORD}")
    ann.end_input()
    await ann.until_ended()
    assert sum(line.startswith("* welcome, bob") for line in ann.lines) == 2
    await until(lambda: len(bobs_node.hub.registry) == 0, what="the sessions to be gone")


async def test_who_does_not_read_is_let_go_at_a_login(
    bobs_node: Node, dial: Dial, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("chat_service.transports.tcp.LINGER", 0.3)
    stuck = await dial(bobs_node, "ann")
    stuck.pause_reading()
    stuck.send("/help\n" * 4000 + f"/login bob\n{PASSWORD}\n")
    await until(lambda: len(bobs_node.hub.registry) == 0, within=10, what="ann to be gone")


async def test_a_login_counts_as_a_connection(start_node: StartNode, dial: Dial) -> None:
    node = await start_node(rate_connects=Rate(0.001, 3))
    guest = await dial(node, "guest")
    for i in range(3):
        guest.send(f"/login zed\nwrong\n\nguest{i}\n")
    await guest.until_ended()
    assert guest.lines[-1].startswith("! too many connections from your address")
    assert "* welcome, guest1: you are in #lobby (/help lists the commands)" in guest.lines
    assert not guest.reset


async def test_two_connections_of_one_account_hear_the_same_and_each_other(
    bobs_node: Node, dial: Dial
) -> None:
    ann = await dial(bobs_node, "ann")
    bobs = [await (await dial(bobs_node)).sign_in("bob", PASSWORD) for _ in range(2)]
    ann.send("hello\n/msg bob psst\n")
    for bob in bobs:
        await bob.hears("ann: hello")
        await bob.hears("[ann -> you] psst")
    bobs[0].send("from the first\n/msg ann from the first as well\n")
    await bobs[1].hears("bob: from the first")
    await bobs[1].hears("[you -> ann] from the first as well")
    await bobs[0].until_done()
    assert "bob: from the first" not in bobs[0].lines
    bobs[0].send("/join #dev\n/quit\n")
    await bobs[0].until_ended()
    await bobs[1].hears("[#dev] * bob joined")
    bobs[1].send("/rooms\n/leave #dev\n/rooms\n")
    await bobs[1].hears("* you are in: #lobby, #dev (current: #lobby)")
    await bobs[1].hears("* you left #dev")
    assert "* bob left" not in ann.lines


async def test_leaving_a_room_on_one_connection_brings_the_other_back_to_the_lobby(
    bobs_node: Node, dial: Dial
) -> None:
    bobs = [await (await dial(bobs_node)).sign_in("bob", PASSWORD) for _ in range(2)]
    for bob in bobs:
        bob.send("/join #dev\n")
        await bob.hears("* you are in #dev now")
    bobs[0].send("/leave\n")
    await bobs[0].hears("* you left #dev; you are in #lobby now")
    await bobs[1].hears("* you are in #lobby now")
    await bobs[0].until_done()
    assert "* you are in #lobby now" not in bobs[0].lines


async def test_what_was_said_to_an_account_while_it_was_away_is_told(
    bobs_node: Node, dial: Dial
) -> None:
    ann = await dial(bobs_node, "ann")
    ann.send("/join #dev\n/invite bob\n/msg bob come over\n")
    await ann.hears("[you -> bob] come over")
    bob = await (await dial(bobs_node)).sign_in("bob", PASSWORD)
    await bob.hears("[ann -> you] come over")
    await bob.hears("* ann invites you to #dev (/join #dev)")


async def test_another_password_takes_the_place_of_the_old_one(bobs_node: Node, dial: Dial) -> None:
    bob = await (await dial(bobs_node)).sign_in("bob", PASSWORD)
    other = await (await dial(bobs_node)).sign_in("bob", PASSWORD)
    bob.send("/password\nwrong\nanother one\nanother one\n")
    await bob.hears(WRONG)
    bob.send(f"/password\n{PASSWORD}\nanother one\nanother one\n")
    await bob.hears("* your password is changed")
    await other.until_ended()
    assert other.lines[-1] == "* your sign-in is no longer good; sign in again"
    await bob.until_done()
    bob.send("/quit\n")
    await bob.until_ended()
    await (await dial(bobs_node)).sign_in("bob", "another one")


async def test_a_password_that_cannot_be_one_is_refused(node: Node, dial: Dial) -> None:
    bob = await dial(node, "bob")
    bob.send("/register\nshort\nshort\n/register\none password\nanother one\n")
    await bob.hears("! the two are not the same: nothing was changed")
    assert [line for line in bob.lines if "password" in line and line.startswith("! a ")]
    assert not [line for line in bob.lines if "short" in line or "another one" in line]


async def test_a_name_is_registered_once(bobs_node: Node, dial: Dial) -> None:
    bob = await (await dial(bobs_node)).sign_in("bob", PASSWORD)
    bob.send("/register\nanother one\nanother one\n")
    await bob.hears("! the name bob is registered")


async def test_where_registration_is_closed_nobody_registers(
    start_node: StartNode, dial: Dial
) -> None:
    bob = await dial(await start_node(registration="closed"), "bob")
    bob.send("/register\nsome password\nsome password\n")
    await bob.hears("! registration is closed: ask an admin for an account")


async def test_where_only_accounts_are_let_in_every_name_takes_a_password(
    start_node: StartNode, dial: Dial
) -> None:
    zed = await dial(await start_node(auth="registered"))
    zed.send("zed\n")
    await zed.hears("* password for zed?")
    zed.send("whatever\n")
    await zed.hears(WRONG)


async def test_where_only_accounts_are_let_in_one_is_made_in_the_place_of_the_name(
    start_node: StartNode, dial: Dial
) -> None:
    zed = await dial(await start_node(auth="registered"))
    zed.send("zed\n")
    await zed.hears("* password for zed?")
    zed.send("\n/register Zed\n")
    await zed.hears("* new password?")
    zed.send(f"{PASSWORD}\n")
    await zed.hears("* new password, once more?")
    zed.send(f"{PASSWORD}\n")
    await zed.hears_like(lambda line: line.startswith("* welcome, zed"))
    assert zed.lines[1:3] == [
        "! a password or a token is needed",
        "* no account yet? answer with an empty line, then make one by /register zed",
    ]
    assert DONE.replace("bob", "zed") in zed.lines
    zed.send("/password\n")
    await zed.hears("* old password?")  # which an account has


async def test_a_script_may_make_its_account_and_speak_in_one_packet(
    start_node: StartNode, dial: Dial
) -> None:
    node = await start_node(auth="registered")
    for name, said in (("ann", ""), ("bob", "hello\n")):
        person = await dial(node)
        person.send(f"/register {name}\n{PASSWORD}\n{PASSWORD}\n{said}")
        await person.hears_like(lambda line, name=name: line.startswith(f"* welcome, {name}"))  # type: ignore[misc]
        if name == "ann":
            ann = person
    await ann.hears("bob: hello")
    assert not [line for line in ann.lines if PASSWORD in line]


async def test_nobody_without_an_account_is_invited_to_make_one_where_that_cannot_be(
    start_node: StartNode, dial: Dial
) -> None:
    zed = await dial(await start_node(auth="registered", registration="closed"))
    zed.send("zed\n")
    await zed.hears("* password for zed?")
    assert zed.lines == [PROMPT, "! a password or a token is needed", "* password for zed?"]
    zed.send(f"\n/register zed\n{PASSWORD}\n{PASSWORD}\n")
    await zed.hears("! registration is closed: ask an admin for an account")
    await zed.until_ended()
    assert "* new password?" not in zed.lines


async def test_no_account_is_made_of_a_name_that_another_has(bobs_node: Node, dial: Dial) -> None:
    ann = await dial(bobs_node, "ann")
    thief = await dial(bobs_node)
    thief.send(f"/register bob\n{PASSWORD}\n{PASSWORD}\n")
    await thief.until_ended()
    assert thief.lines[-2:] == ["! the name bob is registered", "* bye"]
    thief = await dial(bobs_node)
    thief.send(f"/register ann\n{PASSWORD}\n{PASSWORD}\n")
    await thief.until_ended()
    assert thief.lines[-2:] == ["! the name ann is taken", "* bye"]
    await ann.until_done()
    assert not [line for line in ann.lines if PASSWORD in line]


async def test_who_makes_an_account_has_time_for_it_but_not_for_ever(
    node: Node, dial: Dial, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "PASSWORD_TIMEOUT", 0.5)
    zed = await dial(node)
    async with asyncio.timeout(10):
        while not zed.ended:
            zed.send("/register zed\n\n")
            await asyncio.sleep(0.1)
    assert zed.lines.count("* new password?") > 6
    assert zed.lines[-2].startswith("! you have not said who you are")


@pytest.mark.parametrize("command", ["/register", "/password"])
async def test_nothing_is_asked_that_comes_to_nothing_and_no_answer_is_said_to_anybody(
    bobs_node: Node, dial: Dial, command: str
) -> None:
    ann = await dial(bobs_node, "ann")
    person = await (await dial(bobs_node)).sign_in("bob", PASSWORD)
    why = "! the name bob is registered"
    if command == "/password":
        person, why = await dial(bobs_node, "gus"), "! gus is a guest's name, which has no password"
    count = {"/register": 2, "/password": 3}[command]
    person.send(f"{command}\n" + f"{PASSWORD}\n" * count + "hello\n")
    await person.hears(why)
    await ann.hears_like(lambda line: line.endswith(": hello"))
    assert not [line for line in ann.lines if PASSWORD in line]
    assert not [line for line in person.lines if line.startswith(("* new", "* old"))]


async def test_where_others_sign_tokens_a_token_is_asked_for(
    start_node: StartNode, dial: Dial, tmp_path: Path
) -> None:
    node = await start_node(auth="token", jwt_secret=write(tmp_path / "secret", SECRET))
    bob = await dial(node)
    bob.send("bob\n")
    await bob.hears("* token for bob?")
    bob.send(sign(SECRET, "HS256") + "\n")
    await bob.hears_like(lambda line: line.startswith("* welcome, bob"))
    bob.send("/password\n")
    await bob.hears("! the account of bob has no password")
    bob.send("/register\n")
    await bob.hears("! accounts come from elsewhere here: bring a signed token")
    other = await dial(node)
    other.send("/login bob\n")
    await other.hears("* token for bob?")


async def test_what_is_typed_for_a_password_is_said_to_nobody(
    node: Node, dial: Dial, enter: Enter, caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    caplog.set_level(logging.DEBUG)
    ann, bob = await dial(node, "ann"), await dial(node, "bob")
    bob.send("/register\n")
    await bob.hears("* new password?")
    ann.send("hello bob\n")
    await bob.hears("ann: hello bob")
    bob.send("s3cret s3cret\n/quit s3cret\n/register\ns3cret s3cret\ns3cret s3cret\n")
    await bob.hears(DONE)
    bob.send("/login ann\ns3cret\ns3cret\n\n\nbob\ns3cret s3cret\nbye\n")
    await ann.hears("bob: bye")
    said = "\n".join([*ann.lines, *bob.lines, caplog.text, *capfd.readouterr()])
    assert "s3cret" not in said
