"""A client that vanishes without a word is found out, and everything it held is given back."""

import asyncio
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager

import grpc
import pytest

from chat.v1 import chat_pb2, chat_pb2_grpc, commands_pb2
from chat_service.config import Config, Endpoint
from chat_service.core.limits import PRESENCE_GRACE
from chat_service.node import Node
from tests.conftest import StartNode
from tests.transports.conftest import Enter
from tests.transports.far_host import NEAR, Network, Unavailable, network
from tests.transports.lines import Lines
from tests.transports.stream import presence
from tests.waiting import until

SLACK = 0.6
"""Seconds that a busy machine may take on top."""

# --- gRPC: the host answers, the client does not ---


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


@pytest.mark.parametrize("talking", [False, True], ids=["in silence", "while others talk"])
async def test_a_grpc_client_behind_a_cut_cable_is_found_out(
    start_node: StartNode, enter: Enter, talking: bool
) -> None:
    keepalive = 1.0
    node = await start_node(keepalive=keepalive)
    ann = await enter(node, "ann")
    await ann.ping()
    tasks = len(asyncio.all_tasks())
    cable = Cable()
    async with AsyncExitStack() as stack:
        port = await stack.enter_async_context(cable.to(node.endpoints["grpc"].port))
        channel = grpc.aio.insecure_channel(f"127.0.0.1:{port}")
        call = chat_pb2_grpc.ChatStub(await stack.enter_async_context(channel)).Connect()
        hello = commands_pb2.Command(ref=1, hello=commands_pb2.Hello(user="bob", client_id="b"))
        await call.write(chat_pb2.ClientFrame(commands=[hello]))
        assert (await call.read()).events[0].HasField("welcome")
        await ann.hears_presence("bob", online=True)
        cable.cut()

        loop = asyncio.get_running_loop()
        cut = loop.time()
        while "bob" in node.hub.registry.users:
            assert loop.time() - cut < 1.5 * keepalive + SLACK
            await (ann.say("are you there?") if talking else asyncio.sleep(0.05))
        found_out = loop.time() - cut
        await ann.hears(
            lambda event: presence(event) == ("bob", False), within=PRESENCE_GRACE + SLACK
        )
        told = loop.time() - cut
        assert told - found_out > PRESENCE_GRACE - SLACK  # it might have come back
        call.cancel()
    await until(lambda: len(asyncio.all_tasks()) <= tasks, what="its tasks to end")
    assert len(node.hub.registry) == 1


# --- TCP: the host has gone ---


@pytest.fixture
def hosts() -> Iterator[Network]:
    """Two hosts and a cable; the test is skipped where there can be none."""
    try:
        with network() as made:
            yield made
    except Unavailable as reason:
        pytest.skip(str(reason))


@pytest.mark.parametrize("talking", [False, True], ids=["in silence", "while others talk"])
async def test_a_tcp_client_whose_host_has_gone_is_found_out(
    start_node: StartNode, hosts: Network, talking: bool
) -> None:
    keepalives = [2.0, 3.0, Config().keepalive]
    with hosts.near.here():
        nodes = [
            await start_node(
                keepalive=seconds, tcp=Endpoint(NEAR, 0), grpc=None, data=None, insecure=True
            )
            for seconds in keepalives
        ]
    async with AsyncExitStack() as stack:
        anns = [await _enter("ann", hosts.near.tcp_socket(), node, stack) for node in nodes]
        tasks = len(asyncio.all_tasks())
        bobs = await stack.enter_async_context(AsyncExitStack())
        for node in nodes:
            await _enter("bob", hosts.far.tcp_socket(), node, bobs)
        for ann in anns:
            await ann.hears("* bob joined")
        await asyncio.sleep(0.3)  # for the last acknowledgements, behind which the silence begins
        hosts.unplug()
        if talking:
            stack.enter_context(_talking(anns))
        async with asyncio.timeout(2 * max(keepalives)):
            times = await asyncio.gather(*(_time_until_gone("bob", node) for node in nodes))
        print("found out after", times)
        for seconds, time in zip(keepalives, times, strict=True):
            assert time < 1.5 * seconds + SLACK, times
        for ann in anns:
            await ann.hears("* bob left", within=1)
        for node in nodes:
            assert len(node.hub.registry) == 1
        await bobs.aclose()
        await until(lambda: len(asyncio.all_tasks()) <= tasks + talking, what="their tasks to end")


async def _enter(user: str, sock: socket.socket, node: Node, stack: AsyncExitStack) -> Lines:
    endpoint = node.endpoints["tcp"]
    stack.callback(sock.close)
    await asyncio.get_running_loop().sock_connect(sock, (endpoint.host, endpoint.port))
    lines = Lines(*await asyncio.open_connection(sock=sock))
    stack.push_async_callback(lines.hang_up)
    return await lines.enter(user)


async def _time_until_gone(user: str, node: Node) -> float:
    loop = asyncio.get_running_loop()
    started = loop.time()
    await until(lambda: user not in node.hub.registry.users, within=60, what=f"{user} to be missed")
    return loop.time() - started


@contextmanager
def _talking(people: list[Lines]) -> Iterator[None]:
    async def talk() -> None:
        while True:
            for person in people:
                person.send("are you there?\n")
            await asyncio.sleep(0.2)

    task = asyncio.create_task(talk())
    try:
        yield
    finally:
        task.cancel()
