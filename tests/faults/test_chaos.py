"""A cluster to which everything is done, under load, kept what it promised.

The randomness has a seed, which is printed; CHAT_SEED repeats it (not the moments at which the
processes and the network did what, which are the system's).
"""

import asyncio
import os
import secrets
import time
from collections import Counter
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Final

import pytest

from chat_service.state.inspection import Findings, inspect
from tests.waiting import until

from .chaos.cable import Balancer, Cable
from .chaos.mischief import TO_NATS, TO_NODES, Fault, Mischief
from .chaos.node import NodeProcess
from .chaos.servers import CabledServers
from .crash.aftermath import kept_in, until_converged
from .crash.crowd import Person, Witness
from .crash.ledger import Ledger, Verdict, check

NODES: Final = 3
PEOPLE: Final = 9
WITNESSES: Final = 2
ROOMS: Final = ("#lobby", "#dev", "#ops")
STREAM: Final = "chat"
DIVERGED: Final = "a node has made something else of the log"
CONVERGED_WITHIN: Final = 120.0
SETTLED_WITHIN: Final = 60.0


@dataclass(frozen=True, slots=True)
class Plan:
    """How many faults of which kinds there are, in as many rows side by side as there are kinds."""

    faults: int
    rows: Sequence[Mapping[str, Fault]]


@dataclass(slots=True)
class Run:
    """A run's parts."""

    plan: Plan
    seed: str
    nodes: list[NodeProcess]
    mischiefs: list[Mischief]
    balancer: Balancer
    open_to_its_end: AsyncExitStack
    ledger: Ledger = field(default_factory=Ledger)
    people: list[Person] = field(default_factory=list)
    witnesses: list[Witness] = field(default_factory=list)

    @property
    def faults(self) -> Counter[str]:
        """What was done to nodes and servers, by its kind."""
        return sum((it.faults for it in self.mischiefs), Counter[str]())

    def random(self, of: str) -> Random:
        """Return a source of randomness that no other part draws from."""
        return Random(f"{self.seed} {of}")


@pytest.mark.parametrize(
    "plan",
    [
        pytest.param(Plan(5, [TO_NODES | TO_NATS]), id="5-faults"),
        pytest.param(Plan(72, [TO_NODES | TO_NATS]), id="72-faults", marks=pytest.mark.long),
        pytest.param(Plan(80, [TO_NODES, TO_NATS]), id="80-faults-by-two", marks=pytest.mark.long),
    ],
)
async def test_nothing_is_lost_doubled_or_reordered(plan: Plan, tmp_path: Path) -> None:
    seed = os.environ.get("CHAT_SEED") or secrets.token_hex(4)
    print(f"\nCHAT_SEED={seed}")
    started = time.monotonic()
    async with the_run(plan, seed, tmp_path) as run:
        async with asyncio.TaskGroup() as crowd:
            watching = await gather_crowd(run, crowd)
            await live_through_it(run)
            await until_converged(run.ledger, CONVERGED_WITHIN)
            await disperse(run, watching)
        found = await settled(run)
        run.ledger.kept.extend(kept_in(run.nodes[0].data))
        verdict = check(run.ledger)
        print(figures(run, verdict, found[0], time.monotonic() - started))
        assert verdict.sound, verdict.details()
        assert not [it.faults for it in found if it.faults]
        assert len({(it.digest, it.content) for it in found}) == 1, found
        assert not [it.name for it in run.nodes if DIVERGED in it.log]
        assert verdict.acknowledged > 20 * plan.faults, "there was no load"
        assert run.faults.total() == plan.faults
        for node in run.nodes:
            await node.stop()


@asynccontextmanager
async def the_run(plan: Plan, seed: str, directory: Path) -> AsyncIterator[Run]:
    async with AsyncExitStack() as stack:
        servers = await CabledServers.laid(directory, stack)
        await asyncio.to_thread(servers.start)
        nodes = [await a_node(directory, f"node-{n}", servers, stack) for n in range(NODES)]
        for node in nodes:
            node.launch()
        await asyncio.gather(*(node.serving() for node in nodes))
        ports = [node.port for node in nodes]
        balancer = Balancer(ports, Random(f"{seed} balancer"), longest_silence=10.0)
        await stack.enter_async_context(balancer)
        mischiefs = [
            Mischief(nodes, servers, STREAM, Random(f"{seed} mischief {row}"), kinds)
            for row, kinds in enumerate(plan.rows)
        ]
        try:
            yield Run(plan, seed, nodes, mischiefs, balancer, stack)
        except BaseException as error:
            for node in nodes:
                error.add_note(f"what {node.name} logged last:\n{node.last_words()}")
            raise


async def a_node(
    directory: Path, name: str, servers: CabledServers, stack: AsyncExitStack
) -> NodeProcess:
    """Return a node with a cable to each server."""
    cables = [
        await stack.enter_async_context(Cable(server.ports.client)) for server in servers.servers
    ]
    node = NodeProcess(directory, name, STREAM, cables)
    stack.callback(node.close)
    return node


async def gather_crowd(run: Run, crowd: asyncio.TaskGroup) -> Sequence[asyncio.Task[None]]:
    """Let everybody in, and into their rooms, before anything is said; return the witnesses."""
    address = run.balancer.address
    for n in range(PEOPLE):
        user = f"person-{n}"
        rooms = [room for place, room in enumerate(ROOMS) if place == 0 or (n + place) % 3]
        run.people.append(Person(run.ledger, address, user, rooms, run.random(user)))
    for n, person in enumerate(run.people):
        person.friends = [run.people[(n + step) % PEOPLE].user for step in (1, 4)]
        await run.open_to_its_end.enter_async_context(person.chat)
        crowd.create_task(person.listen(), name=person.user)
    for n in range(WITNESSES):
        user = f"witness-{n}"
        run.witnesses.append(Witness(run.ledger, address, user, run.random(user)))
    watching = [crowd.create_task(witness.watch()) for witness in run.witnesses]
    await asyncio.gather(*(witness.welcomed.wait() for witness in run.witnesses))
    return watching


async def live_through_it(run: Run) -> None:
    """Talk while everything goes wrong; return when all has its reply."""
    enough = asyncio.Event()
    async with asyncio.TaskGroup() as talks:
        for person in run.people:
            talks.create_task(person.talk(enough))
        storm = talks.create_task(run.balancer.storm())
        async with asyncio.TaskGroup() as rows:
            for number, mischief in enumerate(run.mischiefs):
                count = run.plan.faults // len(run.mischiefs)
                rows.create_task(do_mischief(run, mischief, count, run.random(f"row {number}")))
        await run.mischiefs[0].healed()
        storm.cancel()
        enough.set()


async def do_mischief(run: Run, mischief: Mischief, count: int, random: Random) -> None:
    """Do one fault after another, which no node is to give up for."""
    for _ in range(count):
        await asyncio.sleep(random.uniform(0.0, 2.0))
        await mischief.next()
        assert not [node.name for node in run.nodes if node.died], "a node gave up"


async def disperse(run: Run, watching: Sequence[asyncio.Task[None]]) -> None:
    for task in watching:
        task.cancel()
    await asyncio.gather(*(person.chat.close() for person in run.people))


async def settled(run: Run) -> list[Findings]:
    """Return what is in the nodes' databases, once all stand at one position and nobody is left."""
    found: list[Findings] = []

    def equal() -> bool:
        found[:] = [inspect(node.data / "chat.db") for node in run.nodes]
        return len({it.position for it in found}) == 1

    await until(equal, within=SETTLED_WITHIN, what="all nodes at one position")
    return found


def figures(run: Run, verdict: Verdict, found: Findings, seconds: float) -> str:
    sent = run.ledger.sent.values()
    duplicates = sum(it.ack.duplicate for it in sent if it.ack)
    refused = sum(bool(it.refused) for it in sent)
    faults = ", ".join(f"{kind} {n}" for kind, n in sorted(run.faults.items()))
    network = ", ".join(f"{kind} {n}" for kind, n in sorted(run.balancer.faults.items()))
    return (
        f"faults {run.faults.total()}: {faults}\n"
        f"{verdict.figures()}, refused {refused}, acknowledged as duplicates {duplicates}\n"
        f"clients: {len(run.ledger.rooms)}, "
        f"deliveries {sum(map(len, run.ledger.seen.values()))}, "
        f"reconnects {sum(person.reconnects for person in run.people)}; their network: {network}\n"
        f"nodes: position {found.position}, of which the log was trimmed up to "
        f"{max(it.trimmed for it in run.mischiefs)}; seq {found.seq}, content {found.content}; "
        f"{seconds:.0f} s"
    )
