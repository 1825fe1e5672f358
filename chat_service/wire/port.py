"""What a codec is to the rest of the house."""

from collections.abc import Hashable, Sequence
from typing import NamedTuple, Protocol

from chat_service.core.commands import Command
from chat_service.core.errors import Refusal
from chat_service.core.events import Ack, Event, Joined, Left
from chat_service.core.outcome import Durable

Received = Command | tuple[int, Refusal]
"""A command, or the ref and the reason of one that cannot be understood."""

Acked = tuple[int, Ack]
"""The ref of a command, and its Ack."""


class Terms(NamedTuple):
    """How somebody who types may come in.

    `proof` is what a name is proved with, "password" or "token"; empty where a certificate has done
    that, and nothing that is typed can. `newcomers` tells whether it takes an account to come in,
    and anybody may make one.
    """

    proof: str = "password"
    newcomers: bool = False


class Codec(Protocol):
    """Speaks one encoding for one connection.

    Connections whose `sharing` keys are equal see the same bytes for the same events, which are
    then encoded once for all of them.
    """

    user: str
    """The name of whose connection this is; empty before Welcome."""

    echoes: bool
    """Whether this connection is told of what it did itself."""

    interactive: bool
    """Whether somebody may be typing, who is asked for a password where a name takes one."""

    def sharing(self, *, private: bool) -> Hashable:
        """Return the key under which encodings are shared, of conversations if `private`."""

    def feed(self, data: bytes) -> list[Received]:
        """Take bytes as they came; raises Malformed or TooLarge where nothing can follow them."""

    def end_of_input(self) -> list[Received]:
        """Take what an unfinished last line holds."""

    def encode(self, event: Event) -> bytes:
        """Encode an event that is this connection's alone."""

    def encode_acks(self, acks: Sequence[Acked]) -> tuple[bytes, int]:
        """Encode Acks in their order; returns one blob, and how many of them it shows."""

    def moved(self, body: Joined | Left) -> None:
        """Take note that the connection's user has joined or left a room, wherever from."""

    def join(self, events: Sequence[Durable]) -> bytes:
        """Encode committed events, in their order."""

    def recall(self, frames: Sequence[bytes]) -> bytes:
        """Encode committed events that the state has stored as frames of the contract."""
