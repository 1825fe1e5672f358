"""What every scenario is given and what it is."""

import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from bench.errors import LoadError
from bench.load.measure import Measured, measure
from bench.load.plan import Trial
from bench.results import Result
from bench.systems.port import System


@dataclass(frozen=True, slots=True)
class Bench:
    """The systems to measure, and how thoroughly."""

    systems: Sequence[System]
    seconds: float
    """How long each trial is measured."""

    quick: bool
    work: Path
    """Where servers keep their files: on a real disk."""

    history: int
    """How many messages the longest history has."""

    @property
    def ours_if_quick(self) -> Sequence[System]:
        """All systems, but just this service where time is short."""
        ours = [system for system in self.systems if system.title.startswith("chat-service")]
        return (ours or self.systems) if self.quick else self.systems

    @contextmanager
    def directory(self) -> Iterator[Path]:
        """Make a directory for a server, and remove it in the end."""
        with tempfile.TemporaryDirectory(prefix="bench-", dir=self.work) as name:
            path = Path(name)
            path.chmod(0o755)  # some servers give up root before they read their configuration
            yield path

    def measure(self, system: System, trial: Trial) -> Measured:
        """Run a trial on a fresh server; raises LoadError."""
        with self.directory() as directory:
            return measure(system, directory, trial)


def attempt(system: System, case: str, x: float, run: Callable[[], Mapping[str, float]]) -> Result:
    """Return what a run finds out; where it fails, the result says why."""
    try:
        return Result(system.name, case, x, run())
    except LoadError as error:
        return Result(system.name, case, x, failed=str(error))


@dataclass(frozen=True, slots=True)
class Plot:
    """A picture of a scenario: a metric against `x`, a line for each system."""

    file: str
    title: str
    metric: str
    x_label: str
    case: str = ""
    """Only cases that begin with this."""
    end: str = ""
    """Only cases that end with this."""


@dataclass(frozen=True, slots=True)
class Scenario:
    """A question, and how to find the answer."""

    name: str
    title: str
    about: str
    """What was done, for the reader of the report."""

    run: Callable[[Bench], Iterator[Result]]
    plots: tuple[Plot, ...] = ()
