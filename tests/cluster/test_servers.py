"""The servers that the other tests lean on are what they take them for."""

import asyncio

import nats
import pytest

from tests.cluster.servers import NatsServers, NotReady, StartNats


async def publish(url: str, stream: str, count: int) -> list[int]:
    """Make a stream if it is missing and append to it; returns the sequences."""
    client = await nats.connect(url.split(","), max_reconnect_attempts=1)
    try:
        jetstream = client.jetstream(timeout=10)
        await jetstream.add_stream(name=stream, subjects=[stream], num_replicas=1)
        return [(await jetstream.publish(stream, b"x")).seq for _ in range(count)]
    finally:
        await client.close()


async def test_a_cluster_of_three_keeps_a_stream_three_times(
    nats_cluster: NatsServers, stream: str
) -> None:
    client = await nats.connect(nats_cluster.url.split(","))
    try:
        jetstream = client.jetstream(timeout=10)
        info = await jetstream.add_stream(name=stream, subjects=[stream], num_replicas=3)
        assert info.cluster is not None
        assert len(info.cluster.replicas or ()) == 2
        await jetstream.publish(stream, b"x")
        leader = await asyncio.to_thread(nats_cluster.leader_of, stream)
        assert leader in nats_cluster.servers
        await jetstream.delete_stream(stream)
    finally:
        await client.close()


async def test_a_killed_server_comes_back_with_its_data_and_its_ports(
    start_nats: StartNats, stream: str
) -> None:
    servers = start_nats()
    url = servers.url
    assert await publish(url, stream, 2) == [1, 2]
    servers.servers[0].kill()
    assert not servers.servers[0].running
    servers.start()
    assert await publish(url, stream, 1) == [3]


def test_a_server_that_cannot_serve_is_told_with_what_it_wrote(start_nats: StartNats) -> None:
    with pytest.raises(NotReady, match="no_such_setting"):
        start_nats(extra="no_such_setting: 1")
