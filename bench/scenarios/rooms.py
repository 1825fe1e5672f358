"""Rooms: whether it matters over how many of them the same readers are spread."""

from collections.abc import Iterator, Mapping
from functools import partial

from bench.load.plan import Flow, Seat, Trial, flood
from bench.results import Result
from bench.scenarios.scenario import Bench, Plot, Scenario, attempt
from bench.systems.port import SharesServer, System

_READERS = 1_000
_ROOMS_A_SENDER = 100
"""In how many rooms a user of this service may be."""


def _run(bench: Bench) -> Iterator[Result]:
    for rooms in (10,) if bench.quick else (1, 10, 100, 1_000):
        for system in bench.ours_if_quick:
            if rooms > system.most_rooms:
                continue
            if system.sends_to_many_rooms or isinstance(system, SharesServer):
                case = f"{rooms:,} {'room' if rooms == 1 else 'rooms'}"
                yield attempt(system, case, rooms, partial(_one, bench, system, rooms))


def _one(bench: Bench, system: System, rooms: int) -> Mapping[str, float]:
    crossed = not system.sends_to_many_rooms
    trial = Trial(
        _seats(rooms), _flows(system, rooms, apart=crossed), bench.seconds, crossed=crossed
    )
    found = bench.measure(system, trial)
    latencies = list(found.latencies.values())
    for other in latencies[1:]:
        latencies[0].merge(other)
    return {
        "deliveries_per_s": found.rate,
        "messages_per_s": found.rate * rooms / _READERS,
        "cpu_us": found.cpu_us,
        "server_cores": found.server_cores,
        "p50_ms": latencies[0].quantile(0.5),
        "p99_ms": latencies[0].quantile(0.99),
    }


def _seats(rooms: int) -> list[Seat]:
    """Give each reader one room; a lane is what one sender sends, to its rooms in turn."""
    turns = min(rooms, _ROOMS_A_SENDER)
    return [
        Seat(f"reader{i}", (f"#room{i % rooms}",), i % rooms // turns, False, i % turns, turns)
        for i in range(_READERS)
    ]


def _flows(system: System, rooms: int, *, apart: bool) -> list[Flow]:
    """Let as few send as can be in all rooms."""
    turns = min(rooms, _ROOMS_A_SENDER)
    senders = rooms // turns
    names = [f"#room{i}" for i in range(rooms)]
    return [
        flood(
            f"sender{lane}",
            tuple(names[lane * turns : (lane + 1) * turns]),
            system.window,
            _READERS // rooms,
            senders=senders,
            lane=lane,
            apart=apart,
        )
        for lane in range(senders)
    ]


SCENARIO = Scenario(
    "rooms",
    "Many rooms",
    f"{_READERS:,} readers in so many rooms, each in one of them, and a sender that is in all and"
    " sends to them in turn, 64 commands a frame, as many in flight as above; ten senders where"
    " there are 1,000 rooms, as a user of this service may be in 100. Over raw TCP one speaks to"
    " one room at a time, so there the senders come to the same server over gRPC. What the sender"
    " itself gets of its room counts as no delivery, though this service writes it too.",
    _run,
    (Plot("rooms", "Deliveries a second to 1,000 readers", "deliveries_per_s", "rooms"),),
)
