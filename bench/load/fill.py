"""A past: many messages in one room, whose latencies are nobody's concern."""

from typing import Final

from bench.load.crew import Crew
from bench.load.plan import Flow, Seat
from bench.systems.port import WINDOW

_AT_ONCE: Final = 500_000
"""Messages that one filler sends. A crew that takes minutes for one thing is given up."""

_IN_FLIGHT: Final = 4 * WINDOW
"""As many as make it quick."""


def fill(system: str, address: str, room: str, count: int, label: str) -> None:
    """Send so many messages to a room, by users whose names hold the label; raises LoadError."""
    for done in range(0, count, _AT_ONCE):
        name, part = f"{label}p{done}", min(_AT_ONCE, count - done)
        with Crew(system, address) as crew:
            crew.seat([Seat(f"witness{name}", (room,))])
            crew.admit([Flow(f"filler{name}", (room,), window=_IN_FLIGHT, count=part)])
            crew.start()
            crew.stop()
