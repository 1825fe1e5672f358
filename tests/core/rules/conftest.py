"""Fixtures of the rules' tests."""

from collections.abc import Iterator

import pytest

from tests.core.rules.people import People


@pytest.fixture
def people() -> Iterator[People]:
    """A fresh state."""
    people = People()
    yield people
    people.close()
