"""Three NATS servers that reach each other, and are reached by nodes, over cables alone."""

from collections.abc import Iterator
from contextlib import AsyncExitStack, ExitStack, contextmanager
from itertools import permutations
from pathlib import Path
from typing import Final

from tests.cluster.servers import NatsServer, NatsServers, Ports, free_ports

from .cable import Cable

# Servers would tell each other, and clients, of ways that no cable is on: `advertise` names a port
# that nobody listens on instead. Small buffers fill within seconds.
_CONFIG: Final = """\
server_name: "{name}"
listen: "127.0.0.1:{ports.client}"
http: "127.0.0.1:{ports.monitor}"
max_pending: 4MB
write_deadline: "2s"
jetstream {{ store_dir: "{directory}", max_memory_store: 64MB, max_file_store: 4GB }}
cluster {{
  name: "test"
  listen: "127.0.0.1:{ports.route}"
  advertise: "127.0.0.1:1"
  no_advertise: true
  routes: [{routes}]
}}
"""


class CabledServers(NatsServers):
    """A cluster of three, each link of which a test may cut."""

    def __init__(self, directory: Path, ports: list[Ports], routes: dict[tuple[int, int], Cable]):
        self._routes = routes
        self.servers = [
            NatsServer(directory, f"n{i}", ports[i], _config(directory, i, ports[i], routes))
            for i in range(len(ports))
        ]

    @classmethod
    async def laid(cls, directory: Path, stack: AsyncExitStack) -> "CabledServers":
        """Lay the cables and start the servers; the end of the stack is theirs."""
        ports = free_ports(3)
        routes = {
            (i, j): await stack.enter_async_context(Cable(ports[j].route))
            for i, j in permutations(range(3), 2)
        }
        servers = cls(directory, ports, routes)
        stack.callback(servers.close)
        return servers

    def cables_of(self, server: NatsServer) -> list[Cable]:
        """Return the cables between a server and the others."""
        number = self.servers.index(server)
        return [cable for ends, cable in self._routes.items() if number in ends]

    def server_of(self, client: str) -> NatsServer | None:
        """Return the server that a client of a name is connected to, if it is to one."""
        for server in self.servers:
            connections = server.asked("connz").get("connections", ())
            if any(it.get("name") == client for it in connections):
                return server
        return None

    @contextmanager
    def isolated(self, server: NatsServer, *, silently: bool) -> Iterator[None]:
        """Separate a server from the others, its clients staying with it."""
        with ExitStack() as troubles:
            for cable in self.cables_of(server):
                troubles.enter_context(cable.silent() if silently else cable.cut())
            yield


def _config(directory: Path, index: int, ports: Ports, routes: dict[tuple[int, int], Cable]) -> str:
    ways = [cable for (origin, _), cable in routes.items() if origin == index]
    return _CONFIG.format(
        name=f"n{index}",
        ports=ports,
        directory=directory / f"n{index}-data",
        routes=", ".join(f'"nats://{cable.address}"' for cable in ways),
    )
