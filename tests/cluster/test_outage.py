"""Without a quorum senders are told to wait and readers stay; with one all goes on by itself."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from itertools import count
from pathlib import Path

import grpc
import pytest

from chat.v1 import commands_pb2, events_pb2
from chat_service.node import Node
from tests.cluster.nodes import Cluster, cluster
from tests.cluster.servers import NatsServers, StartNats, start_nats, stream
from tests.raw_clients import RpcClient
from tests.waiting import until

__all__ = ["start_nats", "stream"]


@pytest.fixture
def servers(start_nats: StartNats) -> NatsServers:
    """Three servers of this test's own, to be killed."""
    return start_nats(3)


@pytest.fixture
async def nodes(servers: NatsServers, stream: str, tmp_path: Path) -> AsyncIterator[Cluster]:
    async with cluster(servers, stream, tmp_path, count=2) as running:
        yield running


class Crowd:
    """Clients, each with a channel of its own."""

    def __init__(self) -> None:
        self._stack = AsyncExitStack()

    async def enter(self, node: Node, user: str) -> RpcClient:
        options = [("grpc.use_local_subchannel_pool", 1)]
        channel = grpc.aio.insecure_channel(str(node.endpoints["grpc"]), options)
        await self._stack.enter_async_context(channel)
        client = await RpcClient(channel).enter(user, client_id=f"the secret of {user}")
        self._stack.push_async_callback(client.hang_up)
        return client

    async def close(self) -> None:
        await self._stack.aclose()


@pytest.fixture
async def crowd() -> AsyncIterator[Crowd]:
    people = Crowd()
    yield people
    await people.close()


async def post(client: RpcClient, nonce: int) -> asyncio.Future[events_pb2.Event]:
    send = commands_pb2.Send(to="#lobby", text=f"number {nonce}", nonce=nonce)
    return await client.post(send=send)


async def accepted_at_last(client: RpcClient, nonce: int) -> None:
    """Send until the log answers again."""
    async with asyncio.timeout(20):
        while not (await (await post(client, nonce))).HasField("ack"):  # noqa: ASYNC110  (asked again)
            await asyncio.sleep(0.1)


async def post_until_refused(client: RpcClient) -> list[asyncio.Future[events_pb2.Event]]:
    """Send until something is refused; returns all replies, most of which are to come."""
    replies: list[asyncio.Future[events_pb2.Event]] = []
    async with asyncio.timeout(20):
        for nonce in count(1):
            replies.append(await post(client, nonce))
            if any(it.done() and it.result().HasField("error") for it in replies):
                return replies
            await asyncio.sleep(0.05)
    raise AssertionError


async def test_without_a_quorum_senders_wait_readers_stay_and_then_all_goes_on(
    servers: NatsServers, nodes: Cluster, crowd: Crowd
) -> None:
    ann = await crowd.enter(nodes.nodes[0], "ann")
    bob = await crowd.enter(nodes.nodes[1], "bob")
    assert (await ann.say("before")).HasField("ack")
    for server in servers.servers[:2]:
        server.kill()

    replies = await post_until_refused(ann)
    error = next(it for it in replies if it.done()).result().error
    assert error.code == events_pb2.ERROR_CODE_UNAVAILABLE
    assert error.HasField("retry_after")
    assert [it.message.text for it in await bob.history()] == ["before"]
    assert bob.reader is not None
    assert not bob.reader.done()

    for server in servers.servers[:2]:
        server.start()
    await asyncio.to_thread(servers.wait_until_ready)
    await until(lambda: all(it.done() for it in replies), within=30, what="every reply")
    accepted = [it.result().ack.nonce for it in replies if it.result().HasField("ack")]
    assert accepted == sorted(set(accepted))
    last = len(replies) + 1
    await accepted_at_last(ann, last)
    due = [f"number {nonce}" for nonce in (*accepted, last)]
    await until(lambda: len(bob.messages) > len(due), within=20, what=f"{due} at bob's")
    assert [it.message.text for it in bob.messages] == ["before", *due]
    assert not bob.reader.done()


async def test_nobody_is_taken_for_gone_while_no_node_can_be_judged(
    servers: NatsServers, nodes: Cluster, crowd: Crowd
) -> None:
    ann = await crowd.enter(nodes.nodes[0], "ann")
    await crowd.enter(nodes.nodes[1], "bob")
    for server in servers.servers:
        server.kill()
    await asyncio.sleep(11.0)  # longer than a node that is silent alone is waited for
    servers.start()
    assert (await say_until_acked(ann)).HasField("ack")
    gone = [it for it in ann.events if it.HasField("presence") and not it.presence.online]
    assert not gone
    roster = await ann.ask(who=commands_pb2.Who(to="#lobby"))
    assert {it.user for it in roster.roster.members if it.online} == {"ann", "bob"}


async def say_until_acked(client: RpcClient) -> events_pb2.Event:
    async with asyncio.timeout(30):
        while True:
            reply = await client.say("hello")
            if reply.HasField("ack"):
                return reply
            await asyncio.sleep(0.1)
