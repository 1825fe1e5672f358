"""Clients that read too slowly or not at all: they pay for it, and nobody else does."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import aclosing, suppress

import grpc
import pytest

from chat.v1 import chat_pb2, chat_pb2_grpc, commands_pb2, cursor_pb2, events_pb2
from chat_service import catch_up
from chat_service import session as sessions
from chat_service.config import MIB
from chat_service.hub.outbox import Outbox
from chat_service.node import Node
from chat_service.state.store import Store
from chat_service.transports import rpc, tcp
from tests.conftest import StartNode
from tests.transports.conftest import Dial, Enter, OpenStream
from tests.transports.stream import OPTIONS, Stream
from tests.waiting import until

EVENTS = 512
TEXT = "x" * 4000


@pytest.fixture
async def small_node(start_node: StartNode) -> Node:
    """A node with the smallest outboxes, and no limit on what one may say."""
    return await start_node(
        outbox_events=EVENTS, outbox_bytes=MIB, rate_commands=None, rate_bytes=None
    )


@pytest.fixture
def quick_linger(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave little time to read a goodbye."""
    for module in (sessions, rpc, tcp):
        monkeypatch.setattr(module, "LINGER", 0.5)


def outbox_of(node: Node, user: str) -> Outbox:
    (subscriber,) = node.hub.registry.of_user(user)
    return subscriber.outbox


async def talk_until_ended(node: Node, talker: Stream, user: str) -> list[str]:
    """Say something until a user's session has ended; returns all that was said."""
    outbox = outbox_of(node, user)
    said: list[str] = []
    while not outbox.closed:
        for _ in range(20):
            said.append(f"{len(said)} {TEXT}")
            await talker.send(
                commands_pb2.Command(send=commands_pb2.Send(to="#lobby", text=said[-1]))
            )
        await talker.ping()
        assert len(outbox) <= EVENTS
        assert outbox._bytes <= MIB
        assert len(said) < 20_000, "the slow reader was never found out"
    return said


class SleepingRpc:
    """A gRPC client that says hello and then reads when it is told to."""

    def __init__(self, node: Node) -> None:
        self._channel = grpc.aio.insecure_channel(str(node.endpoints["grpc"]), options=OPTIONS)
        self.call = chat_pb2_grpc.ChatStub(self._channel).Connect()

    async def enter(self, user: str, resume: cursor_pb2.Cursor | None = None) -> events_pb2.Welcome:
        hello = commands_pb2.Hello(user=user, client_id=user, resume=resume)
        await self.call.write(chat_pb2.ClientFrame(commands=[commands_pb2.Command(hello=hello)]))
        frame: chat_pb2.ServerFrame = await self.call.read()
        return frame.events[0].welcome

    async def read_on(self) -> list[events_pb2.Event]:
        events: list[events_pb2.Event] = []
        with suppress(grpc.aio.AioRpcError):
            while (frame := await self.call.read()) is not grpc.aio.EOF:
                events += frame.events
        return events

    async def aclose(self) -> None:
        self.call.cancel()
        await self._channel.close()


class SleepingTcp:
    """A TCP client that says its name and then reads when it is told to."""

    def __init__(self, node: Node) -> None:
        self._endpoint = node.endpoints["tcp"]
        self._sock = socket.socket()
        self._sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65_536)
        self._sock.setblocking(False)

    async def enter(self, user: str) -> None:
        loop = asyncio.get_running_loop()
        await loop.sock_connect(self._sock, (self._endpoint.host, self._endpoint.port))
        await self.send(f"{user}\n".encode())
        seen = b""
        while b"welcome" not in seen:
            seen += await loop.sock_recv(self._sock, 4096)

    async def send(self, data: bytes) -> None:
        await asyncio.get_running_loop().sock_sendall(self._sock, data)

    async def read_on(self) -> list[str]:
        data = bytearray()
        while chunk := await asyncio.get_running_loop().sock_recv(self._sock, 1 << 20):
            data += chunk
        return data.decode().splitlines()

    async def aclose(self) -> None:
        self._sock.close()


@pytest.fixture
async def sleepy_rpc(small_node: Node) -> AsyncIterator[SleepingRpc]:
    """A gRPC client that has connected."""
    async with aclosing(SleepingRpc(small_node)) as client:
        yield client


@pytest.fixture
async def sleepy_tcp(small_node: Node) -> AsyncIterator[SleepingTcp]:
    """A TCP client that is about to connect."""
    async with aclosing(SleepingTcp(small_node)) as client:
        yield client


# --- who does not read ---


async def test_a_grpc_client_that_stops_reading_is_told_when_it_reads_on(
    small_node: Node, sleepy_rpc: SleepingRpc, enter: Enter, dial: Dial
) -> None:
    ann, bob = await enter(small_node, "ann"), await enter(small_node, "bob")
    cyd = await dial(small_node, "cyd")
    welcome = await sleepy_rpc.enter("sleepy")
    said = await talk_until_ended(small_node, ann, "sleepy")
    events = await sleepy_rpc.read_on()

    assert events[-1].goodbye.reason == events_pb2.GOODBYE_REASON_SLOW_CONSUMER
    assert events[-1].goodbye.reconnect
    assert await sleepy_rpc.call.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert "sleepy" not in small_node.hub.registry.users
    await everyone_else_heard(said, bob, cyd.lines)

    # What it has missed is where it left off.
    seen = [event for event in events if event.seq]
    welcome.cursor.seq = max(event.seq for event in seen)
    again = await enter(small_node, "sleepy", "sleepy", resume=welcome.cursor)
    await ann.say("end")
    await again.hears_text("end")
    texts = [event.message.text for event in seen] + again.texts
    assert again.welcome.resumed
    assert texts == [*said, "end"]


async def test_a_tcp_client_that_stops_reading_is_told_when_it_reads_on(
    small_node: Node, sleepy_tcp: SleepingTcp, enter: Enter, dial: Dial
) -> None:
    ann, bob = await enter(small_node, "ann"), await enter(small_node, "bob")
    cyd = await dial(small_node, "cyd")
    await sleepy_tcp.enter("sleepy")
    said = await talk_until_ended(small_node, ann, "sleepy")
    lines = await sleepy_tcp.read_on()
    assert lines[-1] == "* you read too slowly; connect again and resume"
    assert "sleepy" not in small_node.hub.registry.users
    heard = [line for line in lines if line.startswith("ann: ")]
    assert heard == [f"ann: {text}" for text in said[: len(heard)]]
    await everyone_else_heard(said, bob, cyd.lines)


async def test_who_does_not_read_what_was_missed_is_told_when_it_reads_on(
    small_node: Node, sleepy_rpc: SleepingRpc, enter: Enter, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(catch_up, "ROOM_WITHIN", 0.5)
    ann = await enter(small_node, "ann")
    send = commands_pb2.Command(send=commands_pb2.Send(to="#lobby", text=TEXT))
    for _ in range(500):
        await ann.send(*[send] * 10)
        await ann.ping()  # who hears itself must not be slow
    beginning = cursor_pb2.Cursor(epoch=ann.welcome.cursor.epoch, seq=0)
    await sleepy_rpc.enter("sleepy", beginning)
    outbox = outbox_of(small_node, "sleepy")
    await until(lambda: outbox.closed, what="the session's end")
    events = await sleepy_rpc.read_on()
    assert events[-1].goodbye.reason == events_pb2.GOODBYE_REASON_SLOW_CONSUMER
    assert events[-1].goodbye.reconnect


async def everyone_else_heard(said: list[str], bob: Stream, cyds: list[str]) -> None:
    await bob.hears_text(said[-1])
    assert bob.texts == said
    await until(lambda: f"ann: {said[-1]}" in cyds, what="the last line")
    assert [line for line in cyds if line.startswith("ann: ")] == [f"ann: {it}" for it in said]


@pytest.mark.usefixtures("quick_linger")
async def test_a_grpc_client_that_never_reads_has_no_session_and_leaves_nothing_behind(
    small_node: Node, enter: Enter, caplog: pytest.LogCaptureFixture
) -> None:
    ann = await enter(small_node, "ann")
    await ann.ping()
    before = len(asyncio.all_tasks())
    async with aclosing(SleepingRpc(small_node)) as sleepy:
        await sleepy.enter("sleepy")
        await talk_until_ended(small_node, ann, "sleepy")
        await until(lambda: len(small_node.hub.registry) == 1, what="the session to be gone")
    await until(lambda: len(asyncio.all_tasks()) <= before, what="its tasks to be gone")
    assert not [record for record in caplog.records if record.levelname == "ERROR"]


@pytest.mark.usefixtures("quick_linger")
async def test_a_tcp_client_that_never_reads_leaves_nothing_behind(
    small_node: Node, sleepy_tcp: SleepingTcp, enter: Enter
) -> None:
    ann = await enter(small_node, "ann")
    await ann.ping()
    before = len(asyncio.all_tasks())
    await sleepy_tcp.enter("sleepy")
    await talk_until_ended(small_node, ann, "sleepy")
    await until(lambda: len(small_node.hub.registry) == 1, what="the session to be gone")
    await until(lambda: len(asyncio.all_tasks()) <= before, what="its tasks to be gone")
    assert "* you read too slowly; connect again and resume" not in await sleepy_tcp.read_on()


async def test_nobody_waits_for_who_does_not_read(
    small_node: Node, sleepy_rpc: SleepingRpc, sleepy_tcp: SleepingTcp, enter: Enter
) -> None:
    ann, bob = await enter(small_node, "ann"), await enter(small_node, "bob")
    await sleepy_rpc.enter("sleepy1")
    await sleepy_tcp.enter("sleepy2")
    loop = asyncio.get_running_loop()
    slowest = 0.0
    for start in range(0, 4000, 16):
        sends = [commands_pb2.Send(to="#lobby", text=f"{start + i} {TEXT}") for i in range(16)]
        started = loop.time()
        await ann.send(*(commands_pb2.Command(send=send) for send in sends))
        await ann.ping()
        slowest = max(slowest, loop.time() - started)
    await bob.hears_text(f"3999 {TEXT}")
    assert bob.texts == ann.texts == [f"{i} {TEXT}" for i in range(4000)]
    assert slowest < 1.0


# --- who asks without reading ---


async def test_who_asks_without_reading_is_heard_no_further_until_it_reads(
    small_node: Node, sleepy_tcp: SleepingTcp, enter: Enter
) -> None:
    ann = await enter(small_node, "ann")
    await sleepy_tcp.enter("sleepy")
    asked = 20_000
    asking = asyncio.create_task(sleepy_tcp.send(b"/help\n" * asked + b"/quit\n"))
    outbox = outbox_of(small_node, "sleepy")
    await until(lambda: outbox.past_half, what="answers to pile up")
    await ann.say("still here")
    assert len(outbox) <= EVENTS
    lines = await sleepy_tcp.read_on()
    await asking
    assert sum(line.startswith("* /help ") for line in lines) == asked
    assert lines[-1] == "* bye"


async def test_who_asks_without_reading_and_vanishes_leaves_nothing_behind(
    small_node: Node, enter: Enter
) -> None:
    ann = await enter(small_node, "ann")
    await ann.ping()
    before = len(asyncio.all_tasks())
    for client in (SleepingTcp(small_node), SleepingTcp(small_node)):
        await client.enter("sleepy")
        asking = asyncio.create_task(client.send(b"/help\n" * 20_000))
        await until(lambda: outbox_of(small_node, "sleepy").past_half, what="answers to pile up")
        asking.cancel()
        await asyncio.gather(asking, return_exceptions=True)
        await client.aclose()  # with answers unread, which is a reset
        await until(lambda: len(small_node.hub.registry) == 1, what="the session to be gone")
    await until(lambda: len(asyncio.all_tasks()) <= before, what="its tasks to be gone")


async def test_who_reads_gets_the_answers_to_any_number_of_commands_at_once(
    small_node: Node, enter: Enter
) -> None:
    ann = await enter(small_node, "ann")
    pings = [commands_pb2.Command(ref=7, ping=commands_pb2.Ping()) for _ in range(5000)]
    await ann.send(*pings)
    await ann.ping()
    assert sum(event.ref == 7 for event in ann.events) == 5000


# --- who reads as fast as anyone could ---


async def test_a_storm_behind_a_stalled_disk_closes_nobody_who_reads(
    start_node: StartNode, open_stream: OpenStream, monkeypatch: pytest.MonkeyPatch
) -> None:
    node = await start_node()
    ann, bob = await open_stream(node).enter("ann"), await open_stream(node).enter("bob")
    apply, stalled = Store.apply_records, asyncio.Event()

    async def stalling(store: Store, *args: object) -> object:
        stalled.set()
        await asyncio.sleep(1)
        monkeypatch.undo()
        return await apply(store, *args)  # type: ignore[arg-type]

    monkeypatch.setattr(Store, "apply_records", stalling)
    frame = [commands_pb2.Command(send=commands_pb2.Send(to="#lobby", text=TEXT))] * 15
    for _ in range(125):
        await ann.send(*frame)
    await stalled.wait()
    await ann.say("end")
    await bob.hears_text("end")
    assert len(bob.texts) == len(frame) * 125 + 1
    await ann.ping()
