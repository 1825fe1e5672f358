"""What is appended at once or not at all."""

import asyncio

from chat_service.log.jetstream import JetStreamLog
from tests.cluster.servers import NatsServers, StartNats
from tests.log.followed import Followed, entry, shared
from tests.waiting import until


def log_of(node: Followed) -> JetStreamLog:
    assert isinstance(node.log, JetStreamLog)
    return node.log


async def test_what_is_acknowledged_comes_out_of_the_log_beside_all_else(
    nats_server: NatsServers, stream: str
) -> None:
    async with shared(nats_server.url, stream) as one, shared(nats_server.url, stream) as other:
        one.append(1)
        assert await log_of(one).attempt([entry(2), entry(3)])
        assert await log_of(one).attempt([entry(4)])
        one.append(5)
        await until(lambda: len(one.refs) == len(other.refs) == 5)
        assert one.refs == other.refs
        assert [it for it in one.refs if it in {2, 3, 4}] == [2, 3, 4]
        await log_of(one).idle()  # attempts are none of what it waits for


async def test_what_was_not_acknowledged_is_not_sent_again(
    start_nats: StartNats, stream: str
) -> None:
    servers = start_nats()
    async with shared(servers.url, stream) as node:
        assert await log_of(node).attempt([entry(1)])
        client = log_of(node)._attempts._client
        await asyncio.to_thread(servers.servers[0].kill)
        await until(lambda: not client.is_connected)
        assert not await log_of(node).attempt([entry(2)])
        await asyncio.to_thread(servers.start)
        await until(lambda: log_of(node)._consumer.follows, within=20)
        node.append(3)
        await until(lambda: 3 in node.refs, within=20)
        assert node.refs == [1, 3]
