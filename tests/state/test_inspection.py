"""What is found in a database from outside: damage, and any difference in what it holds."""

from contextlib import closing
from pathlib import Path

import apsw
import pytest

from chat_service.startup import StartupError
from chat_service.state import schema
from chat_service.state.inspection import content_digest, inspect
from chat_service.state.store import Store

from .batches import State, enter, say


@pytest.fixture
async def database(tmp_path: Path) -> Path:
    store = Store.open(tmp_path)
    try:
        await store.apply([enter("ann"), *(say("ann", "hello " * 100) for _ in range(200))])
    finally:
        await store.close()
    return tmp_path / "chat.db"


def test_a_sound_database_tells_where_it_stands(database: Path) -> None:
    found = inspect(database)
    assert (found.seq, found.faults) == (200, ())
    assert found.schema == len(schema.MIGRATIONS)
    with closing(apsw.Connection(str(database))) as db:
        assert (found.epoch,) == db.execute("SELECT value FROM meta WHERE key = 'epoch'").fetchone()


def test_equal_states_have_equal_digests_however_they_came_to_be() -> None:
    one, other = State(), State()
    entries = [enter("ann"), say("ann", "one"), say("ann", "two")]
    one.apply(*entries)
    for entry in entries:
        other.apply(entry)
    for state in (one, other):
        state.db.execute("UPDATE meta SET value = 'same' WHERE key = 'epoch'")
    other.db.execute("VACUUM")
    assert content_digest(one.db) == content_digest(other.db)
    for state in (one, other):
        state.close()


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE events SET frame = x'00' WHERE seq = 7",
        "UPDATE clients SET nonce = nonce + 1",
        "DELETE FROM names",
        "INSERT INTO meta VALUES ('another', 1)",
    ],
)
def test_any_difference_shows_in_the_digest(change: str) -> None:
    state = State()
    state.apply(enter("ann"), *(say("ann", "hello", nonce=n) for n in range(1, 9)))
    before = content_digest(state.db)
    state.db.execute(change)
    assert content_digest(state.db) != before
    state.close()


def test_a_row_that_points_to_nothing_is_a_fault(database: Path) -> None:
    with closing(apsw.Connection(str(database))) as db:
        db.execute("DELETE FROM topics WHERE name = '#lobby'")
    assert any("events points to nothing in topics" in it for it in inspect(database).faults)


def test_a_damaged_page_is_found(database: Path) -> None:
    page = 4096
    content = bytearray(database.read_bytes())
    middle = len(content) // page // 2 * page
    content[middle : middle + page] = b"\xff" * page
    database.write_bytes(content)
    with pytest.raises(StartupError, match="corrupt"):
        inspect(database)


def test_what_is_no_database_of_ours_is_told(tmp_path: Path) -> None:
    (tmp_path / "notes").write_text("not a database")
    with pytest.raises(StartupError, match="not a database of this service"):
        inspect(tmp_path / "notes")
