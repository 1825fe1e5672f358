"""Nodes that the log does not reach back for go on from a snapshot, or say what is missing."""

from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path

import nats
import pytest
from nats.js import JetStreamContext

from chat_service import snapshot_keeper
from chat_service.core.commands import BanSubject, Entry, Register
from chat_service.log.snapshots import Snapshot, Snapshots
from chat_service.log.stream import LogStream, Origin
from chat_service.node import Node
from chat_service.snapshot_keeper import SnapshotKeeper
from chat_service.startup import StartupError
from chat_service.state import copies
from chat_service.state.inspection import inspect
from chat_service.state.store import Store
from tests.cluster.nodes import Cluster, cluster
from tests.cluster.servers import NatsServers, nats_server, stream
from tests.scenarios.heard import Said
from tests.scenarios.programs import GrpcPerson
from tests.state.batches import by, enter, leave_chat, say
from tests.waiting import until

__all__ = ["nats_server", "stream"]


@pytest.fixture
async def js(nats_server: NatsServers) -> AsyncIterator[JetStreamContext]:
    client = await nats.connect(nats_server.url)
    yield client.jetstream(timeout=10)
    await client.close()


@pytest.fixture
async def nodes(
    nats_server: NatsServers, stream: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Cluster]:
    """Two nodes, which look for what is due all the time."""
    monkeypatch.setattr(snapshot_keeper, "LOOK_EVERY", 0.1)
    async with cluster(nats_server, stream, tmp_path, count=2) as running:
        yield running


@pytest.fixture
async def imported(
    nats_server: NatsServers,
    stream: str,
    js: JetStreamContext,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> AsyncIterator[Cluster]:
    """Two nodes on a log that begins with what a single server had."""
    monkeypatch.setattr(snapshot_keeper, "LOOK_EVERY", 0.1)
    store = Store.open(tmp_path / "alone")
    await store.apply([enter("bob"), say("bob", "hello"), leave_chat("bob")])
    await store.close()
    export = tmp_path / "export"
    copies.copy(tmp_path / "alone" / "chat.db", export)
    held = inspect(export)
    await Snapshots(js, stream, 1).publish(Snapshot(held.epoch, 0, held.seq), export)
    await LogStream(js, stream).open(1, Origin(held.epoch, held.content))
    async with cluster(nats_server, stream, tmp_path, count=2) as running:
        yield running


async def speak(node: Node, *texts: str) -> None:
    """Say something, each in a record of its own."""
    ann = GrpcPerson("ann", "a")
    await ann.connect(node)
    for text in texts:
        await ann.say(text)
        await ann.hears(Said("#lobby", "ann", text))
    await ann.depart()
    await ann.hang_up()


async def until_snapshot(js: JetStreamContext, stream: str, position: int) -> None:
    """Wait until there is a snapshot that holds everything up to a record."""
    snapshots = Snapshots(js, stream, 1)
    newest = 0
    while newest < position:
        newest = max((it.position for it in await snapshots.listed()), default=0)


def data_of(node: Node) -> Path:
    assert node._config.data is not None
    return node._config.data


async def test_one_node_keeps_the_snapshot(
    nodes: Cluster, js: JetStreamContext, stream: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(snapshot_keeper, "OLDEST", 0.0)
    await speak(nodes.nodes[0], "one")
    await until_snapshot(js, stream, await nodes.level())
    assert len(await Snapshots(js, stream, 1).listed()) <= 2
    for node in nodes.nodes:
        await node.stop()
        assert not [it for it in data_of(node).iterdir() if "snapshot" in it.name]


async def test_no_snapshot_is_made_while_the_nodes_do_not_agree(
    nodes: Cluster, js: JetStreamContext, stream: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks: Counter[SnapshotKeeper] = Counter()
    look = SnapshotKeeper.look

    async def counted(keeper: SnapshotKeeper) -> None:
        await look(keeper)
        looks[keeper] += 1

    async def looked_again() -> None:
        """Wait until each node has begun and ended a look whether a snapshot is due."""
        before = looks.copy()
        await until(lambda: len(looks) == 2 and all(looks[it] > before[it] + 1 for it in looks))

    monkeypatch.setattr(SnapshotKeeper, "look", counted)
    monkeypatch.setattr(snapshot_keeper, "OLDEST", 0.0)
    await speak(nodes.nodes[0], "one")
    nodes.nodes[0]._store._machine.progress.digest = bytes(16)
    await speak(nodes.nodes[0], "two")
    await until(lambda: [it.watch.diverged for it in nodes.nodes] == [1, 1], what="both to tell")
    await looked_again()
    before = await Snapshots(js, stream, 1).listed()
    await speak(nodes.nodes[0], "three")
    await nodes.level()
    await looked_again()
    assert await Snapshots(js, stream, 1).listed() == before


async def test_a_new_node_starts_from_a_snapshot_where_the_log_was_trimmed(
    nodes: Cluster, js: JetStreamContext, stream: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(snapshot_keeper, "OLDEST", 0.0)
    await speak(nodes.nodes[0], "one", "two", "three")
    await until_snapshot(js, stream, await nodes.level())
    monkeypatch.setattr(snapshot_keeper, "OLDEST", 3600.0)
    await js.purge_stream(stream)
    await speak(nodes.nodes[1], "four")
    late = await nodes.start("late")
    await nodes.level()
    assert (data_of(late) / "chat.db").stat().st_mode & 0o777 == 0o600
    assert late._store.seq == nodes.nodes[0]._store.seq
    assert late._store.digest == nodes.nodes[0]._store.digest
    contents = {inspect(data_of(node) / "chat.db").content for node in nodes.nodes}
    assert len(contents) == 1


async def test_a_node_that_was_away_for_too_long_takes_a_snapshot_in_the_place_of_its_data(
    nodes: Cluster, js: JetStreamContext, stream: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    await speak(nodes.nodes[0], "one")
    await nodes.level()
    await nodes.nodes[1].stop()
    monkeypatch.setattr(snapshot_keeper, "OLDEST", 0.0)
    await speak(nodes.nodes[0], "two", "three")
    await until_snapshot(js, stream, nodes.nodes[0]._store.position)
    await js.purge_stream(stream)
    back = await nodes.start("node-1")
    await nodes.level()
    assert back._store.digest == nodes.nodes[0]._store.digest


async def test_where_the_newest_snapshot_cannot_be_had_the_one_before_is_taken(
    nodes: Cluster, js: JetStreamContext, stream: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("chat_service.bootstrap._TRY_EVERY", 0.01)
    await speak(nodes.nodes[0], "one")
    await until_snapshot(js, stream, 1)
    monkeypatch.setattr(snapshot_keeper, "LOOK_EVERY", 3600.0)
    older, *_ = await Snapshots(js, stream, 1).listed()
    await speak(nodes.nodes[0], "two")
    await nodes.level()
    before = await chunks_of(js, stream)
    await store(Snapshots(js, stream, 1), data_of(nodes.nodes[0]))
    for chunks, many in (await chunks_of(js, stream)).items():
        if chunks not in before:
            await js.purge_stream(f"OBJ_{stream}-snapshots", subject=chunks)
            for _ in range(many):
                await js.publish(chunks, b"something else")
    assert len(await Snapshots(js, stream, 1).listed()) == 2
    await js.purge_stream(stream, seq=older.position + 1)
    late = await nodes.start("late")
    await nodes.level()
    assert late._store.digest == nodes.nodes[0]._store.digest


async def store(snapshots: Snapshots, data: Path) -> None:
    """Store a snapshot of a node's data."""
    copied = copies.copy(data / "chat.db", data / "copy")
    await snapshots.publish(Snapshot(copied.epoch, copied.position, copied.seq), data / "copy")


async def chunks_of(js: JetStreamContext, stream: str) -> dict[str, int]:
    """Return the subjects of the chunks that are stored, and how many each has."""
    held = await js.stream_info(f"OBJ_{stream}-snapshots", f"$O.{stream}-snapshots.C.*")
    return held.state.subjects or {}


async def test_a_snapshot_is_due_at_once_when_the_log_forgets_what_it_begins_with(
    nodes: Cluster, js: JetStreamContext, stream: str
) -> None:
    await speak(nodes.nodes[0], "one")
    await until_snapshot(js, stream, 1)
    await speak(nodes.nodes[0], "two", "three")
    position = await nodes.level()
    await js.purge_stream(stream)
    await until_snapshot(js, stream, position)


async def test_without_a_snapshot_the_node_says_what_is_missing(
    nodes: Cluster, js: JetStreamContext, stream: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("chat_service.bootstrap._TRY_EVERY", 0.01)
    await speak(nodes.nodes[0], "one")
    for node in nodes.nodes:
        await node.stop()
    await js.purge_stream(stream)
    await Snapshots(js, stream, 1).discard()
    with pytest.raises(StartupError, match="there is no snapshot from which it goes on"):
        await nodes.start("late")
    with pytest.raises(StartupError, match="takes --data DIR"):
        await nodes.start("forgetful", data=None)


async def test_a_node_that_was_restored_replays_only_what_came_after(
    nodes: Cluster, tmp_path: Path
) -> None:
    await speak(nodes.nodes[0], "one", "two", "three")
    await nodes.level()
    backup, fresh = tmp_path / "backup", tmp_path / "restored"
    copied = copies.copy(data_of(nodes.nodes[0]) / "chat.db", backup)
    await speak(nodes.nodes[0], "four")
    fresh.mkdir()
    copies.restore(backup, fresh, same_log=True)
    assert inspect(fresh / "chat.db").position == copied.position > 0
    restored = await nodes.start("restored")
    await nodes.level()
    assert restored._store.digest == nodes.nodes[0]._store.digest


async def test_restored_under_a_new_epoch_it_is_no_node_of_the_cluster(
    nodes: Cluster, tmp_path: Path
) -> None:
    await speak(nodes.nodes[0], "one")
    copies.copy(data_of(nodes.nodes[0]) / "chat.db", tmp_path / "backup")
    (tmp_path / "other").mkdir()
    copies.restore(tmp_path / "backup", tmp_path / "other", same_log=False)
    with pytest.raises(StartupError, match="history of a single server"):
        await nodes.start("other")


async def test_a_node_that_never_had_a_record_is_started_again(nodes: Cluster) -> None:
    await nodes.nodes[1].stop()
    again = await nodes.start("node-1")
    assert again._store.position == 0


@pytest.mark.parametrize(
    "entry", [enter("ann"), by("ann", Register("a hash", "ann")), by("", BanSubject("eve", None))]
)
async def test_a_node_whose_data_were_changed_while_it_was_stopped_is_not_started_again(
    nodes: Cluster, entry: Entry
) -> None:
    await nodes.nodes[1].stop()
    store = Store.open(data_of(nodes.nodes[1]), nodes.nodes[0]._store.epoch)
    await store.apply([entry])
    await store.close()
    with pytest.raises(StartupError, match="node-1 was changed while its node was stopped"):
        await nodes.start("node-1")


async def test_a_node_that_stands_where_the_log_began_takes_a_snapshot_once_that_is_trimmed(
    imported: Cluster, js: JetStreamContext, stream: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    await imported.nodes[1].stop()
    assert imported.nodes[1]._store.position == 0
    monkeypatch.setattr(snapshot_keeper, "OLDEST", 0.0)
    await speak(imported.nodes[0], "one")
    await until_snapshot(js, stream, imported.nodes[0]._store.position)
    await js.purge_stream(stream)
    again = await imported.start("node-1")
    await imported.level()
    assert again._store.digest == imported.nodes[0]._store.digest
