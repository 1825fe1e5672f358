"""After thousands of visits nothing is left of them: no task, session, descriptor or memory."""

import asyncio
import gc
import subprocess
import sys
from pathlib import Path

import pytest

from chat_service.hub.outbox import Outbox
from chat_service.node import Node
from chat_service.session import Session
from tests.conftest import StartNode
from tests.memory import resident
from tests.transports.conftest import OpenStream
from tests.waiting import until

MEMORY_NOISE = 12 * 1024 * 1024
"""Bytes: caches of names and the allocator's slack. Of 3,000 visits 4 KiB each would show, which is
less than a session and its outbox take; of 10,000 little more than one."""


@pytest.mark.parametrize("visits", [3_000, pytest.param(10_000, marks=pytest.mark.long)])
@pytest.mark.parametrize("transport", ["grpc", "tcp"])
async def test_thousands_of_visits_leave_nothing_behind(
    start_node: StartNode, transport: str, visits: int
) -> None:
    node = await start_node(rate_connects=None, log_level="warning")
    await _visit(node, transport, visits // 5)  # caches, threads and the allocator warm up
    await _gone(node)
    before = _held()
    memory = resident()
    await _visit(node, transport, visits)
    await _gone(node)
    await until(lambda: _held() <= before, what=f"{_held()} to be {before}")
    gc.collect()  # for what grpc and asyncio leave in circles
    grown = resident() - memory
    print(f"{transport}: tasks and descriptors {before} -> {_held()}, {grown // 1024} KiB more")
    assert grown < MEMORY_NOISE
    assert not _left()


@pytest.mark.parametrize("transport", ["grpc", "tcp"])
async def test_a_session_goes_without_waiting_for_the_garbage_collector(
    start_node: StartNode, transport: str
) -> None:
    node = await start_node(rate_connects=None, log_level="warning")
    gc.collect()
    gc.disable()
    try:
        await _visit(node, transport, 300)
        await _gone(node)
        await until(lambda: not _left(), what=f"{len(_left())} sessions and outboxes to go")
    finally:
        gc.enable()


async def test_a_stream_that_was_told_goodbye_goes_without_the_garbage_collector(
    start_node: StartNode, open_stream: OpenStream
) -> None:
    node = await start_node(rate_connects=None, log_level="warning")
    gc.collect()
    gc.disable()
    try:
        for _ in range(20):
            stream = await open_stream(node).enter("ann", "the same")  # each supersedes the last
            assert (await open_stream(node).hello("!", "x")).HasField("error")
        await stream.half_close()
        await _gone(node)
        await until(lambda: not _left(), what=f"{len(_left())} sessions and outboxes to go")
        await until(lambda: not _contexts(), what=f"{len(_contexts())} streams to go")
    finally:
        gc.enable()


def _contexts() -> list[object]:
    """Return grpc's side of the streams that are still in memory."""
    return [it for it in gc.get_objects() if type(it).__name__ == "_ServicerContext"]


def _left() -> list[object]:
    """Return the sessions and outboxes that are still in memory."""
    return [it for it in gc.get_objects() if isinstance(it, Session | Outbox)]


async def _visit(node: Node, transport: str, count: int) -> None:
    port = node.endpoints[transport].port
    program = (sys.executable, "-m", "tests.transports.crowd", transport, str(port), str(count))
    crowd = await asyncio.to_thread(_run, program)
    assert f"{count} visits, 0 failed" in crowd


def _run(program: tuple[str, ...]) -> str:
    # Not asyncio's subprocesses: forking a loop that has a live grpc server is unsafe.
    return subprocess.run(program, capture_output=True, check=True, text=True, timeout=100).stdout


async def _gone(node: Node) -> None:
    """Wait until every session is over, and every hold of a name."""
    hub = node.hub
    await until(lambda: not len(hub.registry) and not hub.registry.users, within=20)
    await until(lambda: not hub._exits and not hub._rooms and not hub.registry._locks, within=20)


def _held() -> tuple[int, int]:
    """Return how many tasks and file descriptors there are."""
    return len(asyncio.all_tasks()), len(list(Path("/proc/self/fd").iterdir()))
