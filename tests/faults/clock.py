"""A wall clock that a test sets."""

import time

import pytest


class Clock:
    """Stands in for the node's clock: microseconds since 1970, moved by hand."""

    def __init__(self) -> None:
        self.now = time.time_ns() // 1000

    def __call__(self) -> int:
        return self.now

    def advance(self, seconds: float) -> None:
        """Jump, forth or (below zero) back."""
        self.now += round(seconds * 1_000_000)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """The wall clock of every node that starts from here on."""
    clock = Clock()
    monkeypatch.setattr("chat_service.node._now", clock)
    return clock
