"""What arrives: counted, checked and timed at the price of a few searches a chunk."""

from collections import defaultdict
from dataclasses import dataclass, field

from bench.load.board import STEP, Board
from bench.load.histogram import Histogram
from bench.load.message import MARK, SIZE, now_us, seq_at, stamp_at

_COMPLAINTS = 5


@dataclass
class Lane:
    """One sequence of messages as the readers of one worker see it."""

    board: Board
    worker: int
    number: int
    every: bool
    """Whether each message is looked at; if not, the first and last of a chunk speak for all."""

    seats: int = 0
    delivered: int = 0
    latencies: Histogram = field(default_factory=Histogram)
    complaints: list[str] = field(default_factory=list)
    _passed: defaultdict[int, int] = field(default_factory=lambda: defaultdict(int))
    _complete: int = 0

    def add_seat(self) -> None:
        """Wait for one reader more from now on."""
        self.seats += 1
        self.board.reach(self.worker, self.number, 0)

    def arrived(self, count: int, before: int, after: int) -> None:
        """A reader got messages and went from expecting `before` to expecting `after`."""
        self.delivered += count
        self.board.deliver(self.worker, self.number, self.delivered)
        if before // STEP == after // STEP:
            return
        for step in range(before // STEP, after // STEP):
            self._passed[step] += 1
        while self._passed.get(self._complete) == self.seats:
            del self._passed[self._complete]
            self._complete += 1
            self.board.reach(self.worker, self.number, self._complete * STEP)

    def complain(self, what: str) -> None:
        """Note what is wrong; the first few are enough."""
        if len(self.complaints) < _COMPLAINTS:
            self.complaints.append(what)


class Reader:
    """One connection's ears: every message of a lane exactly once, in order."""

    def __init__(self, user: str, lane: Lane) -> None:
        self.user = user
        self.lane = lane
        self.count = 0
        self.closing = False
        self._next = 0
        self._carry = b""

    def received(self, data: bytes) -> None:
        """Take bytes of any protocol, cut anywhere."""
        if self._carry:
            data = self._carry + data
        last = data.rfind(MARK)
        if last >= 0 and len(data) - last < SIZE:
            self._carry = data[last:]
            data = data[:last]
            last = data.rfind(MARK)
        else:
            self._carry = _begun_mark(data, last + SIZE if last >= 0 else 0)
        if last >= 0:
            self._take(data, data.find(MARK), last)

    def lost(self, why: str) -> None:
        """The connection is gone."""
        if not self.closing:
            self.lane.complain(f"{self.user} lost its connection: {why}")

    def missing(self, sent: int) -> int:
        """Return how many of the messages sent in the lane are yet to come; negative: too many."""
        return sent - self.count

    def _take(self, data: bytes, first: int, last: int) -> None:
        count = data.count(MARK)
        begin, end = seq_at(data, first), seq_at(data, last)
        if begin != self._next or end != begin + count - 1:
            self.lane.complain(
                f"{self.user}: {count} messages {begin}..{end} where {self._next} was due"
            )
        before, self._next = self._next, end + 1
        self.count += count
        self._time(data, first, last, count)
        self.lane.arrived(count, before, self._next)

    def _time(self, data: bytes, first: int, last: int, count: int) -> None:
        now, latencies = now_us(), self.lane.latencies
        if not self.lane.every:
            latencies.add(now - stamp_at(data, first), (count + 1) // 2)
            latencies.add(now - stamp_at(data, last), count // 2)
            return
        position, seq = first, seq_at(data, first)
        while position >= 0:
            latencies.add(now - stamp_at(data, position))
            if seq_at(data, position) != seq:
                self.lane.complain(f"{self.user}: {seq_at(data, position)} in the place of {seq}")
            position, seq = data.find(MARK, position + SIZE), seq + 1


def _begun_mark(data: bytes, behind: int) -> bytes:
    """Return what may be the beginning of a mark at the end of the data."""
    position = data.rfind(MARK[:1], max(behind, len(data) - len(MARK) + 1))
    return data[position:] if position >= 0 else b""
