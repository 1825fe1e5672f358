"""What a session may read of the state."""

from typing import NamedTuple, Protocol

from chat_service.core.events import ConversationsPage, HistoryPage
from chat_service.core.moderation import Role


class Page(NamedTuple):
    """Durable events of one user: their frames, and the seq up to which nothing is missing.

    But for what retention took, of which `trimmed` has the addresses and the highest seqs.
    """

    frames: tuple[bytes, ...]
    seq: int
    trimmed: tuple[tuple[str, int], ...] = ()


class Archive(Protocol):
    """Answers from what is committed. Every call raises Unavailable if the storage does not."""

    @property
    def epoch(self) -> str:
        """The identity of the log."""

    async def missed(self, identity: int, *, after: int, rooms_after: int, upto: int) -> Page:
        """Return the next page of events that an identity was to see.

        Conversations are read behind `after`, rooms behind `rooms_after`, both up to `upto`
        (included), in order of seq.
        """

    async def history(self, identity: int, to: str, *, before_seq: int, limit: int) -> HistoryPage:
        """Return the latest messages of a room, or of a conversation with `@user`.

        Raises NotAMember or NoSuchUser.
        """

    async def conversations(
        self, identity: int, *, before_seq: int, limit: int
    ) -> ConversationsPage:
        """Return the conversations whose other side has its name now, the latest first.

        Only those with a lower seq than `before_seq`, unless that is 0.
        """

    async def members(
        self, identity: int, room: str, *, after: str, limit: int
    ) -> list[tuple[str, Role]]:
        """Return names of a room's members behind `after`, with roles; raises NotAMember."""


class Credentials(NamedTuple):
    """What proves an account: the hash of its password, None if it has none, and its generation."""

    hash: str | None
    generation: int


class SignInRow(NamedTuple):
    """A session token that is good, with the number of sessions that came with it."""

    digest: bytes
    label: str
    created: int
    expires: int
    sessions: int


class ConnectionRow(NamedTuple):
    """A session that has a name; `entered` in microseconds since 1970."""

    session: str
    user: str
    address: str
    entered: int
    lost: bool


class BanRow(NamedTuple):
    """A ban from the server; `until` in microseconds since 1970, 0 for good."""

    subject: str
    until: int
    reason: str
    by: str


class AccountRow(NamedTuple):
    """An account, as admins see it; `created` in microseconds since 1970."""

    name: str
    admin: bool
    has_password: bool
    created: int


class Directory(Protocol):
    """Answers about accounts and sessions from what is committed; raises Unavailable."""

    async def credentials(self, name: str) -> Credentials | None:
        """Return what proves an account; None if the name is none's."""

    async def bearer(self, digest: bytes) -> str | None:
        """Return whose token has this digest, a guest's included; None if nobody's."""

    async def expiry(self, digest: bytes) -> int | None:
        """Return when an account's token ends (µs since 1970); None if it is no account's."""

    async def signed_in(self, digest: bytes, at: int) -> str | None:
        """Return the account whose token has this digest and is good at a time, if any."""

    async def is_admin(self, name: str) -> bool:
        """Tell whether a name is an admin's account."""

    async def sign_ins(self, name: str, at: int) -> list[SignInRow]:
        """Return an account's tokens that are good at a time, the oldest first."""

    async def connections(self, user: str) -> list[ConnectionRow]:
        """Return the sessions that have names, or have that name, in order of both."""

    async def bans(self, at: int) -> list[BanRow]:
        """Return the bans from the server in force at a time, by their subjects."""

    async def accounts(self, after: str, limit: int) -> list[AccountRow]:
        """Return accounts behind a name, in code-point order."""

    async def count_accounts(self) -> int:
        """Return how many accounts there are."""
