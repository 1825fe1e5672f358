"""How far a log with positions was applied, and a digest of what that did.

Both are written in the transaction of the effects, so a crash skips nothing and repeats nothing.
The digest of a position is made of the one before it, the position, and what the record there did:
two nodes that have the same one have done the same from the beginning on. With them goes the id of
the record at the position: a log that has another one there has lost what was applied here.
"""

from hashlib import blake2b
from typing import Any, Final, NamedTuple

import apsw

from chat_service.core.errors import Refusal
from chat_service.core.events import Ack
from chat_service.core.outcome import Applied
from chat_service.core.record import Record
from chat_service.core.rules.changes import Decision

DIGESTS_KEPT: Final = 4096
"""The latest positions whose digests are kept to compare with those of other nodes."""

_DIGEST_BYTES: Final = 16


class OutOfOrder(Exception):
    """A record came that is not the next one, which a log never gives."""


class Mark(NamedTuple):
    """How far a log was applied."""

    position: int
    digest: bytes
    record: str
    """The id of the record at the position; empty where that is not known."""


class Progress:
    """The position, the digest and the publishers of a database, as the batch has them so far."""

    def __init__(self, connection: apsw.Connection) -> None:
        self._db = connection
        self.position: int = self._meta("position")
        self.digest: bytes = self._meta("digest")
        self.record: str = self._meta("record")
        self._committed = self._now()
        self._numbers: dict[str, int] = {}
        self._dirty: set[str] = set()
        self._fresh: dict[int, bytes] = {}
        self._digests = {self.position: self.digest}
        self._hash = blake2b(digest_size=_DIGEST_BYTES)

    def begin(self, record: Record) -> bool:
        """Take up the next record; tells whether it is to be applied, or has been under a number.

        Raises OutOfOrder.
        """
        if record.position != self.position + 1:
            raise OutOfOrder(f"record {record.position} came after {self.position}")
        self._hash = blake2b(self.digest, digest_size=_DIGEST_BYTES)
        self._hash.update(record.position.to_bytes(8, "big"))
        if record.number <= self._last_number(record.publisher):
            return False
        self._numbers[record.publisher] = record.number
        self._dirty.add(record.publisher)
        return True

    def note(self, decision: Decision, applied: Applied) -> None:
        """Put what an entry did into the digest of its record."""
        for event in applied.events:
            self._hash.update(event.frame)
        if isinstance(decision, Ack) or len(decision) > len(applied.events):
            # Some of it is in no event.
            self._hash.update(repr((decision, applied.reply)).encode())

    def note_refusal(self, refusal: Refusal) -> None:
        """Put into the digest that an entry did nothing, and why."""
        self._hash.update(b"%d" % refusal.code)

    def end(self, record: Record) -> None:
        """Be done with a record."""
        self.position = record.position
        self.record = record.id
        self.digest = self._fresh[self.position] = self._hash.digest()

    def flush(self) -> None:
        """Write what has changed since the last commit."""
        if not self._fresh:
            return
        self._db.executemany(
            "UPDATE meta SET value = ? WHERE key = ?",
            [(self.position, "position"), (self.digest, "digest"), (self.record, "record")],
        )
        self._db.executemany(
            "INSERT OR REPLACE INTO publishers (id, number) VALUES (?, ?)",
            [(publisher, self._numbers[publisher]) for publisher in self._dirty],
        )

    def committed(self) -> None:
        """Let others see how far it is."""
        if not self._fresh:
            return
        self._committed = self._now()
        self._digests.update(self._fresh)
        for position in self._fresh:
            self._digests.pop(position - DIGESTS_KEPT, None)
        self._fresh.clear()
        self._dirty.clear()

    def roll_back(self) -> None:
        """Forget what was not committed."""
        self.position, self.digest, self.record = self._committed
        self._numbers.clear()
        self._dirty.clear()
        self._fresh.clear()

    def mark(self) -> Mark:
        """Return how far it was when it was committed last. Safe on any thread."""
        return self._committed

    def digest_at(self, position: int) -> bytes | None:
        """Return the digest of a position, if it was committed lately. Safe on any thread."""
        return self._digests.get(position)

    def _now(self) -> Mark:
        return Mark(self.position, self.digest, self.record)

    def _last_number(self, publisher: str) -> int:
        if publisher not in self._numbers:
            row: Any = self._db.execute(
                "SELECT number FROM publishers WHERE id = ?", (publisher,)
            ).fetchone()
            self._numbers[publisher] = row[0] if row else 0
        return self._numbers[publisher]

    def _meta(self, key: str) -> Any:
        return self._db.execute("SELECT value FROM meta WHERE key = ?", (key,)).get
