"""What signals are to the rest of the house."""

from collections.abc import Callable
from typing import Protocol

from chat_service.core.signals import Signal


class Signals(Protocol):
    """A bus between nodes. What is told on it may come late, twice or never, in any order."""

    async def listen(self, hear: Callable[[Signal], None]) -> None:
        """Have `hear` called with each signal of any node, this one's own included."""

    def tell(self, signal: Signal) -> None:
        """Tell every node that listens. Never waits: what cannot go now is dropped."""

    async def close(self) -> None:
        """Neither hear nor tell anything more."""
