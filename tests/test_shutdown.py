"""The real process ends: everyone hears all there is to hear, then why, and nothing is lost."""

import asyncio
import signal
import socket
import subprocess
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from functools import partial
from itertools import count
from pathlib import Path

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from chat.v1 import commands_pb2, events_pb2
from tests.processes import COMMAND, ON_FREE_PORTS, ServerProcess, StartServer
from tests.raw_clients import RpcClient, TcpClient
from tests.waiting import until

FAREWELL = "* server shutting down"
DEADLINE = 4.0
SPEAKERS = 10


@asynccontextmanager
async def channel_to(server: ServerProcess) -> AsyncIterator[grpc.aio.Channel]:
    """Return a channel with a connection of its own."""
    options = [("grpc.use_local_subchannel_pool", 1)]
    async with grpc.aio.insecure_channel(server.endpoints["grpc"], options) as channel:
        yield channel


async def history(server: ServerProcess) -> list[events_pb2.Event]:
    """Return all that was said in the lobby."""
    async with channel_to(server) as channel:
        reader = await RpcClient(channel).enter("historian")
        messages = await reader.history()
        await reader.hang_up()
    return messages


class Crowd:
    """Many clients of one server, some of whom talk all the time."""

    def __init__(self) -> None:
        self.rpc: list[RpcClient] = []
        self.tcp: list[TcpClient] = []
        self.acked: set[tuple[int, str]] = set()
        """What was acknowledged: seqs and texts."""
        self._speakers: list[asyncio.Task[None]] = []

    async def gather(self, server: ServerProcess, channels: list[grpc.aio.Channel]) -> None:
        self.rpc = [RpcClient(channels[n % len(channels)]) for n in range(100)]
        self.tcp = [TcpClient(server.endpoints["tcp"]) for _ in range(100)]
        await asyncio.gather(
            *(it.enter(f"rpc{n}", client_id=f"rpc{n}") for n, it in enumerate(self.rpc)),
            *(it.enter(f"tcp{n}") for n, it in enumerate(self.tcp)),
        )

    def talk(self) -> None:
        for number in range(SPEAKERS):
            speak = self._speak(number, self.rpc[number])
            self._speakers.append(asyncio.create_task(speak))
            shout = self._shout(number, self.tcp[number])
            self._speakers.append(asyncio.create_task(shout))

    async def disperse(self) -> None:
        """Wait until everyone has read to the end of their stream."""
        for task in self._speakers:
            task.cancel()
        await asyncio.gather(*self._speakers, return_exceptions=True)
        await asyncio.gather(*(it.reader for it in self.rpc if it.reader))
        await asyncio.gather(*(it.reader for it in self.tcp))
        await asyncio.gather(*(it.hang_up() for it in self.tcp))

    async def _speak(self, number: int, client: RpcClient) -> None:
        """Say things without waiting for their acks."""
        for nonce in count(1):
            text = f"rpc{number} says {nonce}"
            send = commands_pb2.Send(to="#lobby", text=text, nonce=nonce)
            (await client.post(send=send)).add_done_callback(partial(self._note, text))
            await asyncio.sleep(0.02)

    def _note(self, text: str, reply: asyncio.Future[events_pb2.Event]) -> None:
        if not reply.cancelled() and reply.result().HasField("ack"):
            self.acked.add((reply.result().ack.seq, text))

    async def _shout(self, number: int, client: TcpClient) -> None:
        for line in count(1):
            client.write(f"tcp{number} says {line}")
            await asyncio.sleep(0.02)


@asynccontextmanager
async def never_reading(server: ServerProcess, number: int) -> AsyncIterator[None]:
    """Connect clients of both kinds that say hello, and are sent more than their buffers hold."""
    host, _, port = server.endpoints["tcp"].rpartition(":")
    async with AsyncExitStack() as stack:
        speaker = await RpcClient(await stack.enter_async_context(channel_to(server))).enter("bard")
        for n in range(number):
            channel = await stack.enter_async_context(channel_to(server))
            deaf = await RpcClient(channel).enter(f"deaf{n}", reading=False)
            stack.push_async_callback(deaf.hang_up)
            deaf_socket = stack.enter_context(socket.socket())
            deaf_socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            deaf_socket.connect((host, int(port)))
            deaf_socket.sendall(f"stone{n}\n".encode())
        await until(lambda: sum("stone" in str(e) for e in speaker.events) >= number)
        sends = [commands_pb2.Send(to="#lobby", text="x" * 4000) for _ in range(1500)]
        replies = [await speaker.post(send=send) for send in sends]
        assert all(reply.HasField("ack") for reply in await asyncio.gather(*replies))
        await speaker.hang_up()
        yield


@pytest.mark.parametrize("deaf", [0, 3])
async def test_everyone_hears_everything_and_then_why_the_server_ends(
    server_process: StartServer, deaf: int
) -> None:
    server = server_process("--outbox-bytes", "64MiB", "--shutdown-deadline", f"{DEADLINE}")
    crowd = Crowd()
    async with AsyncExitStack() as stack:
        if deaf:
            await stack.enter_async_context(never_reading(server, deaf))
        channels = [await stack.enter_async_context(channel_to(server)) for _ in range(10)]
        await crowd.gather(server, channels)
        crowd.talk()
        await until(lambda: len(crowd.acked) > 300, within=20)
        started = time.monotonic()
        server.signal(signal.SIGTERM)
        assert await server.exit_status() == 0
        took = time.monotonic() - started
        await crowd.disperse()
    print(f"stopped {len(crowd.rpc) + len(crowd.tcp)} clients in {took:.2f} s")
    assert took < DEADLINE + 1  # on a machine that has other things to do
    assert "Traceback" not in server.log
    said = [(it.seq, it.message.text) for it in await history(server_process())]
    check_rpc(crowd, said)
    check_tcp(crowd, [text for _, text in said])
    assert crowd.acked <= set(said)


def check_rpc(crowd: Crowd, said: list[tuple[int, str]]) -> None:
    for number, client in enumerate(crowd.rpc):
        heard = [(it.seq, it.message.text) for it in client.messages]
        assert heard == [it for it in said if it[0] > client.welcome.cursor.seq]
        goodbye = client.events[-1].goodbye
        assert goodbye.reason == events_pb2.GOODBYE_REASON_SHUTDOWN
        assert goodbye.reconnect
        if number >= SPEAKERS:  # grpc tells INTERNAL to who is writing when a stream ends
            assert client.code is grpc.StatusCode.UNAVAILABLE
            assert "grpc-status-details-bin" in client.trailers
    waits = [it.events[-1].goodbye.retry_after.ToTimedelta() for it in crowd.rpc]
    assert len(set(waits)) > 90
    assert all(0 < wait.total_seconds() < 5 for wait in waits)


def check_tcp(crowd: Crowd, said: list[str]) -> None:
    for number, client in enumerate(crowd.tcp):
        assert client.lines[-1] == FAREWELL
        assert client.ended
        heard = [line.partition(": ")[2] for line in client.lines if " says " in line]
        others = [text for text in said if not text.startswith(f"tcp{number} ")]
        assert heard
        assert heard == others[len(others) - len(heard) :]


async def test_a_second_signal_does_not_wait_for_anyone(server_process: StartServer) -> None:
    server = server_process("--outbox-bytes", "64MiB", "--shutdown-deadline", "60")
    async with never_reading(server, 2):
        server.signal()
        await until(lambda: "shutting down" in server.log)
        started = time.monotonic()
        server.signal()
        assert await server.exit_status() == 0
        took = time.monotonic() - started
    print(f"forced in {took:.2f} s")
    assert took < 1.5
    assert "Traceback" not in server.log


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_either_signal_ends_an_idle_server_at_once(
    server_process: StartServer, number: signal.Signals
) -> None:
    server = server_process()
    started = time.monotonic()
    server.signal(number)
    assert await server.exit_status() == 0
    assert time.monotonic() - started < 2
    assert "Traceback" not in server.log


async def test_who_watches_its_health_does_not_keep_a_server_up(
    server_process: StartServer,
) -> None:
    server = server_process()
    async with channel_to(server) as channel:
        call = health_pb2_grpc.HealthStub(channel).Watch(health_pb2.HealthCheckRequest())
        assert (await call.read()).status == health_pb2.HealthCheckResponse.SERVING
        started = time.monotonic()
        server.signal()
        assert (await call.read()).status == health_pb2.HealthCheckResponse.NOT_SERVING
        assert await server.exit_status() == 0
        assert time.monotonic() - started < 2
        call.cancel()


async def test_the_next_start_goes_on_where_the_last_one_ended(server_process: StartServer) -> None:
    epochs, seqs = [], []
    for run in range(3):
        server = server_process()
        async with channel_to(server) as channel:
            ann = await RpcClient(channel).enter("ann", client_id="secret")
            epochs.append(ann.welcome.cursor.epoch)
            assert ann.welcome.last_nonce == run
            seqs.append((await ann.say(f"run {run}", nonce=run + 1)).ack.seq)
            assert [it.message.text for it in await ann.history()] == [
                f"run {n}" for n in range(run + 1)
            ]
            await server.stop()
            assert ann.reader is not None
            await ann.reader
    assert seqs == [1, 2, 3]
    assert len(set(epochs)) == 1


async def test_nothing_acknowledged_is_lost_by_a_kill(server_process: StartServer) -> None:
    server = server_process()
    crowd = Crowd()
    async with AsyncExitStack() as stack:
        channels = [await stack.enter_async_context(channel_to(server)) for _ in range(4)]
        await crowd.gather(server, channels)
        crowd.talk()
        await until(lambda: len(crowd.acked) > 100, within=20)
        server.kill()
        await crowd.disperse()
    said = {(it.seq, it.message.text) for it in await history(server_process())}
    assert crowd.acked <= said
    assert {(it.seq, it.message.text) for client in crowd.rpc for it in client.messages} <= said


# --- the end of a TCP connection whose client is still talking ---


async def talk_and_listen(server: ServerProcess, talk: bytes) -> bytes:
    """Connect, say something long, and read to the end; raises ConnectionResetError at a reset."""
    host, _, port = server.endpoints["tcp"].rpartition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    try:
        writer.write(talk)
        return await asyncio.wait_for(reader.read(), 10)
    finally:
        writer.close()
        await asyncio.gather(writer.wait_closed(), return_exceptions=True)


async def test_who_quits_with_more_to_say_reads_to_the_end(server_process: StartServer) -> None:
    server = server_process("--grpc", "off")
    heard = await talk_and_listen(server, b"bob\n/quit\n" + b"and another thing\n" * 20_000)
    assert heard.endswith(b"\n* bye\n")


async def test_who_is_turned_away_reads_why_whatever_it_has_said(
    server_process: StartServer,
) -> None:
    server = server_process("--max-sessions", "1")
    ann = await TcpClient(server.endpoints["tcp"]).enter("ann")
    try:
        heard = await talk_and_listen(server, b"bob\n" + b"and another thing\n" * 20_000)
    finally:
        await ann.hang_up()
    assert heard == b"! the server is full (try again in 5 s)\n"


# --- a start that fails ---


@contextmanager
def taken_port() -> Iterator[str]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield f"127.0.0.1:{listener.getsockname()[1]}"


async def complaint(server: ServerProcess) -> str:
    """Return the one line that a failed start leaves on stderr, but for what was logged."""
    assert await server.exit_status() == 1
    assert server.ready == ""
    *logged, line = server.log.splitlines()
    assert not [it for it in logged if "[info" not in it]
    return line


@pytest.mark.parametrize("flag", ["--grpc", "--tcp"])
async def test_a_port_in_use_is_said_in_one_line(server_process: StartServer, flag: str) -> None:
    with taken_port() as endpoint:
        line = await complaint(server_process(flag, endpoint))
    assert line.startswith(f"chat-server: cannot listen on {flag[2:]} {endpoint}: ")
    assert "in use" in line


async def test_a_corrupt_database_is_said_in_one_line(
    server_process: StartServer, tmp_path: Path
) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "chat.db").write_bytes(b"no database at all" * 100)
    line = await complaint(server_process())
    assert line == (
        f"chat-server: {tmp_path}/data/chat.db is not a database of this service, or is corrupt"
    )


async def test_a_second_server_on_the_same_data_is_said_in_one_line(
    server_process: StartServer, tmp_path: Path
) -> None:
    first = server_process()
    assert await complaint(server_process()) == (
        f"chat-server: another server is using {tmp_path}/data"
    )
    await first.stop()


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", ">/dev/full"])
async def test_a_server_that_lacks_a_standard_stream_serves_and_stops_like_any(
    tmp_path: Path, closed: str
) -> None:
    said = tmp_path / "said"
    settings = [it for pair in ON_FREE_PORTS.items() for it in pair] + ["--data", ":memory:"]
    with said.open("wb") as output:
        process = subprocess.Popen(
            ["sh", "-c", f'exec "$@" {closed}', "sh", *COMMAND, *settings],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
        )
    try:
        await until(lambda: "ready" in said.read_text(), within=30.0)
        process.terminate()
        assert await asyncio.to_thread(process.wait, 10.0) == 0, said.read_text()
    finally:
        process.kill()
        process.wait()
