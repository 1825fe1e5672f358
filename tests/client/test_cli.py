"""The `chat-client` command in a pipe, as a user runs it."""

import asyncio
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from chat.v1 import events_pb2
from chat_client import ChatClient

from .conftest import RealServer
from .program import Program, Start
from .scripted import PATIENCE, Peer, eventually, goodbye, message, serving


async def said(server: str, reader: str, count: int) -> list[str]:
    async with ChatClient(server, reader) as chat:
        page = await chat.history("#lobby", limit=count)
    return [event.message.text for event in page.events]


async def test_every_line_is_sent(start: Start, real_server: str) -> None:
    typed = [f"line {n}" for n in range(150)]
    status = await start(real_server, "liner").ended("\n".join(typed))
    assert status == (0, "", "")
    assert await said(real_server, "liner-reader", 150) == typed


async def test_without_input_it_leaves_at_once(start: Start, real_server: str) -> None:
    process = start(real_server, "null", stdin=subprocess.DEVNULL)
    assert await process.ended() == (0, "", "")


async def test_what_others_do_comes_as_lines(start: Start, real_server: str) -> None:
    process = start(real_server, "watcher", "--room", "#watched")
    async with ChatClient(real_server, "watched") as chat:
        await chat.join("#watched")
        async with asyncio.timeout(PATIENCE):
            while len(await chat.who("#watched")) < 2:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
        await chat.send("#watched", "one\ntwo\x1b[2J")
        await chat.send("@watcher", "psst")
        await chat.leave("#watched")
        printed = [await process.line()]
        while "left" not in printed[-1]:
            printed.append(await process.line())
    talk = [it for it in printed if "watched" in it or it.startswith("  ")]
    assert [it for it in talk if it != "* watched joined"] == [
        "watched: one",
        "  two␛[2J",
        "[watched -> you] psst",
        "* watched left",
    ]
    assert (await process.ended())[0] == 0


async def test_own_words_are_not_repeated_but_another_sessions_are(
    start: Start, real_server: str
) -> None:
    process = start(real_server, "twin")
    process.type("mine\n/msg twin note\n")
    assert await process.line() == "[you -> you] note"
    assert await process.ended("done") == (0, "", "")


async def test_slash_commands_work(start: Start, real_server: str) -> None:
    typed = "/join slashed\nhello\n//slash\n/who\n/rooms\n/history\n/leave\n/help\n"
    status, out, err = await start(real_server, "slasher").ended(typed)
    assert (status, err) == (0, "")
    assert out.splitlines()[:6] == [
        "* you are in #slashed now",
        "* in #slashed: slasher (owner)",
        "* you are in: #lobby, #slashed (current: #slashed)",
        "slasher: hello",
        "slasher: /slash",
        "* you left #slashed; you are in #lobby now",
    ]
    assert "/msg NAME text" in out


async def test_conversations_are_listed(start: Start, real_server: str) -> None:
    typed = "/conversations\n/msg lister a note\n/conversations\n"
    status, out, err = await start(real_server, "lister").ended(typed)
    assert (status, err) == (0, "")
    assert out.splitlines() == [
        "* nothing was said in private yet",
        "[you -> you] a note",
        "* with lister: 1 message",
    ]


async def test_quit_ends_it_before_the_input_does(start: Start, real_server: str) -> None:
    process = start(real_server, "quitter")
    process.type("/quit\n")
    assert await process.status() == 0


async def test_what_cannot_be_done_is_told_and_fails(start: Start, real_server: str) -> None:
    typed = "/msg nobody-ever hi\n/frobnicate\n/msg\n/history x\nfine\n"
    status, out, err = await start(real_server, "failer").ended(typed)
    assert (status, out) == (1, "")
    assert sorted(err.splitlines()) == [
        "! no such command: /frobnicate (/help lists them)",
        "! no such user: nobody-ever",
        "! usage: /history [N], with N from 1 on",
        "! usage: /msg NAME text",
    ]


async def test_lines_for_a_room_that_was_not_joined_go_nowhere(
    start: Start, real_server: str
) -> None:
    status, _, err = await start(real_server, "lost").ended("/join no,room\nsecret\n")
    assert status == 1
    assert len(err.splitlines()) == 2
    assert "secret" not in await said(real_server, "lost-reader", 50)


async def test_json_prints_every_event(start: Start, real_server: str) -> None:
    status, out, err = await start(real_server, "jason", "--json").ended(
        "hi\n/who\n/msg nobody-ever x\n"
    )
    assert status == 1
    assert err == "! no such user: nobody-ever\n"
    events = [json.loads(it) for it in out.splitlines()]
    assert events[0]["welcome"]["user"] == "jason"
    kinds = {kind for event in events for kind in event} - {"ref", "seq"}
    assert {"welcome", "ack", "message", "roster", "error"} <= kinds
    (own,) = [event for event in events if "message" in event]
    assert own["message"]["text"] == "hi"
    assert own["seq"] in [event["ack"]["seq"] for event in events if "ack" in event]


async def test_history_comes_first(start: Start, real_server: str) -> None:
    await start(real_server, "historian").ended("/join past\nlong ago\n")
    status, out, _ = await start(real_server, "historian", "--history", "5").ended()
    assert status == 0
    assert "[#past] historian: long ago" in out.splitlines()


async def test_so_does_that_of_a_room_that_is_entered_only_now(
    start: Start, real_server: str
) -> None:
    async with ChatClient(real_server, "elder", rooms=["#elders"]) as chat:
        for text in ("first", "second", "third"):
            await chat.send("#elders", text)
        process = start(real_server, "novice", "--room", "#elders", "--history", "2")
        status, out, err = await process.ended("/history 1\n")
    assert (status, err) == (0, "")
    here = [line for line in out.splitlines() if not line.startswith("[#lobby] ")]
    assert here == ["elder: second", "elder: third", "elder: third"]


async def test_that_one_has_come_oneself_is_no_news(start: Start, real_server: str) -> None:
    assert await start(real_server, "cron", "--room", "#jobs").ended("done\n") == (0, "", "")


async def test_options_come_from_the_environment(
    start: Start, real_server: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CHAT_USER", "envy")
    monkeypatch.setenv("CHAT_SERVER", real_server)
    monkeypatch.setenv("CHAT_JSON", "1")
    process = Program("-m", "chat_client", stdin=subprocess.DEVNULL)
    _, out, _ = await process.ended()
    process.stop()
    assert json.loads(out)["welcome"]["user"] == "envy"


async def test_variables_that_mean_something_to_others_are_left_alone(
    start: Start, real_server: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CHAT_VERSION", "1.2.3")
    monkeypatch.setenv("CHAT_HELP", "1")
    process = start(real_server, "neighbour", "--json")
    assert "welcome" in json.loads(await process.line())
    assert (await process.ended())[0] == 0


@pytest.mark.parametrize("option", ["--user", "--server", "--room"])
async def test_an_option_that_is_not_utf8_is_wrong_usage(start: Start, option: str) -> None:
    status, _, err = await start("127.0.0.1:1", "bob", option, "\udce9").ended()
    assert status == 2
    assert err.endswith(f"Invalid value for '{option}': not UTF-8\n")


async def test_more_history_than_can_be_asked_for_is_wrong_usage(start: Start) -> None:
    status, _, err = await start("127.0.0.1:1", "bob", "--history", "99999999999").ended()
    assert status == 2
    assert "is not in the range" in err


async def test_a_server_that_is_away_is_told_in_one_line(start: Start) -> None:
    async with serving() as server:
        pass
    status, out, err = await start(server.address, "bob").ended()
    assert (status, out) == (1, "")
    assert err == f"chat-client: cannot reach {server.address}: Connection refused\n"


async def test_a_name_that_is_taken_is_told_in_one_line(start: Start, real_server: str) -> None:
    async with ChatClient(real_server, "taken"):
        status = await start(real_server, "Taken").ended()
    assert status == (1, "", "chat-client: the name taken is taken\n")


async def test_a_second_process_finds_the_name_taken_not_its_twin_dead(
    start: Start, real_server: str
) -> None:
    first = start(real_server, "double", "--json")
    await first.line()
    status, _, err = await start(real_server, "double").ended()
    assert (status, err) == (1, "chat-client: the name double is taken\n")
    assert first.process.poll() is None
    assert (await first.ended())[0] == 0
    assert (await start(real_server, "double").ended())[0] == 0


async def test_a_bad_room_is_told_in_one_line(start: Start, real_server: str) -> None:
    status, _, err = await start(real_server, "bob", "--room", "#a,b").ended()
    assert status == 1
    assert err.startswith("chat-client: ")
    assert err.count("\n") == 1


async def test_a_reader_that_has_seen_enough_ends_it_quietly(
    start: Start, real_server: str
) -> None:
    process = start(real_server, "header", "--json")
    await process.line()
    assert process.process.stdout
    process.process.stdout.close()
    process.type("hi\n")
    assert await process.status() == 0
    assert await process.error_line() == ""


async def test_an_output_without_room_is_told_in_one_line(start: Start, real_server: str) -> None:
    with open("/dev/full", "wb") as full:  # noqa: ASYNC230, PTH123 - a device
        status, _, err = await start(real_server, "filler", "--json", stdout=full).ended("hi\n")
    assert (status, err) == (1, "chat-client: cannot write the output: No space left on device\n")


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
async def test_a_stream_that_it_was_started_without_is_an_empty_one(
    state: Path, real_server: str, closed: str
) -> None:
    started = ("-m", "chat_client", "--server", real_server, "--user", "closed", "--json")
    done = await asyncio.to_thread(
        subprocess.run,
        ["sh", "-c", f'exec "$@" {closed}', "sh", sys.executable, *started],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=PATIENCE,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, b"")
    assert (b"welcome" in done.stdout) is (">&-" not in closed.replace("2>&-", ""))


async def test_input_that_comes_late_over_a_nonblocking_pipe_is_sent(
    start: Start, real_server: str
) -> None:
    reading, writing = os.pipe()
    os.set_blocking(reading, False)
    process = start(real_server, "patient", "--json", stdin=reading)
    await process.line()
    os.write(writing, b"late\n")
    os.close(writing)
    os.close(reading)
    assert (await process.ended())[0] == 0
    assert await said(real_server, "patient-reader", 1) == ["late"]


@pytest.mark.parametrize(
    ("number", "status"), [(signal.SIGTERM, 0), (signal.SIGINT, 130)], ids=["TERM", "INT"]
)
async def test_a_signal_leaves_cleanly(start: Start, number: signal.Signals, status: int) -> None:
    left = asyncio.Event()

    async def script(peer: Peer) -> None:
        await peer.welcome()
        await peer.until_left()
        left.set()

    async with serving(script) as server:
        process = start(server.address, "bob", "--json")
        await process.line()
        process.process.send_signal(number)
        assert await process.status() == status
        async with asyncio.timeout(PATIENCE):
            await left.wait()


async def test_a_lost_connection_is_told_once_and_so_is_its_return(start: Start) -> None:
    async def first(peer: Peer) -> None:
        await peer.welcome()
        await peer.drop()

    async def second(peer: Peer) -> None:
        await peer.drop()

    async def third(peer: Peer) -> None:
        await peer.welcome(message(1), resumed=True)
        await peer.until_left()

    async with serving(first, second, third) as server:
        process = start(server.address, "bob")
        assert await process.line() == "ann: hi"
        assert await process.ended() == (
            0,
            "",
            "* connection lost, reconnecting\n* reconnected\n",
        )


async def test_a_session_that_is_ended_for_good_fails(start: Start) -> None:
    async def script(peer: Peer) -> None:
        await peer.welcome()
        await peer.say(goodbye(events_pb2.GOODBYE_REASON_SUPERSEDED))

    async with serving(script) as server:
        process = start(server.address, "bob")
        assert (await process.error_line()).startswith("chat-client: ")
        assert await process.status() == 1


async def test_a_lost_server_can_be_given_up(start: Start, mortal_server: RealServer) -> None:
    process = start(mortal_server.address, "bob", "--json", "--give-up", "0.3")
    await process.line()
    mortal_server.stop(kill=True)
    assert await process.error_line() == "* connection lost, reconnecting"
    assert (await process.error_line()).startswith("chat-client: cannot reach")
    assert await process.status() == 1


async def test_no_more_is_taken_from_the_input_than_is_on_its_way(start: Start) -> None:
    async def script(peer: Peer) -> None:
        await peer.welcome()
        texts = [await peer.command() for _ in range(64)]
        more = asyncio.create_task(peer.command())
        done, _ = await asyncio.wait([more], timeout=0.3)
        assert not done
        for command in texts:
            await peer.ack(command)
        await peer.ack(await more)
        await peer.acknowledge_all()

    async with serving(script) as server:
        process = start(server.address, "bob")
        assert await process.ended("".join(f"{n}\n" for n in range(200))) == (0, "", "")


async def test_a_line_that_the_server_puts_off_is_sent_later(start: Start) -> None:
    accepted: list[tuple[str, int]] = []

    async def script(peer: Peer) -> None:
        await peer.welcome()
        refusals = 3
        while True:
            command = await peer.command()
            if command.send.text == "b" and refusals:
                refusals -= 1
                code = events_pb2.ERROR_CODE_RATE_LIMITED
                await peer.refuse(command, code, "slow down", retry_after=0.001)
            else:
                accepted.append((command.send.text, command.send.nonce))
                await peer.ack(command)

    async with serving(script) as server:
        process = start(server.address, "bob")
        process.type("a\nb\n")
        await eventually(lambda: len(accepted) == 2)
        assert await process.ended("c\nd\n") == (0, "", "")
    assert accepted == [("a", 1), ("b", 5), ("c", 6), ("d", 7)]


async def test_the_version_is_told() -> None:
    process = Program("-m", "chat_client", "--version")
    assert (await process.ended())[0] == 0
    process.stop()
