"""A `chat-server` in a process of its own, and what can be seen of it from outside."""

import asyncio
import re
import sys
from asyncio.subprocess import PIPE, Process
from pathlib import Path
from typing import Self

import grpc

from chat.v1 import chat_pb2, commands_pb2, cursor_pb2
from tests.transports.stream import METHOD, OPTIONS

MIB = 1024 * 1024

Call = grpc.aio.StreamStreamCall[bytes, bytes]


class Server:
    """A running server; `start` makes one and waits until it is ready."""

    def __init__(self, process: Process, grpc_address: str) -> None:
        self.grpc = grpc_address
        """Where gRPC listens."""
        self._process = process

    @classmethod
    async def start(cls, data: Path, *flags: str, listen: str = "127.0.0.1:0") -> Self:
        """Serve a directory, with gRPC only; what it logs goes to a file beside the directory."""
        fixed = ("--grpc", listen, "--tcp", "off", "--data", str(data))
        with data.with_suffix(".log").open("ab") as log:
            process = await asyncio.create_subprocess_exec(
                sys.executable, "-m", "chat_service", *fixed, *flags, stdout=PIPE, stderr=log
            )
        assert process.stdout is not None
        ready = await asyncio.wait_for(process.stdout.readline(), 20)
        address = re.search(rb"grpc=(\S+)", ready)
        assert address is not None, data.with_suffix(".log").read_text()
        return cls(process, address[1].decode())

    @property
    def memory(self) -> int:
        """The bytes of memory that it has now."""
        return self._status("VmRSS")

    @property
    def peak_memory(self) -> int:
        """The most bytes of memory that it has had."""
        return self._status("VmHWM")

    @property
    def cpu_seconds(self) -> float:
        """The processor time that it has taken."""
        fields = Path(f"/proc/{self._process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / 100

    async def kill(self) -> None:
        """End it as a crash does."""
        if self._process.returncode is None:
            self._process.kill()
        await self._process.wait()

    async def stop(self) -> None:
        """Shut it down gracefully."""
        if self._process.returncode is None:
            self._process.terminate()
        await asyncio.wait_for(self._process.wait(), 20)

    def channel(self) -> grpc.aio.Channel:
        """Return a channel with a connection of its own."""
        return grpc.aio.insecure_channel(self.grpc, options=OPTIONS)

    def _status(self, field: str) -> int:
        status = Path(f"/proc/{self._process.pid}/status").read_text()
        kib = re.search(rf"^{field}:\s+(\d+) kB$", status, re.MULTILINE)
        assert kib is not None
        return int(kib[1]) * 1024


async def connect(
    channel: grpc.aio.Channel,
    user: str,
    client_id: str,
    resume: cursor_pb2.Cursor | None = None,
) -> Call:
    """Open a stream of bytes and say hello on it."""
    call: Call = channel.stream_stream(METHOD)()
    hello = commands_pb2.Hello(user=user, client_id=client_id, resume=resume)
    await call.write(frame(commands_pb2.Command(ref=1, hello=hello)))
    return call


def frame(*commands: commands_pb2.Command) -> bytes:
    """Encode commands as one frame."""
    return chat_pb2.ClientFrame(commands=commands).SerializeToString()


def sends(texts: list[str], *, to: str = "#lobby") -> bytes:
    """Encode one frame that sends texts."""
    return frame(
        *(commands_pb2.Command(ref=1, send=commands_pb2.Send(to=to, text=text)) for text in texts)
    )


async def events(call: Call) -> chat_pb2.ServerFrame:
    """Read a frame; fails at the end of the stream."""
    data = await call.read()
    assert isinstance(data, bytes), f"ended with {await call.code()} {await call.details()}"
    return chat_pb2.ServerFrame.FromString(data)
