"""What the README shows works as it stands there, but for the port."""

import asyncio
import json
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import pytest

from chat_service.certificate import make_server_pair
from tests.conftest import ANY_PORT, StartNode
from tests.scenarios.heard import Said
from tests.scenarios.programs import GrpcPerson
from tests.waiting import until

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()
BLOCKS: list[tuple[str, str]] = re.findall(r"```(\w+)\n(.*?)```", README, re.DOTALL)


def block(language: str, containing: str) -> str:
    """Return the README's block of a language that has some text in it."""
    return next(text for kind, text in BLOCKS if kind == language and containing in text)


async def test_the_bot_answers(start_node: StartNode) -> None:
    node = await start_node()
    code = block("python", "ChatClient").replace("127.0.0.1:50051", str(node.endpoints["grpc"]))
    bot = subprocess.Popen([sys.executable, "-c", code])
    try:
        ann = GrpcPerson("ann", "a")
        await ann.connect(node)
        await until(lambda: "echo" in node.hub.registry.users, what="the bot", within=20)
        await ann.say("!echo hello")
        await ann.hears(Said("#lobby", "echo", "hello"))
        await ann.hang_up()
    finally:
        bot.kill()
        bot.wait()


async def test_the_script_over_netcat_is_heard(start_node: StartNode) -> None:
    node = await start_node()
    bob = GrpcPerson("bob", "b")
    await bob.connect(node)
    match = re.search(r"`(printf .*? \| nc -q1 127.0.0.1 7777)`", README)
    assert match is not None
    script = match[1].replace("7777", str(node.endpoints["tcp"].port))
    with subprocess.Popen(["sh", "-c", script], stdout=subprocess.DEVNULL) as netcat:
        await bob.hears(Said("#lobby", "ann", "hello"))
        await until(lambda: netcat.poll() is not None, what="netcat to leave")
    await bob.hang_up()


async def test_openssl_talks_where_netcat_would_without_tls(
    start_node: StartNode, tmp_path: Path
) -> None:
    make_server_pair(tmp_path, ["127.0.0.1"], 1)
    node = await start_node(tls_cert=tmp_path / "server.pem", tls_key=tmp_path / "server.key")
    line = next(it for it in block("sh", "s_client").splitlines() if "s_client" in it)
    line = line.replace("chat.example:7777", str(node.endpoints["tcp"]))
    line = line.replace("tls/ca.pem", f"{tmp_path / 'ca.pem'}")
    quiet = subprocess.DEVNULL
    process = await asyncio.create_subprocess_shell(
        line, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=quiet
    )
    printed, _ = await asyncio.wait_for(process.communicate(b"ann\n/quit\n"), 20)
    assert printed.decode().splitlines() == [
        "* what is your name?",
        "* welcome, ann: you are in #lobby (/help lists the commands)",
        "* bye",
    ]


@contextmanager
def typist(*command: str) -> Iterator[tuple[IO[str], Iterator[str]]]:
    """Run a program; returns where to type, and the frames that it shows among other things."""
    pipe = subprocess.PIPE
    process = subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True)
    assert process.stdin
    assert process.stdout
    found = (re.search(r'{"events":.*}', line) for line in process.stdout)
    with process:
        yield process.stdin, (it[0] for it in found if it)


async def test_the_conversation_by_hand_over_a_websocket_goes_as_shown(
    start_node: StartNode,
) -> None:
    node = await start_node(web=ANY_PORT)
    lines = block("console", "websocat").splitlines()
    asked = [line for line in lines if line.startswith('{"commands"')]
    shown = [line for line in lines if line.startswith('{"events"')]
    url = f"ws://{node.endpoints['web']}/ws"
    with typist(sys.executable, "-m", "websockets", url) as (keys, screen):
        told: list[str] = []
        for line in asked:
            print(line, file=keys, flush=True)
            told.append(await asyncio.to_thread(next, screen))
        while len(told) < len(shown):
            told.append(await asyncio.to_thread(next, screen))
    kinds = [re.findall('"(welcome|ack|message)":', line) for line in shown]
    assert [re.findall('"(welcome|ack|message)":', line) for line in told] == kinds
    for line, said in zip(shown, told, strict=True):
        assert said.startswith(re.split('"sentAt"|, …', line)[0])


async def test_the_pipe_leaves_when_all_is_acknowledged(start_node: StartNode) -> None:
    node = await start_node()
    bob = GrpcPerson("bob", "b")
    await bob.connect(node)
    await bob.join("#ops")
    line = next(it for it in block("sh", "backup done").splitlines() if "backup" in it)
    line = line.replace("chat-client", f"chat-client --server {node.endpoints['grpc']}")
    path = f"{Path(sys.executable).parent}:/usr/bin:/bin"
    with subprocess.Popen(["sh", "-c", line], env={"PATH": path, "HOME": "/nonexistent"}) as client:
        await bob.hears(Said("#ops", "cron", "backup done"), within=20)
        await until(lambda: client.poll() is not None, what="chat-client to leave", within=20)
    assert client.returncode == 0
    await bob.hang_up()


async def test_buf_holds_a_conversation_without_the_contract(start_node: StartNode) -> None:
    buf = shutil.which("buf", path=f"{Path(sys.executable).parent}")
    if buf is None:
        pytest.fail("buf is one of the development tools")
    node = await start_node()
    shown = block("sh", "buf curl").partition("buf curl --protocol grpc --http2-prior-knowledge h")[
        2
    ]
    command = f"{buf} curl --protocol grpc --http2-prior-knowledge h{shown}"
    command = command.replace("127.0.0.1:50051", str(node.endpoints["grpc"]))
    with subprocess.Popen(["sh", "-c", command], stdout=subprocess.PIPE, text=True) as process:
        await until(lambda: process.poll() is not None, what="buf to end", within=30)
        output = process.stdout.read() if process.stdout else ""
    assert process.returncode == 0
    frames = [json.loads(it) for it in re.split(r"(?<=\})\n(?=\{)", output.strip())]
    kinds = {kind for frame in frames for event in frame["events"] for kind in event}
    assert {"welcome", "ack", "message"} <= kinds
