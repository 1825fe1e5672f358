"""A crowd that comes and goes, in a process of its own so that nothing of it is counted here.

Run as `python -m tests.transports.crowd grpc|tcp PORT COUNT`: connects and disconnects so often, a
hundred at a time, by turns in every way there is: a clean leave, a cut connection, a departure in
the middle of hello.
"""

import asyncio
import sys
from collections.abc import Awaitable, Callable
from typing import Any

import grpc

from chat.v1 import chat_pb2, commands_pb2

AT_A_TIME = 100
NAMES = 1000


class RpcCrowd:
    """Streams on a few channels, cut by cancelling them."""

    def __init__(self, port: int) -> None:
        options = [("grpc.use_local_subchannel_pool", 1)]
        self._channels = [
            grpc.aio.insecure_channel(f"127.0.0.1:{port}", options=options) for _ in range(4)
        ]

    async def visit(self, number: int) -> None:
        """Connect and disconnect once."""
        connect: Any = self._channels[number % 4].stream_stream("/chat.v1.Chat/Connect")
        call = connect()
        hello = commands_pb2.Hello(user=f"v{number % NAMES}", client_id=f"{number % NAMES}")
        frame = chat_pb2.ClientFrame(commands=[commands_pb2.Command(ref=1, hello=hello)])
        await call.write(frame.SerializeToString())
        if number % 3:
            await call.read()
        if number % 3 == 1:
            await call.done_writing()
            while await call.read() is not grpc.aio.EOF:
                pass
        call.cancel()

    async def close(self) -> None:
        """Give back what the crowd holds."""
        for channel in self._channels:
            await channel.close()


class TcpCrowd:
    """Sockets, cut by aborting them."""

    def __init__(self, port: int) -> None:
        self._port = port

    async def visit(self, number: int) -> None:
        """Connect and disconnect once."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self._port)
        writer.write(f"v{number % NAMES}\n".encode())
        if number % 3:
            await reader.readline()  # the question
            await reader.readline()  # the welcome
        if number % 3 == 1:
            writer.write_eof()
            await reader.read()
            writer.close()
        else:
            writer.transport.abort()

    async def close(self) -> None:
        """Nothing is held."""


async def churn(visit: Callable[[int], Awaitable[None]], count: int) -> int:
    """Visit so often; returns how many visits were cut short by an error."""
    numbers = iter(range(count))
    failures = 0

    async def visitor() -> None:
        nonlocal failures
        for number in numbers:
            try:
                await visit(number)
            except (grpc.aio.AioRpcError, asyncio.CancelledError, OSError):
                failures += 1

    await asyncio.gather(*(visitor() for _ in range(AT_A_TIME)))
    return failures


async def _main(transport: str, port: int, count: int) -> None:
    crowd = RpcCrowd(port) if transport == "grpc" else TcpCrowd(port)
    failures = await churn(crowd.visit, count)
    await crowd.close()
    print(f"{count} visits, {failures} failed")


if __name__ == "__main__":
    asyncio.run(_main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3])))
