"""One reader stops dead among many: the others miss nothing, and that one nothing for good."""

import asyncio
import contextlib
import time
import zlib
from asyncio import Task
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

import grpc
import pytest

from chat.v1 import chat_pb2, commands_pb2, cursor_pb2, events_pb2
from chat_service.hub.outbox import WRITE_BYTES
from tests.conftest import StartNode
from tests.faults.streams import (
    MIB,
    Call,
    channel_to,
    connect,
    memory,
    peak_memory,
    receive,
    said,
)
from tests.processes import ServerProcess, StartServer
from tests.transports.conftest import Enter, OpenStream
from tests.transports.stream import channel_to as channel_to_node
from tests.waiting import until

READERS: Final = 199
SENDERS: Final = 4
TEXT: Final = "x" * 400

A_STREAM: Final = 2 * WRITE_BYTES
"""What a stream that is behind may hold beside its outbox, whose events all share: a write that is
under way, and gRPC's copy of it. Where the readers have no processor, all of them are behind."""

SAY: Final = commands_pb2.Command(send=commands_pb2.Send(to="#lobby", text=TEXT * 2))

QUIET: Final = ("--rate-commands", "off", "--rate-bytes", "off", "--presence-limit", "0")
"""At full load, and with nothing told to readers but what was said: all read the same bytes."""


class Reader:
    """Reads all that comes, and keeps its length and a checksum of it."""

    def __init__(self, channel: grpc.aio.Channel, user: str) -> None:
        self.length = 0
        self.checksum = 0
        self.ready = asyncio.Event()
        self._channel = channel
        self._user = user

    async def run(self) -> None:
        call = await connect(self._channel, self._user, self._user)
        assert (await receive(call)).events[0].HasField("welcome")
        self.ready.set()
        while isinstance(data := await call.read(), bytes):
            self.length += len(data)
            self.checksum = zlib.crc32(data, self.checksum)


@asynccontextmanager
async def readers(server: ServerProcess) -> AsyncIterator[list[Reader]]:
    """Let many read meanwhile."""
    channels = [channel_to(server) for _ in range(20)]
    crowd = [Reader(channels[n % len(channels)], f"reader{n}") for n in range(READERS)]
    tasks = [asyncio.create_task(reader.run()) for reader in crowd]
    try:
        for reader in crowd:
            await asyncio.wait_for(reader.ready.wait(), 20)
        yield crowd
        assert not any(task.done() for task in tasks)
    finally:
        await give_up(*tasks)
        for channel in channels:
            await channel.close()


async def give_up(*tasks: Task[None]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def load(server: ServerProcess, count: int, *, window: int = 1000) -> None:
    """Say so much as fast as the server takes it, each sender with so many under way."""
    share = count // SENDERS

    async def send(number: int) -> None:
        channel = channel_to(server)
        call = await connect(channel, f"sender{number}", f"sender{number}")
        sent = acknowledged = 0
        while acknowledged < share:
            while sent < share and sent - acknowledged < window:
                await call.write(said([TEXT] * 10))
                sent += 10
            heard = (await receive(call)).events
            acknowledged += sum(event.HasField("ack") for event in heard)
        call.cancel()
        await channel.close()

    await asyncio.gather(*map(send, range(SENDERS)))


async def stop_dead(channel: grpc.aio.Channel) -> tuple[Call, cursor_pb2.Cursor]:
    """Come in, and read nothing but the welcome."""
    call = await connect(channel, "stopped", "stopped")
    return call, (await receive(call)).events[0].welcome.cursor


async def read_to_the_end(call: Call) -> list[events_pb2.Event]:
    heard: list[events_pb2.Event] = []
    with contextlib.suppress(grpc.aio.AioRpcError):  # how it ended is asked for later
        while isinstance(data := await call.read(), bytes):
            heard += chat_pb2.ServerFrame.FromString(data).events
    return heard


async def wakes(server: ServerProcess, call: Call) -> list[events_pb2.Event]:
    """Read on once the server has given up on this reader, while its last words wait."""
    await until(lambda: "reason=SLOW_CONSUMER" in server.log, within=60)
    return await read_to_the_end(call)


async def resumes(channel: grpc.aio.Channel, cursor: cursor_pb2.Cursor, upto: int) -> list[int]:
    """Come back and read up to a seq; returns the seqs."""
    call = await connect(channel, "stopped", "stopped", cursor)
    seqs: list[int] = []
    while not seqs or seqs[-1] < upto:
        for event in (await receive(call)).events:
            assert not event.HasField("gap")
            assert not event.HasField("welcome") or event.welcome.resumed
            seqs += [event.seq] * bool(event.seq)
    call.cancel()
    return seqs


async def test_one_of_200_stops_dead_and_nobody_misses_anything(
    server_process: StartServer,
) -> None:
    count = 20_000
    server = server_process(*QUIET)
    async with readers(server) as crowd:
        channel = channel_to(server)
        stopped, start = await stop_dead(channel)
        await load(server, 2_000)  # so that the server has what it needs for such a load
        before = memory(server)
        started = time.perf_counter()
        waking = asyncio.create_task(wakes(server, stopped))
        await load(server, count - 2_000)
        await until(lambda: crowd[0].length > count * len(TEXT))
        await until(lambda: len({reader.length for reader in crowd}) == 1)
        took = time.perf_counter() - started
        assert len({reader.checksum for reader in crowd}) == 1
        assert server.log.count("reason=SLOW_CONSUMER") == 1
        grown = peak_memory(server) - before

        heard = await waking
        assert await stopped.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
        assert heard[-1].goodbye.reason == events_pb2.GOODBYE_REASON_SLOW_CONSUMER
        assert heard[-1].goodbye.reconnect
        seqs = [event.seq for event in heard if event.seq]
        cursor = cursor_pb2.Cursor(epoch=start.epoch, seq=seqs[-1])
        assert seqs + await resumes(channel, cursor, count) == list(range(1, count + 1))
        await channel.close()
    print(
        f"\n{READERS} readers took {count - 2_000} messages each in {took:.1f} s"
        f" ({(count - 2_000) * READERS / took:,.0f}/s); the one who stopped took {len(seqs)}; the"
        f" server grew by {grown / MIB:.0f} MiB from {before / MIB:.0f}"
    )
    assert grown < (READERS + SENDERS + 1) * A_STREAM


async def test_who_wakes_only_after_the_cut_is_told_by_the_status_and_resumes_as_well(
    start_node: StartNode, enter: Enter, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("chat_service.transports.rpc.LINGER", 0.1)
    node = await start_node(rate_commands=None, rate_bytes=None)
    ann = await enter(node, "ann", "a")
    channel = channel_to_node(node)
    stopped, start = await stop_dead(channel)
    sent = 0
    while len(node.hub.registry) > 1:
        for _ in range(10):
            await ann.send(*[SAY] * 50)
        await ann.ping()
        sent += 500
    heard = await read_to_the_end(stopped)
    assert await stopped.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    seqs = [event.seq for event in heard if event.seq]
    cursor = cursor_pb2.Cursor(epoch=start.epoch, seq=seqs[-1])
    assert seqs + await resumes(channel, cursor, sent) == list(range(1, sent + 1))
    await channel.close()


async def test_a_stream_that_nobody_reads_takes_a_place_until_it_is_gone(
    start_node: StartNode,
    enter: Enter,
    open_stream: OpenStream,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("chat_service.transports.rpc.LINGER", 0.1)
    node = await start_node(rate_commands=None, rate_bytes=None, max_sessions=2)
    ann = await enter(node, "ann", "a")
    channel = channel_to_node(node)
    stopped, _ = await stop_dead(channel)
    while len(node.hub.registry) > 1:
        for _ in range(10):
            await ann.send(*[SAY] * 50)
        await ann.ping()
    late = open_stream(node)
    assert await late.ended() is grpc.StatusCode.UNAVAILABLE
    stopped.cancel()
    bob = open_stream(node)
    while not (await bob.hello("bob", "b")).HasField("welcome"):
        bob = open_stream(node)
    await channel.close()


@pytest.mark.long
async def test_the_99th_percentile_with_and_without_one_who_has_stopped(
    server_process: StartServer,
) -> None:
    """Prints how long messages take to 199 readers, alternately with and without one more."""
    server = server_process(*QUIET)
    async with readers(server):
        for round_ in range(3):
            alone = await percentiles(server)
            channel = channel_to(server)
            await stop_dead(channel)
            beside = await percentiles(server)
            await channel.close()
            for name, (median, high, highest) in (("without", alone), ("with", beside)):
                print(
                    f"\nround {round_}, {name} one who has stopped: median {median * 1000:.1f} ms,"
                    f" p99 {high * 1000:.1f} ms, max {highest * 1000:.1f} ms",
                    end="",
                )
            assert beside[1] < 10 * alone[1] + 0.1
        assert server.log.count("reason=SLOW_CONSUMER") == 3


async def percentiles(server: ServerProcess) -> tuple[float, float, float]:
    """Return the median, the 99th percentile and the maximum of delays under load (seconds)."""
    channel = channel_to(server)
    probe = await connect(channel, "probe", "probe")
    await receive(probe)
    loading = asyncio.create_task(load(server, 30_000, window=50))
    delays: list[float] = []
    while not loading.done():
        text = f"probe {time.perf_counter_ns()}"
        started = time.perf_counter()
        await probe.write(said([text]))
        while all(event.message.text != text for event in (await receive(probe)).events):
            pass
        delays.append(time.perf_counter() - started)
    await loading
    probe.cancel()
    await channel.close()
    delays.sort()
    return delays[len(delays) // 2], delays[len(delays) * 99 // 100], delays[-1]
