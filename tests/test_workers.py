"""`--workers`: processes that share the ports, are replaced when they die, and end together."""

import asyncio
import errno
import os
import re
import signal
import socket
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import NoReturn

import grpc
import pytest

from chat_service import workers
from chat_service.workers import Worker
from tests.cluster.servers import NatsServers, nats_server, stream
from tests.console.command import chat_server, complaint, order, said
from tests.processes import ServerProcess, StartServer
from tests.raw_clients import RpcClient
from tests.waiting import until

__all__ = ["nats_server", "stream"]

StartWorkers = Callable[..., ServerProcess]

SOME = 40
"""Connections, enough that chance hands each of two workers some."""


@pytest.fixture
def start_workers(
    server_process: StartServer, nats_server: NatsServers, stream: str
) -> StartWorkers:
    """Return a function that starts two workers, n-1 and n-2, of a cluster of this test's own."""

    def start(*arguments: str) -> ServerProcess:
        cluster = ("--nats", nats_server.url, "--nats-stream", stream)
        return server_process("--workers", "2", "--node", "n", *cluster, *arguments)

    return start


def pids(server: ServerProcess) -> dict[str, int]:
    """Return the process of each worker that was ready last."""
    return {name: int(pid) for name, pid in re.findall(r"worker=(\S+) pid=(\d+)", server.log)}


def runs(pid: int) -> bool:
    with suppress(OSError):
        os.kill(pid, 0)
        return True
    return False


async def connect_some(server: ServerProcess) -> set[str]:
    """Connect many times; returns the instances of the nodes that answered."""
    instances = set()
    for n in range(SOME):
        options = [("grpc.use_local_subchannel_pool", 1)]
        async with grpc.aio.insecure_channel(server.endpoints["grpc"], options) as channel:
            client = await RpcClient(channel).enter(f"guest{n}")
            instances.add(client.welcome.session_id.partition("-")[0])
            await client.hang_up()
    return instances


async def test_both_workers_serve_behind_one_port(start_workers: StartWorkers) -> None:
    server = start_workers()
    assert re.fullmatch(r"ready grpc=127\.0\.0\.1:\d+ tcp=127\.0\.0\.1:\d+\n", server.ready)
    assert pids(server).keys() == {"n-1", "n-2"}
    assert len(await connect_some(server)) == 2
    await server.stop()
    assert server.rest_of_stdout() == ""


async def test_each_worker_has_data_of_its_own(start_workers: StartWorkers, tmp_path: Path) -> None:
    server = start_workers()
    assert {it.name for it in (tmp_path / "data").iterdir()} == {"worker-1", "worker-2"}
    await server.stop()


async def test_a_worker_that_dies_is_replaced(start_workers: StartWorkers) -> None:
    server = start_workers()
    before = pids(server)
    os.kill(before["n-1"], signal.SIGKILL)
    await until(lambda: pids(server)["n-1"] != before["n-1"], within=20)
    assert "worker died" in server.log
    assert pids(server)["n-2"] == before["n-2"]
    assert len(await connect_some(server)) == 2
    await server.stop()


async def test_those_who_are_connected_to_another_worker_notice_nothing(
    start_workers: StartWorkers,
) -> None:
    server = start_workers()
    options = [("grpc.use_local_subchannel_pool", 1)]
    async with grpc.aio.insecure_channel(server.endpoints["grpc"], options) as channel:
        ann = await RpcClient(channel).enter("ann")
        for pid in pids(server).values():
            if not has_connection(pid, server.endpoints["grpc"]):
                os.kill(pid, signal.SIGKILL)
        await until(lambda: "worker died" in server.log)
        assert (await ann.say("still here")).HasField("ack")
        await ann.hang_up()
    await server.stop()


def has_connection(pid: int, address: str) -> bool:
    """Tell whether a process holds an established connection to a port that it listens on."""
    port = f"{int(address.rpartition(':')[2]):04X}"
    tables = (Path(f"/proc/{pid}/net/{it}").read_text() for it in ("tcp", "tcp6"))
    rows = [line.split() for table in tables for line in table.splitlines()[1:]]
    inodes = {row[9] for row in rows if row[1].endswith(f":{port}") and row[3] == "01"}
    links = [link.readlink() for link in Path(f"/proc/{pid}/fd").iterdir() if link.is_symlink()]
    return any(str(link) == f"socket:[{inode}]" for link in links for inode in inodes)


async def test_no_worker_outlives_its_parent(start_workers: StartWorkers) -> None:
    server = start_workers()
    workers = pids(server).values()
    assert all(map(runs, workers))
    server.kill()
    await until(lambda: not any(map(runs, workers)), within=15)


async def test_on_sigterm_all_say_goodbye(start_workers: StartWorkers) -> None:
    server = start_workers()
    async with grpc.aio.insecure_channel(server.endpoints["grpc"]) as channel:
        ann = await RpcClient(channel).enter("ann")
        await server.stop()
        await until(lambda: ann.events[-1].HasField("goodbye"))
    assert server.log.count("] stopped ") == 2


async def test_a_drain_of_one_worker_is_a_drain_of_the_host(
    start_workers: StartWorkers, nats_server: NatsServers, stream: str
) -> None:
    cluster = ("--nats", nats_server.url, "--nats-stream", stream)
    assert chat_server("user", "add", "root", "--admin", *cluster).returncode == 0
    server = start_workers()
    workers = pids(server)
    assert said(order(server, "drain")).endswith("is shutting down\n")
    assert await server.exit_status() == 0
    assert not any(map(runs, workers.values()))
    assert server.log.count("] stopped ") == 2
    assert server.log.count("a worker has ended by itself: stopping all") == 1
    assert "worker died" not in server.log


async def test_a_port_that_is_taken_is_one_line(start_workers: StartWorkers) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        server = start_workers("--tcp", f"127.0.0.1:{port}")
        assert await server.exit_status() == 1
    assert (
        server.log
        == f"chat-server: cannot listen on tcp 127.0.0.1:{port}: Address already in use\n"
    )


async def test_what_no_worker_can_start_with_ends_all(
    start_workers: StartWorkers, tmp_path: Path
) -> None:
    data = tmp_path / "data" / "worker-2"
    data.mkdir(parents=True)
    (data / "chat.db").write_bytes(b"not a database, and not an empty file")
    server = start_workers()
    assert server.ready == ""
    assert await server.exit_status() == 1
    assert "worker-2/chat.db is not a database of this service" in server.log
    assert server.log.splitlines()[-1] == "chat-server: n-2: ended by a failure, see the log"


async def test_a_worker_that_cannot_be_started_now_is_tried_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The machine may be short of memory or processes for a while."""
    attempts = 0

    async def refuse(*_command: str, **_options: object) -> NoReturn:
        nonlocal attempts
        attempts += 1
        raise OSError(errno.EAGAIN, os.strerror(errno.EAGAIN))

    monkeypatch.setattr(workers, "FIRST_WAIT", 0.01)
    monkeypatch.setattr(asyncio, "create_subprocess_exec", refuse)
    worker = Worker("n-1", ["chat-server"])
    worker.ready.set()  # so it had started before
    running = asyncio.create_task(worker.run())
    await until(lambda: attempts > 2)
    worker.stop(within=1)
    await running
    assert worker.status == 0


def test_workers_take_a_log_that_they_share() -> None:
    reason = complaint(chat_server("--workers", "2"), status=2)
    assert reason.startswith("--workers (on the command line): ")
    assert "--nats" in reason
