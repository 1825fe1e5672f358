"""Whose history a database holds: none goes on with another's."""

from pathlib import Path

import pytest

from chat_service.core.commands import BanSubject, Register
from chat_service.core.record import Record
from chat_service.startup import StartupError
from chat_service.state import copies, inspection
from chat_service.state.store import Store
from tests.state.batches import by, enter, say

EPOCH = "0123456789abcdef"


async def shared(directory: Path, epoch: str = EPOCH, *, records: int = 1) -> None:
    """Have a node of a cluster apply some records."""
    store = Store.open(directory, epoch)
    for it in range(store.position + 1, store.position + 1 + records):
        await store.apply_records((Record(it, "p", it, [enter("ann"), say("ann", "x")]),))
    await store.close()


def test_a_new_database_takes_on_the_epoch_of_the_log_that_it_follows(tmp_path: Path) -> None:
    assert Store.open(None, EPOCH).epoch == EPOCH


async def test_a_node_goes_on_with_its_own_log(tmp_path: Path) -> None:
    await shared(tmp_path)
    await shared(tmp_path)
    store = Store.open(tmp_path, EPOCH)
    assert (store.position, len(store.digest)) == (2, 16)
    await store.close()


async def test_a_node_does_not_go_on_with_another_log(tmp_path: Path) -> None:
    await shared(tmp_path)
    with pytest.raises(StartupError, match=f"{tmp_path} follows another log"):
        Store.open(tmp_path, "fedcba9876543210")


async def test_a_node_that_has_applied_nothing_may_follow_any_log(tmp_path: Path) -> None:
    await shared(tmp_path, records=0)
    await shared(tmp_path, "fedcba9876543210")


@pytest.mark.parametrize("records", [0, 1])
async def test_a_nodes_data_is_not_served_alone(tmp_path: Path, records: int) -> None:
    await shared(tmp_path, records=records)
    with pytest.raises(StartupError, match=f"{tmp_path} is the data of a cluster's node"):
        Store.open(tmp_path)


@pytest.mark.parametrize(
    "entry",
    [
        enter("ann"),
        by("ann", Register("a hash", "ann")),
        by("", BanSubject("192.0.2.0/24", None)),
    ],
    ids=["guest", "account", "ban"],
)
async def test_what_happened_on_a_single_server_is_not_put_under_a_log(
    tmp_path: Path, entry: object
) -> None:
    store = Store.open(tmp_path)
    await store.apply([entry])  # type: ignore[list-item]
    await store.close()
    with pytest.raises(StartupError, match="has the history of a single server"):
        Store.open(tmp_path, EPOCH)
    store = Store.open(tmp_path)  # as it was
    await store.close()


async def test_a_backup_of_a_nodes_data_may_be_restored_to_go_on_alone(tmp_path: Path) -> None:
    await shared(tmp_path / "node", records=0)
    copies.copy(tmp_path / "node" / "chat.db", tmp_path / "backup")
    (tmp_path / "alone").mkdir()
    copies.restore(tmp_path / "backup", tmp_path / "alone", same_log=False)
    store = Store.open(tmp_path / "alone")
    await store.close()


async def test_that_it_follows_a_shared_log_is_no_part_of_what_it_holds(tmp_path: Path) -> None:
    store = Store.open(tmp_path)
    epoch = store.epoch
    await store.apply([enter("ann"), say("ann", "x")])
    await store.close()
    alone = inspection.content(tmp_path / "chat.db")
    await shared(tmp_path, epoch, records=0)
    assert inspection.content(tmp_path / "chat.db") == alone


async def test_a_copy_of_it_goes_on_as_the_beginning_of_a_log_of_its_epoch(tmp_path: Path) -> None:
    store = Store.open(tmp_path)
    await store.apply([enter("ann"), say("ann", "x")])
    epoch = store.epoch
    await store.close()
    await shared(tmp_path, epoch)
