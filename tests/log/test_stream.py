"""The stream of the log: made once, checked ever after, and never altered."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import nats
import pytest
from nats.js import JetStreamContext, api
from structlog.testing import capture_logs

from chat_service.log.stream import KEPT_SECONDS, LogStream, Origin
from chat_service.startup import StartupError
from tests.cluster.servers import NatsServers, StartNats
from tests.waiting import until


@pytest.fixture
async def js(nats_server: NatsServers) -> AsyncIterator[JetStreamContext]:
    client = await nats.connect(nats_server.url)
    yield client.jetstream()
    await client.close()


async def make(js: JetStreamContext, name: str, **settings: Any) -> None:
    defaults = {"subjects": [f"{name}.log"], "metadata": {"chat.epoch": "e"}}
    await js.add_stream(name=name, **(defaults | settings))


async def test_a_missing_stream_is_made_with_limits_that_are_sound(
    js: JetStreamContext, stream: str
) -> None:
    made = await LogStream(js, stream).open(None)
    assert (len(made.epoch), made.first, made.last) == (16, 1, 0)
    config = (await js.stream_info(stream)).config
    assert config.subjects == [f"{stream}.log"]
    assert (config.storage, config.retention) == ("file", "limits")
    assert (config.max_age, config.max_msg_size) == (KEPT_SECONDS, 1024 * 1024)
    assert (config.num_replicas, config.deny_delete) == (1, True)


async def test_a_stream_that_is_there_is_left_as_it_is(js: JetStreamContext, stream: str) -> None:
    await make(js, stream, max_age=90_000.0, description="somebody's")
    before = (await js.stream_info(stream)).config
    assert (await LogStream(js, stream).open(3)).epoch == "e"
    assert (await js.stream_info(stream)).config == before


async def test_of_those_who_make_it_at_once_all_find_one_epoch(
    js: JetStreamContext, stream: str
) -> None:
    made = await asyncio.gather(*(LogStream(js, stream).open(None) for _ in range(5)))
    assert len({it.epoch for it in made}) == 1


async def test_a_log_that_moves_here_keeps_its_epoch(js: JetStreamContext, stream: str) -> None:
    assert (await LogStream(js, stream).open(1, Origin("its own"))).epoch == "its own"


async def test_it_tells_what_the_stream_holds(js: JetStreamContext, stream: str) -> None:
    log = LogStream(js, stream)
    await log.open(None)
    for _ in range(5):
        await js.publish(log.subject, b"x")
    await js.purge_stream(stream, seq=3)
    assert (await log.look())[1:3] == (3, 5)


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        ({"subjects": ["other.{name}"]}, "its subjects are not"),
        ({"subjects": ["{name}.log", "more.{name}"]}, "its subjects are not"),
        ({"retention": api.RetentionPolicy.WORK_QUEUE}, "its retention is not limits"),
        ({"no_ack": True}, "it acknowledges nothing"),
        ({"discard": api.DiscardPolicy.NEW}, "it takes nothing more when it is full"),
        ({"max_msgs_per_subject": 5}, "it keeps few records of its one subject"),
        ({"metadata": {}}, "it has no chat.epoch in its metadata"),
        ({"max_msg_size": 1000}, "its messages are too small"),
    ],
)
async def test_a_stream_that_cannot_be_the_log_is_refused_in_one_sentence(
    js: JetStreamContext, stream: str, settings: dict[str, Any], reason: str
) -> None:
    subjects = [it.format(name=stream) for it in settings.get("subjects", ["{name}.log"])]
    await make(js, stream, **(settings | {"subjects": subjects}))
    with pytest.raises(StartupError, match=f"the stream {stream} cannot be the log: {reason}"):
        await LogStream(js, stream).open(None)


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        ({}, "num_replicas=1"),
        ({"storage": api.StorageType.MEMORY}, "storage=memory"),
        ({"max_age": 60.0, "duplicate_window": 60.0}, "max_age=60.0"),
        ({"max_msgs": 1_000_000}, "max_msgs=1000000"),
        ({"max_bytes": 1024**3 - 1}, "max_bytes=1073741823"),
        ({"persist_mode": api.PersistMode.ASYNC}, "persist_mode=async"),
    ],
)
async def test_what_promises_less_is_said_in_the_log(
    js: JetStreamContext,
    stream: str,
    settings: dict[str, Any],
    named: str,
) -> None:
    await make(js, stream, **settings)
    with capture_logs() as told:
        log = LogStream(js, stream)
        await log.open(None)
        await log.open(None)
    assert [it.get("setting") for it in told].count(named) == 1


async def test_what_is_sound_is_not_warned_of(js: JetStreamContext, stream: str) -> None:
    await make(js, stream, max_age=KEPT_SECONDS, max_bytes=1024**3)
    with capture_logs() as told:
        await LogStream(js, stream).open(None)
    assert [it.get("setting") for it in told] == ["num_replicas=1"]
    assert "sync_interval" in told[0]["risk"]


async def test_where_there_are_three_servers_there_are_three_copies(
    nats_cluster: NatsServers, stream: str
) -> None:
    client = await nats.connect(nats_cluster.url.split(","))
    js = client.jetstream(timeout=10)
    with capture_logs() as told:
        await LogStream(js, stream).open(None)
    made = await js.stream_info(stream)
    await js.delete_stream(stream)
    await client.close()
    assert made.config.num_replicas == 3
    assert not [it for it in told if it["event"] == "the stream is weaker"]
    assert len([it for it in told if "sync_interval" in it["event"]]) == 1


async def test_a_server_that_is_away_is_waited_for(start_nats: StartNats, stream: str) -> None:
    servers = start_nats()
    client = await nats.connect(servers.url)
    servers.servers[0].pause()
    opening = asyncio.create_task(LogStream(client.jetstream(timeout=0.2), stream).open(None))
    await until(lambda: client.stats["out_msgs"] >= 2)
    assert not opening.done()
    servers.servers[0].resume()
    assert (await asyncio.wait_for(opening, 15)).last == 0
    await client.close()
