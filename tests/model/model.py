"""The rules of the chat in the simplest form that can be right: lists and sets, nothing stored.

It knows nothing of the real state; what both say of the same commands must agree.
"""

from dataclasses import dataclass, field
from typing import NamedTuple

from chat_service.core.commands import Enter, Entry, EntryBody, Exit, Join, Leave, Send
from chat_service.core.errors import ErrorCode

Identity = tuple[str, bytes]
"""A guest: a name and a client."""


class Happened(NamedTuple):
    """An event: what it says, and which identities were to see it (None: everyone, ever)."""

    seq: int
    what: tuple[object, ...]
    seen_by: frozenset[Identity] | None
    place: object


@dataclass
class Model:
    """Everything that is true after some commands."""

    holders: dict[str, Identity] = field(default_factory=dict)
    sessions: dict[str, str | None] = field(default_factory=dict)
    rooms: dict[Identity, set[str]] = field(default_factory=dict)
    transient: dict[Identity, bool] = field(default_factory=dict)
    nonces: dict[Identity, int] = field(default_factory=dict)
    events: list[Happened] = field(default_factory=list)

    def do(self, entry: Entry) -> ErrorCode | str:
        """Let a command happen; returns "ok", "duplicate" or why it could not be done."""
        body: EntryBody = entry.body
        me: Identity = (entry.user, entry.client)
        if isinstance(body, Enter):
            return self._enter(entry, body, me)
        if isinstance(body, Exit):
            return self._exit(entry, body)
        if self.holders.get(entry.user) is None or self.sessions[entry.user] != entry.session:
            return ErrorCode.NAME_TAKEN
        if isinstance(body, Send):
            return self._send(me, body)
        if isinstance(body, Join):
            return self._join(me, body.room)
        assert isinstance(body, Leave)
        return self._leave(me, body.room)

    def seen_by(self, me: Identity, after: int) -> list[int]:
        """Return the seqs behind one that an identity was to see."""
        return [e.seq for e in self.events if e.seq > after and self._sees(me, e)]

    def said_in(self, place: object) -> list[int]:
        """Return the seqs of the messages of a room or conversation."""
        return [e.seq for e in self.events if e.place == place and e.what[0] == "message"]

    def _sees(self, me: Identity, event: Happened) -> bool:
        return event.seen_by is None or me in event.seen_by

    def _enter(self, entry: Entry, body: Enter, me: Identity) -> ErrorCode | str:
        holder = self.holders.get(entry.user)
        if holder is not None and holder != me:
            if self.sessions[entry.user] is not None:
                return ErrorCode.NAME_TAKEN
            for room in sorted(self.rooms[holder]):
                self._leave(holder, room)
        self.holders[entry.user] = me
        self.sessions[entry.user] = entry.session
        self.rooms.setdefault(me, set())
        self.transient[me] = body.transient
        return "ok"

    def _exit(self, entry: Entry, body: Exit) -> str:
        if self.sessions.get(entry.user) == entry.session and not body.hold:
            self.sessions[entry.user] = None
            holder = self.holders[entry.user]
            for room in sorted(self.rooms[holder] if self.transient[holder] else ()):
                self._leave(holder, room)
        return "ok"

    def _send(self, me: Identity, send: Send) -> ErrorCode | str:
        if send.nonce and send.nonce <= self.nonces.get(me, 0):
            return "duplicate"
        if send.to.startswith("@"):
            other = self.holders.get(send.to[1:])
            if other is None:
                return ErrorCode.NO_SUCH_USER
            self._happens(("message", me[0], send.text), {me, other}, frozenset((me, other)))
        elif send.to == "#lobby":
            self._happens(("message", me[0], send.text), None, "#lobby")
        elif send.to in self.rooms[me]:
            self._happens(("message", me[0], send.text), self._members(send.to), send.to)
        else:
            return ErrorCode.NOT_A_MEMBER
        if send.nonce:
            self.nonces[me] = send.nonce
        return "ok"

    def _join(self, me: Identity, room: str) -> str:
        if room == "#lobby" or room in self.rooms[me]:
            return "duplicate"
        self.rooms[me].add(room)
        self._happens(("joined", me[0]), self._members(room), room)
        return "ok"

    def _leave(self, me: Identity, room: str) -> ErrorCode | str:
        if room == "#lobby":
            return ErrorCode.INVALID_COMMAND
        if room not in self.rooms[me]:
            return ErrorCode.NOT_A_MEMBER
        self._happens(("left", me[0]), self._members(room), room)
        self.rooms[me].discard(room)
        return "ok"

    def _members(self, room: str) -> set[Identity]:
        return {identity for identity, rooms in self.rooms.items() if room in rooms}

    def _happens(
        self, what: tuple[object, ...], seen_by: set[Identity] | None, place: object
    ) -> None:
        to = None if seen_by is None else frozenset(seen_by)
        self.events.append(Happened(len(self.events) + 1, what, to, place))
