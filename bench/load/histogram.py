"""Latencies in buckets that grow with them: quantiles to 1.6 %, whatever the number of samples."""

from typing import Final

_SUB_BITS: Final = 6
_SUB: Final = 1 << _SUB_BITS
"""Buckets a doubling."""

_BUCKETS: Final = _SUB * 48


class Histogram:
    """Counts of latencies in microseconds. Processes send theirs to be merged."""

    __slots__ = ("counts", "most", "total")

    def __init__(self) -> None:
        self.counts = [0] * _BUCKETS
        self.total = 0
        self.most = 0
        """The largest, exactly."""

    def add(self, micros: int, count: int = 1) -> None:
        """Count a latency, or several alike."""
        shift = max(0, micros.bit_length() - _SUB_BITS - 1)
        self.counts[shift * _SUB + (micros >> shift)] += count
        self.total += count
        self.most = max(self.most, micros)

    def merge(self, other: "Histogram") -> None:
        """Take over the counts of another."""
        self.counts = [a + b for a, b in zip(self.counts, other.counts, strict=True)]
        self.total += other.total
        self.most = max(self.most, other.most)

    def quantile(self, share: float) -> float:
        """Return the latency in milliseconds below which that share lies; 0 without samples."""
        rest = share * self.total
        for bucket, count in enumerate(self.counts):
            rest -= count
            if count and rest <= 0:
                return min(_middle(bucket), self.most) / 1000
        return 0.0


def _middle(bucket: int) -> float:
    shift = max(0, bucket // _SUB - 1)
    return ((bucket - shift * _SUB) << shift) + ((1 << shift) - 1) / 2
