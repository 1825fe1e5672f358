"""A limiter of guesses, and its clock."""

import pytest

from chat_service.auth.guessing import GuessLimiter
from tests.auth.guesses import Clock


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def limiter(clock: Clock) -> GuessLimiter:
    return GuessLimiter(clock)
