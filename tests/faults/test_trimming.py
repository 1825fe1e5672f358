"""The trimming itself: deterministic, tried again where it failed, and in nobody's way."""

import asyncio
import time
from collections.abc import Iterable, Sequence
from itertools import islice
from pathlib import Path
from random import Random

import apsw
import pytest

from chat_service.config import Keep
from chat_service.core.commands import Enter, Entry, EntryBody, Exit, Join, Leave, Send, Trim
from chat_service.state import trimming
from chat_service.state.store import Store
from tests.conftest import StartNode
from tests.faults.past import PAST, by, fill
from tests.faults.trimmed import page, quick, trimmed_to  # noqa: F401  (quick is a fixture)
from tests.transports.conftest import Enter as LetIn


def some_life(random: Random, count: int) -> list[Entry]:
    """Make up a log with everything in it that trimming may meet."""
    users = ["ann", "bob", "cyd"]
    topics = ["", "#lobby", "#dev", "#art", "1,2", "1,3", "2,2", "#nowhere"]
    entries = [by(user, Enter()) for user in users]
    for at in range(count):
        bodies: list[EntryBody] = [
            Send(random.choice(["#lobby", "#dev", "@ann", "@bob"]), f"text {at}", at),
            Join(random.choice(["#dev", "#art"])),
            Leave(random.choice(["#dev", "#art"])),
            Trim(random.choice(topics), random.randint(max(0, at - 200), at)),
            Enter(),
            Exit(hold=random.random() < 0.5),
        ]
        body = random.choices(bodies, [80, 8, 4, 4, 3, 3])[0]
        entries.append(by(random.choice(users), body).replace(at=PAST + at))
    return entries


async def applied(directory: Path, entries: Sequence[Entry], sizes: Iterable[int]) -> bytes:
    """Apply a log in batches of these sizes; returns the database, laid out anew."""
    store = await asyncio.to_thread(Store.open, directory)
    rest = iter(entries)
    for size in sizes:
        await store.apply(list(islice(rest, size)))
    await store.apply(list(rest))
    await store.close()
    db = apsw.Connection(str(directory / "chat.db"))
    db.execute("UPDATE meta SET value = '' WHERE key = 'epoch'")  # it is random
    db.execute("VACUUM INTO ?", (str(directory / "copy.db"),))
    db.close()
    return (directory / "copy.db").read_bytes()


async def test_trimming_makes_the_same_bytes_whatever_the_batches(tmp_path: Path) -> None:
    random = Random(20)
    entries = some_life(random, 3000)
    ways = [
        [1] * 3000,
        [],
        [random.randint(1, 7) for _ in range(1000)],
        [random.randint(1, 500) for _ in range(100)],
    ]
    databases = {
        await applied(tmp_path / str(number), entries, sizes) for number, sizes in enumerate(ways)
    }
    assert len(databases) == 1


async def test_a_cut_that_the_storage_refused_is_proposed_again(
    start_node: StartNode, enter: LetIn, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await fill(tmp_path / "data", ["said"] * (trimming.CHUNK_EVENTS + 100))
    failures = 0
    cut = trimming.cut

    def full_at_first(db: apsw.Connection, trim: Trim) -> None:
        nonlocal failures
        if failures < 3:
            failures += 1
            raise apsw.FullError("no space left")
        cut(db, trim)

    monkeypatch.setattr(trimming, "cut", full_at_first)
    node = await start_node(keep=Keep(messages=10))
    ann = await enter(node, "ann", "ann")
    await trimmed_to(ann, 10)
    assert failures == 3


async def test_people_go_on_talking_while_very_much_is_trimmed(
    start_node: StartNode, enter: LetIn, tmp_path: Path
) -> None:
    await fill(tmp_path / "data", ["said"] * 100_000)
    node = await start_node(keep=Keep(messages=100))
    ann, bob = await enter(node, "ann", "ann"), await enter(node, "bob", "b2")
    started = time.perf_counter()
    delays: list[float] = []
    while (await page(ann)).events[0].seq <= 99_900:
        before = time.perf_counter()
        text = f"meanwhile {len(delays)}"
        await ann.say(text)
        await bob.hears_text(text)
        delays.append(time.perf_counter() - before)
    took = time.perf_counter() - started
    assert [text for text in bob.texts if text != "said"] == [
        f"meanwhile {n}" for n in range(len(delays))
    ]
    print(
        f"\n100,000 events trimmed in {took:.1f} s; {len(delays)} messages meanwhile took at most"
        f" {max(delays) * 1000:.0f} ms"
    )
    assert max(delays) < 1
