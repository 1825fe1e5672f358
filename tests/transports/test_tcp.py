"""The TCP port: how bytes come apart into lines, and how a connection ends."""

import pytest

from chat_service.core import limits
from chat_service.node import Node
from chat_service.wire.telnet import MAX_LINE_BYTES
from tests.conftest import StartNode
from tests.transports.conftest import Dial, Enter
from tests.transports.lines import PROMPT
from tests.waiting import until

# --- from bytes to lines ---


async def test_a_line_may_come_in_any_number_of_packets(node: Node, dial: Dial) -> None:
    bob, ann = await dial(node, "bob"), await dial(node)
    await ann.send_apart(b"a", b"nn", b"\n", b"hel", b"lo \xc3", b"\xa9", b"t\xc3\xa9\r", b"\n")
    await bob.hears("ann: hello été")


async def test_a_packet_may_hold_many_lines(node: Node, dial: Dial) -> None:
    bob, ann = await dial(node, "bob"), await dial(node)
    ann.send("ann\n" + "".join(f"line {i}\n" for i in range(500)))
    await bob.hears("ann: line 499")
    said = [line for line in bob.lines if line.startswith("ann: ")]
    assert said == [f"ann: line {i}" for i in range(500)]


async def test_a_line_may_end_in_crlf(node: Node, dial: Dial) -> None:
    bob, ann = await dial(node, "bob"), await dial(node)
    ann.send("ann\r\nhello\r\n/join #dev\r\n")
    await bob.hears("ann: hello")
    await ann.hears("* you are in #dev now")


async def test_the_last_line_needs_no_end(node: Node, dial: Dial) -> None:
    bob, ann = await dial(node, "bob"), await dial(node)
    ann.send("ann\nhello")
    ann.end_input()
    await bob.hears("ann: hello")
    await ann.until_ended()
    await bob.hears("* ann left")


async def test_a_name_alone_needs_no_end_either(node: Node, dial: Dial) -> None:
    ann = await dial(node)
    ann.send("ann")
    ann.end_input()
    await ann.until_ended()
    assert ann.lines[1].startswith("* welcome, ann")


async def test_empty_lines_are_nothing(node: Node, dial: Dial) -> None:
    bob, ann = await dial(node, "bob"), await dial(node)
    ann.send("\n\r\n  \nann\n\n \t \n\r\nhello\n")
    await bob.hears("ann: hello")
    assert not [line for line in ann.lines if line.startswith("!")]


@pytest.mark.parametrize("size", [MAX_LINE_BYTES + 1, 1 << 20])
async def test_too_long_a_line_is_refused_whole_and_the_next_is_heard(
    node: Node, dial: Dial, size: int
) -> None:
    bob, ann = await dial(node, "bob"), await dial(node, "ann")
    ann.send("x" * size + "\nhello\n")
    await ann.hears(f"! a line has at most {MAX_LINE_BYTES} bytes")
    await bob.hears("ann: hello")
    assert not [line for line in bob.lines if "xxx" in line]


async def test_the_longest_text_fits_behind_any_command(node: Node, dial: Dial) -> None:
    bob, ann = await dial(node, "bob"), await dial(node, "ann")
    text = "é" * (limits.MAX_TEXT_BYTES // 2)
    ann.send(f"/msg bob {text}\n{text}\n{text}é\n")
    await bob.hears(f"[ann -> you] {text}")
    await bob.hears(f"ann: {text}")
    await ann.hears(f"! a text has at most {limits.MAX_TEXT_BYTES} bytes")


async def test_invalid_utf8_is_refused_and_the_next_line_is_heard(node: Node, dial: Dial) -> None:
    bob, ann = await dial(node, "bob"), await dial(node, "ann")
    ann.send(b"\xc3\x28\nhello\n")
    await ann.hears("! not valid UTF-8")
    await bob.hears("ann: hello")


async def test_an_invalid_utf8_name_is_asked_for_again(node: Node, dial: Dial) -> None:
    ann = await dial(node)
    await ann.send_apart(b"\xc3\x28\n", b"ann\n")
    await ann.hears_like(lambda line: line.startswith("* welcome, ann"))
    assert ann.lines[:3] == [PROMPT, "! not valid UTF-8", PROMPT]


async def test_nuls_are_dropped(node: Node, dial: Dial) -> None:
    bob, ann = await dial(node, "bob"), await dial(node)
    ann.send(b"a\0nn\0\nhe\0llo\r\0bye\n")
    await bob.hears("ann: hello")
    await bob.hears("ann: bye")


async def test_what_telnet_negotiates_is_no_text(node: Node, dial: Dial) -> None:
    bob, ann = await dial(node, "bob"), await dial(node)
    await ann.send_apart(
        b"\xff\xfd\x03\xff\xfb", b"\x18", b"ann\r\n", b"he\xff\xfallo\xff", b"\xf0llo\r\n"
    )
    await bob.hears("ann: hello")


@pytest.mark.parametrize(
    "noise",
    [
        b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0\0",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(range(256)) * 2,
        bytes(range(256)) * 1000,
        b"\n" * 100_000,
    ],
    ids=["HTTP", "HTTP/2", "TLS", "every byte", "line ends"],
)
async def test_other_protocols_and_noise_disturb_nobody(
    node: Node, dial: Dial, noise: bytes
) -> None:
    bob, cyd = await dial(node, "bob"), await dial(node, "cyd")
    stray = await dial(node)
    stray.send(noise)
    stray.end_input()
    bob.send("still here\n")
    await cyd.hears("bob: still here")
    await stray.until_ended()
    await until(lambda: len(node.hub.registry) == 2, what="the stray session to be gone")


# --- who is let in, and how it ends ---


async def test_the_first_thing_said_is_a_question(node: Node, dial: Dial) -> None:
    ann = await dial(node)
    await ann.hears(PROMPT)
    assert ann.lines == [PROMPT]


@pytest.mark.parametrize("name", ["two words", "#room", "@ann", "a/b", "x" * 33, "-", "\x1b[31m"])
async def test_a_name_against_the_grammar_is_refused_and_the_connection_closed(
    node: Node, dial: Dial, name: str
) -> None:
    ann = await dial(node)
    ann.send(f"{name}\nhello?\n")
    await ann.until_ended()
    assert not ann.reset
    assert ann.lines[1].startswith("! ")
    assert "\x1b" not in "".join(ann.lines)
    assert ann.lines[-1] == "* bye"
    await until(lambda: len(node.hub.registry) == 0, what="the session to be gone")


async def test_a_taken_name_is_refused_and_the_connection_closed(node: Node, dial: Dial) -> None:
    ann, thief = await dial(node, "ann"), await dial(node)
    thief.send("Ann\nhello\n")
    await thief.until_ended()
    assert not thief.reset
    assert thief.lines == [PROMPT, "! the name ann is taken", "* bye"]
    ann.send("/who\n")
    await ann.hears("* in #lobby: ann")


async def test_a_name_lost_with_its_connection_is_free_at_once(node: Node, dial: Dial) -> None:
    for _ in range(3):
        ann = await dial(node, "ann")
        ann.vanish()
        await until(lambda: len(node.hub.registry) == 0, what="ann to be missed")


async def test_who_leaves_and_comes_back_has_the_name_again(node: Node, dial: Dial) -> None:
    for _ in range(3):
        ann = await dial(node, "ann")
        ann.end_input()
        await ann.until_ended()


async def test_who_says_no_name_in_time_is_told_and_closed(
    node: Node, dial: Dial, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "HELLO_TIMEOUT", 0.2)
    silent = await dial(node)
    await silent.until_ended()
    assert silent.lines[1].startswith("! you have not said who you are")
    assert silent.lines[2:] == ["* bye"]


async def test_who_drips_an_endless_name_is_closed_as_well(
    node: Node, dial: Dial, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "HELLO_TIMEOUT", 0.3)
    slow = await dial(node)
    while not slow.ended:
        await slow.send_apart(b"a")
    assert slow.lines[1].startswith("! you have not said who you are")


async def test_a_client_that_only_listens_may_stay(
    node: Node, dial: Dial, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "HELLO_TIMEOUT", 0.2)
    ann = await dial(node, "ann")
    silent = await dial(node)
    await silent.until_ended()  # it came later, and its time is up already
    bob = await dial(node, "bob")
    bob.send("hello\n")
    await ann.hears("bob: hello")


async def test_a_full_server_says_so_and_closes(start_node: StartNode, dial: Dial) -> None:
    node = await start_node(max_sessions=1)
    ann, late = await dial(node, "ann"), await dial(node)
    await late.until_ended()
    assert late.lines == ["! the server is full (try again in 5 s)"]
    await ann.until_done()


async def test_everything_sent_before_the_end_of_input_is_executed_and_answered(
    node: Node, dial: Dial
) -> None:
    bob, ann = await dial(node, "bob"), await dial(node)
    lines = "".join(f"line {i}\n/msg nobody {i}\n" for i in range(300))
    ann.send(f"ann\n{lines}")
    ann.end_input()
    await ann.until_ended()
    assert ann.lines.count("! no such user: nobody") == 300
    await bob.hears("* ann left")
    assert [it for it in bob.lines if it.startswith("ann: ")] == [
        f"ann: line {i}" for i in range(300)
    ]


# --- commands ---


async def test_a_message_goes_to_the_current_room(node: Node, dial: Dial) -> None:
    ann, bob = await dial(node, "ann"), await dial(node, "bob")
    bob.send("/join #dev\n/join #lobby\n")
    await bob.until_done()
    ann.send("in the lobby\n/join #dev\nin dev\n/join #lobby\nin the lobby again\n")
    await bob.hears("ann: in the lobby again")
    said = [line for line in bob.lines if "ann" in line and "in" in line.split(": ")[-1]]
    assert said[-4:] == [
        "ann: in the lobby",
        "[#dev] * ann joined",
        "[#dev] ann: in dev",
        "ann: in the lobby again",
    ]


async def test_msg_reaches_one_user_and_is_echoed(node: Node, dial: Dial) -> None:
    ann, bob, cyd = [await dial(node, name) for name in ("ann", "bob", "cyd")]
    ann.send("/msg bob  psst, two  blanks\n/msg @bob again\n/msg bob\n/msg\nloud\n")
    await bob.hears("[ann -> you] psst, two  blanks")
    await bob.hears("[ann -> you] again")
    await ann.hears("[you -> bob] psst, two  blanks")
    await cyd.hears("ann: loud")
    assert not [line for line in cyd.lines if "psst" in line]
    assert ann.lines.count("! usage: /msg NAME text") == 2


async def test_join_makes_a_room_the_current_one_and_leave_goes_back_to_the_lobby(
    node: Node, dial: Dial
) -> None:
    ann, bob = await dial(node, "ann"), await dial(node, "bob")
    ann.send("/join #dev\n/leave\n/leave\n/leave #nowhere\n/join\n/join two words\nhello\n")
    await bob.hears("ann: hello")
    await ann.until_done()
    assert "* you are in #dev now" in ann.lines
    assert "* you left #dev; you are in #lobby now" in ann.lines
    assert "! nobody leaves #lobby" in ann.lines
    assert "! you are not in #nowhere" in ann.lines
    assert "! usage: /join #room" in ann.lines


async def test_who_rooms_and_help_tell_what_they_say(node: Node, dial: Dial) -> None:
    ann, _bob = await dial(node, "ann"), await dial(node, "bob")
    ann.send("/who\n/join #dev\n/who\n/rooms\n/help\n/quit\n")
    await ann.until_ended()
    assert "* in #lobby: ann, bob" in ann.lines
    assert "* in #dev: ann (owner)" in ann.lines
    assert "* you are in: #lobby, #dev (current: #dev)" in ann.lines
    for command in "/msg /join /leave /who /rooms /history /help /quit //text".split():
        assert [line for line in ann.lines if line.startswith(f"* {command}")], command
    assert ann.lines[-1] == "* bye"


async def test_history_shows_the_current_rooms_last_messages_oldest_first(
    node: Node, dial: Dial
) -> None:
    ann, bob = await dial(node, "ann"), await dial(node, "bob")
    ann.send("/history\n" + "".join(f"line {i}\n" for i in range(30)))
    await ann.hears("* nothing was said yet")
    await bob.hears("ann: line 29")
    cyd = await dial(node, "cyd")
    cyd.send("/history 3\n/rooms\n/history\n/history 0\n/history x\n/history -1\n/quit\n")
    await cyd.until_ended()
    said = [line for line in cyd.lines if line.startswith("ann: ")]
    assert said == [f"ann: line {i}" for i in (*range(27, 30), *range(10, 30))]
    assert cyd.lines.count("! usage: /history [N], with N from 1 on") == 3


async def test_two_slashes_say_one(node: Node, dial: Dial) -> None:
    ann, bob = await dial(node, "ann"), await dial(node, "bob")
    ann.send("//quit is a command\n///\n/nonsense\n/\n")
    await bob.hears("ann: /quit is a command")
    await bob.hears("ann: //")
    await ann.hears("! no such command: /nonsense (/help lists them)")
    await ann.hears("! no such command: / (/help lists them)")


async def test_quit_says_bye_and_closes(node: Node, dial: Dial) -> None:
    ann, bob = await dial(node, "ann"), await dial(node, "bob")
    ann.send("hello\n/quit\nnever said\n")
    await ann.until_ended()
    assert ann.lines[-1] == "* bye"
    await bob.hears("* ann left")
    assert [line for line in bob.lines if line.startswith("ann: ")] == ["ann: hello"]


async def test_an_own_message_is_not_repeated_to_who_sees_it_typed(node: Node, dial: Dial) -> None:
    ann, bob = await dial(node, "ann"), await dial(node, "bob")
    ann.send("hello\n")
    await bob.hears("ann: hello")
    await ann.until_done()
    assert "ann: hello" not in ann.lines


async def test_nothing_said_in_private_outlives_a_client_of_netcat(
    node: Node, dial: Dial, enter: Enter
) -> None:
    ann = await enter(node, "ann")
    bob = await dial(node, "bob")
    await ann.say("for the first", to="@bob")
    await bob.hears("[ann -> you] for the first")
    bob.send("/quit\n")
    await bob.until_ended()
    await ann.say("for nobody", to="@bob")
    bob = await dial(node, "bob")
    await ann.say("for the second", to="@bob")
    await bob.hears("[ann -> you] for the second")
    assert not [line for line in bob.lines if "for nobody" in line or "for the first" in line]
