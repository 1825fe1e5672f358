"""One trial on one fresh server: what was delivered, how late, and at which price."""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from bench.load.crew import Crew, Door
from bench.load.histogram import Histogram
from bench.load.plan import Trial
from bench.systems.port import SharesServer, System
from bench.systems.process import ServerProcess

_LOOP_LAG = "loop_lag_"


@dataclass
class Measured:
    """What a trial has shown, between warming up and the end."""

    seconds: float
    deliveries: int
    cpu: float
    """Seconds of CPU that the server used, all of its threads together."""

    load_cpu: float
    """Seconds of CPU that the load generator used."""

    latencies: dict[int, Histogram]
    """Of each lane."""

    loop_lag: Mapping[str, float]
    """What the server says of its event loop, from its start to its end; empty if nothing."""

    @property
    def rate(self) -> float:
        """Deliveries a second."""
        return self.deliveries / self.seconds

    @property
    def cpu_us(self) -> float:
        """Microseconds of the server's CPU for each delivery."""
        return self.cpu / self.deliveries * 1e6 if self.deliveries else 0.0

    @property
    def server_cores(self) -> float:
        """How many cores the server kept busy."""
        return self.cpu / self.seconds


def measure(system: System, directory: Path, trial: Trial) -> Measured:
    """Run a trial; raises LoadError if anything was lost, doubled or out of order."""
    with (
        _start(system, directory, trial) as server,
        Crew(system.name, server.address, trial.lanes, _door(system, server, trial)) as crew,
    ):
        crew.seat(trial.seats, every=trial.every)
        crew.admit(trial.flows)
        crew.start()
        time.sleep(trial.warm_up)
        crew.reset()
        load_before = crew.tally().cpu
        before = time.monotonic(), crew.board.delivered(), server.cpu_seconds()
        time.sleep(trial.seconds)
        after = time.monotonic(), crew.board.delivered(), server.cpu_seconds()
        tally = crew.tally()
        crew.stop()
    seconds, deliveries, cpu = (b - a for a, b in zip(before, after, strict=True))
    lag = {key: ms for key, ms in server.parting_figures().items() if key.startswith(_LOOP_LAG)}
    return Measured(seconds, int(deliveries), cpu, tally.cpu - load_before, tally.latencies, lag)


def _start(system: System, directory: Path, trial: Trial) -> ServerProcess:
    if not trial.crossed:
        return system.start(directory)
    assert isinstance(system, SharesServer)
    return system.start_both(directory)


def _door(system: System, server: ServerProcess, trial: Trial) -> Door | None:
    """Return where those who are apart get in, if not where the crowd does."""
    if not trial.crossed:
        return None
    assert isinstance(system, SharesServer)
    return Door(system.other, server.other_address)
