"""Many nodes: what sharing a log costs, and what two processes on one machine make of it."""

import time
from collections.abc import Iterator, Mapping
from functools import partial

import uvloop

from bench.errors import LoadError
from bench.load.fill import fill
from bench.load.measure import Measured
from bench.load.plan import Flow, Seat, Trial, crowd, flood
from bench.load.shared_log import carry
from bench.results import Result
from bench.scenarios.scenario import Bench, Scenario, attempt
from bench.systems import NODES
from bench.systems.nodes import JetStream, Nodes
from bench.systems.port import System

_ROOM = "#lobby"
_SENDERS = 4
_IN_FLIGHT = 512
_LOADS = (("as fast as it can", 0.0), ("2,000 messages/s", 2_000.0))


def _run(bench: Bench) -> Iterator[Result]:
    alone = [system for system in bench.systems if system.name == "grpc"]
    systems: list[System] = [*alone, *(it for it in NODES if not it.missing())]
    for words, trial in _trials(bench):
        for system in systems:
            yield attempt(system, words, 0, partial(_one, bench, system, trial))
    for words, rate in _LOADS:
        try:
            yield Result("log", f"append to follow, {words}", 0, _log_alone(bench, rate))
        except LoadError as error:
            yield Result("log", f"append to follow, {words}", 0, failed=str(error))
    past = 50_000 if bench.quick else 500_000
    for node in NODES[:1]:
        if not node.missing():
            case = f"a new node behind {past:,} messages"
            yield attempt(node, case, 0, partial(_catch_up, bench, node, past))


def _trials(bench: Bench) -> Iterator[tuple[str, Trial]]:
    sizes = (100,) if bench.quick else (100, 1_000)
    for readers in sizes:
        flow = flood("sender", (_ROOM,), 2_048, readers)
        yield f"{readers:,} readers, saturated", Trial(crowd(readers, _ROOM), [flow], bench.seconds)
    for readers, rate in ((10, 100), (100, 500)):
        flow = Flow("sender", (_ROOM,), rate=rate)
        trial = Trial(crowd(readers, _ROOM), [flow], bench.seconds, every=True)
        yield f"{readers} readers, {rate} messages/s", trial
    rooms = [(f"#room{i}",) for i in range(_SENDERS)]
    seats = [Seat(f"reader{i}", room, lane=i) for i, room in enumerate(rooms)]
    flows = [Flow(f"sender{i}", it, i, window=_IN_FLIGHT) for i, it in enumerate(rooms)]
    yield "ingest: 4 senders, a reader each", Trial(seats, flows, bench.seconds)


def _one(bench: Bench, system: System, trial: Trial) -> Mapping[str, float]:
    found = bench.measure(system, trial)
    return {
        "deliveries_per_s": found.rate,
        "cpu_us": found.cpu_us,
        "server_cores": found.server_cores,
        **_latencies(found),
    }


def _latencies(found: Measured) -> Mapping[str, float]:
    first, *others = found.latencies.values()
    for other in others:
        first.merge(other)
    return {"p50_ms": first.quantile(0.5), "p99_ms": first.quantile(0.99)}


def _log_alone(bench: Bench, rate: float) -> Mapping[str, float]:
    with bench.directory() as directory, JetStream(directory) as server:
        before = server.cpu_seconds()
        carried = uvloop.run(carry(server.url, bench.seconds, rate))
        cpu = server.cpu_seconds() - before
    return {
        "deliveries_per_s": carried.messages / carried.seconds,
        "cpu_us": cpu / carried.messages * 1e6,
        "server_cores": cpu / carried.seconds,
        "p50_ms": carried.latencies.quantile(0.5),
        "p99_ms": carried.latencies.quantile(0.99),
    }


def _catch_up(bench: Bench, nodes: Nodes, past: int) -> Mapping[str, float]:
    with bench.directory() as directory, nodes.start(directory) as there:
        fill(nodes.name, there.address, _ROOM, past, "past")
        with bench.directory() as empty:
            started = time.monotonic()
            with there.newcomer(empty) as newcomer:
                seconds, cpu = time.monotonic() - started, newcomer.cpu_seconds()
    return {
        "messages_per_s": past / seconds,
        "cpu_us_message": cpu / past * 1e6,
        "server_cores": cpu / seconds,
    }


SCENARIO = Scenario(
    "nodes",
    "Many nodes",
    "One server as above; then one node whose log is a stream of one nats-server with an fsync for"
    " each record; then two nodes behind one port, as `--workers 2` starts them, over which the"
    " kernel spreads the connections: most readers get what was sent on the other node. The CPU"
    " time is that of all nodes and of nats-server. Everything shares the machine's two cores with"
    " the load. Then the log alone: messages of 100 bytes appended at one end, in records of what"
    " gathers, and followed at another end in the same process; its CPU time is nats-server's. Last"
    " a node with an empty directory, from its start as a process until it has all that was said"
    " before and is ready.",
    _run,
)
