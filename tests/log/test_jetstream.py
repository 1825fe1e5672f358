"""The log of many nodes: one order for all, whatever happens on the way to the stream and back."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import nats
import nats.errors
import pytest
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.js import JetStreamContext
from structlog.testing import capture_logs

from chat_service.log import backlog
from chat_service.log import stream as stream_of_log
from chat_service.log.consumer import Delivery
from chat_service.log.jetstream import SYNCED_WITHIN, JetStreamLog
from chat_service.log.port import LogLost
from chat_service.log.publisher import PATIENCE, Publisher
from chat_service.log.stream import LEAST_PAYLOAD
from chat_service.wire.record import FORMAT, encode_entry, encode_record
from tests.cluster.servers import NatsServers, StartNats
from tests.log.followed import Followed, entry, shared
from tests.waiting import until


@pytest.fixture
def quick_to_judge(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream_of_log, "DOUBT", 0.5)


async def shake(*nodes: Followed, count: int = 40) -> None:
    """Have several nodes append at the same time, a little at a time."""
    for number in range(count):
        for it, node in enumerate(nodes):
            node.append(number * 10 + it)
        await asyncio.sleep(0)


def positions(node: Followed) -> list[int]:
    return [record.position for record in node.taken]


def publisher(node: Followed) -> Publisher:
    log = node.log
    assert isinstance(log, JetStreamLog)
    return log._publisher


def log_client(node: Followed) -> Client:
    return publisher(node)._client


async def js_of(servers: NatsServers) -> tuple[Any, JetStreamContext]:
    client = await nats.connect(servers.url.split(","))
    return client, client.jetstream()


# --- one order ---


async def test_all_nodes_take_the_same_records_in_the_same_order(
    nats_server: NatsServers, stream: str
) -> None:
    async with shared(nats_server.url, stream) as a, shared(nats_server.url, stream) as b:
        await shake(a, b)
        await until(lambda: len(a.refs) == len(b.refs) == 80)
        assert a.taken == b.taken
        assert positions(a) == list(range(1, len(a.taken) + 1))
        for it in range(2):
            assert [ref for ref in a.refs if ref % 10 == it] == [n * 10 + it for n in range(40)]


async def test_a_node_goes_on_behind_the_position_that_it_had(
    nats_server: NatsServers, stream: str
) -> None:
    async with shared(nats_server.url, stream) as a:
        for ref in range(6):
            a.append(ref)
            await a.log.idle()
    async with shared(nats_server.url, stream, position=3) as b:
        await until(lambda: len(b.taken) == 3)
        assert b.taken == a.taken[3:]


async def test_what_gathers_while_one_record_is_under_way_is_the_next_record(
    nats_server: NatsServers, stream: str
) -> None:
    async with shared(nats_server.url, stream) as a:
        a.append(0)
        while not publisher(a)._sending:  # noqa: ASYNC110  (it lasts for less than a poll)
            await asyncio.sleep(0)
        a.append(*range(1, 100))
        await a.log.idle()
        assert [len(record.entries) for record in a.taken] == [1, 99]
        assert [record.number for record in a.taken] == [1, 2]


async def test_what_one_node_was_acknowledged_another_has_once_it_is_synced(
    nats_server: NatsServers, stream: str
) -> None:
    async with shared(nats_server.url, stream) as a, shared(nats_server.url, stream) as b:
        for ref in range(20):
            a.append(ref)
            await a.log.idle()
            await asyncio.gather(*(b.log.synced() for _ in range(5)))
            assert b.refs == list(range(ref + 1))


# --- servers that are away ---


async def test_what_was_not_sent_is_refused_while_the_log_is_away_and_the_rest_happens_once(
    start_nats: StartNats, stream: str
) -> None:
    servers = start_nats()
    async with shared(servers.url, stream) as a:
        servers.servers[0].pause()
        began = asyncio.get_running_loop().time()
        sent = 0
        while not publisher(a).failing:
            a.append(sent := sent + 1)
            await asyncio.sleep(0.05)
        assert asyncio.get_running_loop().time() - began < PATIENCE + 1
        refused = len(a.refused)
        a.append(sent := sent + 1)
        await until(lambda: len(a.refused) == refused + 1, within=0.5)
        assert all(refusal.retry_after for _, refusal in a.refused)
        servers.servers[0].resume()
        await until(lambda: not publisher(a).failing, within=15)
        a.append(sent := sent + 1)
        await asyncio.wait_for(a.log.idle(), 15)
        refs = [it.ref for it, _ in a.refused]
        assert a.refs == [it for it in range(1, sent + 1) if it not in refs]
        assert refs == sorted(set(refs))


async def test_a_server_that_was_killed_and_comes_again_is_gone_on_with(
    start_nats: StartNats, stream: str
) -> None:
    servers = start_nats()
    async with shared(servers.url, stream) as a, shared(servers.url, stream) as b:
        for number in range(3):
            a.append(number)
            await asyncio.wait_for(a.log.idle(), 15)
            servers.servers[0].kill()
            servers.start()
        a.append(3)
        await until(lambda: a.refs == b.refs == [0, 1, 2, 3], within=20)
        assert (a.lost, b.lost) == (None, None)


async def test_syncing_gives_up_where_the_log_is_away(start_nats: StartNats, stream: str) -> None:
    servers = start_nats()
    async with shared(servers.url, stream) as a:
        servers.servers[0].pause()
        began = asyncio.get_running_loop().time()
        await a.log.synced()
        assert asyncio.get_running_loop().time() - began < SYNCED_WITHIN + 0.5
        servers.servers[0].resume()


async def test_a_leader_of_three_that_dies_takes_nothing_along(
    start_nats: StartNats, stream: str
) -> None:
    servers = start_nats(3)
    async with shared(servers.url, stream) as a, shared(servers.url, stream) as b:
        await shake(a, b)
        await until(lambda: servers.leader_of(stream), within=10)
        leader = servers.leader_of(stream)
        assert leader is not None
        leader.kill()
        await shake(a, b)
        for it in (a, b):
            await asyncio.wait_for(it.log.idle(), 30)
        await until(lambda: a.taken == b.taken, within=20)
        said = Counter(a.refs) + Counter(it.ref for node in (a, b) for it, _ in node.refused)
        assert sum(said.values()) == 160, "each was said or refused, and none of them twice"
        assert positions(a) == list(range(1, len(a.taken) + 1))


# --- a consumer that is amiss ---


async def test_what_gets_lost_on_the_way_is_delivered_again(
    nats_server: NatsServers, stream: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    take, seen = Delivery.take, Counter[str]()

    async def lossy(self: Delivery, message: Msg) -> None:
        seen["message"] += 1
        if seen["message"] % 7:
            await take(self, message)

    monkeypatch.setattr(Delivery, "take", lossy)
    async with shared(nats_server.url, stream) as a:
        for ref in range(30):
            a.append(ref)
            await asyncio.sleep(0.005)
        await until(lambda: a.refs == list(range(30)), within=40)
        assert positions(a) == list(range(1, len(a.taken) + 1))


async def test_a_consumer_that_somebody_takes_away_is_replaced(
    nats_server: NatsServers, stream: str
) -> None:
    client, js = await js_of(nats_server)
    async with shared(nats_server.url, stream) as a:
        a.append(1)
        await a.log.idle()
        for it in await js.consumers_info(stream):
            await js.delete_consumer(stream, it.name)
        a.append(2)
        await until(lambda: a.refs == [1, 2], within=10)
        assert len(await js.consumers_info(stream)) == 1
    await client.close()


async def test_what_a_consumer_delivers_before_it_fails_is_kept_once(
    nats_server: NatsServers, stream: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    add, failures = JetStreamContext.add_consumer, [TimeoutError, nats.errors.Error]
    async with shared(nats_server.url, stream) as a:
        for ref in range(5):
            a.append(ref)
            await a.log.idle()

    async def add_twice_in_vain(self: JetStreamContext, *arguments: Any) -> Any:
        added = await add(self, *arguments)
        if failures:
            await asyncio.sleep(0.1)  # in which it delivers
            raise failures.pop()
        return added

    monkeypatch.setattr(JetStreamContext, "add_consumer", add_twice_in_vain)
    async with shared(nats_server.url, stream) as b:
        await until(lambda: not failures)
        b.append(5)
        await until(lambda: b.refs == [0, 1, 2, 3, 4, 5], within=10)
        assert positions(b) == [1, 2, 3, 4, 5, 6]


async def test_a_node_that_left_leaves_no_consumer_behind(
    nats_server: NatsServers, stream: str
) -> None:
    async with shared(nats_server.url, stream) as a:
        a.append(1)
        await a.log.idle()
    client, js = await js_of(nats_server)
    assert not await js.consumers_info(stream)
    await client.close()


async def test_who_takes_nothing_is_not_sent_more_than_it_can_keep(
    nats_server: NatsServers, stream: str
) -> None:
    record = [encode_entry(entry(ref, "x" * 1000)) for ref in range(200)]
    async with shared(nats_server.url, stream) as a:
        a.held.clear()
        client, js = await js_of(nats_server)
        for number in range(1, 401):  # 80 MB
            await js.publish(f"{stream}.log", encode_record("q", number, record))
        await client.close()
        log = a.log
        assert isinstance(log, JetStreamLog)
        assert log._backlog._bytes < backlog.MOST
        a.held.set()
        await until(lambda: len(a.taken) == 400, within=60)
        assert positions(a) == list(range(1, 401))


async def test_a_consumer_that_cannot_be_made_is_told_of_now_and_then(
    nats_server: NatsServers, stream: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    add, tries = JetStreamContext.add_consumer, Counter[str]()

    async def add_late(self: JetStreamContext, *arguments: Any) -> Any:
        tries["add"] += 1
        if tries["add"] < 5:
            raise nats.errors.Error("too many")
        return await add(self, *arguments)

    monkeypatch.setattr(JetStreamContext, "add_consumer", add_late)
    with capture_logs() as told:
        async with shared(nats_server.url, stream) as a:
            a.append(1)
            await until(lambda: a.refs == [1])
    failures = [it["reason"] for it in told if it["event"] == "the log cannot be followed now"]
    assert failures == ["too many"]


# --- messages that NATS does not take ---


async def test_a_full_store_refuses_senders_until_there_is_room_and_says_so_now_and_then(
    start_nats: StartNats, stream: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    servers = start_nats()
    server = servers.servers[0]
    server.stop()
    config = server._config.read_text()
    server._config.write_text(config.replace("max_file_store: 4GB", "max_file_store: 1MB"))
    servers.start()
    publish, tries = JetStreamContext.publish, Counter[int]()

    async def counted(self: JetStreamContext, *arguments: Any, **more: Any) -> Any:
        tries[publisher(a)._number] += 1
        return await publish(self, *arguments, **more)

    monkeypatch.setattr(JetStreamContext, "publish", counted)
    with capture_logs() as told:
        async with shared(servers.url, stream) as a:
            for ref in range(600):
                a.log.append(entry(ref, "x" * 4000))
            await until(lambda: publisher(a).failing)
            a.append(600)
            await until(lambda: a.refused)
            async with await nats.connect(servers.url) as client:
                await client.jetstream().purge_stream(stream)
            await until(lambda: not publisher(a).failing)
            a.append(601)
            await a.log.idle()
            refused = [it.ref for it, _ in a.refused]
            assert a.refs == [it for it in range(602) if it not in refused]
            assert 600 in refused
    assert max(tries.values()) > 5
    (failure,) = [it for it in told if it["event"] == "a record was not acknowledged"]
    (refusal,) = [it for it in told if it["event"].startswith("the log does not answer")]
    assert "insufficient resources" in failure["reason"]
    assert "insufficient resources" in refusal["reason"]


@pytest.mark.parametrize("taken", [LEAST_PAYLOAD, LEAST_PAYLOAD - 1])
async def test_where_a_full_record_is_too_large_for_nats_there_is_no_log(
    start_nats: StartNats, stream: str, taken: int
) -> None:
    servers = start_nats(extra=f"max_payload: {taken}")
    async with shared(servers.url, stream) as a:
        a.held.clear()
        for ref in range(200):  # three records and more
            a.log.append(entry(ref, "x" * 4000))
        a.held.set()
        await until(lambda: a.lost or len(a.refs) == 200)
    if taken < LEAST_PAYLOAD:
        assert f"NATS takes messages of {taken} bytes at most" in str(a.lost)


async def test_servers_that_come_back_with_too_small_messages_are_not_tried_for_ever(
    start_nats: StartNats, stream: str
) -> None:
    servers = start_nats()
    server = servers.servers[0]
    async with shared(servers.url, stream) as a:
        a.append(1)
        await a.log.idle()
        server.stop()
        a.log.append(entry(2))
        server._config.write_text(f"{server._config.read_text()}\nmax_payload: 65536")
        servers.start()
        await until(lambda: a.lost, within=15)
    assert "NATS takes messages of 65536 bytes at most" in str(a.lost)


async def test_a_record_that_a_server_refuses_to_read_is_not_sent_for_ever(
    start_nats: StartNats, stream: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As where an account takes less than its server, which clients are not told of."""
    servers = start_nats(extra=f"max_payload: {LEAST_PAYLOAD}")
    async with shared(servers.url, stream) as a:
        monkeypatch.setattr("chat_service.log.publisher.MAX_BATCH_BYTES", 2 * LEAST_PAYLOAD)
        monkeypatch.setattr(log_client(a), "_max_payload", 2 * LEAST_PAYLOAD)
        for ref in range(200):
            a.log.append(entry(ref, "x" * 4000))
        await until(lambda: a.lost, within=15)
    assert "maximum payload violation" in str(a.lost)


# --- a log that is not to be had any more ---


@asynccontextmanager
async def bereft(servers: NatsServers, stream: str) -> AsyncIterator[Followed]:
    """Follow a stream that is taken away once it holds a record."""
    client, js = await js_of(servers)
    try:
        async with shared(servers.url, stream) as node:
            node.append(1)
            await node.log.idle()
            await js.delete_stream(stream)
            yield node
    finally:
        await client.close()


@pytest.mark.usefixtures("quick_to_judge")
async def test_a_stream_in_the_place_of_another_is_not_followed(
    nats_server: NatsServers, stream: str
) -> None:
    async with bereft(nats_server, stream) as a, shared(nats_server.url, stream):
        await until(lambda: a.lost, within=10)
    assert isinstance(a.lost, LogLost)
    assert "was replaced by another one" in str(a.lost)


@pytest.mark.usefixtures("quick_to_judge")
async def test_a_stream_that_is_gone_is_not_waited_for(
    nats_server: NatsServers, stream: str
) -> None:
    async with bereft(nats_server, stream) as a:
        await until(lambda: a.lost, within=10)
    assert str(a.lost) == f"NATS has no stream {stream} any more"


@pytest.mark.usefixtures("quick_to_judge")
@pytest.mark.parametrize(
    ("position", "reason"),
    [(0, "record 1 is not in the stream any more, which begins at 3"), (9, "ends at record 4")],
)
async def test_a_stream_that_lacks_what_comes_next_is_not_followed(
    nats_server: NatsServers, stream: str, position: int, reason: str
) -> None:
    async with shared(nats_server.url, stream) as a:
        for ref in range(4):
            a.append(ref)
            await a.log.idle()
    client, js = await js_of(nats_server)
    await js.purge_stream(stream, seq=3)
    async with shared(nats_server.url, stream, position) as b:
        await until(lambda: b.lost, within=10)
    assert reason in str(b.lost)
    await client.close()


@pytest.mark.usefixtures("quick_to_judge")
async def test_a_record_that_was_taken_out_of_the_middle_is_not_passed_over(
    nats_server: NatsServers, stream: str
) -> None:
    client, js = await js_of(nats_server)
    await js.add_stream(name=stream, subjects=[f"{stream}.log"], metadata={"chat.epoch": "e"})
    async with shared(nats_server.url, stream) as a:
        for ref in range(4):
            a.append(ref)
            await a.log.idle()
    assert await js.delete_msg(stream, 3)
    async with shared(nats_server.url, stream) as b:
        await until(lambda: b.lost, within=10)
        assert b.refs == [0, 1]
    assert "record 3 was taken out of the stream" in str(b.lost)
    await client.close()


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"hello", "record 2 of the log is not one of this service"),
        (b"\x18%c" % (FORMAT + 1), "record 2 of the log was written by a newer version"),
    ],
)
async def test_what_cannot_be_read_ends_it_behind_what_can(
    nats_server: NatsServers, stream: str, data: bytes, reason: str
) -> None:
    client, js = await js_of(nats_server)
    async with shared(nats_server.url, stream) as a:
        a.append(1)
        await a.log.idle()
        await js.publish(f"{stream}.log", data)
        await until(lambda: a.lost)
        assert a.refs == [1]
    assert reason in str(a.lost)
    await client.close()
