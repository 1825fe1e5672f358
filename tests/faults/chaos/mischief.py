"""What can go wrong with a cluster, one fault at a time: done, borne for a while, and undone."""

import asyncio
import shutil
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from random import Random
from typing import Final

import grpc.aio
import nats
import nats.errors

from chat_service.log.snapshots import NoSnapshot, Snapshots
from tests.cluster.servers import NatsServer

from .filler import filler, pour
from .node import NodeProcess
from .servers import CabledServers
from .small_buffers import FULL

_HEALED_WITHIN: Final = 60.0
_TRIM_WITHIN: Final = 5.0
_FILLED_WITHIN: Final = 8.0
_LOOK_EVERY: Final = 0.1


class Mischief:
    """Does faults of some kinds, one at a time. `faults` counts them by kind."""

    def __init__(
        self,
        nodes: Sequence[NodeProcess],
        servers: CabledServers,
        stream: str,
        random: Random,
        kinds: Mapping[str, "Fault"],
    ) -> None:
        self.faults: Counter[str] = Counter()
        self._nodes = nodes
        self._servers = servers
        self._stream = stream
        self._random = random
        self._kinds = kinds
        self._to_come: list[str] = []
        self.filled = 0
        """How many of the buffers that were to be filled were full."""
        self.trimmed = 0
        """The last record that was taken away from the log."""

    async def next(self) -> None:
        """Do one fault, undo it, and let the log recover; all kinds come equally often."""
        if not self._to_come:
            self._to_come = list(self._kinds)
            self._random.shuffle(self._to_come)
        kind = self._to_come.pop()
        self.faults[kind] += 1
        await self._kinds[kind](self)
        await self._leader()

    async def healed(self) -> None:
        """Wait until every server serves and every node has been made to."""
        await asyncio.to_thread(self._servers.wait_until_ready)

    # Nodes.

    async def kill_node(self) -> None:
        node = self._a_node()
        await node.kill()
        await self._bear(3.0)
        await node.start()

    async def stop_node(self) -> None:
        node = self._a_node()
        await node.stop()
        await self._bear(1.0)
        await node.start()

    async def kill_two_nodes(self) -> None:
        first, second = self._random.sample(self._nodes, 2)
        await first.kill()
        await second.kill()
        await self._bear(2.0)
        first.launch()
        second.launch()
        await asyncio.gather(first.serving(), second.serving())

    async def lose_data(self) -> None:
        """Take a node's data away, and what the log holds that is in a snapshot as well."""
        node = self._a_node()
        await node.kill()
        shutil.rmtree(node.data)
        with suppress(nats.errors.Error, NoSnapshot, OSError, TimeoutError):
            async with asyncio.timeout(_TRIM_WITHIN):
                await self._trim_log()
        await node.start()

    async def pause_node(self) -> None:
        with self._a_node().paused():
            await self._bear(6.0)

    async def take_node_for_dead(self) -> None:
        """Pause a node until the others let its users go."""
        with self._a_node().paused():
            await asyncio.sleep(13.0)

    async def slow_disk(self) -> None:
        with self._a_node().on_slow_disk(self._random.choice((0.02, 0.2))):
            await self._bear(5.0)

    # Between nodes and NATS.

    async def cut_node_off(self) -> None:
        with self._a_node().cut_off(silently=False):
            await self._bear(6.0)

    async def silence_node(self) -> None:
        with self._a_node().cut_off(silently=True):
            await self._bear(8.0)

    async def reset_connections(self) -> None:
        """Reset a node's connections again and again, so that it is always on its way."""
        node = self._a_node()
        for _ in range(12):
            with node.cut_off(silently=False):
                await asyncio.sleep(self._random.uniform(0.0, 0.05))
            await asyncio.sleep(self._random.uniform(0.05, 0.5))

    async def fill_node(self) -> None:
        """Let nothing through from a node until it has filled what it keeps for NATS."""
        node = self._a_node()
        await self._server_of(node)
        seen = node.log.count(FULL)
        with suppress(grpc.aio.AioRpcError, TimeoutError):
            async with filler(node.port) as somebody:
                with node.held_up(up=True):
                    await somebody.say_much()
                    await self._filled(lambda: node.log.count(FULL) > seen)
                    await self._bear(4.0)

    async def fill_server(self) -> None:
        """Let nothing through to a node until its NATS server has filled what it keeps for it."""
        node = self._a_node()
        server = await self._server_of(node)
        seen = server.slow_consumers
        with node.held_up(down=True):
            pouring = asyncio.create_task(pour(server, f"{self._stream}.signals"))
            await self._filled(lambda: server.slow_consumers > seen)
            pouring.cancel()
            with suppress(asyncio.CancelledError, nats.errors.Error, OSError):
                await pouring
            await self._bear(4.0)

    # NATS.

    async def kill_server(self) -> None:
        await self._kill(self._random.choice(self._servers.servers))

    async def kill_leader(self) -> None:
        await self._kill(await self._leader())

    async def pause_leader(self) -> None:
        leader = await self._leader()
        leader.pause()
        try:
            await self._bear(8.0)
        finally:
            leader.resume()

    async def isolate_leader(self) -> None:
        with self._servers.isolated(await self._leader(), silently=False):
            await self._bear(10.0)

    async def isolate_silently(self) -> None:
        server = self._random.choice(self._servers.servers)
        with self._servers.isolated(server, silently=True):
            await self._bear(10.0)

    async def lose_quorum(self) -> None:
        dying = self._random.sample(self._servers.servers, 2)
        for server in dying:
            server.kill()
        await self._bear(6.0)
        for server in dying:
            server.start()

    async def kill_all_servers(self) -> None:
        for server in self._servers.servers:
            server.kill()
        await self._bear(3.0)
        for server in self._servers.servers:
            server.start()

    async def _trim_log(self) -> None:
        """Take so much away from the log that the newest snapshot is of no more use."""
        client = await nats.connect(self._servers.url.split(","), allow_reconnect=False)
        try:
            js = client.jetstream(timeout=_TRIM_WITHIN)
            last = (await js.stream_info(self._stream)).state.last_seq
            newest = max(
                (it.position for it in await Snapshots(js, self._stream, 3).listed()), default=last
            )
            if newest + 1 < last:  # what was lately said stays, for nodes that are a little behind
                self.trimmed = (newest + 1 + last) // 2
                await js.purge_stream(self._stream, seq=self.trimmed + 1)
        finally:
            await client.close()

    async def _server_of(self, node: NodeProcess) -> NatsServer:
        """Return the server that a node is connected to, once it is."""
        async with asyncio.timeout(_HEALED_WITHIN):
            while True:
                found = await asyncio.to_thread(self._servers.server_of, node.name)
                if found is not None:
                    return found
                await asyncio.sleep(_LOOK_EVERY)

    async def _filled(self, full: Callable[[], bool]) -> None:
        """Wait until a buffer is full, or the node has long taken its connection for dead."""
        with suppress(TimeoutError):
            async with asyncio.timeout(_FILLED_WITHIN):
                while not await asyncio.to_thread(full):  # noqa: ASYNC110  (it tells nobody)
                    await asyncio.sleep(_LOOK_EVERY)
                self.filled += 1

    async def _kill(self, server: NatsServer) -> None:
        server.kill()
        await self._bear(4.0)
        server.start()

    async def _leader(self) -> NatsServer:
        """Return the server that leads the log's stream, once there is one."""
        found: NatsServer | None = None
        async with asyncio.timeout(_HEALED_WITHIN):
            while found is None:
                found = await asyncio.to_thread(self._look_for_leader)
        return found

    def _look_for_leader(self) -> NatsServer | None:
        """Ask who leads; blocks, since a server that is paused keeps waiting who asks it."""
        found = self._servers.leader_of(self._stream)
        if found is None:
            time.sleep(0.1)
        return found

    def _a_node(self) -> NodeProcess:
        return self._random.choice(self._nodes)

    async def _bear(self, longest: float) -> None:
        """Let the fault last for some time."""
        await asyncio.sleep(self._random.uniform(0.2, 1.0) * longest)


Fault = Callable[[Mischief], Awaitable[None]]

FILLING: Final[dict[str, Fault]] = {
    "node's buffer filled": Mischief.fill_node,
    "NATS server's buffer filled": Mischief.fill_server,
}

TO_NODES: Final[dict[str, Fault]] = {
    "node killed": Mischief.kill_node,
    "node stopped": Mischief.stop_node,
    "two nodes killed": Mischief.kill_two_nodes,
    "node's data lost": Mischief.lose_data,
    "node paused": Mischief.pause_node,
    "node taken for dead": Mischief.take_node_for_dead,
    "disk slow": Mischief.slow_disk,
    "node cut off from NATS": Mischief.cut_node_off,
    "node's connection silent": Mischief.silence_node,
    "node's connections reset": Mischief.reset_connections,
    **FILLING,
}
TO_NATS: Final[dict[str, Fault]] = {
    "NATS server killed": Mischief.kill_server,
    "stream's leader killed": Mischief.kill_leader,
    "stream's leader paused": Mischief.pause_leader,
    "stream's leader cut off": Mischief.isolate_leader,
    "NATS server's routes silent": Mischief.isolate_silently,
    "quorum lost": Mischief.lose_quorum,
    "all NATS servers killed": Mischief.kill_all_servers,
}
