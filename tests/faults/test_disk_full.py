"""A disk that is full: senders are told, readers stay, nothing acknowledged is lost."""

import asyncio
import shutil
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack
from pathlib import Path

import grpc
import pytest

from chat.v1 import commands_pb2, events_pb2
from tests.mounts import small_disk
from tests.processes import ServerProcess, StartServer
from tests.raw_clients import RpcClient, TcpClient
from tests.waiting import until

TEXT = "x" * 4000


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    with small_disk(tmp_path / "disk", 4 << 20) as disk:
        yield disk


@pytest.fixture
def server(disk: Path, server_process: StartServer) -> Iterator[ServerProcess]:
    server = server_process("--data", str(disk / "data"))
    yield server
    server.kill()  # before its disk goes


@pytest.fixture
async def channel(server: ServerProcess) -> AsyncIterator[grpc.aio.Channel]:
    async with grpc.aio.insecure_channel(server.endpoints["grpc"]) as channel:
        yield channel


def fill(disk: Path) -> Path:
    ballast = disk / "ballast"
    ballast.write_bytes(b"x" * shutil.disk_usage(disk).free)
    assert shutil.disk_usage(disk).free == 0
    return ballast


async def say_until_refused(speaker: RpcClient, said: list[str]) -> events_pb2.Error:
    """Say things until one cannot be stored; those that were acknowledged are added to `said`."""
    for number in range(1000):
        text = f"{len(said)}.{number} {TEXT}"
        reply = await speaker.say(text)
        if reply.HasField("error"):
            return reply.error
        said.append(text)
    raise AssertionError("the disk is not full")


async def test_a_full_disk_refuses_senders_and_spares_readers_until_there_is_space_again(
    disk: Path, server: ServerProcess, channel: grpc.aio.Channel
) -> None:
    async with AsyncExitStack() as stack:
        ann = await RpcClient(channel).enter("ann", client_id="a")
        bob = await RpcClient(channel).enter("bob", client_id="b")
        cyd = await TcpClient(server.endpoints["tcp"]).enter("cyd")
        for client in (ann, bob, cyd):
            stack.push_async_callback(client.hang_up)
        said = ["before"]
        assert (await ann.say("before")).ack.seq == 1
        ballast = fill(disk)
        # Senders are told so, and when to try again.
        for _ in range(3):
            error = await say_until_refused(ann, said)
            assert error.code == events_pb2.ERROR_CODE_UNAVAILABLE
            assert error.retry_after.ToTimedelta().total_seconds() > 0
        cyd.write(TEXT)
        await until(lambda: any(line.startswith("! the storage cannot") for line in cyd.lines))
        # Readers stay connected, and read.
        for client in (ann, bob):
            assert (await client.ask(ping=commands_pb2.Ping())).HasField("pong")
        assert [it.message.text for it in await bob.history()] == said
        # Newcomers are refused in so many words.
        dan = RpcClient(channel)
        await dan.enter("dan")
        assert dan.reader is not None
        await dan.reader
        assert [it.WhichOneof("kind") for it in dan.events] == ["error", "goodbye"]
        assert dan.events[0].error.code == events_pb2.ERROR_CODE_UNAVAILABLE
        assert dan.events[0].error.retry_after.ToTimedelta().total_seconds() > 0
        assert dan.events[1].goodbye.reconnect
        assert dan.code is grpc.StatusCode.UNAVAILABLE
        # With space again everything goes on, without a restart.
        ballast.unlink()
        for number in range(5):
            said.append(f"after {number}")
            assert (await ann.say(said[-1])).HasField("ack")
        eve = await RpcClient(channel).enter("eve")
        stack.push_async_callback(eve.hang_up)
        assert [it.message.text for it in await eve.history()] == said
        await until(lambda: len(bob.messages) == len(said))
        assert [it.message.text for it in bob.messages] == said
        assert not bob.reader or not bob.reader.done()
    assert "Traceback" not in server.log
    await server.stop()


async def test_who_leaves_while_the_disk_is_full_lets_go_of_the_name_all_the_same(
    disk: Path, server: ServerProcess, channel: grpc.aio.Channel
) -> None:
    async with AsyncExitStack() as stack:
        ann = await RpcClient(channel).enter("ann", client_id="a")
        stack.push_async_callback(ann.hang_up)
        bob = await TcpClient(server.endpoints["tcp"]).enter("bob")
        ballast = fill(disk)
        await say_until_refused(ann, [])
        await bob.hang_up()
        await until(lambda: "bob went" in presence(ann))
        ballast.unlink()
        # The leaving is stored at the next try, which comes every second.
        async with asyncio.timeout(5):
            while "bob came" not in presence(ann)[2:]:
                heir = await RpcClient(channel).enter("bob")
                stack.push_async_callback(heir.hang_up)
                await asyncio.sleep(0.1)


def presence(client: RpcClient) -> list[str]:
    """Return what a client was told of coming and going."""
    told = [event.presence for event in client.events if event.HasField("presence")]
    return [f"{it.user} {'came' if it.online else 'went'}" for it in told]


async def test_what_was_acknowledged_on_a_full_disk_is_there_after_a_kill(
    disk: Path, server: ServerProcess, channel: grpc.aio.Channel, server_process: StartServer
) -> None:
    said: list[str] = []
    ann = await RpcClient(channel).enter("ann")
    ballast = fill(disk)
    await say_until_refused(ann, said)
    server.kill()
    await ann.hang_up()
    ballast.unlink()
    again = server_process("--data", str(disk / "data"))
    async with grpc.aio.insecure_channel(again.endpoints["grpc"]) as fresh:
        bob = await RpcClient(fresh).enter("bob")
        assert [it.message.text for it in await bob.history()] == said
        await bob.hang_up()
    await again.stop()


async def test_a_server_on_a_full_disk_shuts_down_in_good_order(
    disk: Path, server: ServerProcess, channel: grpc.aio.Channel
) -> None:
    ann = await RpcClient(channel).enter("ann")
    fill(disk)
    await say_until_refused(ann, [])
    await server.stop()
    assert ann.reader is not None
    await ann.reader
    assert ann.events[-1].goodbye.reason == events_pb2.GOODBYE_REASON_SHUTDOWN
    assert "Traceback" not in server.log
