"""Scenario fixtures: every test here runs once over each of some pairs of transports.

And more often with people spread over three nodes, which share a log on a cluster of NATS servers.
"""

import secrets
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Final, NamedTuple

import pytest

from chat_service.node import Node
from tests.cluster.nodes import cluster
from tests.conftest import ANY_PORT, StartNode
from tests.faults.clock import clock  # noqa: F401  (a fixture)
from tests.scenarios.people import TRANSPORTS
from tests.scenarios.person import Person

Meet = Callable[..., Awaitable[Person]]

# Each acts before another kind, and looks on together with its own. All pairs would take four times
# as long to show the same, since transports meet in the hub alone.
_NAMES: Final = list(TRANSPORTS)
_IN_A_CIRCLE: Final = list(zip(_NAMES, [*_NAMES[1:], _NAMES[0]], strict=True))

SPREAD: Final = 3
"""Nodes that people are spread over, where there is more than one."""


class Scene(NamedTuple):
    """Over which transports those come who act and those who look on, and to how many nodes."""

    pair: tuple[str, ...]
    nodes: int


ALONE: Final = [pytest.param(Scene(pair, 1), id=" ".join(pair)) for pair in _IN_A_CIRCLE]
SPREAD_OUT: Final = [
    pytest.param(Scene(pair, SPREAD), id=" ".join((*pair, "spread"))) for pair in _IN_A_CIRCLE[::2]
]


@pytest.fixture(params=[*ALONE, *SPREAD_OUT])
def scene(request: pytest.FixtureRequest) -> Scene:
    """Where the scenario takes place."""
    it: Scene = request.param
    return it


@pytest.fixture
def pair(scene: Scene) -> tuple[str, ...]:
    """The transports of those who act and of those who look on."""
    return scene.pair


@pytest.fixture
async def nodes(
    scene: Scene,
    start_node: StartNode,
    request: pytest.FixtureRequest,
    stream: str,
    tmp_path: Path,
) -> AsyncIterator[list[Node]]:
    """The nodes that people come to."""
    if scene.nodes == 1:
        yield [await start_node(web=ANY_PORT)]
        return
    servers = request.getfixturevalue("nats_cluster")
    async with cluster(servers, stream, tmp_path, scene.nodes, web=ANY_PORT) as it:
        yield it.nodes


@pytest.fixture
def node(nodes: list[Node]) -> Node:
    """One of the nodes."""
    return nodes[0]


@pytest.fixture
async def meet(nodes: list[Node], pair: tuple[str, ...]) -> AsyncIterator[Meet]:
    """Return a function that lets people in: the first over one transport, others over another.

    Each comes to the next node.
    """
    people: list[Person] = []

    async def enter(
        user: str, *, client_id: str | None = None, password: str = "", over: str | None = None
    ) -> Person:
        transport = over or (pair[1] if people else pair[0])
        person = TRANSPORTS[transport](user, client_id or secrets.token_hex(8), password)
        people.append(person)
        await person.connect(nodes[len(people) % len(nodes)])
        return person

    yield enter
    for person in people:
        await person.hang_up()
