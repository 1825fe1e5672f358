"""Streams of bytes to a server in another process, and what that process takes meanwhile."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import grpc

from chat.v1 import chat_pb2, commands_pb2, cursor_pb2
from tests.processes import ServerProcess
from tests.transports.stream import METHOD, OPTIONS

MIB: Final = 1024 * 1024

Call = grpc.aio.StreamStreamCall[bytes, bytes]


def channel_to(server: ServerProcess) -> grpc.aio.Channel:
    """Return a channel with a connection of its own."""
    return grpc.aio.insecure_channel(server.endpoints["grpc"], options=OPTIONS)


async def connect(
    channel: grpc.aio.Channel,
    user: str,
    client_id: str,
    resume: cursor_pb2.Cursor | None = None,
) -> Call:
    """Open a stream and say hello on it."""
    call: Call = channel.stream_stream(METHOD)()
    hello = commands_pb2.Hello(user=user, client_id=client_id, resume=resume)
    await call.write(frame(commands_pb2.Command(ref=1, hello=hello)))
    return call


async def receive(call: Call) -> chat_pb2.ServerFrame:
    """Read a frame; fails at the end of the stream."""
    data = await call.read()
    assert isinstance(data, bytes), f"ended with {await call.code()} {await call.details()}"
    return chat_pb2.ServerFrame.FromString(data)


def frame(*commands: commands_pb2.Command) -> bytes:
    """Encode commands as one frame."""
    return chat_pb2.ClientFrame(commands=commands).SerializeToString()


def said(texts: Sequence[str], *, to: str = "#lobby") -> bytes:
    """Encode one frame that sends texts."""
    return frame(*(commands_pb2.Command(send=commands_pb2.Send(to=to, text=it)) for it in texts))


def memory(server: ServerProcess) -> int:
    """Return the bytes of memory that a server has now."""
    return _status(server, "VmRSS")


def peak_memory(server: ServerProcess) -> int:
    """Return the most bytes of memory that a server has had."""
    return _status(server, "VmHWM")


def cpu_seconds(server: ServerProcess) -> float:
    """Return the processor time that a server has taken."""
    fields = Path(f"/proc/{server.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / 100


def _status(server: ServerProcess, field: str) -> int:
    status = Path(f"/proc/{server.pid}/status").read_text()
    kib = re.search(rf"^{field}:\s+(\d+) kB$", status, re.MULTILINE)
    assert kib is not None
    return int(kib[1]) * 1024
