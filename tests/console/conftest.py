"""Servers and data that an operator works on."""

from pathlib import Path

import pytest

from tests.console.command import run
from tests.processes import ServerProcess, StartServer


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """The directory that `server_process` serves."""
    return tmp_path / "data"


@pytest.fixture
def server(data: Path, server_process: StartServer) -> ServerProcess:
    """A running server that has an admin, root, made while it was stopped."""
    assert run("add", "root", "--admin", data=data).returncode == 0
    return server_process()
