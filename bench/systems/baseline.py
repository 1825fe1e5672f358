"""The plain grpc.aio chat of `bench/baseline.py`."""

from importlib.metadata import version as version_of
from pathlib import Path

from bench.systems.port import FRAME, ClientFactory
from bench.systems.process import HOST, ServerProcess, announced, python_module
from bench.systems.rpc import rpc_clients


class Baseline:
    """What one writes first: a queue a user, one write a message, nothing stored."""

    name = "baseline"
    title = "plain grpc.aio chat"
    sends_to_many_rooms = True
    most_sessions = 1_000
    most_rooms = 1_000
    # It writes one message at a time however many wait, so more in flight would only wait longer.
    window = 2 * FRAME

    def missing(self) -> str:
        """Return nothing: it is here."""
        return ""

    def version(self) -> str:
        """Return the version of grpcio, which is most of it."""
        return f"grpcio {version_of('grpcio')}"

    def start(self, directory: Path) -> ServerProcess:
        """Start it; it keeps nothing."""
        command = python_module("bench.baseline", f"{HOST}:0")
        return ServerProcess(command, directory, announced("grpc"))

    def clients(self, address: str) -> ClientFactory:
        """Return what makes streams."""
        return rpc_clients(address)
