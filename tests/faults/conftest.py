"""Fixtures for what goes wrong."""

import pytest

from tests.faults.clock import Clock
from tests.transports.conftest import enter, hasty_node, open_stream

__all__ = ["enter", "hasty_node", "open_stream"]


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """The wall clock of every node that starts from here on."""
    clock = Clock()
    monkeypatch.setattr("chat_service.node._now", clock)
    return clock
