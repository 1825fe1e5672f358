"""Signals within the process: for a node on its own, and for several that share `ends`."""

import asyncio
from collections.abc import Callable

from chat_service.core.signals import Signal

Hear = Callable[[Signal], None]


class LocalSignals:
    """One end of a bus: `ends` has the listeners of each, to which this one's are added."""

    def __init__(self, ends: list[list[Hear]] | None = None) -> None:
        self._ends = ends if ends is not None else []
        self._listeners: list[Hear] = []
        self._ends.append(self._listeners)
        self._closed = False

    async def listen(self, hear: Hear) -> None:
        """Have `hear` called with each signal."""
        self._listeners.append(hear)

    def tell(self, signal: Signal) -> None:
        """Tell who listens, once the caller is done: signals never come back within the call."""
        if not self._closed:
            asyncio.get_running_loop().call_soon(self._deliver, signal)

    async def close(self) -> None:
        """Neither hear nor tell anything more."""
        self._closed = True
        self._listeners.clear()

    def _deliver(self, signal: Signal) -> None:
        for listeners in self._ends:
            for hear in listeners:
                hear(signal)
