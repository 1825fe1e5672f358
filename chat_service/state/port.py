"""What a session may read of the state."""

from typing import NamedTuple, Protocol

from chat_service.core.events import HistoryPage


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

    async def members(self, identity: int, room: str, *, after: str, limit: int) -> list[str]:
        """Return names of a room's members behind `after`; raises NotAMember."""
