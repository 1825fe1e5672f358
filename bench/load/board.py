"""What the processes of a load know of each other: counters in shared memory, one writer each."""

from ctypes import c_uint64
from multiprocessing.context import SpawnContext
from typing import Final

STEP: Final = 32
"""Progress is told in steps of so many messages, which keeps it cheap."""

_NOBODY: Final = 2**62


class Board:
    """Deliveries of each worker, and how far the slowest reader of each lane has come in it.

    A lane is one sequence of messages: who sends it, and all who read it.
    """

    def __init__(self, context: SpawnContext, workers: int, lanes: int) -> None:
        self.workers = workers
        self.lanes = lanes
        self._delivered = context.RawArray(c_uint64, workers * lanes)
        self._progress = context.RawArray(c_uint64, [_NOBODY] * (workers * lanes))

    def deliver(self, worker: int, lane: int, count: int) -> None:
        """Say how many deliveries a lane had in a worker."""
        self._delivered[worker * self.lanes + lane] = count

    def delivered(self) -> int:
        """Return the deliveries of all workers so far."""
        return sum(self._delivered)

    def reach(self, worker: int, lane: int, seq: int) -> None:
        """Say that all readers of a lane in a worker have everything below `seq`."""
        self._progress[worker * self.lanes + lane] = seq

    def slowest(self, lane: int) -> int:
        """Return below which seq everybody has everything; enormous if nobody reads."""
        return min(self._progress[lane :: self.lanes])
