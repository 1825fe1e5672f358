"""Scenario fixtures: every test here runs once over each pair of transports."""

import secrets
from collections.abc import AsyncIterator, Awaitable, Callable
from itertools import product

import pytest

from chat_service.node import Node
from tests.faults.clock import clock  # noqa: F401  (a fixture)
from tests.scenarios.people import TRANSPORTS, Person

Meet = Callable[..., Awaitable[Person]]

PAIRS = [pytest.param(pair, id="-".join(pair)) for pair in product(TRANSPORTS, repeat=2)]


@pytest.fixture(params=PAIRS)
def pair(request: pytest.FixtureRequest) -> tuple[str, str]:
    """The transports of those who act and of those who look on."""
    transports: tuple[str, str] = request.param
    return transports


@pytest.fixture
async def meet(node: Node, pair: tuple[str, str]) -> AsyncIterator[Meet]:
    """Return a function that lets people in: the first over one transport, others over another."""
    people: list[Person] = []

    async def enter(
        user: str, *, client_id: str | None = None, password: str = "", over: str | None = None
    ) -> Person:
        transport = over or (pair[1] if people else pair[0])
        person = TRANSPORTS[transport](user, client_id or secrets.token_hex(8), password)
        people.append(person)
        await person.connect(node)
        return person

    yield enter
    for person in people:
        await person.hang_up()
