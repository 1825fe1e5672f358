"""Fixtures that every test may use: real servers, in this process, on free ports."""

import asyncio
import faulthandler
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack
from functools import partial
from pathlib import Path
from typing import Any

import grpc
import pytest
import structlog
import uvloop
from hypothesis import HealthCheck, settings

from chat.v1 import chat_pb2_grpc
from chat_service import logs
from chat_service.auth.passwords import Passwords
from chat_service.config import Config, Endpoint
from chat_service.node import Node
from tests.accounts import CHEAP, call  # noqa: F401  (a fixture)
from tests.cluster.servers import nats_cluster, nats_server, start_nats, stream  # noqa: F401
from tests.processes import server_process  # noqa: F401  (a fixture)

ANY_PORT = Endpoint("127.0.0.1", 0)

# How long an example takes tells of the machine, which may have other things to do. Each run draws
# other examples, so it is the runs that add up.
settings.register_profile(
    "patient", max_examples=50, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("patient")

StartNode = Callable[..., Awaitable[Node]]


def pytest_asyncio_loop_factories() -> dict[str, Callable[[], asyncio.AbstractEventLoop]]:
    """Run every test on the loop that `chat-server` runs on."""
    return {"uvloop": uvloop.new_event_loop}


@pytest.hookimpl(wrapper=True)
def pytest_runtest_teardown() -> Iterator[None]:
    """End the run where a loop never closes, for what a failed test has left open on it.

    uvloop waits for open handles in C, and pytest-timeout stops counting at the failure.
    """
    faulthandler.dump_traceback_later(60, exit=True, file=2)
    try:
        yield
    finally:
        faulthandler.cancel_dump_traceback_later()


@pytest.fixture(autouse=True)
def _logs_as_they_were() -> Iterator[None]:
    """Leave no configuration of the logs behind, which is the whole process's."""
    root = logging.getLogger()
    level = root.level
    yield
    if structlog.is_configured():
        structlog.reset_defaults()
        root.removeHandler(logs._BRIDGE)
        root.setLevel(level)
        logging.captureWarnings(False)
        logs._forget_cached()


@pytest.fixture
async def start_node(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[StartNode]:
    """Return a function that starts a node, by default on a state of this test's own.

    It hashes passwords as cheaply as can be; servers in processes of their own do not.
    """
    monkeypatch.setattr("chat_service.node.Passwords", partial(Passwords, CHEAP))

    async def start(**settings: Any) -> Node:
        defaults: dict[str, Any] = {
            "grpc": ANY_PORT,
            "tcp": ANY_PORT,
            "web": None,  # the page takes time to load, and few tests look at it
            "data": tmp_path / "data",
        }
        node = Node(Config(**(defaults | settings)))
        await node.start()
        stack.push_async_callback(node.stop)
        return node

    async with AsyncExitStack() as stack:
        yield start


@pytest.fixture
async def node(start_node: StartNode) -> Node:
    """A running node."""
    return await start_node()


@pytest.fixture
async def stub(node: Node) -> AsyncIterator[chat_pb2_grpc.ChatStub]:
    """The generated stub, on a channel to the node in this process."""
    async with AsyncExitStack() as stack:
        channel = grpc.aio.insecure_channel(str(node.endpoints["grpc"]))
        yield chat_pb2_grpc.ChatStub(await stack.enter_async_context(channel))
