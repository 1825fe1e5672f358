"""Copies of a database: whole or not there at all, and never in another one's place."""

import os
import shutil
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import apsw
import pytest

from chat_service.core.record import Record
from chat_service.startup import StartupError
from chat_service.state import copies
from chat_service.state.inspection import inspect
from chat_service.state.store import Store

from .batches import enter, say


@pytest.fixture
async def data(tmp_path: Path) -> Path:
    """Data in which ann has said ten things, as a server that was killed leaves it."""
    directory = tmp_path / "data"
    store = Store.open(directory)
    await store.apply([enter("ann"), *(say("ann", f"{n}") for n in range(10))])
    await store.close()
    return directory


def meta(database: Path) -> dict[str, object]:
    with closing(apsw.Connection(str(database))) as db:
        return dict(db.execute("SELECT key, value FROM meta"))


def test_a_copy_holds_the_same(data: Path, tmp_path: Path) -> None:
    copied = tmp_path / "copy"
    assert copies.copy(data / "chat.db", copied).seq == 10
    assert inspect(copied) == inspect(data / "chat.db")
    assert copied.stat().st_mode & 0o777 == 0o600


async def test_a_copy_made_while_somebody_writes_is_of_one_moment(
    data: Path, tmp_path: Path
) -> None:
    store = Store.open(data)
    try:
        await store.apply([say("ann", "one more")])
        assert copies.copy(data / "chat.db", tmp_path / "copy").seq == 11
        await store.apply([say("ann", "and another")])
    finally:
        await store.close()
    found = inspect(tmp_path / "copy")
    assert (found.seq, found.faults) == (11, ())


def test_nothing_is_overwritten(data: Path, tmp_path: Path) -> None:
    target = tmp_path / "copy"
    target.write_text("precious")
    with pytest.raises(StartupError, match="is there already"):
        copies.copy(data / "chat.db", target)
    assert target.read_text() == "precious"
    copies.copy(data / "chat.db", tmp_path / "other")
    with pytest.raises(StartupError, match="is there already"):
        copies.restore(tmp_path / "other", data, same_log=True)


def test_what_fails_leaves_nothing_behind(data: Path, tmp_path: Path) -> None:
    target = tmp_path / "missing" / "copy"
    with pytest.raises(StartupError, match="cannot write"):
        copies.copy(data / "chat.db", target)
    broken = tmp_path / "broken"
    broken.write_bytes(b"no database")
    into = tmp_path / "into"
    into.mkdir()
    with pytest.raises(StartupError, match="not a database"):
        copies.restore(broken, into, same_log=False)
    assert list(into.iterdir()) == []


@pytest.mark.parametrize("where", ["missing", ".", "/".join(["x" * 200] * 4)])
def test_what_cannot_be_read_is_told_in_a_sentence(data: Path, tmp_path: Path, where: str) -> None:
    source = tmp_path / where
    if where.startswith("x"):  # longer than what SQLite opens
        shutil.copytree(data, source)
        source /= "chat.db"
    with pytest.raises(StartupError, match=f"cannot read {source}"):
        copies.copy(source, tmp_path / "copy")


def test_a_copy_that_was_cut_short_before_is_begun_anew(data: Path, tmp_path: Path) -> None:
    (tmp_path / "copy.partial").write_bytes(b"half of one")
    copies.copy(data / "chat.db", tmp_path / "copy")
    assert {it.name for it in tmp_path.iterdir()} == {"data", "copy"}


def test_restored_data_begins_another_log_or_goes_on_with_the_same(
    data: Path, tmp_path: Path
) -> None:
    copied = tmp_path / "copy"
    copies.copy(data / "chat.db", copied)
    for name, same_log in (("same", True), ("new", False)):
        (tmp_path / name).mkdir()
        copies.restore(copied, tmp_path / name, same_log=same_log)
        epoch = meta(tmp_path / name / "chat.db")["epoch"]
        assert (epoch == meta(copied)["epoch"]) is same_log
        assert meta(tmp_path / name / "chat.db")["seq"] == 10


@pytest.mark.parametrize("same_log", [True, False])
async def test_a_nodes_data_know_the_last_record_of_the_log_that_they_go_on_with(
    tmp_path: Path, same_log: bool
) -> None:
    store = Store.open(tmp_path / "node", "the epoch")
    await store.apply_records([Record(1, "p", 1, [enter("ann"), say("ann", "hello")])])
    await store.close()
    copies.copy(tmp_path / "node" / "chat.db", tmp_path / "copy")
    (tmp_path / "restored").mkdir()
    copies.restore(tmp_path / "copy", tmp_path / "restored", same_log=same_log)
    found = meta(tmp_path / "restored" / "chat.db")
    assert (found["position"], found["record"]) == ((1, "p-1") if same_log else (0, ""))


def test_the_rest_of_another_database_is_not_taken_for_a_part_of_this_one(
    data: Path, tmp_path: Path
) -> None:
    copies.copy(data / "chat.db", tmp_path / "copy")
    into = tmp_path / "into"
    into.mkdir()
    (into / "chat.db-wal").write_bytes(b"of another")
    with pytest.raises(StartupError, match="left of another database"):
        copies.restore(tmp_path / "copy", into, same_log=True)


@pytest.fixture
def other(data: Path, tmp_path: Path) -> Iterator[Path]:
    """A copy of the data, fetched beside other data."""
    into = tmp_path / "node"
    into.mkdir()
    copies.copy(data / "chat.db", into / "fetched.db")
    yield into / "fetched.db"
    assert not (into / "fetched.db").exists()


async def test_data_is_replaced_with_its_write_ahead_log(data: Path, other: Path) -> None:
    old = Store.open(other.parent)
    await old.apply([enter("zed"), say("zed", "hello")])
    await old.close()
    copies.replace(other.parent, other)
    assert inspect(other.parent / "chat.db") == inspect(data / "chat.db")
    assert not (other.parent / "chat.db-wal").exists()


async def test_data_that_somebody_has_open_is_not_replaced(data: Path, other: Path) -> None:
    store = Store.open(other.parent)
    try:
        with pytest.raises(StartupError, match="in use"):
            copies.replace(other.parent, other)
    finally:
        await store.close()
    copies.replace(other.parent, other)


def test_data_is_on_disk_before_it_takes_the_place_of_others(
    other: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[tuple[int, bool]] = []
    fsync = os.fsync

    def watched(number: int) -> None:
        fsync(number)
        synced.append((os.fstat(number).st_ino, other.exists()))

    monkeypatch.setattr(os, "fsync", watched)
    file, directory = other.stat().st_ino, other.parent.stat().st_ino
    copies.replace(other.parent, other)
    assert synced == [(file, True), (directory, False)]
