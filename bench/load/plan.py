"""Who listens, who sends what: the plain data that describes a load."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from bench.load.board import STEP
from bench.systems.port import FRAME, WINDOW

DELIVERIES: Final = 100 * WINDOW
"""Deliveries in flight at most. How long they take is the least latency of whoever is saturated,
so without this bound a larger crowd would look slower by nothing but its size."""


@dataclass(frozen=True, slots=True)
class Seat:
    """A user who listens, to all messages of a lane."""

    user: str
    rooms: tuple[str, ...] = ()
    lane: int = 0
    apart: bool = False
    """Whether it lives in a process that has nothing to do with the crowd."""
    turn: int = 0
    turns: int = 1
    """It gets every so manieth message of the lane, beginning with number `turn`."""


@dataclass(frozen=True, slots=True)
class Flow:
    """A user who sends: the messages of one lane, to each of `targets` in turn."""

    user: str
    targets: tuple[str, ...]
    lane: int = 0
    frame: int = FRAME
    window: int = WINDOW
    """A message is in flight until the slowest of its readers has it."""
    rate: float = 0.0
    """Messages a second; 0: as fast as the window allows."""
    count: int = 0
    """Stop after so many messages; 0: when told to."""
    apart: bool = False


@dataclass(frozen=True, slots=True)
class Trial:
    """A load on a fresh server for a time."""

    seats: Sequence[Seat]
    flows: Sequence[Flow]
    seconds: float
    warm_up: float = 1.0
    every: bool = False
    """Whether readers look at every message, which costs them more."""
    crossed: bool = False
    """Whether those apart come over the other transport of the system, a SharesServer."""

    @property
    def lanes(self) -> int:
        """How many lanes there are."""
        return 1 + max(flow.lane for flow in self.flows)


def crowd(count: int, room: str) -> list[Seat]:
    """Return users who all listen to one room."""
    return [Seat(f"reader{i}", (room,)) for i in range(count)]


def flood(
    user: str,
    targets: tuple[str, ...],
    window: int,
    readers: int,
    *,
    senders: int = 1,
    lane: int = 0,
    apart: bool = False,
) -> Flow:
    """Return a flow as fast as the server can, where each message has so many readers.

    `window` is that of the system, and shared with the other senders. No share is smaller than one
    of the steps in which readers tell how far they are.
    """
    share = max(STEP, min(window, DELIVERIES // readers) // senders)
    frame = FRAME if share >= FRAME else STEP
    return Flow(user, targets, lane, frame, share, apart=apart)
