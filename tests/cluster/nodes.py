"""Several nodes in this process, each with data of its own, on one stream."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import nats
import nats.js.errors

from chat_service.config import Config, Endpoint
from chat_service.node import Node
from tests.cluster.servers import NatsServers
from tests.waiting import until

ANY_PORT = Endpoint("127.0.0.1", 0)


class Cluster:
    """Nodes on one stream; `start` adds one, at first or on the data that it had before."""

    def __init__(self, servers: NatsServers, stream: str, directory: Path, **settings: Any) -> None:
        self.servers = servers
        self.stream = stream
        self.nodes: list[Node] = []
        self._directory = directory
        self._settings = settings

    async def start(self, name: str, **settings: Any) -> Node:
        """Start a node and wait until it has caught up."""
        defaults: dict[str, Any] = {
            "grpc": ANY_PORT,
            "tcp": ANY_PORT,
            "web": None,
            "data": self._directory / name,
            "node": name,
            "nats": tuple(self.servers.url.split(",")),
            "nats_stream": self.stream,
        }
        node = Node(Config(**(defaults | self._settings | settings)))
        await node.start()
        self.nodes.append(node)
        return node

    def data(self, node: Node) -> Path:
        """Return where a node keeps its state."""
        return self._directory / node._config.node

    async def level(self) -> int:
        """Wait until all nodes have applied equally much of the log; returns up to where."""

        def positions() -> set[int]:
            return {node._store.position for node in self.nodes if not node._stopped}

        await until(lambda: len(positions()) == 1, within=20, what=f"one position in {positions()}")
        return positions().pop()

    async def close(self) -> None:
        """Stop every node, and take the stream away."""
        await asyncio.gather(*(node.stop() for node in self.nodes))
        client = await nats.connect(self.servers.url.split(","))
        try:
            jetstream = client.jetstream(timeout=10)
            for stream in (self.stream, f"OBJ_{self.stream}-snapshots"):
                with suppress(nats.js.errors.NotFoundError):
                    await jetstream.delete_stream(stream)
        finally:
            await client.close()


@asynccontextmanager
async def cluster(
    servers: NatsServers, stream: str, directory: Path, count: int = 3, **settings: Any
) -> AsyncIterator[Cluster]:
    """Start nodes, the first of which makes the stream, and stop them in the end."""
    async with AsyncExitStack() as stack:
        nodes = Cluster(servers, stream, directory, **settings)
        stack.push_async_callback(nodes.close)
        await nodes.start("node-0")
        await asyncio.gather(*(nodes.start(f"node-{number}") for number in range(1, count)))
        nodes.nodes.sort(key=lambda node: node._config.node)  # else in the order of being ready
        yield nodes
