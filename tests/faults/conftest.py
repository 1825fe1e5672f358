"""Fixtures for what goes wrong."""

import resource
from collections.abc import Iterator

import pytest

from tests.faults.clock import clock
from tests.transports.conftest import enter, hasty_node, open_stream

__all__ = ["clock", "enter", "hasty_node", "open_stream"]

_ADDRESS_SPACE = 8 * 1024**3


@pytest.fixture
def bounded_memory() -> Iterator[None]:
    """Let neither this process nor those that it starts take more than 8 GiB.

    Whatever runs away ends there, and shows where it was, while the machine still has memory.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (_ADDRESS_SPACE, hard))
    yield
    resource.setrlimit(resource.RLIMIT_AS, (soft, hard))
