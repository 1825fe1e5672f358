"""Saturated fan-out: how many deliveries a second one room can take."""

from collections.abc import Iterator, Mapping
from functools import partial

from bench.load.plan import Flow, Trial, crowd
from bench.results import Result
from bench.scenarios.scenario import Bench, Plot, Scenario, attempt
from bench.systems.port import System

_ROOM = "#bench"


def _run(bench: Bench) -> Iterator[Result]:
    for readers in (100,) if bench.quick else (10, 100, 1000):
        for system in bench.systems:
            yield attempt(
                system, f"{readers} readers", readers, partial(_one, bench, system, readers)
            )


def _one(bench: Bench, system: System, readers: int) -> Mapping[str, float]:
    flow = Flow("sender", (_ROOM,), window=system.window)
    found = bench.measure(system, Trial(crowd(readers, _ROOM), [flow], bench.seconds))
    return {
        "deliveries_per_s": found.rate,
        "cpu_us": found.cpu_us,
        "server_cores": found.server_cores,
        "p50_ms": found.latencies[0].quantile(0.5),
        "p99_ms": found.latencies[0].quantile(0.99),
    }


SCENARIO = Scenario(
    "fanout",
    "Saturated fan-out",
    "One room, one sender with frames of 64 commands of 100 bytes, as many in flight as the server"
    " profits from; a message is in flight until its slowest reader has it. The latencies are those"
    " of a server that is never given a break: mostly the time that the window takes to pass.",
    _run,
    (
        Plot("fanout", "Deliveries a second", "deliveries_per_s", "readers"),
        Plot("cpu", "Server CPU for a delivery, µs", "cpu_us", "readers"),
    ),
)
