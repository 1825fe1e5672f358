"""A storm: everybody comes back at once after the server has died, and nobody misses anything."""

import asyncio
import time
from asyncio import Task
from typing import Final

import grpc

from chat.v1 import chat_pb2, cursor_pb2
from tests.faults.streams import MIB, channel_to, connect, cpu_seconds, memory, receive, said
from tests.processes import ServerProcess, StartServer
from tests.waiting import until

STREAMS_A_CHANNEL: Final = 100


class Guest:
    """A client that keeps its cursor, and counts the messages of the lobby."""

    def __init__(self, number: int) -> None:
        self.user = f"guest{number}"
        self.cursor: cursor_pb2.Cursor | None = None
        self.resumed = False
        self.welcomes = 0
        self.last = 0
        """The number of the last message seen; every one before it was seen as well."""

    async def stay(self, channel: grpc.aio.Channel) -> None:
        """Be connected until the connection ends, however it does."""
        call = await connect(channel, self.user, self.user, self.cursor)
        try:
            while isinstance(data := await call.read(), bytes):
                self._take(chat_pb2.ServerFrame.FromString(data))
        except (grpc.aio.AioRpcError, asyncio.CancelledError):
            pass  # the server has died, or the channel was closed

    def _take(self, frame: chat_pb2.ServerFrame) -> None:
        for event in frame.events:
            if event.HasField("message"):
                assert event.message.number == self.last + 1, self.user
                self.last += 1
            elif event.HasField("welcome"):
                self.welcomes += 1
                self.resumed = event.welcome.resumed
                self.cursor = event.welcome.cursor
            else:
                assert event.HasField("presence"), event
            if event.seq and self.cursor is not None:
                self.cursor.seq = event.seq


class Crowd:
    """Many guests, connected to one server after another."""

    def __init__(self, size: int) -> None:
        self.guests = [Guest(number) for number in range(size)]
        self._channels: list[grpc.aio.Channel] = []
        self._stays: list[Task[None]] = []

    def come(self, server: ServerProcess) -> None:
        """Connect all at once."""
        for first in range(0, len(self.guests), STREAMS_A_CHANNEL):
            channel = channel_to(server)
            self._channels.append(channel)
            for guest in self.guests[first : first + STREAMS_A_CHANNEL]:
                self._stays.append(asyncio.create_task(guest.stay(channel)))

    async def all(self, *, welcomes: int, last: int, within: float) -> None:
        """Wait until each has been welcomed so often and has seen all messages."""
        await until(
            lambda: (
                all(guest.welcomes == welcomes and guest.last == last for guest in self.guests)
                or any(stay.done() for stay in self._stays)
            ),
            within=within,
        )
        for stay in self._stays:
            assert not stay.done(), stay

    async def half_of_it_goes(self) -> None:
        """Cut every other channel."""
        for channel in self._channels[::2]:
            await channel.close()

    async def dispersed(self) -> None:
        """Wait until every connection has ended."""
        await asyncio.gather(*self._stays)
        for channel in self._channels:
            await channel.close()
        self._stays.clear()
        self._channels.clear()


async def storm(server_process: StartServer, size: int, within: float) -> None:
    """Kill a server that so many are connected to, and let them all come back at once."""
    crowd = Crowd(size)
    server = server_process()
    started = time.perf_counter()
    crowd.come(server)
    await crowd.all(welcomes=1, last=0, within=within)
    came = time.perf_counter() - started
    told = await say(server, ["before"] * 2)
    await crowd.all(welcomes=1, last=told, within=within)
    await crowd.half_of_it_goes()
    told += await say(server, ["on the way"] * 10)
    server.kill()
    await crowd.dispersed()
    missed = sum(told - guest.last for guest in crowd.guests)
    server = server_process("--grpc", server.endpoints["grpc"], "--log-level", "warning")
    cpu, own = cpu_seconds(server), time.process_time()
    started = time.perf_counter()
    crowd.come(server)
    await crowd.all(welcomes=2, last=told, within=within)
    took = time.perf_counter() - started
    cpu, own = cpu_seconds(server) - cpu, time.process_time() - own
    assert all(guest.resumed for guest in crowd.guests)
    told += await say(server, ["after"])
    await crowd.all(welcomes=2, last=told, within=within)
    print(
        f"\n{size} came in {came:.1f} s; after a crash all were back in {took:.1f} s, with the"
        f" {missed:,} messages that they had missed. That took {cpu:.1f} s of the server's"
        f" processor time and {own:.1f} s of the clients'; it has {memory(server) / MIB:.0f} MiB"
    )
    server.kill()
    await crowd.dispersed()


async def say(server: ServerProcess, texts: list[str]) -> int:
    """Say something in the lobby; returns how many messages were acknowledged, which is all."""
    channel = channel_to(server)
    talker = await connect(channel, "talker", "talker")
    await talker.write(said(texts))
    acknowledged = 0
    while acknowledged < len(texts):
        frame = await receive(talker)
        acknowledged += sum(event.HasField("ack") for event in frame.events)
    talker.cancel()
    await channel.close()
    return acknowledged


async def test_5000_come_back_at_once_after_a_crash_and_none_misses_anything(
    server_process: StartServer,
) -> None:
    await storm(server_process, 5000, within=60)
