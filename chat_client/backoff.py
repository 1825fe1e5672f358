"""How long to wait before another try to connect."""

import random
from collections.abc import Callable


class Backoff:
    """Exponential waits with full jitter, so that many clients never come back at one moment.

    The n-th wait in a row is a random part of `first * 2**n` seconds, at most of `longest`.
    """

    def __init__(
        self,
        first: float = 0.2,
        longest: float = 10.0,
        uniform: Callable[[float, float], float] = random.uniform,
    ) -> None:
        self._first = first
        self._longest = longest
        self._uniform = uniform
        self._ceiling = first

    def reset(self) -> None:
        """Start again from the shortest wait."""
        self._ceiling = self._first

    def next(self, retry_after: float = 0.0) -> float:
        """Return the seconds to wait now, never less than the server asked for.

        What it asked for is the same for everyone that it turned away, so the jitter comes on top.
        """
        ceiling = self._ceiling
        self._ceiling = min(self._longest, 2 * ceiling)
        return retry_after + self._uniform(0.0, ceiling)
