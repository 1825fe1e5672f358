"""What the kernel knows of a server: its memory, its descriptors and its threads."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import linear_regression, median
from typing import Final, Self

from tests.faults.streams import memory
from tests.processes import ServerProcess

SETTLED: Final = 0.002
"""By how much of it the memory of a server at rest may differ from one look to a later one."""


@dataclass(frozen=True, slots=True)
class Vitals:
    """One look at a server."""

    at: float
    """Seconds since the soak began."""
    memory: int
    """Bytes."""
    descriptors: int
    threads: int

    @classmethod
    def of(cls, server: ServerProcess, at: float = 0.0) -> Self:
        return cls(at, memory(server), _count(server, "fd"), _count(server, "task"))


def _count(server: ServerProcess, what: str) -> int:
    return sum(1 for _ in Path(f"/proc/{server.pid}/{what}").iterdir())


def at_rest(server: ServerProcess) -> Vitals:
    """Wait until a server that nothing is asked of takes no more and no less memory."""
    looks = [Vitals.of(server)]

    def settled() -> bool:
        looks.append(Vitals.of(server))
        memories = [look.memory for look in looks[-5:]]
        return len(memories) == 5 and max(memories) - min(memories) < SETTLED * max(memories)

    wait_for(settled, within=60, every=0.5, what="memory at rest")
    return looks[-1]


@dataclass(frozen=True, slots=True)
class Course:
    """What a soak did to the memory of the server. Lengths are in looks."""

    looks: Sequence[Vitals]
    warm_up: int
    window: int

    def growth(self) -> float:
        """Return by which share the memory grew, from one window behind the warm-up to the last.

        Each window counts with its median: what a fan-out, a checkpoint or the allocator holds for
        a moment is in a few looks only, what was leaked by then is in all of the last window. A
        fitted line would let one such moment at either end tilt it.
        """
        first = self.looks[self.warm_up :][: self.window]
        return _median(self.looks[-self.window :]) / _median(first) - 1

    def slope(self) -> float:
        """Return the bytes a second of the line that fits best all that is behind the warm-up."""
        looks = self.looks[self.warm_up :]
        return linear_regression([it.at for it in looks], [it.memory for it in looks]).slope

    def by_window(self) -> list[float]:
        """Return the median of each window from the beginning on, in bytes."""
        starts = range(0, len(self.looks), self.window)
        return [_median(self.looks[start : start + self.window]) for start in starts]


def _median(looks: Sequence[Vitals]) -> float:
    return median(look.memory for look in looks)


def wait_for(
    condition: Callable[[], object], *, within: float, every: float = 0.05, what: str
) -> None:
    """Wait until a condition holds, beside no loop; fail if it does not in time (seconds)."""
    deadline = time.monotonic() + within
    while not condition():
        assert time.monotonic() < deadline, f"not within {within} s: {what}"
        time.sleep(every)
