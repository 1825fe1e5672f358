"""Paced traffic: how late messages are, and what each costs, when there is no hurry."""

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import NamedTuple

from bench.load.plan import Flow, Trial, crowd
from bench.results import Result
from bench.scenarios.scenario import Bench, Plot, Scenario, attempt
from bench.systems.port import System

_ROOM = "#bench"
_TIMED = 100_000
"""Deliveries a second up to which each is looked at; beyond, the first and last of a chunk."""

_OVERLOADED = 0.9
"""A system that delivers less of what is offered is not asked for more."""


class _Case(NamedTuple):
    rate: int
    readers: int

    @property
    def offered(self) -> int:
        return self.rate * self.readers


_CASES: Sequence[_Case] = (
    *(_Case(50, 10), _Case(100, 1000)),
    *(_Case(rate, 100) for rate in (100, 250, 500, 1000, 2000)),
)


def _run(bench: Bench) -> Iterator[Result]:
    for system in bench.ours_if_quick:
        overloaded = 0
        for case in (_Case(500, 100),) if bench.quick else _CASES:
            if overloaded and case.readers == 100:
                continue
            words = f"{case.readers} readers, {case.rate} messages/s"
            result = attempt(system, words, case.rate, partial(_one, bench, system, case))
            yield result
            delivered = result.values.get("deliveries_per_s", 0)
            overloaded = case.readers == 100 and delivered < _OVERLOADED * case.offered


def _one(bench: Bench, system: System, case: _Case) -> Mapping[str, float]:
    flow = Flow("sender", (_ROOM,), rate=case.rate)
    found = bench.measure(
        system,
        Trial(crowd(case.readers, _ROOM), [flow], bench.seconds, every=case.offered <= _TIMED),
    )
    return {
        "deliveries_per_s": found.rate,
        "cpu_us": found.cpu_us,
        "p50_ms": found.latencies[0].quantile(0.5),
        "p99_ms": found.latencies[0].quantile(0.99),
    }


SCENARIO = Scenario(
    "paced",
    "Paced",
    "One sender, one message of 100 bytes at a time, at a fixed rate that does not wait for the"
    " server. Where fewer deliveries a second are shown than messages times readers, the system is"
    " overloaded and its latency grows for as long as the run lasts.",
    _run,
    (
        Plot("latency", "p99 with 100 readers, ms", "p99_ms", "messages a second", "100 readers"),
        Plot(
            "cpu-paced",
            "Server CPU for a delivery with 100 readers, µs",
            "cpu_us",
            "messages a second",
            "100 readers",
        ),
    ),
)
