"""Fairness: what two people notice of a room that others have saturated."""

from collections.abc import Iterator, Mapping
from functools import partial

from bench.load.plan import Flow, Seat, Trial, crowd, flood
from bench.results import Result
from bench.scenarios.scenario import Bench, Scenario, attempt
from bench.systems.port import SharesServer, System

_ROOM = "#bench"
_READERS = 100
_PRIVATE = 1
"""The lane of the private messages."""

_RATE = 50.0


_BUSY = 200.0


def _run(bench: Bench) -> Iterator[Result]:
    for words, rate in (
        ("alone", None),
        (f"beside a room at {_BUSY:.0f} messages/s", _BUSY),
        ("beside a saturated room", 0.0),
    ):
        for system in bench.ours_if_quick:
            yield attempt(system, words, rate or 0.0, partial(_one, bench, system, rate))
    for system in bench.ours_if_quick:
        if isinstance(system, SharesServer):
            words = "the two over the other transport, beside a saturated room"
            yield attempt(system, words, 0.0, partial(_one, bench, system, 0.0, crossed=True))


def _one(
    bench: Bench, system: System, rate: float | None, *, crossed: bool = False
) -> Mapping[str, float]:
    """Measure private messages beside a room at a rate, 0 for the most; None for no room."""
    seats = [Seat("bob", lane=_PRIVATE, apart=True)]
    flows = [Flow("ann", ("@bob",), _PRIVATE, rate=_RATE, apart=True)]
    if rate is not None:
        seats += crowd(_READERS, _ROOM)
        flows.append(_sender(system, rate))
    found = bench.measure(system, Trial(seats, flows, bench.seconds, crossed=crossed))
    private = found.latencies[_PRIVATE]
    return {
        "p50_ms": private.quantile(0.5),
        "p99_ms": private.quantile(0.99),
        "max_ms": private.most / 1000,
        "deliveries_per_s": found.rate,
        **found.loop_lag,
    }


def _sender(system: System, rate: float) -> Flow:
    if rate:
        return Flow("sender", (_ROOM,), rate=rate)
    return flood("sender", (_ROOM,), system.window, _READERS)


SCENARIO = Scenario(
    "fairness",
    "Fairness",
    f"{_RATE:.0f} private messages a second from one user to another: alone, and beside a room of"
    f" {_READERS} others that is busy or saturated as above. A private message may have"
    " to wait behind those that are in flight in the room: 2,048 where it is saturated, fewer for"
    " the systems with a smaller window. At last the two speak over the other transport of the same"
    " server: where the room is over gRPC they come over raw TCP, and the other way round. The"
    " deliveries are those of both together. The lag of this service's event loop is what the"
    " server says of itself, from its start to its end: it includes the connecting of everybody.",
    _run,
)
