"""The examples do what they say."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from chat_client import ChatClient

from .program import Program, Start
from .scripted import PATIENCE, serving

EXAMPLES = Path(__file__).parents[2] / "examples"


@pytest.fixture
def start() -> Iterator[Start]:
    started: list[Program] = []

    def start(name: str, server: str, *arguments: object) -> Program:
        started.append(Program(EXAMPLES / name, "--server", server, *arguments))
        return started[-1]

    yield start
    for program in started:
        program.stop()


async def heard(chat: ChatClient, count: int) -> list[str]:
    texts: list[str] = []
    async with asyncio.timeout(PATIENCE):
        async for event in chat:
            if event.HasField("message") and event.message.sender != chat.user:
                texts.append(event.message.text)
                if len(texts) == count:
                    break
    return texts


async def test_the_echo_bot_answers(start: Start, real_server: str) -> None:
    bot = start("echo_bot.py", real_server, "--user", "parrot", "--room", "#cage")
    assert await bot.line()
    async with ChatClient(real_server, "owner", rooms=["#cage"]) as chat:
        asked = await chat.send("#cage", "!echo polly")
        await chat.send("@parrot", "!echo psst")
        answers = []
        async with asyncio.timeout(PATIENCE):
            async for event in chat:
                if event.message.sender == "parrot":
                    answers.append((event.message.to, event.message.text, event.message.reply_to))
                    if len(answers) == 2:
                        break
    assert answers[0] == ("#cage", "polly", asked.seq)
    assert answers[1][:2] == ("@owner", "psst")


async def test_a_notification_tells_whether_it_arrived(start: Start, real_server: str) -> None:
    async with ChatClient(real_server, "admin") as chat:
        process = start("notify.py", real_server, "#lobby", "backup done")
        assert await process.status() == 0
        assert await heard(chat, 1) == ["backup done"]


async def test_a_notification_that_cannot_be_made_fails(start: Start, real_server: str) -> None:
    nobody = start("notify.py", real_server, "@nobody-ever", "hello?")
    async with serving() as server:
        pass
    away = start("notify.py", server.address, "#lobby", "hello?", "--timeout", "0.3")
    for process in (nobody, away):
        assert await process.status() == 1
        assert (await process.error_line()).startswith("notify: ")


async def test_the_log_bridge_survives_rotation(
    start: Start, real_server: str, tmp_path: Path
) -> None:
    log = tmp_path / "app.log"
    log.write_text("old\n")
    async with ChatClient(real_server, "reader", rooms=["#app"]) as chat:
        assert await start("log_bridge.py", real_server, log, "#app").line()
        append(log, "one\ntwo\nhalf")
        assert await heard(chat, 2) == ["one", "two"]
        append(log, " a line\n")
        assert await heard(chat, 1) == ["half a line"]
        log.rename(tmp_path / "app.log.1")
        append(log, "new\n")
        assert await heard(chat, 1) == ["new"]


def append(path: Path, text: str) -> None:
    with path.open("a") as file:
        file.write(text)
