"""How a node of a cluster comes and goes: what it waits for, and what it does not do without."""

import asyncio
import contextlib
import signal
import subprocess
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import nats
import nats.js.errors
import pytest

from chat.v1 import commands_pb2
from chat_service import foundation, replay
from chat_service.core.record import Record
from chat_service.log import stream as stream_of_log
from chat_service.node import Node
from chat_service.startup import StartupError
from chat_service.state.store import Store
from tests.cluster.nodes import Cluster, cluster
from tests.cluster.servers import NatsServers, StartNats
from tests.processes import COMMAND, ON_FREE_PORTS
from tests.state import batches
from tests.transports.stream import Stream
from tests.waiting import until

OpenStream = Callable[[Node], Stream]


@pytest.fixture
async def nodes(nats_server: NatsServers, stream: str, tmp_path: Path) -> AsyncIterator[Cluster]:
    async with cluster(nats_server, stream, tmp_path, count=1) as running:
        yield running


async def say(node: Node, open_stream: OpenStream, count: int) -> None:
    """Have somebody say something so often, without waiting for what comes of it."""
    it = await open_stream(node).enter("ann", "the secret of ann")
    for nonce in range(1, count + 1):
        send = commands_pb2.Send(to="#lobby", text=f"number {nonce}", nonce=nonce)
        await it.send(commands_pb2.Command(ref=nonce, send=send))


@pytest.fixture
async def open_stream(nodes: Cluster) -> AsyncIterator[OpenStream]:
    streams: list[Stream] = []

    def open_one(to: Node) -> Stream:
        streams.append(Stream.open(to))
        return streams[-1]

    yield open_one
    for stream in streams:
        await stream.hang_up()


async def test_a_node_listens_only_once_it_has_caught_up(
    nodes: Cluster, open_stream: OpenStream, monkeypatch: pytest.MonkeyPatch
) -> None:
    await say(nodes.nodes[0], open_stream, 50)
    await until(lambda: nodes.nodes[0]._store.seq == 50)
    seen: list[tuple[int, list[str]]] = []
    wait = replay.replay

    async def watched(log: Any, end: int) -> None:
        new = next(it for it in made if it._ledger is log)
        seen.append((new._store.seq, [*new.endpoints]))
        await wait(log, end)
        seen.append((new._store.seq, [*new.endpoints]))

    made: list[Node] = []
    begin = Node.start

    async def start(self: Node) -> None:
        made.append(self)
        await begin(self)

    monkeypatch.setattr(Node, "start", start)
    monkeypatch.setattr(foundation, "replay", watched)
    node = await nodes.start("late")
    assert seen == [(0, []), (50, [])]
    assert set(node.endpoints) == {"grpc", "tcp"}


async def test_what_was_accepted_is_in_the_log_before_a_node_has_stopped(
    nodes: Cluster, open_stream: OpenStream
) -> None:
    first = nodes.nodes[0]
    other = await nodes.start("other")
    await say(first, open_stream, 500)
    accepted = await until_some_are_accepted(first)
    await first.stop()
    await until(lambda: other._store.position == first._store.position)
    assert first._store.seq == other._store.seq >= accepted
    assert first._store.digest == other._store.digest


async def until_some_are_accepted(node: Node) -> int:
    """Wait until a node has taken entries that are on their way; returns how many it was told."""
    await until(lambda: node._store.seq > 0)
    return node._store.seq


async def test_a_single_servers_data_is_not_put_under_a_log(nodes: Cluster, tmp_path: Path) -> None:
    store = Store.open(tmp_path / "single")
    await store.apply([batches.enter("ann"), batches.say("ann", "x")])
    await store.close()
    with pytest.raises(StartupError, match="has the history of a single server"):
        await nodes.start("single")


async def test_data_that_is_ahead_of_the_stream_is_not_served(
    nodes: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(foundation, "DOUBT", 0.1)
    store = Store.open(tmp_path / "ahead", nodes.nodes[0]._store.epoch)
    last = nodes.nodes[0]._store.position
    them = [Record(it, "p", it, [batches.enter("ann")]) for it in range(1, last + 6)]
    await store.apply_records(them)
    await store.close()
    with pytest.raises(StartupError, match=f"the stream ends at record {last}, and .* {last + 5}"):
        await nodes.start("ahead")


async def test_data_that_have_applied_what_the_stream_has_lost_are_not_served(
    nodes: Cluster, open_stream: OpenStream, tmp_path: Path
) -> None:
    await say(nodes.nodes[0], open_stream, 5)
    await until(lambda: nodes.nodes[0]._store.seq == 5)
    store = Store.open(tmp_path / "other", nodes.nodes[0]._store.epoch)
    await store.apply_records([Record(1, "p", 1, [batches.enter("ann")])])
    await store.close()
    with pytest.raises(
        StartupError, match="record 1 of the stream is not the one that was applied"
    ):
        await nodes.start("other")


async def test_a_node_ends_when_the_log_has_lost_what_it_has_applied(
    nodes: Cluster, nats_server: NatsServers, open_stream: OpenStream
) -> None:
    node = nodes.nodes[0]
    ann = await open_stream(node).enter("ann", "the secret of ann")
    hello = commands_pb2.Command(ref=1, send=commands_pb2.Send(to="#lobby", text="hello"))
    await ann.send(hello)
    await until(lambda: node._store.seq == 1)
    async with await nats.connect(nats_server.url) as client:
        config = (await client.jetstream().stream_info(nodes.stream)).config
        await client.jetstream().delete_stream(nodes.stream)
        await client.jetstream().add_stream(config)
    await ann.send(hello)
    await asyncio.wait_for(node._stopping.wait(), 10)
    with pytest.raises(StartupError, match=r"cannot go on: .* lost what they had acknowledged"):
        await node.stop()


async def test_a_stream_that_is_gone_is_not_made_again_under_data_that_had_it(
    nodes: Cluster,
    nats_server: NatsServers,
    open_stream: OpenStream,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(stream_of_log, "DOUBT", 0.1)
    await say(nodes.nodes[0], open_stream, 1)
    await until_some_are_accepted(nodes.nodes[0])
    await nodes.nodes[0].stop()
    client = await nats.connect(nats_server.url)
    await client.jetstream().delete_stream(nodes.stream)
    with pytest.raises(StartupError, match=f"NATS has no stream {nodes.stream}, of which the data"):
        await nodes.start("node-0")
    with pytest.raises(nats.js.errors.NotFoundError):
        await client.jetstream().stream_info(nodes.stream)
    await client.close()


async def test_a_node_does_not_start_where_nats_does_not_take_its_records(
    start_nats: StartNats, stream: str, tmp_path: Path
) -> None:
    servers = start_nats(extra="max_payload: 65536")
    with pytest.raises(StartupError, match="NATS takes messages of 65536 bytes at most"):
        await Cluster(servers, stream, tmp_path).start("node")


async def test_a_node_ends_with_any_of_its_tasks(
    nodes: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A node that watched over nobody would be taken for dead by the others, again and again."""

    def fail() -> None:
        raise RuntimeError("no watch any more")

    node = nodes.nodes[0]
    monkeypatch.setattr(node.watch, "beat", fail)
    await asyncio.wait_for(node._stopping.wait(), 5)
    with pytest.raises(StartupError, match="cannot go on: no watch any more"):
        await node.stop()


async def test_a_node_stops_though_a_task_has_lost_its_cancellation(nodes: Cluster) -> None:
    """As `asyncio.wait_for` does before 3.12, in which the library of NATS waits."""

    async def hard_of_hearing() -> None:
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.Event().wait()
        await asyncio.Event().wait()

    node = nodes.nodes[0]
    node._own(hard_of_hearing(), "hard of hearing")
    await asyncio.wait_for(node.stop(), 10)


async def test_a_node_that_cannot_go_on_ends_with_the_reason(
    nodes: Cluster, nats_server: NatsServers
) -> None:
    client = await nats.connect(nats_server.url)
    await client.jetstream().publish(f"{nodes.stream}.log", b"not a record")
    await client.close()
    node = nodes.nodes[0]
    await asyncio.wait((node._following,), timeout=5)
    with pytest.raises(StartupError, match="cannot go on: record 1 of the log is not one of this"):
        await node.stop()


async def test_a_server_that_waits_for_its_log_can_be_stopped(
    start_nats: StartNats, tmp_path: Path
) -> None:
    servers = start_nats()
    servers.servers[0].stop()
    arguments = [*COMMAND, *(it for pair in ON_FREE_PORTS.items() for it in pair)]
    arguments += ["--nats", servers.url, "--data", str(tmp_path / "data"), "--log-format", "json"]
    with (tmp_path / "errors").open("wb") as errors:
        process = subprocess.Popen(arguments, stdout=subprocess.PIPE, stderr=errors)
    try:
        waits = (tmp_path / "errors").read_text
        await until(lambda: "no connection to NATS" in waits(), within=20)
        process.send_signal(signal.SIGTERM)
        out, _ = await asyncio.to_thread(process.communicate, timeout=10)
    finally:
        process.kill()
    assert (process.returncode, out) == (0, b"")


async def test_a_server_that_may_not_use_nats_says_so_in_one_line(
    start_nats: StartNats, tmp_path: Path
) -> None:
    servers = start_nats(extra='authorization { user: chat, password: "s3cret" }')
    arguments = [*COMMAND, *(it for pair in ON_FREE_PORTS.items() for it in pair)]
    arguments += ["--nats", servers.url, "--data", str(tmp_path / "data"), "--log-level", "error"]
    done = await asyncio.to_thread(
        subprocess.run, arguments, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert "Authorization Violation" in done.stderr
