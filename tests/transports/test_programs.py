"""What people type: the real `nc`, `telnet` and `buf curl` against a running node."""

import asyncio
import contextlib
import json
import os
import shutil
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from subprocess import Popen
from typing import Any

import pytest

from chat_service.node import Node
from tests.transports.conftest import Dial, Enter
from tests.transports.lines import PROMPT
from tests.waiting import until

BUF = Path(sys.executable).parent / "buf"
WELCOME = "* welcome, {}: you are in #lobby (/help lists the commands)"

needs_nc = pytest.mark.skipif(shutil.which("nc") is None, reason="nc is not installed")
needs_telnet = pytest.mark.skipif(shutil.which("telnet") is None, reason="telnet is not installed")


class Program:
    """A running program and the lines that it prints."""

    def __init__(self, process: Process) -> None:
        assert process.stdin
        assert process.stdout
        self._process = process
        self._stdin, self._stdout = process.stdin, process.stdout
        self.lines: list[str] = []

    def types(self, text: str | bytes) -> None:
        self._stdin.write(text.encode() if isinstance(text, str) else text)

    async def prints(self, line: str, *, within: float = 10.0) -> None:
        """Wait until a line is printed."""
        async with asyncio.timeout(within):
            while line not in self.lines:
                printed = await self._stdout.readline()
                assert printed, f"ended without {line!r} after {self.lines}"
                self.lines.append(printed.decode().rstrip("\r\n"))

    async def ends(self, *, within: float = 10.0) -> int:
        """Wait for the end; returns the exit status."""
        async with asyncio.timeout(within):
            rest = await self._stdout.read()
            self.lines += rest.decode(errors="replace").splitlines()
            return await self._process.wait()

    async def end_input(self) -> None:
        self._stdin.close()
        with contextlib.suppress(ConnectionError):
            await self._stdin.wait_closed()


Run = Callable[..., Awaitable[Program]]


@pytest.fixture
async def run() -> AsyncIterator[Run]:
    """Return a function that starts a program, ended with the test if it has not by itself."""
    async with contextlib.AsyncExitStack() as stack:

        async def start(*command: str) -> Program:
            return await stack.enter_async_context(_running(command))

        yield start


@asynccontextmanager
async def _running(command: tuple[str, ...]) -> AsyncIterator[Program]:
    process = await asyncio.create_subprocess_exec(*command, stdin=PIPE, stdout=PIPE)
    program = Program(process)
    try:
        yield program
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await program.end_input()
        await program.ends()


class Terminal:
    """A program on a terminal of its own, and everything that this shows."""

    def __init__(self, *command: str) -> None:
        self.text = ""
        self._seen = 0
        self._master, slave = os.openpty()
        self._process = Popen(
            command, stdin=slave, stdout=slave, stderr=slave, start_new_session=True
        )
        os.close(slave)
        asyncio.get_running_loop().add_reader(self._master, self._read)

    def types(self, keys: str) -> None:
        os.write(self._master, keys.encode())

    async def shows(self, text: str) -> None:
        """Wait until something new is shown that holds a text."""
        await until(lambda: text in self.text[self._seen :], what=f"{text!r} on the terminal")
        self._seen = self.text.index(text, self._seen) + len(text)

    def close(self) -> None:
        asyncio.get_running_loop().remove_reader(self._master)
        self._process.kill()
        self._process.wait()
        os.close(self._master)

    def _read(self) -> None:
        try:
            self.text += os.read(self._master, 65_536).decode(errors="replace")
        except OSError:  # nobody has it open any more
            asyncio.get_running_loop().remove_reader(self._master)


OpenTerminal = Callable[..., Terminal]


@pytest.fixture
async def terminal() -> AsyncIterator[OpenTerminal]:
    """Return a function that runs a program on a terminal, ended with the test."""
    with contextlib.ExitStack() as stack:

        def start(*command: str) -> Terminal:
            return stack.enter_context(contextlib.closing(Terminal(*command)))

        yield start


def address(node: Node) -> tuple[str, str]:
    endpoint = node.endpoints["tcp"]
    return endpoint.host, str(endpoint.port)


# --- nc ---


@needs_nc
async def test_a_script_says_something_through_nc_and_sees_the_answers(
    node: Node, run: Run, dial: Dial
) -> None:
    bob = await dial(node, "bob")
    nc = await run("nc", "-q1", *address(node))
    nc.types("ann\nhello\n/who\n")
    await nc.end_input()
    assert await nc.ends() == 0
    assert nc.lines == [PROMPT, WELCOME.format("ann"), "* in #lobby: ann, bob"]
    await bob.hears("ann: hello")
    await bob.hears("* ann left")
    assert bob.lines[-3:] == ["* ann joined", "ann: hello", "* ann left"]


@needs_nc
async def test_two_people_talk_through_nc(node: Node, run: Run) -> None:
    ann, bob = await run("nc", *address(node)), await run("nc", *address(node))
    ann.types("ann\n")
    await ann.prints(WELCOME.format("ann"))
    bob.types("bob\n")
    await ann.prints("* bob joined")
    ann.types("hi bob\n")
    await bob.prints("ann: hi bob")
    bob.types("/msg ann psst\n")
    await ann.prints("[bob -> you] psst")
    await bob.prints("[you -> ann] psst")
    bob.types("/quit\n")
    await bob.prints("* bye")
    await ann.prints("* bob left")


@needs_nc
async def test_a_file_sent_through_nc_is_said_line_by_line(
    node: Node, run: Run, dial: Dial
) -> None:
    bob = await dial(node, "bob")
    nc = await run("nc", "-N", *address(node))
    nc.types("ann\n" + "".join(f"line {i}\n" for i in range(3000)) + "no end")
    await nc.end_input()
    assert await nc.ends() == 0
    await bob.hears("ann: no end")
    said = [line for line in bob.lines if line.startswith("ann: line ")]
    assert said == [f"ann: line {i}" for i in range(3000)]


@needs_nc
async def test_nc_with_a_taken_name_is_told_so_and_ends(node: Node, run: Run, dial: Dial) -> None:
    await dial(node, "ann")
    nc = await run("nc", *address(node))
    nc.types("ann\n")
    await nc.prints("! the name ann is taken")
    await nc.prints("* bye")
    await nc.end_input()
    assert await nc.ends() == 0


@needs_nc
async def test_a_shutdown_is_the_last_line_that_nc_prints(node: Node, run: Run) -> None:
    nc = await run("nc", *address(node))
    nc.types("ann\n")
    await nc.prints(WELCOME.format("ann"))
    stopping = asyncio.create_task(node.stop())
    await nc.prints("* server shutting down")
    await nc.end_input()
    await nc.ends()
    await stopping
    assert nc.lines[-1] == "* server shutting down"


@needs_nc
async def test_a_script_logs_in_through_nc(node: Node, run: Run, dial: Dial) -> None:
    ann = await (await dial(node, "ann")).register("open sesame")
    nc = await run("nc", "-q1", *address(node))
    nc.types("/login ann\nopen sesame\nhello\n/who\n")
    await nc.end_input()
    assert await nc.ends() == 0
    assert nc.lines == [
        PROMPT,
        "* password for ann?",
        "\ufffd\ufffd\x01\ufffd\ufffd\x01",
        WELCOME.format("ann"),
        "* in #lobby: ann",
    ]
    await ann.hears("ann: hello")


# --- telnet ---


@needs_telnet
async def test_a_conversation_through_telnet(node: Node, run: Run, dial: Dial) -> None:
    bob = await dial(node, "bob")
    telnet = await run("telnet", *address(node))
    await telnet.prints(PROMPT)
    telnet.types("ann\n")
    await telnet.prints(WELCOME.format("ann"))
    telnet.types("grüß dich\n")
    await bob.hears("ann: grüß dich")
    bob.send("hello ann\n")
    await telnet.prints("bob: hello ann")
    telnet.types("/join #dev\n/rooms\n")
    await telnet.prints("* you are in: #lobby, #dev (current: #dev)")
    telnet.types("/quit\n")
    await telnet.prints("* bye")
    await telnet.ends()
    await bob.hears("* ann left")
    assert [line for line in bob.lines if line.startswith("ann:")] == ["ann: grüß dich"]


@needs_telnet
async def test_telnet_on_a_terminal_shows_what_is_typed_but_for_passwords(
    node: Node, dial: Dial, terminal: OpenTerminal
) -> None:
    bob = await dial(node, "bob")
    screen = terminal("telnet", *address(node))
    await screen.shows(PROMPT)
    screen.types("ann\r")
    await screen.shows("* welcome, ann")
    screen.types("/register\r")
    await screen.shows("* new password?")
    screen.types("open sesame\r")
    await screen.shows("* new password, once more?")
    bob.send("psst\n")
    await screen.shows("bob: psst")
    screen.types("open sesame\r")
    await screen.shows("* ann is registered now")
    screen.types("typed in the open\r")
    await bob.hears("ann: typed in the open")
    await screen.shows("typed in the open")
    screen.types("/quit\r")
    await screen.shows("* bye")
    assert "/register" in screen.text
    assert "sesame" not in screen.text
    assert "once more?\r\nbob: psst\r\n\r\n* ann is" in screen.text
    assert not [line for line in bob.lines if "sesame" in line]


@needs_telnet
async def test_telnet_asks_for_the_password_of_a_name(
    node: Node, dial: Dial, terminal: OpenTerminal
) -> None:
    ann = await (await dial(node, "ann")).register("open sesame")
    screen = terminal("telnet", *address(node))
    await screen.shows(PROMPT)
    screen.types("ann\r")
    await screen.shows("* password for ann?")
    screen.types("open sesame\r")
    await screen.shows("* welcome, ann")
    screen.types("hello from the other side\r")
    await ann.hears("ann: hello from the other side")
    await screen.shows("hello from the other side")
    assert "sesame" not in screen.text


# --- buf curl: the contract by reflection ---


async def curl(run: Run, node: Node, method: str, *arguments: str) -> list[Any]:
    """Return what `buf curl` prints, which is one JSON object a message."""
    url = f"http://{node.endpoints['grpc']}{method}"
    options = ("--protocol", "grpc", "--http2-prior-knowledge")
    program = await run(str(BUF), "curl", *options, url, *arguments)
    await program.end_input()
    assert await program.ends(within=30) == 0, program.lines
    return _objects("\n".join(program.lines))


def _objects(text: str) -> list[Any]:
    decoder, objects, at = json.JSONDecoder(), [], 0
    while at < len(text):
        found, at = decoder.raw_decode(text, at)
        objects.append(found)
        at += len(text[at:]) - len(text[at:].lstrip())
    return objects


async def test_buf_curl_holds_a_conversation_without_a_copy_of_the_contract(
    node: Node, run: Run, enter: Enter
) -> None:
    bob = await enter(node, "bob")
    frames = (
        {"commands": [{"ref": 1, "hello": {"user": "Ann"}}]},
        {"commands": [{"ref": 2, "send": {"to": "#lobby", "text": "hi"}}, {"ref": 3, "who": {}}]},
    )
    data = "".join(json.dumps(frame) for frame in frames)
    told = await curl(run, node, "/chat.v1.Chat/Connect", "-d", data)
    events = {event["ref"]: event for frame in told for event in frame["events"] if "ref" in event}
    assert events["1"]["welcome"]["user"] == "ann"
    assert events["2"]["ack"]["number"] == "1"
    assert events["3"]["roster"]["members"] == [
        {"user": "ann", "online": True},
        {"user": "bob", "online": True},
    ]
    await bob.hears_text("hi")
    await bob.hears_presence("ann", online=False)


async def test_buf_curl_lists_what_there_is_to_call(node: Node, run: Run) -> None:
    url = f"http://{node.endpoints['grpc']}"
    program = await run(
        str(BUF), "curl", "--protocol", "grpc", "--http2-prior-knowledge", "--list-methods", url
    )
    assert await program.ends(within=30) == 0
    assert "chat.v1.Chat/Connect" in program.lines
    assert "grpc.health.v1.Health/Check" in program.lines


async def test_buf_curl_asks_for_the_health(node: Node, run: Run) -> None:
    told = await curl(
        run, node, "/grpc.health.v1.Health/Check", "-d", '{"service": "chat.v1.Chat"}'
    )
    assert told == [{"status": "SERVING"}]
