"""What a system is to the scenarios: a server to start, and clients that speak to it."""

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Final, Protocol, runtime_checkable

from bench.systems.process import ServerProcess

FRAME: Final = 64
"""Commands of a frame where a client batches."""

WINDOW: Final = 32 * FRAME
"""Messages in flight where a sender goes as fast as it can: what one batch of ours takes."""

Message = tuple[str, bytes]
"""An address (`#room` or `@user`) and a text."""


class Ears(Protocol):
    """Who hears what a connection receives."""

    user: str

    def received(self, data: bytes) -> None:
        """Take raw bytes, as they came."""

    def lost(self, why: str) -> None:
        """The connection has ended without being closed from this side."""


class Client(Protocol):
    """One connection. Rooms and users are addressed as `#room` and `@user` everywhere."""

    async def enter(self, user: str, rooms: Sequence[str], *, listen: bool) -> None:
        """Connect and be in the rooms; without `listen`, only as far as sending requires."""

    async def send(self, messages: Sequence[Message]) -> None:
        """Send messages as one batch, as far as the protocol knows batches."""

    async def settle(self) -> None:
        """Wait for the server's word that it is done with everything sent before."""

    async def close(self) -> None:
        """Let go of the connection."""


ClientFactory = Callable[[Ears], Client]


class System(Protocol):
    """A server of some kind."""

    name: str
    title: str
    sends_to_many_rooms: bool
    """Whether one connection can send to rooms in turn."""
    most_sessions: int
    """How many sessions it is asked to hold at most."""
    most_rooms: int
    """Over how many rooms its readers are spread at most."""
    window: int
    """Messages in flight from a sender in a hurry, at most: more would not make it faster."""

    def missing(self) -> str:
        """Say what has to be installed; empty if nothing."""

    def version(self) -> str:
        """Return the version of what is installed."""

    def start(self, directory: Path) -> ServerProcess:
        """Start a server that keeps its files in a directory; it accepts when this returns."""

    def clients(self, address: str) -> ClientFactory:
        """Return what makes clients of a server, in the process and loop that calls it."""


@runtime_checkable
class HasVariants(Protocol):
    """A system that is worth driving in another way too, here and there."""

    @property
    def variants(self) -> Sequence[System]:
        """The same server with other clients."""


def with_variants(systems: Iterable[System]) -> dict[str, System]:
    """Return the systems by name, each followed by its variants."""
    return {
        it.name: it
        for system in systems
        for it in (system, *(system.variants if isinstance(system, HasVariants) else ()))
    }


@runtime_checkable
class SharesServer(Protocol):
    """A system whose server speaks to the clients of another system as well."""

    other: str
    """The name of that system."""

    def start_both(self, directory: Path) -> ServerProcess:
        """Start a server with an `other_address` for the other's clients."""


class Archive(Protocol):
    """Asks for the past, one question at a time."""

    async def enter(self, user: str, room: str) -> None:
        """Open the session that `send` and `page` use."""

    async def send(self, to: str, text: str) -> int:
        """Send a message and wait for its ack; returns its seq."""

    async def page(self, to: str, before_seq: int, limit: int) -> int:
        """Ask for a page of history; returns how many messages it has."""

    async def resume(self, user: str, after: int, upto: int) -> None:
        """Connect anew with a cursor, read until the event `upto` has come, and leave."""

    async def close(self) -> None:
        """Close the connection."""


@runtime_checkable
class KeepsHistory(Protocol):
    """A system that can be asked for the past."""

    def archive(self, address: str) -> Archive:
        """Return what asks."""
