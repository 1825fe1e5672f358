"""What every bus for signals does, within the process and over a real nats-server."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack

import nats
import pytest

from chat_service.core.signals import Departure, Heartbeat, Signal
from chat_service.signals.local import LocalSignals
from chat_service.signals.nats import NatsSignals
from chat_service.signals.port import Signals
from tests.cluster.servers import NatsServers
from tests.waiting import until

Join = Callable[[], Awaitable[Signals]]


def beat(position: int = 0, instance: str = "a") -> Heartbeat:
    return Heartbeat(instance, "node-1", "1.0", position, b"digest", 3)


@pytest.fixture(params=["local", "nats"])
async def join(request: pytest.FixtureRequest, stream: str) -> AsyncIterator[Join]:
    """Return a function that gives one more node's end of the bus."""
    ends: list[list[Callable[[Signal], None]]] = []

    async def within() -> Signals:
        return LocalSignals(ends)

    async def over_nats() -> Signals:
        servers: NatsServers = request.getfixturevalue("nats_server")
        client = await nats.connect(servers.url)
        stack.push_async_callback(client.close)
        return NatsSignals(client, f"{stream}.signals")

    async with AsyncExitStack() as stack:
        yield over_nats if request.param == "nats" else within


async def test_what_a_node_tells_all_hear_itself_too(join: Join) -> None:
    one, other = await join(), await join()
    heard: list[Signal] = []
    await one.listen(heard.append)
    await other.listen(heard.append)
    one.tell(beat())
    await until(lambda: heard == [beat(), beat()])
    await one.close()
    await other.close()


async def test_a_signal_never_comes_back_within_the_call(join: Join) -> None:
    bus = await join()
    heard: list[Signal] = []
    await bus.listen(heard.append)
    bus.tell(beat())
    assert heard == []
    await until(lambda: heard)
    await bus.close()


async def test_telling_very_much_at_once_neither_waits_nor_stops_the_bus(join: Join) -> None:
    bus = await join()
    heard: list[Signal] = []
    await bus.listen(heard.append)
    for position in range(10_000):
        bus.tell(beat(position))
    bus.tell(beat(instance="last"))
    await until(lambda: beat(instance="last") in heard)
    await bus.close()


async def test_who_has_closed_neither_hears_nor_tells(join: Join) -> None:
    closed, bus = await join(), await join()
    ignored: list[Signal] = []
    await closed.listen(ignored.append)
    await closed.close()
    closed.tell(beat(instance="too late"))
    heard: list[Signal] = []
    await bus.listen(heard.append)
    bus.tell(beat())
    await until(lambda: beat() in heard)
    assert beat(instance="too late") not in heard
    assert ignored == []
    await bus.close()


async def test_what_was_told_before_the_end_is_heard(join: Join) -> None:
    closing, other = await join(), await join()
    heard: list[Signal] = []
    await other.listen(heard.append)
    await closing.listen(lambda signal: None)
    closing.tell(Departure("a"))
    await closing.close()
    await until(lambda: heard == [Departure("a")])
    await other.close()


async def test_nothing_is_left_running_after_the_end(join: Join) -> None:
    before = asyncio.all_tasks()
    bus = await join()
    joined = asyncio.all_tasks()
    await bus.listen(lambda signal: None)
    bus.tell(beat())
    await bus.close()
    await until(lambda: asyncio.all_tasks() <= joined)
    assert before <= asyncio.all_tasks()
