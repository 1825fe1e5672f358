"""A cluster is upgraded from the previous commit, node by node, under load, and loses nothing.

Another one than the previous is chosen by CHAT_PREVIOUS. The randomness has a seed, which is
printed; CHAT_SEED repeats it.
"""

import asyncio
import io
import os
import secrets
import shutil
import subprocess
import sys
import tarfile
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from random import Random
from typing import Final

import pytest

from tests.cluster.servers import NatsServers
from tests.waiting import until

from .chaos.cable import Balancer, Cable
from .chaos.node import DIVERGED, HERE, NodeProcess, running
from .crash.aftermath import kept_in, settled, until_converged
from .crash.crowd import Crowd
from .crash.ledger import check

NODES: Final = 3
PEOPLE: Final = 6
A_WHILE: Final = 300
"""Messages that are acknowledged before the next node is upgraded."""

CONVERGED_WITHIN: Final = 60.0


def git(*arguments: str) -> bytes:
    return subprocess.run(
        ["git", *arguments], cwd=HERE, capture_output=True, check=True, timeout=60
    ).stdout


@pytest.fixture
def previous(tmp_path: Path) -> Path:
    """The source of the previous commit."""
    commit = os.environ.get("CHAT_PREVIOUS", "HEAD~1")
    try:
        archive = git("archive", commit)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip(f"there is no {commit} here: it takes a clone with its history, and git")
    tree = tmp_path / "previous"
    with tarfile.open(fileobj=io.BytesIO(archive)) as files:
        files.extractall(tree, filter="data")
    return tree


def source_of(tree: Path) -> list[str]:
    """Return from where a node that is started with a tree takes the service and the contract."""
    told = "import chat_service as it, chat.cluster.v1.record_pb2 as pb; print(it, pb, sep=chr(10))"
    command = [sys.executable, "-c", told]
    return subprocess.check_output(command, cwd=tree, env=running(tree), text=True).splitlines()


@asynccontextmanager
async def three_nodes(
    tree: Path, server: NatsServers, stream: str, directory: Path
) -> AsyncIterator[list[NodeProcess]]:
    """Start nodes from a source; in the end all are ended, and an error has their last words."""
    async with AsyncExitStack() as stack:
        nodes = []
        for number in range(NODES):
            cable = await stack.enter_async_context(Cable(server.servers[0].ports.client))
            nodes.append(NodeProcess(directory, f"node-{number}", stream, [cable]))
            stack.callback(nodes[-1].close)
        for node in nodes:
            node.tree = tree
            node.launch()
        await asyncio.gather(*(node.serving() for node in nodes))
        try:
            yield nodes
        except BaseException as error:
            for node in nodes:
                error.add_note(f"what {node.name} logged last:\n{node.last_words()}")
            raise


async def upgrade(nodes: list[NodeProcess], crowd: Crowd) -> None:
    """Talk while one node after another is stopped and started from this source.

    The last one makes all of its data anew, from what nodes of both versions have written.
    """
    enough = asyncio.Event()
    async with asyncio.TaskGroup() as talks:
        for person in crowd.people:
            talks.create_task(person.talk(enough))
        await more_acknowledged(crowd)
        for node in nodes:
            await node.stop()
            node.tree = HERE
            if node is nodes[-1]:
                shutil.rmtree(node.data)
            await node.start()
            await more_acknowledged(crowd)
            assert not [it.name for it in nodes if it.died], "a node gave up"
        enough.set()


async def more_acknowledged(crowd: Crowd) -> None:
    """Wait until some more messages are acknowledged."""

    def acknowledged() -> int:
        return sum(it.ack is not None for it in crowd.ledger.sent.values())

    before = acknowledged()
    await until(lambda: acknowledged() > before + A_WHILE, within=60, what="more is acknowledged")


@pytest.mark.long
@pytest.mark.usefixtures("bounded_memory")
async def test_old_nodes_are_replaced_by_new_ones_and_nothing_is_lost_or_doubled(
    previous: Path, nats_server: NatsServers, stream: str, tmp_path: Path
) -> None:
    seed = os.environ.get("CHAT_SEED") or secrets.token_hex(4)
    print(f"\nCHAT_SEED={seed}")
    assert all(str(previous) in it for it in source_of(previous))
    assert not [it for it in source_of(HERE) if str(previous) in it]
    async with three_nodes(previous, nats_server, stream, tmp_path) as nodes:
        balancer = Balancer([it.port for it in nodes], Random(seed), longest_silence=0.0)
        async with balancer:
            crowd = Crowd(balancer.address, PEOPLE, seed)
            async with crowd.gathered():
                await upgrade(nodes, crowd)
                await until_converged(crowd.ledger, CONVERGED_WITHIN)
            found = await settled([node.data for node in nodes])
        crowd.ledger.kept.extend(kept_in(nodes[0].data))  # and in the others, which are equal
        verdict = check(crowd.ledger)
        print(f"{verdict.figures()}\n{crowd.figures()}")
        assert verdict.sound, verdict.details()
        assert not [it.faults for it in found if it.faults]
        assert len({(it.digest, it.content) for it in found}) == 1, found
        assert not [it.name for it in nodes if DIVERGED in it.log]
        assert sum(person.reconnects for person in crowd.people) >= PEOPLE
        for node in nodes:
            await node.stop()
