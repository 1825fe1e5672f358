"""The keeper of the snapshot: it asks whose turn it is, and lives on whatever fails."""

from collections.abc import AsyncIterator, Callable
from pathlib import Path

import nats
import pytest
from structlog.testing import capture_logs

from chat_service.core.record import Record
from chat_service.log.snapshots import Snapshots
from chat_service.snapshot_keeper import SnapshotKeeper
from chat_service.state import copies
from chat_service.state.inspection import stand
from chat_service.state.store import Store
from tests.cluster.servers import NatsServers, nats_server, stream
from tests.state.batches import enter

__all__ = ["nats_server", "stream"]

Keep = Callable[[Callable[[], bool]], SnapshotKeeper]


@pytest.fixture
async def snapshots(nats_server: NatsServers, stream: str) -> AsyncIterator[Snapshots]:
    connection = await nats.connect(nats_server.url)
    yield Snapshots(connection.jetstream(), stream, 1)
    await connection.close()


@pytest.fixture
async def database(tmp_path: Path) -> Path:
    """Return the data of a node that has applied three records."""
    store = Store.open(tmp_path, "an epoch")
    await store.apply_records([Record(it, "p", it, [enter("ann")]) for it in (1, 2, 3)])
    await store.close()
    return tmp_path / copies.DATABASE


@pytest.fixture
def keep(snapshots: Snapshots, database: Path) -> Keep:
    """Return a function that makes the keeper of the node, given whose turn it is."""

    async def first() -> int:
        return 1

    def keeper(mine: Callable[[], bool]) -> SnapshotKeeper:
        at = stand(database)
        return SnapshotKeeper(snapshots, database, lambda: at, first, mine, lambda: 0.0)

    return keeper


async def test_a_snapshot_is_made_where_there_is_none(keep: Keep, snapshots: Snapshots) -> None:
    await keep(lambda: True).look()
    assert [it.position for it in await snapshots.listed()] == [3]


async def test_what_fails_unforeseen_is_told_and_tried_again(
    keep: Keep, snapshots: Snapshots, database: Path
) -> None:
    keeper = keep(lambda: True)
    in_the_way = database.with_name(f"{database.name}.snapshot")
    in_the_way.mkdir()
    with capture_logs() as logs:
        await keeper.look()
    assert [it["event"] for it in logs] == ["no snapshot could be made"]
    in_the_way.rmdir()
    await keeper.look()
    assert [it.position for it in await snapshots.listed()] == [3]


async def test_who_is_contradicted_while_the_copy_is_made_hands_on_nothing(
    keep: Keep, snapshots: Snapshots, database: Path
) -> None:
    turns = iter((True, False))
    await keep(lambda: next(turns)).look()
    assert await snapshots.listed() == []
    assert list(turns) == []
    assert not [it for it in database.parent.iterdir() if "snapshot" in it.name]
