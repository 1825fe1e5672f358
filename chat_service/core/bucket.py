"""Token buckets: how much of something may happen in how short a time.

Time comes in as an argument, in seconds of any clock that does not go back.
"""

from typing import NamedTuple, Self


class Rate(NamedTuple):
    """So many a second for good, and so many at once."""

    per_second: float
    burst: float

    def __str__(self) -> str:
        return f"{self.per_second:.10g}:{self.burst:.10g}"

    def times(self, factor: float) -> Self:
        """Return the rate of several together."""
        return type(self)(self.per_second * factor, self.burst * factor)


class TokenBucket:
    """Holds up to a burst of tokens and gains them at a rate."""

    __slots__ = ("_level", "_rate", "_since")

    def __init__(self, rate: Rate, now: float) -> None:
        self._rate = rate
        self._level = rate.burst
        self._since = now

    def take(self, amount: float, now: float) -> float:
        """Take tokens and return 0.0, or take none and return the seconds until they are there.

        What is larger than the burst is granted from a full bucket, and owed.
        """
        gained = (now - self._since) * self._rate.per_second
        self._level = min(self._rate.burst, self._level + gained)
        self._since = now
        missing = min(amount, self._rate.burst) - self._level
        if missing > 0:
            return missing / self._rate.per_second
        self._level -= amount
        return 0.0

    def give_back(self, amount: float) -> None:
        """Undo the last `take`, which was granted."""
        self._level += amount
