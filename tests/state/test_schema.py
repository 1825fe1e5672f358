"""Which files the server opens, and that it leaves every other one as it was."""

import re
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Final

import pytest

from chat_service.core.commands import ByPassword, Register, Send
from chat_service.core.errors import NameTaken, PermissionDenied
from chat_service.core.events import Ack
from chat_service.core.lookalike import skeleton
from chat_service.core.moderation import Role
from chat_service.core.outcome import Entered
from chat_service.core.record import Record
from chat_service.startup import StartupError
from chat_service.state import schema
from chat_service.state.port import Credentials
from chat_service.state.store import Store
from tests.mounts import read_only
from tests.state.batches import by, enter, join, leave, say, told

V1, V2, V3, V4 = (Path(__file__).with_name(f"v{version}.sql") for version in (1, 2, 3, 4))
EPOCH: Final = "0123456789abcdef"
"""That of all of them."""

V2_AT: Final = 1_700_000_000_000_100
"""When the server of v2.sql had ended."""

PAGE: Final = 4096


def test_a_database_of_every_version_is_kept_to_be_opened() -> None:
    kept = sorted(path.name for path in Path(__file__).parent.glob("v*.sql"))
    assert kept == [f"v{version}.sql" for version in range(1, len(schema.MIGRATIONS) + 1)]


@pytest.fixture
def data(tmp_path: Path) -> Path:
    directory = tmp_path / "data"
    directory.mkdir()
    return directory


def build(path: Path, sql: str) -> None:
    with closing(sqlite3.connect(path)) as database:
        database.executescript(sql)


def pragma(path: Path, statement: str) -> None:
    build(path, f"PRAGMA {statement};")


async def served(directory: Path, messages: int = 200) -> Path:
    """Have a server work on a database, and return its file."""
    store = await open_store(directory)
    await store.apply([enter("ann"), *(say("ann", "x" * 1000) for _ in range(messages))])
    await store.close()
    return directory / "chat.db"


async def open_store(directory: Path) -> Store:
    return Store.open(directory)


async def reason(directory: Path) -> str:
    """Return why a directory cannot be served, having seen that its database stays as it is."""
    path = directory / "chat.db"
    before = path.read_bytes() if path.is_file() else None
    with pytest.raises(StartupError) as failure:
        await open_store(directory)
    assert (path.read_bytes() if path.is_file() else None) == before
    text = str(failure.value)
    assert text.isprintable()
    assert str(directory) in text
    return text


def structure(path: Path) -> list[tuple[str, ...]]:
    with closing(sqlite3.connect(path)) as database:
        rows = database.execute("SELECT type, name, sql FROM sqlite_schema ORDER BY name")
        return [tuple(str(value) for value in row) for row in rows]


# --- what is opened ---


async def test_a_directory_is_made_and_filled_where_there_is_none(tmp_path: Path) -> None:
    store = await open_store(tmp_path / "new" / "data")
    assert (store.seq, len(store.epoch)) == (0, 16)
    await store.close()
    assert (tmp_path / "new" / "data").stat().st_mode & 0o777 == 0o700


async def test_what_was_written_is_there_at_the_next_start(data: Path) -> None:
    store = await open_store(data)
    epoch = store.epoch
    await store.apply([enter("ann"), say("ann", "x")])
    await store.close()
    store = await open_store(data)
    assert (store.seq, store.epoch) == (1, epoch)
    await store.close()


async def test_two_databases_have_two_epochs(tmp_path: Path) -> None:
    stores = [await open_store(tmp_path / name) for name in "ab"]
    assert stores[0].epoch != stores[1].epoch
    for store in stores:
        await store.close()


async def test_a_database_of_version_1_opens_and_goes_on(data: Path) -> None:
    build(data / "chat.db", V1.read_text())
    store = await open_store(data)
    assert (store.epoch, store.seq) == ("0123456789abcdef", 7)
    assert await store.held_names() == [("ann", b"ann", "ann/ann")]
    page = await store.missed(2, after=0, rooms_after=0, upto=7)
    assert told(page.frames) == [
        "bob joined #dev",
        "hello, #lobby",
        "hello, #dev",
        "psst",
        "bob left #dev",
        "while you were out",
    ]
    applied = await store.apply([say("ann", "again", nonce=3), say("ann", "new", nonce=4)])
    acks = [it.reply for it in applied]
    assert [ack.replace(sent_at=0) for ack in acks if isinstance(ack, Ack)] == [
        Ack(7, 2, 3, duplicate=True),
        Ack(8, 2, 4),
    ]
    await store.close()


async def test_those_who_were_here_in_version_1_are_who_they_were(data: Path) -> None:
    build(data / "chat.db", V1.read_text())
    store = await open_store(data)
    thief, ann, bob = await store.apply([enter("ann", "thief"), enter("ann"), enter("bob")])
    assert isinstance(thief.reply, NameTaken)
    assert isinstance(ann.reply, Entered)
    assert (ann.reply.identity, ann.reply.rooms) == (1, ("#lobby", "#dev"))
    assert isinstance(bob.reply, Entered)
    assert (bob.reply.identity, bob.reply.away_since, bob.reply.last_nonce) == (2, 6, 1)
    await store.close()


async def test_a_room_of_version_1_is_everyones_until_it_is_found_empty(data: Path) -> None:
    build(data / "chat.db", V1.read_text())
    store = await open_store(data)
    await store.apply([enter("bob"), join("bob", "#dev")])
    assert await store.members(1, "#dev", after="", limit=9) == [
        ("ann", Role.MEMBER),
        ("bob", Role.MEMBER),
    ]
    await store.apply([leave("ann", "#dev"), leave("bob", "#dev"), join("bob", "#dev")])
    assert await store.members(2, "#dev", after="", limit=9) == [("bob", Role.OWNER)]
    await store.close()


async def test_a_guest_of_version_1_makes_the_name_an_account(data: Path) -> None:
    build(data / "chat.db", V1.read_text())
    store = await open_store(data)
    await store.apply([by("ann", Register("a hash", "ann"))])
    assert await store.credentials("ann") == Credentials("a hash", 0)
    assert await store.members(1, "#dev", after="", limit=9) == [("ann", Role.MEMBER)]
    await store.close()


async def test_accounts_and_tokens_of_version_2_are_as_good_as_ever(data: Path) -> None:
    build(data / "chat.db", V2.read_text())
    store = await open_store(data)
    assert [it[:3] for it in await store.accounts("", 9)] == [
        ("ann", False, True),
        ("bob", False, True),
        ("root", True, True),
    ]
    (token,) = await store.sign_ins("ann", V2_AT)
    assert (token.label, token.sessions) == ("phone", 1)
    assert (await store.bearer(b"a" * 32), await store.bearer(b"g" * 32)) == ("ann", "gus")
    bob = enter("bob", proof=ByPassword(1))
    assert isinstance((await store.apply([bob]))[0].reply, Entered)
    await store.close()


async def test_those_who_were_here_in_version_2_are_expected_back(data: Path) -> None:
    build(data / "chat.db", V2.read_text())
    store = await open_store(data)
    assert [(it.session, it.address, it.lost) for it in await store.connections("")] == [
        ("ann/phone", "192.0.2.1", False),
        ("gus/gus", "2001:db8::1", True),
    ]
    thief, gus = await store.apply([enter("gus", "thief"), enter("gus")])
    assert isinstance(thief.reply, NameTaken)
    assert isinstance(gus.reply, Entered)
    await store.close()


async def test_the_rights_over_a_room_of_version_2_are_what_they_were(data: Path) -> None:
    build(data / "chat.db", V2.read_text())
    store = await open_store(data)
    assert await store.members(2, "#dev", after="", limit=9) == [
        ("ann", Role.OWNER),
        ("bob", Role.MODERATOR),
        ("gus", Role.MEMBER),
    ]
    await store.apply([enter(name) for name in ("gus", "zoe", "tom")])
    muted, invited, banned = await store.apply([
        by("gus", Send("#dev", "hi"), at=V2_AT), join("zoe", "#dev"), join("tom", "#dev"),
    ])  # fmt: skip
    assert isinstance(muted.reply, PermissionDenied)
    assert isinstance(invited.reply, Ack)
    assert isinstance(banned.reply, PermissionDenied)
    assert [it.subject for it in await store.bans(V2_AT)] == ["198.51.100.0/24"]
    await store.close()


async def test_a_node_of_version_3_goes_on_in_its_log(data: Path) -> None:
    build(data / "chat.db", V3.read_text())
    store = Store.open(data, EPOCH)
    assert (store.position, store.digest, store.seq) == (5, bytes(range(16)), 12)
    assert store.record == "", "nobody has kept it"
    late = Record(6, "00000000000000bb", 2, [enter("dan")])
    new = Record(7, "00000000000000bb", 3, [enter("dan"), say("dan", "hello")])
    applied = await store.apply_records((late, new))
    assert [type(it.reply) for it in applied] == [Entered, Ack]
    assert (store.position, store.seq, store.record) == (7, 13, new.id)
    await store.close()


async def test_a_node_of_version_4_knows_the_record_that_it_applied_last(data: Path) -> None:
    build(data / "chat.db", V4.read_text())
    store = Store.open(data, EPOCH)
    assert (store.position, store.record) == (5, "00000000000000bb-2")
    await store.close()


TWINS: Final = """
INSERT INTO identities VALUES (7, 'ian', x'6137', 0, 0), (8, 'i\u0307an', x'6138', 0, 0);
INSERT INTO names VALUES ('ian', 7), ('i\u0307an', 8);
INSERT INTO accounts VALUES ('ian', 'ian', 7, 'hash', 0, 0, 1);
INSERT INTO accounts VALUES ('i\u0307an', 'i\u0307an', 8, 'hash', 0, 0, 1);
"""
"""Two accounts of version 3 that are known to look alike since version 4."""


@pytest.mark.parametrize("sql", [V3.read_text() + TWINS, V4.read_text()], ids=["v3", "v4"])
async def test_accounts_that_turn_out_to_look_alike_both_stay_and_no_third_comes(
    data: Path, sql: str
) -> None:
    build(data / "chat.db", sql)
    store = Store.open(data, "0123456789abcdef")
    both = [enter(name, proof=ByPassword(0)) for name in ("ian", "i\u0307an")]
    name = "\u0456an"  # in Cyrillic
    third = by(name, Register("a hash", skeleton(name)))
    *entered, refused = await store.apply_records((Record(6, "cc", 1, [*both, third]),))
    assert [type(it.reply) for it in entered] == [Entered, Entered]
    assert isinstance(refused.reply, NameTaken)
    await store.close()


@pytest.mark.parametrize(
    ("sql", "epoch"),
    [
        (V1.read_text(), None),
        (V2.read_text(), None),
        (V3.read_text(), EPOCH),
        (V4.read_text(), EPOCH),
    ],
    ids=["v1", "v2", "v3", "v4"],
)
async def test_an_upgraded_database_is_built_like_a_new_one(
    tmp_path: Path, sql: str, epoch: str | None
) -> None:
    for name in ("old", "new"):
        (tmp_path / name).mkdir()
    build(tmp_path / "old" / "chat.db", sql)
    await Store.open(tmp_path / "old", epoch).close()
    await (await open_store(tmp_path / "new")).close()
    assert structure(tmp_path / "old" / "chat.db") == structure(tmp_path / "new" / "chat.db")


async def test_an_empty_file_is_a_first_start_that_was_interrupted(data: Path) -> None:
    (data / "chat.db").touch()
    store = await open_store(data)
    await store.close()


async def test_a_first_start_that_died_before_its_tables_is_finished(data: Path) -> None:
    pragma(data / "chat.db", f"application_id = {schema.APPLICATION_ID}")
    store = await open_store(data)
    assert store.seq == 0
    await store.close()


async def test_what_was_committed_is_there_after_a_kill(data: Path, tmp_path: Path) -> None:
    store = await open_store(data)
    await store.apply([enter("ann"), *(say("ann", "x") for _ in range(100))])
    shutil.copytree(data, tmp_path / "copy")  # as a kill would leave it, its log not merged
    await store.close()
    assert (tmp_path / "copy" / "chat.db-wal").stat().st_size > 0
    store = await open_store(tmp_path / "copy")
    assert store.seq == 100
    await store.close()


# --- what is not ---


async def test_a_newer_versions_database_is_left_alone(data: Path) -> None:
    path = await served(data)
    pragma(path, f"user_version = {len(schema.MIGRATIONS) + 1}")
    assert "was written by a newer version" in await reason(data)


async def test_another_programs_database_is_left_alone(data: Path) -> None:
    build(data / "chat.db", "PRAGMA application_id = 7; CREATE TABLE t (x);")
    assert "is another program's database" in await reason(data)


async def test_a_database_that_no_program_claims_is_left_alone(data: Path) -> None:
    build(data / "chat.db", "CREATE TABLE t (x);")
    assert "is another program's database" in await reason(data)


@pytest.mark.parametrize(
    "content", [b"hello", b"x" * 100_000, b"\0" * 8192, b"SQLite format 3\0", b"\n"]
)
async def test_what_is_no_database_is_left_alone(data: Path, content: bytes) -> None:
    (data / "chat.db").write_bytes(content)
    assert "is not a database of this service, or is corrupt" in await reason(data)


@pytest.mark.parametrize("place", [0.1, 0.5, 0.9])
async def test_a_page_of_garbage_is_found_wherever_it_is(data: Path, place: float) -> None:
    path = await served(data)
    pages = path.stat().st_size // PAGE
    assert pages > 20
    with path.open("r+b") as file:
        file.seek(int(pages * place) * PAGE)
        file.write(bytes(range(256)) * (PAGE // 256))
    assert re.search(r"is corrupt \(.+\); restore it from a backup", await reason(data))


async def test_a_database_that_was_cut_short_is_corrupt(data: Path) -> None:
    path = await served(data)
    path.write_bytes(path.read_bytes()[: 10 * PAGE])
    assert "is corrupt" in await reason(data)


async def test_a_directory_in_the_place_of_the_database_is_said_to_be_one(data: Path) -> None:
    (data / "chat.db").mkdir()
    assert "Is a directory" in await reason(data)


async def test_a_file_in_the_place_of_the_data_directory_is_said_so(tmp_path: Path) -> None:
    (tmp_path / "data").touch()
    assert "cannot write to" in await reason(tmp_path / "data")


async def test_of_two_servers_on_one_directory_the_second_does_not_start(data: Path) -> None:
    store = await open_store(data)
    assert await reason(data) == f"another server is using {data}"
    await store.apply([enter("ann"), say("ann", "undisturbed")])
    await store.close()
    await (await open_store(data)).close()


@pytest.mark.parametrize(
    ("where", "complaint"),
    [
        ("", "cannot write to {data}: Read-only file system"),
        ("chat.db", "cannot use {data}/chat.db"),
    ],
)
async def test_what_cannot_be_written_is_not_served(data: Path, where: str, complaint: str) -> None:
    await served(data, messages=1)
    (data / "chat.lock").unlink()
    with read_only(data / where):
        assert (await reason(data)).startswith(complaint.format(data=data))
    await (await open_store(data)).close()


async def test_a_failed_start_lets_go_of_the_directory(data: Path) -> None:
    (data / "chat.db").write_bytes(b"x" * 1000)
    await reason(data)
    (data / "chat.db").unlink()
    await (await open_store(data)).close()
