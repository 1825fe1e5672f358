"""Nodes that are quiet while a cut goes between their NATS servers: who judges whom."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import NamedTuple

import pytest

from chat_service import peers
from chat_service.node import Node
from tests.cluster.conftest import UNLIMITED
from tests.cluster.nodes import Cluster
from tests.cluster.servers import NatsServer
from tests.faults.chaos.servers import CabledServers
from tests.transports.stream import Stream
from tests.waiting import until

STREAM = "chat"


class Sides(NamedTuple):
    """Two nodes, each on one NATS server alone, and which server will be cut off."""

    servers: CabledServers
    nodes: Cluster
    apart: NatsServer
    minority: Node
    majority: Node


Laid = Callable[..., Awaitable[Sides]]


async def stopped(nodes: Cluster) -> None:
    """Stop all nodes; the servers end with their streams."""
    await asyncio.gather(*(node.stop() for node in nodes.nodes))


@pytest.fixture
async def laid(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Laid]:
    """Return a function that lays both sides; `leader` puts the minority on the stream's leader.

    The node that is cut off has the lowest name, so it would be the one that releases seats.
    """
    monkeypatch.setattr(peers, "DEAD_AFTER", 5.0)
    async with AsyncExitStack() as stack:

        async def lay(*, leader: bool) -> Sides:
            servers = await CabledServers.laid(tmp_path, stack)
            await asyncio.to_thread(servers.start)
            nodes = Cluster(servers, STREAM, tmp_path, **UNLIMITED)
            stack.push_async_callback(stopped, nodes)
            await (await nodes.start("first")).stop()  # it has made the stream
            leading = await asyncio.to_thread(servers.leader_of, STREAM)
            apart = next(it for it in servers.servers if (it is leading) == leader)
            other = next(it for it in servers.servers if it is not apart)
            minority = await nodes.start("a", nats=(apart.url,))
            return Sides(servers, nodes, apart, minority, await nodes.start("z", nats=(other.url,)))

        yield lay


@pytest.mark.parametrize("leader", [False, True], ids=["follower-apart", "leader-apart"])
async def test_a_quiet_node_that_is_cut_off_with_its_server_judges_nobody(
    laid: Laid, *, leader: bool
) -> None:
    sides = await laid(leader=leader)
    ann = await Stream.open(sides.minority).enter("ann", "a")
    bob = await Stream.open(sides.majority).enter("bob", "b")
    await ann.hears_presence("bob", online=True)
    with sides.servers.isolated(sides.apart, silently=False):
        await bob.hears_presence("ann", online=False, within=20)
        attendance, instance = sides.majority.hub.attendance, sides.minority._instance
        await until(
            lambda: all(seat.lost for seat in attendance.seats_of(instance)),
            within=20,
            what="ann's seat to be released by the other side",
        )
        assert (await bob.say("all is well here")).HasField("ack")
        await ann.ping()
        assert ann.presences == [("bob", True)]
        assert not sides.minority.watch.leads
    await ann.ended(within=30)  # taken for dead; it is told to connect again
    assert ann.events[-1].goodbye.reconnect
    again = await Stream.open(sides.minority).enter("ann", "a", resume=ann.cursor)
    await again.hears_text("all is well here")
    assert (await bob.say("and after that")).HasField("ack")
    assert bob.code is None
    assert ("bob", False) not in [*ann.presences, *again.presences]
    for stream in (ann, again, bob):
        await stream.hang_up()
