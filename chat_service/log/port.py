"""What a log is to the rest of the house."""

from collections.abc import Sequence
from typing import Protocol

from chat_service.core.commands import Entry


class Log(Protocol):
    """Orders entries. What it orders is there to `take`, here and on every other node."""

    durable: bool
    """Whether an entry that was ordered outlives a failure to apply it.

    If not (the transaction that applies is also the log's commit), a batch that fails is refused
    to its senders; if so, it is applied again until that succeeds.
    """

    @property
    def has_room(self) -> bool:
        """Whether the bound on entries that wait to be taken allows another."""

    def append(self, entry: Entry) -> None:
        """Hand an entry over, in the order of the calls. Never waits: ask `room` first."""

    async def room(self) -> None:
        """Wait until the bound on entries that wait to be taken allows another."""

    def has_gathered(self, count: int) -> bool:
        """Tell whether so many entries are ready to be taken, or a full batch is."""

    async def gathered(self, count: int) -> None:
        """Wait until so many entries are ready to be taken, or a full batch is."""

    def take(self) -> Sequence[Entry]:
        """Return the next batch, of bounded size; empty if nothing is ready."""

    def done(self, count: int) -> None:
        """Say that so many of the entries taken are done with: told or refused to all concerned."""

    async def idle(self) -> None:
        """Wait until everything appended so far is done with."""
