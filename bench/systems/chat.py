"""This service, over each of its transports."""

from collections.abc import Sequence
from pathlib import Path
from typing import Final

from bench.systems.port import WINDOW, ClientFactory
from bench.systems.process import HOST, ServerProcess, announced, python_module
from bench.systems.rpc import RpcArchive, rpc_clients
from bench.systems.sockets import SocketClient
from chat_service import __version__

_TRANSPORTS: Final = ("grpc", "tcp", "web")
OPTIONS: Final = (
    "--rate-commands", "off", "--rate-bytes", "off", "--rate-connects", "off",
    # "info" for what it says when it stops. None of its lines at that level comes once a message.
    "--log-level", "info", "--log-format", "human", "--max-sessions", "20000",
    "--outbox-events", "65536", "--outbox-bytes", "64MiB",
)  # fmt: skip


class _Chat:
    """What does not depend on how its clients come."""

    transport: str
    other: str
    window = WINDOW

    def missing(self) -> str:
        """Return nothing: it is here."""
        return ""

    def version(self) -> str:
        """Return the version of the package."""
        return __version__

    def start(self, directory: Path) -> ServerProcess:
        """Start it on a database in the directory, durable as by default."""
        return start_chat(directory, self.transport)

    def start_both(self, directory: Path) -> ServerProcess:
        """Start it with both of its transports."""
        return start_chat(directory, self.transport, self.other)


class ChatOverRpcDirect(_Chat):
    """chat-service over gRPC without the proxy: nobody shares a connection."""

    name = "grpc-direct"
    title = "chat-service gRPC, a connection each"
    transport = "grpc"
    other = "tcp"
    sends_to_many_rooms = True
    most_sessions = 1_000
    most_rooms = 1_000

    def clients(self, address: str) -> ClientFactory:
        """Return what makes streams, each on a connection of its own."""
        return rpc_clients(address, streams_a_channel=1)


class ChatOverRpc(_Chat):
    """chat-service over gRPC."""

    name = "grpc"
    title = "chat-service gRPC"
    transport = "grpc"
    other = "tcp"
    sends_to_many_rooms = True
    most_sessions = 10_000
    most_rooms = 1_000
    variants = (ChatOverRpcDirect(),)

    def clients(self, address: str) -> ClientFactory:
        """Return what makes streams."""
        return rpc_clients(address)

    def archive(self, address: str) -> RpcArchive:
        """Return what asks for the past."""
        return RpcArchive(address)


class ChatOverTcp(_Chat):
    """chat-service over raw TCP."""

    name = "tcp"
    title = "chat-service TCP"
    transport = "tcp"
    other = "grpc"
    sends_to_many_rooms = False
    most_sessions = 10_000
    most_rooms = 1_000

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


def start_chat(directory: Path, transport: str, other: str = "") -> ServerProcess:
    """Start it with one transport, or with another beside it."""
    listening = [
        option
        for each in _TRANSPORTS
        for option in (f"--{each}", f"{HOST}:0" if each in {transport, other} else "off")
    ]
    data = str(directory / "data")
    return ServerProcess(
        python_module("chat_service", *listening, "--data", data, *OPTIONS),
        directory,
        announced(transport),
        announced(other) if other else None,
    )
