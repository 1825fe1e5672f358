"""Signals over core NATS: what only a network can do to them."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

import nats
import nats.errors
import pytest
from nats.aio.client import Client

from chat.cluster.v1 import signal_pb2
from chat_service.core.signals import Heartbeat, Signal
from chat_service.signals.nats import MAX_QUEUED, NatsSignals
from chat_service.wire.signal import encode_signal
from tests.cluster.servers import NatsServers, StartNats
from tests.waiting import until

BEAT = Heartbeat("a", "node-1", "1.0", 7, b"digest", 3)


async def ignore(error: Exception) -> None:
    """Take what the client says while its server is away."""


async def connect(url: str) -> Client:
    return await nats.connect(
        url, max_reconnect_attempts=-1, reconnect_time_wait=0.05, error_cb=ignore
    )


@pytest.fixture
async def client(nats_server: NatsServers) -> AsyncIterator[Client]:
    client = await connect(nats_server.url)
    yield client
    await client.close()


async def test_what_is_no_signal_or_one_of_a_newer_version_is_passed_over(
    client: Client, stream: str
) -> None:
    bus = NatsSignals(client, stream)
    heard: list[Signal] = []
    await bus.listen(heard.append)
    for data in (b"\xff", b"", b"\x7a\x02hi", encode_signal(BEAT)):  # field 15 is from the future
        await client.publish(stream, data)
    await until(lambda: heard)
    assert heard == [BEAT]
    await bus.close()


async def test_a_field_of_a_newer_version_does_not_hide_the_rest(
    client: Client, stream: str
) -> None:
    bus = NatsSignals(client, stream)
    heard: list[Signal] = []
    await bus.listen(heard.append)
    known = signal_pb2.Signal.FromString(encode_signal(BEAT)).heartbeat.SerializeToString()
    newer = known + b"\x7a\x02hi"
    await client.publish(stream, b"\x0a" + bytes([len(newer)]) + newer)
    await until(lambda: heard == [BEAT])
    await bus.close()


async def test_an_answer_that_is_lost_with_its_connection_costs_no_signals(
    client: Client, stream: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def lose_it(_timeout: int) -> None:
        raise nats.errors.FlushTimeoutError

    monkeypatch.setattr(client, "flush", lose_it)
    bus = NatsSignals(client, stream)
    heard: list[Signal] = []
    await bus.listen(heard.append)
    bus.tell(BEAT)
    await until(lambda: heard == [BEAT])
    await bus.close()


async def test_while_the_server_is_away_signals_are_dropped_and_afterwards_they_flow(
    start_nats: StartNats, stream: str
) -> None:
    servers = start_nats()
    async with AsyncExitStack() as stack:
        client = await connect(servers.url)
        stack.push_async_callback(client.close)
        bus = NatsSignals(client, stream)
        stack.push_async_callback(bus.close)
        heard: list[Signal] = []
        await bus.listen(heard.append)
        await asyncio.to_thread(servers.servers[0].kill)
        await until(lambda: not client.is_connected)
        for position in range(10 * MAX_QUEUED):
            bus.tell(BEAT._replace(position=position))
        assert client.pending_data_size == 0
        await asyncio.to_thread(servers.start)
        await until(lambda: client.is_connected, within=20)

        def again() -> bool:
            bus.tell(BEAT._replace(instance="again"))
            return bool(heard)

        await until(again, within=20)
        assert {signal.instance for signal in heard} == {"again"}
