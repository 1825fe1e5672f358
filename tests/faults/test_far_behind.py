"""Who comes back from far behind: catches up, costs little memory and holds up nobody."""

import asyncio
import secrets
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from chat.v1 import commands_pb2, cursor_pb2
from tests.faults.past import fill
from tests.faults.streams import MIB, channel_to, connect, frame, memory, peak_memory, receive
from tests.processes import ServerProcess, StartServer
from tests.waiting import until


class Chatter:
    """Somebody who talks all the time, and how long it takes to hear each message."""

    def __init__(self, server: ServerProcess) -> None:
        self._channel = channel_to(server)
        self.delays: list[float] = []

    async def run(self) -> None:
        cyd = await connect(self._channel, "cyd", "cyd")
        await cyd.write(frame(commands_pb2.Command(join=commands_pb2.Join(room="#side"))))
        while True:
            text = secrets.token_hex(8)
            started = time.perf_counter()
            send = commands_pb2.Send(to="#side", text=text)
            await cyd.write(frame(commands_pb2.Command(send=send)))
            while all(event.message.text != text for event in (await receive(cyd)).events):
                pass
            self.delays.append(time.perf_counter() - started)
            await asyncio.sleep(0.01)

    @asynccontextmanager
    async def meanwhile(self) -> AsyncIterator[None]:
        task = asyncio.create_task(self.run())
        await until(lambda: self.delays or task.done())
        try:
            yield
        finally:
            task.cancel()
            results = await asyncio.gather(task, return_exceptions=True)
            assert isinstance(results[0], asyncio.CancelledError), results
            await self._channel.close()


async def catches_up(server_process: StartServer, data: Path, count: int) -> None:
    """Let bob come back behind so many events, and pause in the middle of them."""
    texts = (f"{number} {secrets.token_hex(40)}" for number in range(count))
    epoch = await fill(data, texts, at=time.time_ns() // 1000)
    server = server_process("--data", str(data))
    chatter = Chatter(server)
    channel = channel_to(server)
    async with chatter.meanwhile():
        before = memory(server)
        started = time.perf_counter()
        bob = await connect(channel, "bob", "bob", cursor_pb2.Cursor(epoch=epoch, seq=0))
        expected, paused = 1, False
        while expected <= count:
            for event in (await receive(bob)).events:
                if event.HasField("message"):
                    assert event.seq == expected
                    assert event.message.number == expected
                    expected += 1
                assert not event.HasField("gap")
                assert not event.HasField("welcome") or event.welcome.resumed
            if not paused and expected > count // 2:
                paused = True  # so that what the server has read ahead piles up
                await asyncio.sleep(1)
        took = time.perf_counter() - started - 1
        await until(lambda: len(chatter.delays) > 20)
    grown = peak_memory(server) - before
    delays = sorted(chatter.delays)
    print(
        f"\n{count} missed events in {took:.1f} s ({count / took:,.0f}/s), the server grew by"
        f" {grown / MIB:.1f} MiB from {before / MIB:.0f}; {len(delays)} messages of others"
        f" meanwhile: median {delays[len(delays) // 2] * 1000:.1f} ms,"
        f" max {delays[-1] * 1000:.0f} ms"
    )
    assert grown < 32 * MIB
    assert delays[-1] < 2
    await channel.close()


async def test_who_is_100_000_events_behind_catches_up_and_holds_up_nobody(
    server_process: StartServer, tmp_path: Path
) -> None:
    await catches_up(server_process, tmp_path / "data", 100_000)


@pytest.mark.long
async def test_who_is_1_000_000_events_behind_catches_up_and_holds_up_nobody(
    server_process: StartServer, tmp_path: Path
) -> None:
    await catches_up(server_process, tmp_path / "data", 1_000_000)
