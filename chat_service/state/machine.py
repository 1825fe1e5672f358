"""The replicated state machine: applies entries, in order, one transaction a batch.

Deterministic: the same entries in the same order make the same database on every node. What is
read often is kept in caches, which a failed transaction empties; what a batch changes often
(counters, nonces) is written once, at its end.
"""

from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any

import apsw

from chat_service.core.address import LOBBY
from chat_service.core.commands import Entry, Send, Trim
from chat_service.core.errors import Refusal
from chat_service.core.events import Ack, DurableBody, Event, Joined, Left, Message
from chat_service.core.outcome import Applied, Durable, Entered, Topic
from chat_service.core.rules import (
    Change,
    Claim,
    Enrol,
    Holder,
    MarkAway,
    Post,
    Release,
    Sent,
    Withdraw,
    decide,
    refused_before,
)
from chat_service.state import trimming
from chat_service.wire.protobuf import MessageEncoder, encode_event

_CACHED = 200_000
"""Rows that the caches hold together before they are emptied, at a hundred bytes or so each."""


_UINT64 = 1 << 64
"""Nonces are below this; SQLite's integers are signed, so those from half of it on wrap around."""


class _Topic:
    """A room's or conversation's row of `topics`, as this batch has it so far."""

    __slots__ = ("id", "key", "number", "seq")

    def __init__(self, key: Topic, id_: int, number: int, seq: int) -> None:
        self.key = key
        self.id = id_
        self.number = number
        self.seq = seq


def topic_name(topic: Topic) -> str:
    """Return the key of a topic in the database."""
    return topic if isinstance(topic, str) else f"{topic[0]},{topic[1]}"


def _row(sent: Sent | None) -> tuple[int | str, ...]:
    if sent is None:
        return ()
    wraps = sent.nonce >= _UINT64 // 2
    nonce = sent.nonce - _UINT64 if wraps else sent.nonce
    return (nonce, sent.seq, sent.number, sent.at, " ".join(map(str, sent.refused)))


def _sent(row: Any) -> Sent:
    nonce, seq, number, at, refused = row
    return Sent(nonce % _UINT64, seq, number, at, tuple(map(int, refused.split())))


class StateMachine:
    """Applies batches to a database that it alone writes. Also the `Facts` of the rules."""

    def __init__(self, connection: apsw.Connection) -> None:
        self._db = connection
        self._seq = int(self._one("SELECT value FROM meta WHERE key = 'seq'")[0])
        self._holders: dict[str, Holder | None] = {}
        self._topics: dict[Topic, _Topic] = {}
        self._rooms: dict[int, dict[str, int]] = {}
        self._sent: dict[tuple[int, bytes], Sent | None] = {}
        self._new_events: list[tuple[int, int, int, int, bytes]] = []
        self._dirty_topics: set[_Topic] = set()
        self._dirty_sent: set[tuple[int, bytes]] = set()
        self._messages = MessageEncoder()

    @property
    def seq(self) -> int:
        """The seq of the last event applied."""
        return self._seq

    def apply(self, entries: Sequence[Entry]) -> list[Applied]:
        """Apply entries in one transaction and return what came of each, in order.

        Whatever is raised, nothing of the batch has happened.
        """
        self._db.execute("BEGIN IMMEDIATE")
        before = self._seq
        try:
            applied = [self._apply(entry) for entry in entries]
            self._flush()
            self._commit()
        except BaseException:
            self._roll_back(before)
            raise
        if self._cached() > _CACHED:
            self._forget()
        return applied

    # The facts that rules are decided on.

    def holder(self, name: str) -> Holder | None:
        """Return who has the name, or had it last."""
        if name not in self._holders:
            row = self._one(
                "SELECT n.identity, i.client, n.session, i.transient FROM names n"
                " JOIN identities i ON i.id = n.identity WHERE n.name = ?",
                name,
            )
            self._holders[name] = Holder(row[0], row[1], row[2], bool(row[3])) if row else None
        return self._holders[name]

    def identity(self, name: str, client: bytes) -> int | None:
        """Return the identity of a client under a name."""
        row = self._one("SELECT id FROM identities WHERE name = ? AND client = ?", name, client)
        return row[0] if row else None

    def member(self, identity: int, room: str) -> bool:
        """Tell whether an identity has joined a room."""
        return room in self._stays(identity)

    def rooms(self, identity: int) -> Sequence[str]:
        """Return the rooms that an identity has joined, in order of their names."""
        return sorted(self._stays(identity))

    def last_sent(self, identity: int, client: bytes) -> Sent | None:
        """Return the last numbered message accepted from a client."""
        key = (identity, client)
        if key not in self._sent:
            row = self._one(
                "SELECT nonce, seq, number, at, refused FROM clients"
                " WHERE identity = ? AND client = ?",
                *key,
            )
            self._sent[key] = _sent(row) if row else None
        return self._sent[key]

    # One entry.

    def _apply(self, entry: Entry) -> Applied:
        try:
            decision = decide(entry, self)
        except Refusal as refusal:
            return Applied(entry, refusal)
        if isinstance(decision, Ack):
            return Applied(entry, decision)
        events: list[Durable] = []
        reply: Ack | Entered | None = None
        for change in decision:
            reply = self._CHANGES[type(change)](self, entry, change, events) or reply
        return Applied(entry, reply or Ack(), tuple(events))

    def _claim(self, entry: Entry, change: Claim, _events: list[Durable]) -> Entered:
        identity, away_since = change.identity, None
        if identity is None:
            self._db.execute(
                "INSERT INTO identities (name, client, transient) VALUES (?, ?, ?)",
                (entry.user, entry.client, change.transient),
            )
            identity = self._db.last_insert_rowid()
        else:
            row = self._one("SELECT away_since FROM identities WHERE id = ?", identity)
            away_since = row[0] if row else None
            self._db.execute(
                "UPDATE identities SET away_since = NULL, transient = ? WHERE id = ?",
                (change.transient, identity),
            )
        self._db.execute(
            "INSERT INTO names (name, identity, session) VALUES (?1, ?2, ?3)"
            " ON CONFLICT DO UPDATE SET identity = ?2, session = ?3",
            (entry.user, identity, entry.session),
        )
        self._holders[entry.user] = Holder(identity, entry.client, entry.session, change.transient)
        sent = self.last_sent(identity, entry.client)
        return Entered(
            identity,
            self._seq,
            away_since,
            sent.nonce if sent else 0,
            (LOBBY, *self.rooms(identity)),
            self._missing(identity, change.resume, away_since),
        )

    def _missing(
        self, identity: int, resume: int | None, away_since: int | None
    ) -> tuple[tuple[str, int], ...]:
        behind = away_since if resume is None else resume
        if behind is None:
            return ()
        return trimming.missing(self._db, identity, behind, resume)

    def _mark_away(self, _entry: Entry, change: MarkAway, _events: list[Durable]) -> None:
        self._db.execute(
            "UPDATE identities SET away_since = ? WHERE id = ? AND away_since IS NULL",
            (self._seq, change.identity),
        )

    def _release(self, entry: Entry, _change: Release, _events: list[Durable]) -> None:
        self._db.execute("UPDATE names SET session = NULL WHERE name = ?", (entry.user,))
        self._holders.pop(entry.user, None)

    def _enrol(self, entry: Entry, change: Enrol, events: list[Durable]) -> Ack:
        topic = self._topic(change.room)
        body = Joined(change.room, entry.user)
        seq = self._record(entry, topic, change.identity, body, events)
        self._db.execute(
            "INSERT INTO memberships (identity, topic, since) VALUES (?, ?, ?)",
            (change.identity, topic.id, seq),
        )
        self._stays(change.identity)[change.room] = seq
        return Ack(seq, sent_at=entry.at)

    def _withdraw(self, entry: Entry, change: Withdraw, events: list[Durable]) -> Ack:
        topic = self._topic(change.room)
        body = Left(change.room, entry.user)
        seq = self._record(entry, topic, change.identity, body, events)
        since = self._stays(change.identity).pop(change.room)
        self._db.execute(
            "UPDATE memberships SET until = ? WHERE identity = ? AND topic = ? AND since = ?",
            (seq, change.identity, topic.id, since),
        )
        return Ack(seq, sent_at=entry.at)

    def _post(self, entry: Entry, change: Post, events: list[Durable]) -> Ack:
        send = entry.body
        assert isinstance(send, Send)  # noqa: S101  (only a Send is decided as a Post)
        at, nonce = entry.at, send.nonce
        topic = self._topic(change.topic)
        topic.number += 1
        message = Message(send.to, entry.user, topic.number, send.text, at, send.reply_to)
        seq = self._record(entry, topic, change.identity, message, events)
        if nonce:
            key = (change.identity, entry.client)
            refused = refused_before(send, self.last_sent(*key))
            self._sent[key] = Sent(nonce, seq, topic.number, at, refused)
            self._dirty_sent.add(key)
        return Ack(seq, topic.number, nonce, sent_at=at)

    def _cut(self, _entry: Entry, change: Trim, _events: list[Durable]) -> None:
        self._flush_events()  # where a batch begins and ends must make no difference
        trimming.cut(self._db, change)

    _CHANGES: dict[type[Change], Callable[..., Any]] = {  # noqa: RUF012  (a constant table)
        Claim: _claim,
        MarkAway: _mark_away,
        Release: _release,
        Enrol: _enrol,
        Withdraw: _withdraw,
        Post: _post,
        Trim: _cut,
    }

    def _record(
        self, entry: Entry, topic: _Topic, identity: int, body: DurableBody, events: list[Durable]
    ) -> int:
        """Give an event its seq and encoding, keep it for the batch's end, and return the seq."""
        self._seq = topic.seq = seq = self._seq + 1
        self._dirty_topics.add(topic)
        if isinstance(body, Message):
            number, frame = body.number, self._messages.encode(body, seq)
        else:
            number, frame = 0, encode_event(Event(body, seq))
        self._new_events.append((seq, topic.id, number, entry.at, frame))
        events.append(Durable(seq, topic.key, identity, body, frame))
        return seq

    # Rows and their caches.

    def _topic(self, topic: Topic) -> _Topic:
        row = self._topics.get(topic)
        if row is None:
            found = self._one(
                "SELECT id, number, seq FROM topics WHERE name = ?", topic_name(topic)
            )
            row = _Topic(topic, *found) if found else self._make_topic(topic)
            self._topics[topic] = row
        return row

    def _make_topic(self, topic: Topic) -> _Topic:
        self._db.execute("INSERT INTO topics (name) VALUES (?)", (topic_name(topic),))
        row = _Topic(topic, self._db.last_insert_rowid(), 0, 0)
        if not isinstance(topic, str):
            self._db.executemany(
                "INSERT INTO conversations (identity, topic) VALUES (?, ?)",
                [(identity, row.id) for identity in sorted(set(topic))],
            )
        return row

    def _stays(self, identity: int) -> dict[str, int]:
        """Return the rooms that an identity is in, each with the seq at which it joined."""
        stays = self._rooms.get(identity)
        if stays is None:
            rows = self._db.execute(
                "SELECT t.name, m.since FROM memberships m JOIN topics t ON t.id = m.topic"
                " WHERE m.identity = ? AND m.until IS NULL",
                (identity,),
            )
            stays = self._rooms[identity] = dict(rows)
        return stays

    def _one(self, sql: str, *bindings: Any) -> Any:
        return self._db.execute(sql, bindings).fetchone()

    def _flush_events(self) -> None:
        self._db.executemany(
            "INSERT INTO events (seq, topic, number, at, frame) VALUES (?, ?, ?, ?, ?)",
            self._new_events,
        )
        self._new_events.clear()

    def _flush(self) -> None:
        """Write what the batch has gathered."""
        self._flush_events()
        self._db.executemany(
            "UPDATE topics SET number = ?, seq = ? WHERE id = ?",
            [(topic.number, topic.seq, topic.id) for topic in self._dirty_topics],
        )
        self._db.executemany(
            "INSERT OR REPLACE INTO clients (identity, client, nonce, seq, number, at, refused)"
            " VALUES (?, ?, ?, ?, ?, ?, ?)",
            [(*key, *_row(self._sent[key])) for key in self._dirty_sent],
        )
        if self._dirty_topics:
            self._db.execute("UPDATE meta SET value = ? WHERE key = 'seq'", (self._seq,))
        self._clean()

    def _commit(self) -> None:
        try:
            self._db.execute("COMMIT")
        except apsw.IOError:
            # All of it may be in the write-ahead log by now, and only the fsync have failed: after
            # a crash the recovery would find what was refused. So write something over it that
            # changes nothing (an UPDATE to the same value would not even be written).
            with suppress(apsw.Error):
                self._db.pragma("user_version", self._db.pragma("user_version"))
            raise

    def _clean(self) -> None:
        self._new_events.clear()
        self._dirty_topics.clear()
        self._dirty_sent.clear()

    def _roll_back(self, seq: int) -> None:
        # What is in memory first, and without reading: the storage may be what has failed.
        self._seq = seq
        self._clean()
        self._forget()
        # SQLite rolls back by itself on some errors, on a full disk for one.
        if self._db.in_transaction:
            self._db.execute("ROLLBACK")

    def _cached(self) -> int:
        caches = (self._holders, self._topics, self._rooms, self._sent)
        return sum(len(cache) for cache in caches)

    def _forget(self) -> None:
        self._holders.clear()
        self._topics.clear()
        self._rooms.clear()
        self._sent.clear()
