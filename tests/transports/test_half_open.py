"""A client that vanishes without a word is found out, and everything it held is given back."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

import grpc
import pytest

from chat.v1 import chat_pb2, chat_pb2_grpc, commands_pb2
from chat_service.node import Node
from tests.conftest import StartNode
from tests.scenarios.people import GrpcPerson, Went
from tests.waiting import until

TCP_REPAIR = 19  # linux/tcp.h; the socket module has no name for it
KEEPALIVE = 1.0
FOUND_OUT = 1.5 * KEEPALIVE
TOLD = 4.0  # PRESENCE_GRACE, for a client that might have come back


@pytest.fixture
async def probing(start_node: StartNode) -> Node:
    """A node that probes silent connections soon."""
    return await start_node(keepalive=KEEPALIVE)


class Cable:
    """A TCP proxy that can be cut so that neither side notices."""

    def __init__(self) -> None:
        self._whole = asyncio.Event()
        self._whole.set()
        self._tasks: set[asyncio.Task[None]] = set()

    def cut(self) -> None:
        """Let nothing through any more, and close nothing."""
        self._whole.clear()

    @asynccontextmanager
    async def to(self, port: int) -> AsyncIterator[int]:
        """Lead to a port of this host; yields the port of this end."""
        writers: list[asyncio.StreamWriter] = []

        async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            far_reader, far_writer = await asyncio.open_connection("127.0.0.1", port)
            writers.extend((writer, far_writer))
            for source, target in ((reader, far_writer), (far_reader, writer)):
                self._tasks.add(asyncio.create_task(self._pump(source, target)))

        server = await asyncio.start_server(connected, "127.0.0.1", 0)
        try:
            yield server.sockets[0].getsockname()[1]
        finally:
            server.close()
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)
            for writer in writers:
                writer.close()
            await asyncio.gather(*(w.wait_closed() for w in writers), return_exceptions=True)

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(65536):
            await self._whole.wait()
            writer.write(data)
            await writer.drain()


async def test_a_grpc_client_behind_a_cut_cable_is_found_out(probing: Node) -> None:
    ann = GrpcPerson("ann", "a")
    await ann.connect(probing)
    tasks = len(asyncio.all_tasks())
    cable = Cable()
    async with AsyncExitStack() as stack:
        port = await stack.enter_async_context(cable.to(probing.endpoints["grpc"].port))
        channel = grpc.aio.insecure_channel(f"127.0.0.1:{port}")
        call = chat_pb2_grpc.ChatStub(await stack.enter_async_context(channel)).Connect()
        hello = commands_pb2.Command(ref=1, hello=commands_pb2.Hello(user="bob", client_id="b"))
        await call.write(chat_pb2.ClientFrame(commands=[hello]))
        assert (await call.read()).events[0].HasField("welcome")
        cable.cut()
        await until(lambda: "bob" not in probing.hub.registry.users, within=FOUND_OUT + 2)
        await ann.hears(Went("bob"), within=TOLD + 1)
        call.cancel()
    await until(lambda: len(asyncio.all_tasks()) <= tasks, what="its tasks to end")
    await ann.hang_up()


async def test_a_tcp_client_whose_host_forgot_the_connection_is_found_out(probing: Node) -> None:
    ann = GrpcPerson("ann", "a")
    await ann.connect(probing)
    tasks = len(asyncio.all_tasks())
    await _vanish_after_hello("bob", probing.endpoints["tcp"].port)
    assert "bob" in probing.hub.registry.users
    await until(lambda: "bob" not in probing.hub.registry.users, within=FOUND_OUT + 2)
    await ann.hears(Went("bob"), within=1)
    await until(lambda: len(asyncio.all_tasks()) <= tasks, what="its task to end")
    await ann.hang_up()


async def _vanish_after_hello(user: str, port: int) -> None:
    """Connect, say hello, and make the kernel forget the socket without telling the other end."""
    loop = asyncio.get_running_loop()
    sock = socket.socket()
    sock.setblocking(False)
    await loop.sock_connect(sock, ("127.0.0.1", port))
    await loop.sock_sendall(sock, f"{user}\n".encode())
    heard = b""
    while b"welcome" not in heard:
        heard += await loop.sock_recv(sock, 4096)
    try:
        sock.setsockopt(socket.IPPROTO_TCP, TCP_REPAIR, 1)
    except OSError:
        pytest.skip("only root may take a socket away without a word")
    finally:
        sock.close()
