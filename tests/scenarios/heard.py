"""What people hear in a chat, in words that all transports share."""

from dataclasses import dataclass

from tests.scenarios.deeds import Deed


@dataclass(frozen=True)  # not tuples: those of two kinds would be equal
class Said:
    """A message: `to` is `#room` or `@user`."""

    to: str
    sender: str
    text: str


@dataclass(frozen=True)
class Came:
    """A user is online."""

    user: str


@dataclass(frozen=True)
class Went:
    """A user is offline."""

    user: str


@dataclass(frozen=True)
class JoinedRoom:
    """A user became a member."""

    room: str
    user: str


@dataclass(frozen=True)
class LeftRoom:
    """A user ceased to be a member."""

    room: str
    user: str


@dataclass(frozen=True)
class Refused:
    """Something could not be done."""

    why: str


@dataclass(frozen=True)
class Bye:
    """The server's last words."""

    why: str


@dataclass(frozen=True)
class Announced:
    """An operator said something to everyone."""

    text: str
    by: str


Heard = Said | Came | Went | JoinedRoom | LeftRoom | Refused | Bye | Deed | Announced
