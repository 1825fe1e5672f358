"""Fixtures of the state's tests."""

from collections.abc import Iterator

import pytest

from tests.state.batches import State


@pytest.fixture
def state() -> Iterator[State]:
    """A fresh state."""
    state = State()
    yield state
    state.close()
