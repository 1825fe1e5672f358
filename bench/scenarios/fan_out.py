"""Saturated fan-out: how many deliveries a second one room can take."""

from collections.abc import Iterator, Mapping
from functools import partial

from bench.load.plan import Flow, Trial, crowd, flood
from bench.results import Result
from bench.scenarios.scenario import Bench, Plot, Scenario, attempt
from bench.systems.port import WINDOW, System, with_variants

_ROOM = "#lobby"
"""Where everybody is without joining: ten thousand joins are told to ten thousand each."""

_MANY = 1_000
"""Readers for whom it is also shown what the window that suits a small crowd does."""


def _run(bench: Bench) -> Iterator[Result]:
    for readers in (100,) if bench.quick else (10, 100, 1_000, 10_000):
        for system in with_variants(bench.systems).values():
            if readers <= system.most_sessions:
                case = f"{readers:,} readers"
                flow = flood("sender", (_ROOM,), system.window, readers)
                yield attempt(system, case, readers, partial(_one, bench, system, readers, flow))
    for system in () if bench.quick else bench.systems:
        if system.window == WINDOW:
            case = f"{_MANY:,} readers, {WINDOW:,} messages in flight"
            flow = Flow("sender", (_ROOM,))
            yield attempt(system, case, _MANY, partial(_one, bench, system, _MANY, flow))


def _one(bench: Bench, system: System, readers: int, flow: Flow) -> Mapping[str, float]:
    found = bench.measure(system, Trial(crowd(readers, _ROOM), [flow], bench.seconds))
    return {
        "deliveries_per_s": found.rate,
        "cpu_us": found.cpu_us,
        "server_cores": found.server_cores,
        "p50_ms": found.latencies[0].quantile(0.5),
        "p99_ms": found.latencies[0].quantile(0.99),
        **found.loop_lag,
    }


SCENARIO = Scenario(
    "fanout",
    "Saturated fan-out",
    "One room, one sender with frames of 64 commands of 100 bytes, as many in flight as the server"
    " profits from, within 2,048 messages and 200,000 deliveries; a message is in flight until its"
    " slowest reader has it. The latencies are those of a server that is never given a break:"
    " mostly the time that the window takes to pass. The last rows show the systems that take 2,048"
    " messages at a time with that many for 1,000 readers too.",
    _run,
    (
        Plot("fanout", "Deliveries a second", "deliveries_per_s", "readers", end=" readers"),
        Plot("cpu", "Server CPU for a delivery, µs", "cpu_us", "readers", end=" readers"),
    ),
)
