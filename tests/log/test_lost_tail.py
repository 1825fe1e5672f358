"""A log that has lost its end: whatever is said afterwards, nobody takes it for the same log."""

import asyncio
import shutil
from collections.abc import AsyncIterator, Callable
from itertools import count
from pathlib import Path

import nats
import pytest
from nats.js import JetStreamContext, api

from chat_service.log import publisher
from chat_service.log import stream as stream_of_log
from chat_service.log.port import LogLost
from chat_service.log.stream import FORGOTTEN
from chat_service.wire.record import encode_entry, encode_record
from tests.cluster.servers import NatsServers, StartNats
from tests.log.followed import Followed, entry, shared
from tests.waiting import until


@pytest.fixture
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have nodes repeat what is not answered several times before they judge."""
    monkeypatch.setattr(publisher, "_ACKNOWLEDGED_WITHIN", 0.1)
    monkeypatch.setattr(stream_of_log, "DOUBT", 1.0)


@pytest.fixture
async def js(nats_server: NatsServers) -> AsyncIterator[JetStreamContext]:
    client = await nats.connect(nats_server.url)
    yield client.jetstream()
    await client.close()


async def say(node: Followed, *refs: int) -> None:
    """Append entries, each as a record of its own."""
    for ref in refs:
        node.append(ref)
        await asyncio.wait_for(node.log.idle(), 15)


async def say_until(node: Followed, so: Callable[[], object]) -> list[int]:
    """Append one entry after the other until something is so; returns which."""
    async with asyncio.timeout(20):
        for ref in count(100):
            if so():
                return [*range(100, ref)]
            node.append(ref)
            await asyncio.sleep(0.05)
    raise AssertionError


async def written(js: JetStreamContext, stream: str, records: int) -> None:
    """Have somebody who knows nothing of the past write records."""
    for number in range(1, records + 1):
        await js.publish(f"{stream}.log", encode_record("q", number, [encode_entry(entry(number))]))


async def forget(js: JetStreamContext, stream: str, *, keep: int) -> None:
    """Take the end of a stream away, as a server does that finds an older state on its disk."""
    config = (await js.stream_info(stream)).config
    kept = [await js.get_msg(stream, seq) for seq in range(1, keep + 1)]
    await js.delete_stream(stream)
    await js.add_stream(config)
    for it in kept:
        await js.publish(f"{stream}.log", it.data or b"")


@pytest.mark.usefixtures("hasty")
async def test_while_the_end_is_missing_nothing_is_appended_and_then_the_node_ends(
    start_nats: StartNats, stream: str, tmp_path: Path
) -> None:
    servers = start_nats()
    server = servers.servers[0]
    data, backup = server._directory / "n0-data", tmp_path / "backup"
    async with shared(servers.url, stream) as a:
        await say(a, *range(5))
        server.stop()
        shutil.copytree(data, backup)
        servers.start()
        await say(a, *range(5, 10))
        server.kill()
        shutil.rmtree(data)
        backup.rename(data)
        servers.start()
        said = await say_until(a, lambda: a.lost)
        assert str(a.lost) == f"the stream ends at record 5, and 10 were applied here: {FORGOTTEN}"
        assert a.refs == [*range(10)]
        assert said
        async with await nats.connect(servers.url) as client:
            assert (await client.jetstream().stream_info(stream)).state.last_seq == 5


async def test_what_others_have_put_in_the_place_of_what_is_missing_is_not_followed(
    nats_server: NatsServers, js: JetStreamContext, stream: str
) -> None:
    async with shared(nats_server.url, stream) as a:
        await say(a, 1, 2, 3)
        await forget(js, stream, keep=1)
        await written(js, stream, 5)
        await until(lambda: a.lost, within=10)
        assert isinstance(a.lost, LogLost)
        assert a.refs == [1, 2, 3]
    assert str(a.lost) == (
        f"record 3 of the stream is not the one that was applied here: {FORGOTTEN}"
    )


async def test_a_new_record_in_the_place_of_an_old_one_is_proof_at_once(
    nats_server: NatsServers, js: JetStreamContext, stream: str
) -> None:
    async with shared(nats_server.url, stream) as a:
        await say(a, 1, 2, 3)
        await forget(js, stream, keep=1)
        a.append(4)
        await until(lambda: a.lost, within=2)
    assert f"is record 2 of the stream, and 3 were applied here: {FORGOTTEN}" in str(a.lost)


async def test_a_record_that_is_acknowledged_late_proves_nothing(
    nats_server: NatsServers, stream: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its first acknowledgement got lost: it is there, and by now in the place of an old one."""
    publish, acks = JetStreamContext.publish, list[api.PubAck]()

    async def lossy(self: JetStreamContext, *arguments: object, **more: object) -> api.PubAck:
        acks.append(await publish(self, *arguments, **more))  # type: ignore[arg-type]
        if len(acks) == 2:
            await until(lambda: a.refs == [1, 2])
            raise TimeoutError
        return acks[-1]

    monkeypatch.setattr(JetStreamContext, "publish", lossy)
    async with shared(nats_server.url, stream) as a:
        await say(a, 1, 2, 3)
        assert [(it.seq, it.duplicate) for it in acks] == [
            (1, None),
            (2, None),
            (2, True),
            (3, None),
        ]
        assert (a.refs, a.lost) == ([1, 2, 3], None)


# --- where a node begins ---


async def test_a_node_begins_behind_the_record_that_it_knows(
    nats_server: NatsServers, stream: str
) -> None:
    async with shared(nats_server.url, stream) as a:
        await say(a, 1, 2, 3, 4)
    async with shared(nats_server.url, stream, 2, a.taken[1].id) as b:
        await until(lambda: b.refs == [3, 4])
        await say(b, 5)
        assert b.refs == [3, 4, 5]


async def test_a_node_does_not_begin_behind_a_record_that_it_does_not_know(
    nats_server: NatsServers, stream: str
) -> None:
    async with shared(nats_server.url, stream) as a:
        await say(a, 1, 2, 3, 4)
    async with shared(nats_server.url, stream, 2, "somebody-2") as b:
        await until(lambda: b.lost)
        assert not b.taken
    assert "record 2 of the stream is not the one" in str(b.lost)


@pytest.mark.parametrize("more", [0, 2])
async def test_of_a_record_that_was_trimmed_nothing_is_asked(
    nats_server: NatsServers, js: JetStreamContext, stream: str, more: int
) -> None:
    async with shared(nats_server.url, stream) as a:
        await say(a, *range(3 + more))
        await js.purge_stream(stream, seq=4)
        for it in await js.consumers_info(stream):
            await js.delete_consumer(stream, it.name)
        await say(a, 9)
    async with shared(nats_server.url, stream, 3, "trimmed-3") as b:
        await until(lambda: b.refs == [*range(3, 3 + more), 9])
