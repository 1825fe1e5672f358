"""One message to very many sessions: how long until the last one has it."""

import time
from collections.abc import Iterator, Mapping
from functools import partial
from statistics import median

from bench.load.crew import Crew
from bench.load.plan import Flow, crowd
from bench.results import Result
from bench.scenarios.scenario import Bench, Scenario, attempt
from bench.systems.port import System

_ROOM = "#lobby"
"""Where everybody is without joining: ten thousand joins are told to ten thousand each."""
_TIMES = 10
_APART = 0.5
"""Seconds between two messages: each comes to a server that is idle."""
_SETTLE = 3.0
"""Seconds in which what the connecting has stirred up may settle."""


def _run(bench: Bench) -> Iterator[Result]:
    for readers in (200,) if bench.quick else (1_000, 10_000):
        for system in bench.ours_if_quick:
            if readers <= system.most_sessions:
                yield attempt(
                    system,
                    f"{readers:,} sessions",
                    readers,
                    partial(_one, bench, system, readers),
                )


def _one(bench: Bench, system: System, readers: int) -> Mapping[str, float]:
    middles: list[float] = []
    lasts: list[float] = []
    with (
        bench.directory() as directory,
        system.start(directory) as server,
        Crew(system.name, server.address) as crew,
    ):
        started = time.monotonic()
        crew.seat(crowd(readers, _ROOM), every=True)
        connecting = time.monotonic() - started
        crew.admit([Flow("sender", (_ROOM,))])
        time.sleep(_SETTLE)
        for _ in range(_TIMES):
            time.sleep(_APART)
            crew.reset()
            crew.send_one(readers)
            latencies = crew.tally().latencies[0]
            middles.append(latencies.quantile(0.5))
            lasts.append(latencies.most / 1000)
        crew.stop()
    return {
        "p50_ms": median(middles),
        "last_ms": median(lasts),
        "max_ms": max(lasts),
        "connects_per_s": readers / connecting,
    }


SCENARIO = Scenario(
    "one-message",
    "One message to many",
    f"A message of 100 bytes to a room of so many sessions, {_TIMES} times, half a second apart:"
    " the time until half of them have it, and until the last has it (medians, and the worst). They"
    " connected, 128 at a time, at the rate in the last column.",
    _run,
)
