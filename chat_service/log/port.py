"""What a log is to the rest of the house."""

from collections.abc import AsyncIterator, Sequence
from typing import Protocol

from chat_service.core.commands import Entry


class Log(Protocol):
    """Orders entries. What it orders, `follow` yields, here and on every other node."""

    durable: bool
    """Whether an entry that was ordered outlives a failure to apply it.

    If not (the transaction that applies is also the log's commit), a batch that fails is refused
    to its senders; if so, it is applied again until that succeeds.
    """

    @property
    def has_room(self) -> bool:
        """Whether the bound on entries under way allows another."""

    def append(self, entry: Entry) -> None:
        """Hand an entry over, in the order of the calls. Never waits: ask `room` first."""

    async def room(self) -> None:
        """Wait until the bound on entries under way allows another."""

    def follow(self) -> AsyncIterator[Sequence[Entry]]:
        """Yield batches in order. Asking for the next one says that the last is done with."""

    async def gathered(self, count: int) -> None:
        """Wait until so many entries are ready to be followed."""

    async def idle(self) -> None:
        """Wait until everything appended so far is done with."""
