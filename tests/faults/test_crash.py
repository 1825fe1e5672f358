"""A server killed at any moment, on a network that fails at any moment, keeps what it promised.

The randomness has a seed, which is printed; CHAT_SEED repeats it (not the moments at which the
processes and the network did what, which are the system's).
"""

import asyncio
import os
import secrets
import shutil
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Final

import apsw
import pytest

from chat_client import ChatClient
from chat_service.state import schema
from chat_service.state.store import Store

from .crash.aftermath import kept_in, until_converged
from .crash.crowd import ROOMS, Crowd, read_history
from .crash.ledger import Line, Verdict, check
from .crash.proxy import Proxy
from .crash.server import ServerProcess

PEOPLE: Final = 12
CONVERGED_WITHIN: Final = 90.0


@dataclass(frozen=True, slots=True)
class Plan:
    """How much is done to the server. Times are in seconds."""

    kills: int
    longest_life: float
    """From ready to the kill."""
    longest_silence: float
    """Of a half-open connection."""


SHORT: Final = Plan(kills=5, longest_life=4.0, longest_silence=6.0)
LONG: Final = Plan(kills=50, longest_life=12.0, longest_silence=45.0)


@dataclass(slots=True)
class Run:
    """A run's parts."""

    plan: Plan
    seed: str
    server: ServerProcess
    proxy: Proxy
    crowd: Crowd
    graceful_stops: int = 0

    def random(self, of: str) -> Random:
        """Return a source of randomness that no other part draws from."""
        return Random(f"{self.seed} {of}")


@pytest.mark.usefixtures("bounded_memory")
@pytest.mark.parametrize(
    "plan",
    [
        pytest.param(SHORT, id="5-kills"),
        pytest.param(LONG, id="50-kills", marks=pytest.mark.long),
    ],
)
async def test_nothing_is_lost_doubled_or_reordered(plan: Plan, tmp_path: Path) -> None:
    seed = os.environ.get("CHAT_SEED") or secrets.token_hex(4)
    print(f"\nCHAT_SEED={seed}")
    started = time.monotonic()
    async with the_run(plan, seed, tmp_path) as run:
        async with run.crowd.gathered():
            await live_through_it(run)
            await until_converged(run.crowd.ledger, CONVERGED_WITHIN)
            paged = await page_through_history(run)
        run.server.terminate()
        await run.server.stopped()
        run.crowd.ledger.kept.extend(kept_in(run.server.data))
        verdict = check(run.crowd.ledger)
        print(figures(run, verdict, time.monotonic() - started))
        assert verdict.sound, verdict.details()
        assert paged == [line for line in run.crowd.ledger.kept if line.to in ROOMS]
        assert verdict.acknowledged == len(run.crowd.ledger.sent), "something was refused"
        assert run.server.deaths >= plan.kills
        assert verdict.acknowledged > 50 * plan.kills, "there was no load"
        assert len(run.proxy.faults) == 5, "some kind of fault never happened"


@asynccontextmanager
async def the_run(plan: Plan, seed: str, directory: Path) -> AsyncIterator[Run]:
    async with AsyncExitStack() as stack:
        server = await stack.enter_async_context(ServerProcess(directory))
        await server.start()
        storm = Proxy(server.port, Random(f"{seed} proxy"), longest_silence=plan.longest_silence)
        proxy = await stack.enter_async_context(storm)
        yield Run(plan, seed, server, proxy, Crowd(proxy.address, PEOPLE, seed))


async def live_through_it(run: Run) -> None:
    """Talk while the network fails and the server dies; return when all has its reply."""
    enough = asyncio.Event()
    async with asyncio.TaskGroup() as talks:
        for person in run.crowd.people:
            talks.create_task(person.talk(enough))
        storm = talks.create_task(run.proxy.storm())
        await kill_again_and_again(run)
        storm.cancel()
        enough.set()


async def kill_again_and_again(run: Run) -> None:
    """Kill the server at random moments: at work, while it starts, while it stops."""
    random, server, plan = run.random("killer"), run.server, run.plan
    while server.deaths < plan.kills:
        await asyncio.sleep(
            random.choice((random.uniform(0, 1), random.uniform(0, plan.longest_life)))
        )
        way = random.random()
        if way < 0.1:  # it is asked to stop, and may
            server.terminate()
            await server.stopped()
            run.graceful_stops += 1
        elif way < 0.2:  # it is asked to stop, and then not waited for
            server.terminate()
            await asyncio.sleep(random.uniform(0, 0.5))
            await server.kill()
        else:
            await server.kill()
        if random.random() < 0.15:  # the next one does not get to serve
            server.launch()
            await asyncio.sleep(random.uniform(0, 1))
            await server.kill()
        await server.start()


async def page_through_history(run: Run) -> list[Line]:
    """Return what a newcomer reads of all rooms, in order of seq."""
    async with ChatClient(run.proxy.address, "auditor", rooms=ROOMS[1:], listen=False) as auditor:
        rooms = [await read_history(auditor, room) for room in ROOMS]
    return sorted(line for room in rooms for line in room)


def figures(run: Run, verdict: Verdict, seconds: float) -> str:
    faults = ", ".join(f"{kind} {count}" for kind, count in sorted(run.proxy.faults.items()))
    return (
        f"kills {run.server.deaths}, {verdict.figures()}\n"
        f"network: {faults}; connections {run.proxy.connections}\n"
        f"{run.crowd.figures()}; "
        f"graceful stops {run.graceful_stops}; {seconds:.0f} s"
    )


async def test_a_server_killed_while_it_makes_its_database_starts_again(tmp_path: Path) -> None:
    """A transaction that was being written to the file is rolled back by the next start."""
    dying, next_life = tmp_path / "dying", tmp_path / "next"
    dying.mkdir()
    db = apsw.Connection(str(dying / "chat.db"))
    db.pragma("application_id", schema.APPLICATION_ID)
    db.execute("BEGIN IMMEDIATE")
    db.execute(schema.MIGRATIONS[0])
    db.cache_flush()  # what a commit writes before it is one
    shutil.copytree(dying, next_life)
    db.close()
    assert (next_life / "chat.db-journal").stat().st_size > 0
    store = Store.open(next_life)
    await store.close()


async def test_first_starts_that_are_killed_at_any_moment_do_no_harm(tmp_path: Path) -> None:
    random = Random(os.environ.get("CHAT_SEED"))
    async with ServerProcess(tmp_path) as server:
        for _ in range(4):
            server.launch()
            await asyncio.sleep(random.uniform(0.0, 0.8))
            await server.kill()
        await server.start()
