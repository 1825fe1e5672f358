"""A server under TLS, and people who trust it."""

import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest

from chat_service import tls
from chat_service.node import Node
from chat_service.tls import TlsFiles
from tests.conftest import StartNode
from tests.transports.tls.clients import AUTHORITY, SERVER, People

StartTls = Callable[..., Awaitable[Node]]


@pytest.fixture
async def people(tmp_path: Path) -> AsyncIterator[People]:
    async with AsyncExitStack() as stack:
        yield People(stack, tmp_path / "shown")


@pytest.fixture
def files(tmp_path: Path) -> TlsFiles:
    """The server's pair."""
    return SERVER.write(tmp_path / "tls", "server")


@pytest.fixture
def client_ca(tmp_path: Path) -> Path:
    """Who signs clients' certificates."""
    return AUTHORITY.write(tmp_path / "tls", "ca").certificate


@pytest.fixture
def start_tls(start_node: StartNode, files: TlsFiles, monkeypatch: pytest.MonkeyPatch) -> StartTls:
    """Return a function that starts a node under TLS, which looks at its files all the time."""
    monkeypatch.setattr(tls, "POLL", 0.02)

    def start(**settings: Any) -> Awaitable[Node]:
        return start_node(tls_cert=files.certificate, tls_key=files.key, **settings)

    return start


@pytest.fixture
async def tls_node(start_tls: StartTls) -> Node:
    return await start_tls()


@pytest.fixture(autouse=True)
def _no_word_of_the_loop(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """Fail a test in which asyncio had something to complain about."""
    yield
    records = [it for when in ("setup", "call") for it in caplog.get_records(when)]
    assert not [it.getMessage() for it in records if it.levelno >= logging.WARNING]
