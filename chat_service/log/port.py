"""What a log is to the rest of the house."""

from collections.abc import Callable, Sequence
from typing import Protocol

from chat_service.core.commands import Entry
from chat_service.core.errors import Unavailable
from chat_service.core.record import Record


class LogLost(Exception):
    """What comes next in the log is not to be had any more; `str()` of it is one sentence."""


class Log(Protocol):
    """Orders entries. What it orders is there to `take`, here and on every other node."""

    durable: bool
    """Whether an entry that was ordered outlives a failure to apply it.

    If not (the transaction that applies is also the log's commit), a batch that fails is refused
    to its senders; if so, it is applied again until that succeeds.
    """

    on_refused: Callable[[Sequence[Entry], Unavailable], None]
    """Called with entries that were handed over and will never be ordered; set by the owner."""

    @property
    def has_room(self) -> bool:
        """Whether the bound on entries that wait to be taken allows another."""

    @property
    def ready(self) -> int:
        """How many entries are ready to be taken."""

    def append(self, entry: Entry) -> None:
        """Hand an entry over, in the order of the calls. Never waits: ask `room` first."""

    async def room(self) -> None:
        """Wait until the bound on entries that wait to be taken allows another."""

    def has_gathered(self, count: int) -> bool:
        """Tell whether so many entries are ready to be taken, or a full batch is."""

    async def gathered(self, count: int) -> None:
        """Wait until so many entries are ready to be taken, or a full batch is; raises LogLost."""

    def take(self) -> Sequence[Record]:
        """Return the next batch, of bounded size; empty if nothing is ready."""

    def done(self, count: int) -> None:
        """Say that so many of the entries taken are done with: told or refused to all concerned."""

    async def idle(self) -> None:
        """Wait until everything appended here so far is done with."""

    async def synced(self) -> None:
        """Wait until what any node was acknowledged before this call is done with here.

        For a second at most: where the log cannot be asked, what is known here has to do.
        """


class SharedLog(Log, Protocol):
    """A log that many nodes append to and follow."""

    @property
    def settled(self) -> int:
        """The position up to which everything was applied here and told."""

    @property
    def failing(self) -> bool:
        """Whether nothing was acknowledged for so long that what comes is refused."""

    async def reached(self, position: int) -> None:
        """Wait until everything up to a position is settled."""
