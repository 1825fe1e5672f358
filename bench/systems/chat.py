"""This service, over each of its transports."""

from collections.abc import Sequence
from pathlib import Path
from typing import Final

from bench.systems.port import WINDOW, ClientFactory
from bench.systems.process import HOST, ServerProcess, announced, python_module
from bench.systems.rpc import RpcArchive, rpc_clients
from bench.systems.sockets import SocketClient
from chat_service import __version__

_OPTIONS: Final = (
    "--rate-commands", "off", "--rate-bytes", "off", "--rate-connects", "off",
    "--log-level", "warning", "--max-sessions", "20000",
    "--outbox-events", "65536", "--outbox-bytes", "64MiB",
)  # fmt: skip


class ChatOverRpc:
    """chat-service over gRPC."""

    name = "grpc"
    title = "chat-service gRPC"
    sends_to_many_rooms = True
    most_sessions = 10_000
    window = WINDOW

    def missing(self) -> str:
        """Return nothing: it is here."""
        return ""

    def version(self) -> str:
        """Return the version of the package."""
        return __version__

    def start(self, directory: Path) -> ServerProcess:
        """Start it on a database in the directory, durable as by default."""
        return _start(directory, "grpc", "tcp")

    def clients(self, address: str) -> ClientFactory:
        """Return what makes streams."""
        return rpc_clients(address)

    def archive(self, address: str) -> RpcArchive:
        """Return what asks for the past."""
        return RpcArchive(address)


class ChatOverTcp:
    """chat-service over raw TCP."""

    name = "tcp"
    title = "chat-service TCP"
    sends_to_many_rooms = False
    most_sessions = 10_000
    window = WINDOW

    def missing(self) -> str:
        """Return nothing: it is here."""
        return ""

    def version(self) -> str:
        """Return the version of the package."""
        return __version__

    def start(self, directory: Path) -> ServerProcess:
        """Start it on a database in the directory, durable as by default."""
        return _start(directory, "tcp", "grpc")

    def clients(self, address: str) -> ClientFactory:
        """Return what makes connections."""
        return lambda ears: LineClient(address, ears)


class LineClient(SocketClient):
    """The line protocol, as `nc` speaks it."""

    _room = ""

    async def enter(self, user: str, rooms: Sequence[str], *, listen: bool) -> None:  # noqa: ARG002
        """Say the name and join; the last room is the current one."""
        await self.connect()
        await self.ask(f"{user}\n".encode(), b"* welcome, ")
        for room in rooms:
            await self.ask(f"/join {room}\n".encode(), f"* you are in {room} now\n".encode())
            self._room = room

    def encode(self, to: str, text: bytes) -> bytes:
        """Return a line, or a command for a message to a user."""
        if to.startswith("@"):
            return b"/msg %b %b\n" % (to[1:].encode(), text)
        if to != self._room:
            raise ValueError(f"{to} is not the current room")
        return text + b"\n"

    async def settle(self) -> None:
        """Ask for the rooms, which is answered when all before it is done."""
        await self.ask(b"/rooms\n", b"* you are in: ")


def _start(directory: Path, on: str, off: str) -> ServerProcess:
    command = python_module(
        "chat_service", f"--{on}", f"{HOST}:0", f"--{off}", "off",
        "--data", str(directory / "data"), *_OPTIONS,
    )  # fmt: skip
    return ServerProcess(command, directory, announced(on))
