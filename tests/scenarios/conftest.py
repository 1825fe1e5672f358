"""Scenario fixtures: every test here runs once over each of some pairs of transports."""

import secrets
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest

from chat_service.node import Node
from tests.conftest import ANY_PORT, StartNode
from tests.faults.clock import clock  # noqa: F401  (a fixture)
from tests.scenarios.people import TRANSPORTS
from tests.scenarios.person import Person

Meet = Callable[..., Awaitable[Person]]

# Each among its own, and each before another kind. All pairs would take four times as long to show
# the same, since transports meet in the hub alone.
_NAMES = list(TRANSPORTS)
_AMONG_THEMSELVES = [(name, name) for name in _NAMES]
_IN_A_CIRCLE = list(zip(_NAMES, [*_NAMES[1:], _NAMES[0]], strict=True))
PAIRS = [pytest.param(pair, id=" ".join(pair)) for pair in _AMONG_THEMSELVES + _IN_A_CIRCLE]


@pytest.fixture(params=PAIRS)
def pair(request: pytest.FixtureRequest) -> tuple[str, str]:
    """The transports of those who act and of those who look on."""
    transports: tuple[str, str] = request.param
    return transports


@pytest.fixture
async def node(start_node: StartNode) -> Node:
    """A node that listens in every way."""
    return await start_node(web=ANY_PORT)


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
