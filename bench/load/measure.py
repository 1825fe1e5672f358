"""One trial on one fresh server: what was delivered, how late, and at which price."""

import time
from dataclasses import dataclass
from pathlib import Path

from bench.load.crew import Crew
from bench.load.histogram import Histogram
from bench.load.plan import Trial
from bench.systems.port import System


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
        system.start(directory) as server,
        Crew(system.name, server.address, trial.lanes) as crew,
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
    return Measured(seconds, int(deliveries), cpu, tally.cpu - load_before, tally.latencies)
