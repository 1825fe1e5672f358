"""Memory: what a session that does nothing costs."""

import time
from collections.abc import Iterator, Mapping
from functools import partial

from bench.load.crew import Crew
from bench.load.plan import crowd
from bench.results import Result
from bench.scenarios.scenario import Bench, Scenario, attempt
from bench.systems.port import System

_ROOM = "#lobby"
"""Where everybody is without joining: ten thousand joins are told to ten thousand each."""
_SETTLE = 3.0


def _run(bench: Bench) -> Iterator[Result]:
    for sessions in (200,) if bench.quick else (1_000, 10_000):
        for system in bench.ours_if_quick:
            if sessions <= system.most_sessions:
                yield attempt(
                    system,
                    f"{sessions:,} sessions",
                    sessions,
                    partial(_one, bench, system, sessions),
                )


def _one(bench: Bench, system: System, sessions: int) -> Mapping[str, float]:
    with (
        bench.directory() as directory,
        system.start(directory) as server,
        Crew(system.name, server.address) as crew,
    ):
        before = server.rss_bytes()
        crew.seat(crowd(sessions, _ROOM))
        time.sleep(_SETTLE)
        return {"kib": (server.rss_bytes() - before) / sessions / 1024}


SCENARIO = Scenario(
    "memory",
    "Memory of an idle session",
    "By how much the server's resident memory grows with so many sessions that listen to a room,"
    " divided by their number. What connecting has needed for a moment counts as far as the"
    " allocator has kept it.",
    _run,
)
