"""What the rules may ask of the state."""

from collections.abc import Mapping, Sequence
from typing import Protocol

from chat_service.core.moderation import Role
from chat_service.core.value import Value

FOR_GOOD = 0
"""The end of what does not end by itself."""


class Seat(Value):
    """A session that has a name. `token` is the digest of the one it came with or was given."""

    client: bytes
    token: bytes
    lost: bool = False
    """Whether its connection is gone and its client is waited for."""


class Holder(Value):
    """Who has a name, or had it last: nobody is connected or expected back without `seats`.

    `client` is that of the guest whose identity it is; `transient`: the identity ends with its
    last session.
    """

    identity: int
    client: bytes
    transient: bool
    seats: Mapping[str, Seat]


class Account(Value):
    """A name that belongs to somebody for good. `generation` counts changes of the password."""

    name: str
    identity: int
    generation: int
    admin: bool


class SignIn(Value):
    """A session token of an account; times in microseconds since 1970."""

    name: str
    digest: bytes
    created: int
    expires: int

    @property
    def id(self) -> str:
        """What its owner calls it by."""
        return sign_in_id(self.digest)


class Sanction(Value):
    """A ban or a mute; `until` in microseconds since 1970, or FOR_GOOD."""

    until: int
    reason: str
    by: str

    def in_force(self, at: int) -> bool:
        """Tell whether it holds at a time."""
        return self.until == FOR_GOOD or at < self.until

    def left(self, at: int) -> float | None:
        """Return for how many seconds it still holds, None for good."""
        return None if self.until == FOR_GOOD else (self.until - at) / 1_000_000

    @property
    def why(self) -> str:
        """What to end a sentence with that tells somebody of it."""
        return f": {self.reason}" if self.reason else ""


class Room(Value):
    """Who may do what in a room. Bans and mutes are by name."""

    private: bool = False
    owner: int | None = None
    moderators: frozenset[int] = frozenset()
    invited: frozenset[int] = frozenset()
    bans: Mapping[str, Sanction] = {}
    mutes: Mapping[str, Sanction] = {}

    def role(self, identity: int) -> Role:
        """Return what an identity is here, if it is a member."""
        if identity == self.owner:
            return Role.OWNER
        return Role.MODERATOR if identity in self.moderators else Role.MEMBER


class Sent(Value):
    """The last numbered message accepted from an identity's client."""

    nonce: int
    seq: int = 0
    number: int = 0
    at: int = 0
    refused: tuple[int, ...] = ()
    """The latest nonces below it that were received but refused: they never happened."""


class Facts(Protocol):
    """What the rules may ask of the state."""

    def holder(self, name: str) -> Holder | None:
        """Return who has the name, or had it last; None if nobody ever did."""

    def identity(self, name: str, client: bytes) -> int | None:
        """Return the identity of a client under a name; None if there is none yet."""

    def member(self, identity: int, room: str) -> bool:
        """Tell whether an identity has joined a room other than the lobby."""

    def rooms(self, identity: int) -> Sequence[str]:
        """Return the rooms that an identity has joined, in order of their names."""

    def last_sent(self, identity: int, client: bytes) -> Sent | None:
        """Return the last numbered message accepted, if any."""

    def account(self, name: str) -> Account | None:
        """Return the account of a name, if it is one."""

    def other_admin(self, name: str) -> bool:
        """Tell whether there is an admin besides the account of that name."""

    def registered(self, identity: int) -> bool:
        """Tell whether an identity is an account's."""

    def lookalike(self, skeleton: str) -> str | None:
        """Return the name of an account that looks like that, if there is one."""

    def sign_in(self, digest: bytes) -> SignIn | None:
        """Return a session token, also one that has expired."""

    def sign_ins(self, name: str) -> Sequence[SignIn]:
        """Return an account's session tokens, the oldest first."""

    def room(self, room: str) -> Room | None:
        """Return who may do what in a room; None if there is no room of that name."""

    def vacant(self, room: str) -> bool:
        """Tell whether nobody is a member of a room."""

    def banned(self, name: str, address: str, at: int) -> Sanction | None:
        """Return the ban from this server that keeps out a name or an address."""

    def seated_in(self, network: str) -> Sequence[tuple[str, str]]:
        """Return the name and session of each seat whose address is in a network, in order."""

    def bans(self) -> Mapping[str, Sanction]:
        """Return the bans from this server, by name or network."""


def sign_in_id(digest: bytes) -> str:
    """Return what a token is called by, which does not tell the token."""
    return digest[:8].hex()
