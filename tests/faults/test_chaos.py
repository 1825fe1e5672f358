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
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Final

import pytest

from chat_service.state.inspection import Findings

from .chaos.cable import Balancer, Cable
from .chaos.mischief import FILLING, TO_NATS, TO_NODES, Fault, Mischief
from .chaos.node import DIVERGED, NodeProcess
from .chaos.servers import CabledServers
from .chaos.small_buffers import ROOM
from .crash.aftermath import kept_in, settled, until_converged
from .crash.crowd import Crowd
from .crash.ledger import Verdict, check

NODES: Final = 3
PEOPLE: Final = 9
STREAM: Final = "chat"
CONVERGED_WITHIN: Final = 120.0


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
    crowd: Crowd

    @property
    def faults(self) -> Counter[str]:
        """What was done to nodes and servers, by its kind."""
        return sum((it.faults for it in self.mischiefs), Counter[str]())

    @property
    def filling(self) -> int:
        """How many buffers were to be filled."""
        return sum(self.faults[kind] for kind in FILLING)

    @property
    def filled(self) -> int:
        """How many of them were full."""
        return sum(it.filled for it in self.mischiefs)

    def random(self, of: str) -> Random:
        """Return a source of randomness that no other part draws from."""
        return Random(f"{self.seed} {of}")


@pytest.mark.usefixtures("bounded_memory")
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
        async with run.crowd.gathered():
            await live_through_it(run)
            await until_converged(run.crowd.ledger, CONVERGED_WITHIN)
        found = await settled([node.data for node in run.nodes])
        run.crowd.ledger.kept.extend(kept_in(run.nodes[0].data))
        verdict = check(run.crowd.ledger)
        print(figures(run, verdict, found[0], time.monotonic() - started))
        assert verdict.sound, verdict.details()
        assert not [it.faults for it in found if it.faults]
        assert len({(it.digest, it.content) for it in found}) == 1, found
        assert not [it.name for it in run.nodes if DIVERGED in it.log]
        assert verdict.acknowledged > 20 * plan.faults, "there was no load"
        assert run.faults.total() == plan.faults
        # What two rows do at a time may leave nothing to fill.
        assert run.filled == run.filling or len(plan.rows) > 1, "a buffer was not filled"
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
        crowd = Crowd(balancer.address, PEOPLE, seed)
        try:
            yield Run(plan, seed, nodes, mischiefs, balancer, crowd)
        except BaseException as error:
            for node in nodes:
                error.add_note(f"what {node.name} logged last:\n{node.last_words()}")
            raise


async def a_node(
    directory: Path, name: str, servers: CabledServers, stack: AsyncExitStack
) -> NodeProcess:
    """Return a node with a cable to each server."""
    cables = [
        await stack.enter_async_context(Cable(server.ports.client, room=ROOM))
        for server in servers.servers
    ]
    node = NodeProcess(directory, name, STREAM, cables)
    stack.callback(node.close)
    return node


async def live_through_it(run: Run) -> None:
    """Talk while everything goes wrong; return when all has its reply."""
    enough = asyncio.Event()
    async with asyncio.TaskGroup() as talks:
        for person in run.crowd.people:
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


def figures(run: Run, verdict: Verdict, found: Findings, seconds: float) -> str:
    refused = sum(bool(it.refused) for it in run.crowd.ledger.sent.values())
    faults = ", ".join(f"{kind} {n}" for kind, n in sorted(run.faults.items()))
    network = ", ".join(f"{kind} {n}" for kind, n in sorted(run.balancer.faults.items()))
    return (
        f"faults {run.faults.total()}: {faults}; buffers full {run.filled} of {run.filling}\n"
        f"{verdict.figures()}, refused {refused}\n"
        f"{run.crowd.figures()}; their network: {network}\n"
        f"nodes: position {found.position}, of which the log was trimmed up to "
        f"{max(it.trimmed for it in run.mischiefs)}; seq {found.seq}, content {found.content}; "
        f"{seconds:.0f} s"
    )
