"""Another process holds the database: senders are told in time, readers stay, all goes on."""

import asyncio
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final, cast

import grpc
import pytest

from chat.v1 import commands_pb2, events_pb2
from chat_service.config import Config
from chat_service.log.embedded import EmbeddedLog
from chat_service.node import Node
from tests.conftest import ANY_PORT, StartNode
from tests.scenarios.heard import Said
from tests.scenarios.people import TcpPerson
from tests.transports.conftest import Enter, OpenStream
from tests.waiting import until

UNAVAILABLE = events_pb2.ERROR_CODE_UNAVAILABLE

LOST: Final = commands_pb2.Send(to="#lobby", text="lost")

ANSWERED_WITHIN: Final = 6.0
"""Seconds: SQLite waits two for a lock, and what came meanwhile waits two more."""

HOLD: Final = """
import apsw, sys
db = apsw.Connection(sys.argv[1])
db.execute(sys.argv[2])
print("held", flush=True)
sys.stdin.read()
"""


@contextmanager
def held(data: Path, how: str) -> Iterator[None]:
    """Let another process hold the database meanwhile."""
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, str(data / "chat.db"), how],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"held\n"
        try:
            yield
        finally:
            process.communicate()


@pytest.fixture
async def node(start_node: StartNode, monkeypatch: pytest.MonkeyPatch) -> Node:
    """A node that waits for locks a tenth of the usual time."""
    monkeypatch.setattr("chat_service.state.store._BUSY_TIMEOUT", 0.2)
    return await start_node()


@pytest.fixture(params=["BEGIN IMMEDIATE", "BEGIN EXCLUSIVE"])
def how(request: pytest.FixtureRequest) -> str:
    """How the other process holds it."""
    return str(request.param)


async def test_senders_are_refused_in_time_and_served_after_the_release(
    start_node: StartNode, enter: Enter, tmp_path: Path, how: str
) -> None:
    node = await start_node()
    ann, bob = await enter(node, "ann", "a"), await enter(node, "bob", "b")
    await ann.say("before")
    with held(tmp_path / "data", how):
        started = time.monotonic()
        for ref in (100, 101, 102):
            await ann.send(commands_pb2.Command(ref=ref, send=LOST))
        replies = [await ann.reply(ref) for ref in (100, 101, 102)]
        assert time.monotonic() - started < ANSWERED_WITHIN
        assert [reply.error.code for reply in replies] == [UNAVAILABLE] * 3
        assert all(reply.error.retry_after.ToMilliseconds() > 0 for reply in replies)
        assert bob.code is None
        page = (await bob.ask(history=commands_pb2.History(to="#lobby"))).history
        assert [event.message.text for event in page.events] == ["before"]
    after = await ann.say("after")
    assert (after.ack.seq, after.ack.number) == (2, 2)
    await bob.hears_text("after")
    assert bob.texts == ["before", "after"]


async def test_a_short_hold_is_waited_for(
    node: Node, enter: Enter, tmp_path: Path, how: str
) -> None:
    ann, bob = await enter(node, "ann", "a"), await enter(node, "bob", "b")
    with held(tmp_path / "data", how):
        sent = asyncio.create_task(ann.say("patient"))
        await bob.ping()
    assert (await sent).HasField("ack")
    await bob.hears_text("patient")


async def test_who_connects_meanwhile_is_told_to_come_again(
    node: Node, enter: Enter, open_stream: OpenStream, tmp_path: Path
) -> None:
    ann = await enter(node, "ann", "a")
    with held(tmp_path / "data", "BEGIN IMMEDIATE"):
        late = open_stream(node)
        assert (await late.hello("bob", "b")).error.code == UNAVAILABLE
        assert await late.ended() is grpc.StatusCode.UNAVAILABLE
        assert late.events[-1].goodbye.reconnect
        assert await late.retry_delay() > 0
    bob = await enter(node, "bob", "b")
    await ann.say("hello")
    await bob.hears_text("hello")


async def test_a_resume_meanwhile_is_refused_and_misses_nothing_later(
    node: Node, enter: Enter, open_stream: OpenStream, tmp_path: Path
) -> None:
    ann, bob = await enter(node, "ann", "a"), await enter(node, "bob", "b")
    await bob.hang_up()
    await ann.say("missed")
    with held(tmp_path / "data", "BEGIN IMMEDIATE"):
        late = open_stream(node)
        refused = await late.hello("bob", "b", resume=bob.cursor)
        assert refused.error.code == UNAVAILABLE
    again = await enter(node, "bob", "b", resume=bob.cursor)
    await again.hears_text("missed")
    assert again.welcome.resumed
    assert again.texts == ["missed"]


async def test_who_leaves_meanwhile_has_left_after_the_release(
    node: Node, enter: Enter, tmp_path: Path
) -> None:
    ann, bob = await enter(node, "ann"), await enter(node, "bob", "b")
    await ann.join("#dev")
    await bob.join("#dev")
    with held(tmp_path / "data", "BEGIN IMMEDIATE"):
        await ann.leave()
        await bob.hears_presence("ann", online=False)
        assert (await bob.say("lost")).error.code == UNAVAILABLE
    await bob.hears(lambda event: event.left.user == "ann")
    cyd = await enter(node, "ann", "another")
    assert cyd.welcome.user == "ann"


async def test_lines_are_refused_with_a_sentence_and_the_connection_stays(
    node: Node, tmp_path: Path
) -> None:
    ann, bob = TcpPerson("ann", ""), TcpPerson("bob", "")
    for person in (ann, bob):
        await person.connect(node)
    with held(tmp_path / "data", "BEGIN IMMEDIATE"):
        await ann.say("lost")
        await ann.is_refused("the storage cannot take or give anything now")
    await ann.say("after")
    await bob.hears(Said("#lobby", "ann", "after"))
    assert bob.count(Said("#lobby", "ann", "lost")) == 0
    for person in (ann, bob):
        await person.hang_up()


async def test_a_node_stops_in_time_though_the_database_is_held(
    enter: Enter, tmp_path: Path
) -> None:
    node = Node(
        Config(grpc=ANY_PORT, tcp=None, web=None, data=tmp_path / "data", shutdown_deadline=3)
    )
    await node.start()
    ann = await enter(node, "ann", "a")
    with held(tmp_path / "data", "BEGIN IMMEDIATE"):
        send = commands_pb2.Send(to="#lobby", text="unanswered")
        await ann.send(commands_pb2.Command(ref=9, send=send))
        await until(lambda: cast("EmbeddedLog", node._ledger)._taken > 0)
        started = time.monotonic()
        await node.stop()
        assert time.monotonic() - started < 6
    assert await ann.ended() is grpc.StatusCode.UNAVAILABLE
    assert ann.events[-1].goodbye.reason == events_pb2.GOODBYE_REASON_SHUTDOWN
    assert not any(event.ref == 9 and event.HasField("ack") for event in ann.events)
