"""What nodes tell each other beside the log."""

from typing import NamedTuple


class Heartbeat(NamedTuple):
    """A node is alive, and has applied the log up to a position.

    `instance` is another one for each start; the digest says all that was done up to the position,
    so that of two nodes at one position both have the same.
    """

    instance: str
    name: str
    version: str
    position: int
    digest: bytes
    sessions: int


class Departure(NamedTuple):
    """A node has stopped, and nothing more is to be heard of it."""

    instance: str


Signal = Heartbeat | Departure
