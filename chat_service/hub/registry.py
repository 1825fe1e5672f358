"""The lock-protected map of who is connected to this node: user → sessions.

One owner and one loop: reads and plain updates need no lock, since nothing else runs meanwhile.
What spans an `await` does: a session claims its name by an entry in the log and is in the map only
once that entry was applied. `claim` holds a lock over that time, so that of two sessions of one
client the second finds the first in the map, or gone from it. The lock is that client's alone: of
two clients that want one name the order of the log decides, and who only says the name of another
does not stand in that one's way.
"""

import asyncio
from collections.abc import AsyncIterator, Iterable, KeysView, Sequence
from contextlib import asynccontextmanager
from typing import Protocol, TypeVar

from chat_service.core.events import Goodbye
from chat_service.core.outcome import Applied
from chat_service.hub.outbox import Outbox
from chat_service.wire.port import Codec

_Key = TypeVar("_Key")


class Owner(Protocol):
    """The session behind a member: what the hub tells it."""

    def answered(self, applied: Sequence[Applied]) -> None:
        """Take what came of some of its entries, in their order."""

    def end(self, goodbye: Goodbye, *, drop: bool = False) -> None:
        """Say goodbye and close; `drop` what still waits to be read before it."""


class Subscriber:
    """One session as the hub sees it: an outbox, the encoding it wants, and what it is told of."""

    __slots__ = ("client", "codec", "id", "identity", "live", "outbox", "owner", "rooms", "user")

    def __init__(self, id_: str, owner: Owner, codec: Codec, outbox: Outbox) -> None:
        self.id = id_
        self.owner = owner
        self.codec = codec
        self.outbox = outbox
        self.user = ""
        self.identity = 0
        self.client = b""
        self.rooms: set[str] = set()
        self.live = False
        """Whether events come from the fan-out; if not, the session reads them from the state."""


class Registry:
    """All sessions of this node, by their id and by their user."""

    def __init__(self) -> None:
        self._open: dict[str, Subscriber] = {}
        self._users: dict[str, set[Subscriber]] = {}
        self._identities: dict[int, set[Subscriber]] = {}
        self._locks: dict[tuple[str, bytes], tuple[asyncio.Lock, list[None]]] = {}

    def __len__(self) -> int:
        return len(self._open)

    @property
    def users(self) -> KeysView[str]:
        """The names of those who are in the map."""
        return self._users.keys()

    def all(self) -> list[Subscriber]:
        """Return every session, also those that have not said who they are."""
        return list(self._open.values())

    def get(self, session_id: str) -> Subscriber | None:
        """Return a session by its id."""
        return self._open.get(session_id)

    def of_user(self, user: str) -> Iterable[Subscriber]:
        """Return the sessions of a user."""
        return self._users.get(user, ())

    def of_identity(self, identity: int) -> Iterable[Subscriber]:
        """Return the sessions of an identity."""
        return self._identities.get(identity, ())

    @asynccontextmanager
    async def claim(self, user: str, client: bytes) -> AsyncIterator[None]:
        """Hold a client's lock on a name; locks exist only while somebody holds or awaits them."""
        key = user, client
        lock, holders = self._locks.setdefault(key, (asyncio.Lock(), []))
        holders.append(None)
        try:
            async with lock:
                yield
        finally:
            holders.pop()
            if not holders:
                del self._locks[key]

    def open(self, subscriber: Subscriber) -> None:
        """Take in a session that has yet to say who it is."""
        self._open[subscriber.id] = subscriber

    def add(self, subscriber: Subscriber) -> None:
        """Put a session into the map, under its user and identity."""
        self._users.setdefault(subscriber.user, set()).add(subscriber)
        self._identities.setdefault(subscriber.identity, set()).add(subscriber)

    def remove(self, subscriber: Subscriber) -> None:
        """Forget a session; what is not there is no error."""
        self._open.pop(subscriber.id, None)
        _discard(self._users, subscriber.user, subscriber)
        _discard(self._identities, subscriber.identity, subscriber)


def _discard(index: dict[_Key, set[Subscriber]], key: _Key, subscriber: Subscriber) -> None:
    members = index.get(key)
    if members is not None:
        members.discard(subscriber)
        if not members:
            del index[key]
