"""The proof that this node can append to the log, without which it judges no other.

A node that is cut off together with its NATS server still hears itself, and while its clients are
quiet nothing tells it that it could not append. Nor would an answer to a question: a server that
led the stream goes on answering for a while. Only what is stored by a majority is acknowledged.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from math import inf
from typing import Final

from chat_service.core.commands import Entry

LASTS: Final = 2.0
"""Seconds for which a proof is good, from when it was asked for."""

RENEWED_AFTER: Final = 1.0
"""Seconds after which a proof that is still needed is asked for again."""


class Proof:
    """Appends entries when asked to, one record at a time, and remembers when that worked.

    `append` tells whether a record was acknowledged. Times are seconds of a clock of the caller's.
    """

    def __init__(self, append: Callable[[Sequence[Entry]], Awaitable[bool]]) -> None:
        self.failed = False
        """Whether the latest record was not acknowledged."""
        self._append = append
        self._given = -inf
        """When was asked for what was acknowledged last."""
        self._asking: asyncio.Task[None] | None = None

    @property
    def is_asked(self) -> bool:
        """Whether a record is under way."""
        return self._asking is not None and not self._asking.done()

    def is_fresh(self, now: float) -> bool:
        """Tell whether a proof is good now."""
        return now - self._given < LASTS

    def is_due(self, now: float) -> bool:
        """Tell whether one that is needed should be asked for, which costs a record."""
        return self.failed or now - self._given >= RENEWED_AFTER

    def ask(self, entries: Sequence[Entry], now: float) -> None:
        """Append entries; one record has to be done with before the next."""
        self._asking = asyncio.create_task(self._ask(entries, now), name="proof")

    async def close(self) -> None:
        """Wait for nothing more."""
        if self._asking is not None:
            self._asking.cancel()
            await asyncio.gather(self._asking, return_exceptions=True)

    async def _ask(self, entries: Sequence[Entry], now: float) -> None:
        acknowledged = await self._append(entries)
        self.failed = not acknowledged
        if acknowledged:
            self._given = now
