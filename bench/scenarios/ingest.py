"""Ingest: how many messages a second get in, where few read them."""

from collections.abc import Iterator, Mapping
from functools import partial

from bench.load.plan import Flow, Seat, Trial
from bench.results import Result
from bench.scenarios.scenario import Bench, Scenario, attempt
from bench.systems.port import FRAME, System

_CLIENTS = 4
_IN_FLIGHT = 8 * FRAME
_GROUPS, _ROOMS_A_GROUP, _MEMBERS = 10, 100, 10


def _run(bench: Bench) -> Iterator[Result]:
    cases = (
        ("64 commands a frame", 1, lambda system: _own_rooms(system, FRAME), 1),
        ("one command a frame", 2, lambda system: _own_rooms(system, 1), 1),
        ("to 1,000 rooms of 10", 3, _many_rooms, _MEMBERS),
    )
    for words, x, plan, members in cases[:1] if bench.quick else cases:
        for system in bench.ours_if_quick:
            if plan is _many_rooms and not system.sends_to_many_rooms:
                continue
            seats, flows = plan(system)
            trial = Trial(seats, flows, bench.seconds)
            yield attempt(system, words, x, partial(_one, bench, system, trial, members))


def _own_rooms(system: System, frame: int) -> tuple[list[Seat], list[Flow]]:
    """Give each client a room of its own, with one who listens."""
    rooms = [(f"#room{i}",) for i in range(_CLIENTS)]
    window = min(_IN_FLIGHT, system.window)
    seats = [Seat(f"reader{i}", room, lane=i) for i, room in enumerate(rooms)]
    flows = [Flow(f"sender{i}", room, i, frame, window) for i, room in enumerate(rooms)]
    return seats, flows


def _many_rooms(system: System) -> tuple[list[Seat], list[Flow]]:
    """Make groups of people who share a hundred rooms, one of whom speaks in each in turn."""
    seats: list[Seat] = []
    flows: list[Flow] = []
    for group in range(_GROUPS):
        rooms = tuple(f"#g{group}r{i}" for i in range(_ROOMS_A_GROUP))
        seats += [Seat(f"g{group}m{i}", rooms, lane=group) for i in range(_MEMBERS)]
        window = min(_IN_FLIGHT // 2, system.window)
        flows.append(Flow(f"g{group}s", rooms, group, window=window))
    return seats, flows


def _one(bench: Bench, system: System, trial: Trial, members: int) -> Mapping[str, float]:
    found = bench.measure(system, trial)
    latencies = list(found.latencies.values())
    for other in latencies[1:]:
        latencies[0].merge(other)
    return {
        "messages_per_s": found.rate / members,
        "cpu_us_message": found.cpu_us * members,
        "server_cores": found.server_cores,
        "p50_ms": latencies[0].quantile(0.5),
        "p99_ms": latencies[0].quantile(0.99),
    }


SCENARIO = Scenario(
    "ingest",
    "Ingest",
    "Four senders, each in a room of its own with one reader, 64 commands in each frame or just"
    " one; then ten senders, each to a hundred rooms in turn, with ten readers in every room. This"
    " service has each message on disk before anybody sees it; the others store nothing.",
    _run,
)
