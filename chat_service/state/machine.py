"""The replicated state machine: applies entries, in order, one transaction a batch.

Deterministic: the same entries in the same order make the same database on every node. What is
read often is kept in caches, which a failed transaction empties; what a batch changes often
(counters, nonces) is written once, at its end.
"""

from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import suppress
from typing import Any, Final

import apsw

from chat_service.core.address import LOBBY
from chat_service.core.commands import Entry, Send, Trim
from chat_service.core.errors import Refusal
from chat_service.core.events import (
    Ack,
    DurableBody,
    Event,
    Joined,
    Left,
    Message,
)
from chat_service.core.moderation import Role
from chat_service.core.outcome import Applied, Durable, Ending, Entered, Topic
from chat_service.core.record import Record, unplaced
from chat_service.core.rules import decide
from chat_service.core.rules.changes import (
    Change,
    Claim,
    Decision,
    Enrol,
    Finish,
    Lose,
    MarkAway,
    Post,
    Tell,
    Vacate,
    Withdraw,
)
from chat_service.core.rules.facts import Sent
from chat_service.core.rules.talking import goes_on
from chat_service.state import access, trimming
from chat_service.state.facts import StateFacts, TopicRow, sent_row, topic_name
from chat_service.state.progress import Progress
from chat_service.wire.events import MessageEncoder, encode_event

STEP: Final = 16
"""Entries of a step, between which others may get a turn."""

_WRITTEN_AT_ONCE: Final = 128
"""Entries whose rows are written together."""

_CACHED: Final = 200_000
"""Rows that the caches hold together before they are emptied, at two hundred bytes or so each."""

_COLUMNS: Final = 5
_INSERT: Final = "INSERT INTO events (seq, topic, number, at, frame) VALUES (?, ?, ?, ?, ?)"
_ROWS_AT_ONCE: Final = 32
"""Rows of one statement: so each costs little more than half of what it does alone."""
_INSERT_ROWS: Final = _INSERT + ", (?, ?, ?, ?, ?)" * (_ROWS_AT_ONCE - 1)


class StateMachine:
    """Applies batches to a database that it alone writes."""

    def __init__(self, connection: apsw.Connection) -> None:
        self._db = connection
        self._facts = StateFacts(connection)
        self.progress = Progress(connection)
        self._seq = int(self._facts.one("SELECT value FROM meta WHERE key = 'seq'")[0])
        self._before = self._seq
        self._new_events: list[int | bytes] = []
        """The values of their rows, one behind the other."""
        self._dirty_topics: set[TopicRow] = set()
        self._dirty_sent: set[tuple[int, bytes]] = set()
        self._messages = MessageEncoder()
        self._endings: tuple[Ending, ...] = ()
        self._said: Entry | None = None
        """The last entry, where that was a send that was accepted."""
        self._decision: Decision = ()
        """What was decided last."""

    @property
    def seq(self) -> int:
        """The seq of the last event applied."""
        return self._seq

    def apply(self, entries: Sequence[Entry]) -> list[Applied]:
        """Apply entries that come from no log; see `apply_records`."""
        return self.apply_records((unplaced(entries),))

    def apply_records(self, records: Sequence[Record]) -> list[Applied]:
        """Apply records in one transaction and return what came of each entry, in order.

        Nothing comes of a record that is a repeated one. Whatever is raised, nothing of the batch
        has happened.
        """
        self.begin()
        applied = [it for step in self.steps(records) for it in step]
        self.commit()
        return applied

    def begin(self) -> None:
        """Begin a transaction, which `steps` fills and `commit` ends."""
        self._db.execute("BEGIN IMMEDIATE")
        self._before = self._seq
        self._said = None

    def steps(self, records: Sequence[Record]) -> Generator[list[Applied]]:
        """Apply records, STEP entries at a time at most, and give what came of each entry.

        Who closes this before its end, or is raised to, finds that nothing of them has happened.
        """
        unwritten = 0
        try:
            for record in records:
                for applied in self._apply_record(record):
                    unwritten += len(applied)
                    if unwritten >= _WRITTEN_AT_ONCE:
                        self._write()
                        unwritten = 0
                    yield applied
            self._write()
            if self._seq != self._before:
                self._db.execute("UPDATE meta SET value = ? WHERE key = 'seq'", (self._seq,))
            self.progress.flush()
        except BaseException:
            self._roll_back()
            raise

    def commit(self) -> None:
        """Commit what `steps` did. Whatever is raised, nothing of it has happened."""
        try:
            self._commit()
        except BaseException:
            self._roll_back()
            raise
        self.progress.committed()
        if self._facts.cached() > _CACHED:
            self._facts.forget()

    def _apply_record(self, record: Record) -> Iterator[list[Applied]]:
        noted = record.position > 0
        if noted and not self.progress.begin(record):
            self.progress.end(record)
            return
        apply = self._apply_noted if noted else self._apply
        entries = record.entries
        for start in range(0, len(entries), STEP):
            yield [apply(entry) for entry in entries[start : start + STEP]]
        if noted:
            self.progress.end(record)

    # One entry.

    def _apply(self, entry: Entry) -> Applied:
        # Of an entry that goes on as the last one did, all has been looked at already.
        if self._said is None or not goes_on(entry, self._said):
            self._said = None
            try:
                self._decision = decide(entry, self._facts)
            except Refusal as refusal:
                return Applied(entry, refusal)
        return self._carry_out(entry, self._decision)

    def _apply_noted(self, entry: Entry) -> Applied:
        applied = self._apply(entry)
        if isinstance(applied.reply, Refusal):
            self.progress.note_refusal(applied.reply)
        else:
            self.progress.note(self._decision, applied)
        return applied

    def _carry_out(self, entry: Entry, decision: Decision) -> Applied:
        if isinstance(decision, Ack):
            return Applied(entry, decision)
        if decision and type(decision[0]) is Post:
            self._said = entry
            return self._post(entry, decision[0])
        events: list[Durable] = []
        reply: Ack | Entered | None = None
        for change in decision:
            kind = type(change)
            if (make := self._CHANGES.get(kind)) is not None:
                reply = make(self, entry, change, events) or reply
            else:
                access.CHANGES[kind](self._db, self._facts, entry, change)
        endings, self._endings = self._endings, ()
        return Applied(entry, reply or Ack(), tuple(events), endings)

    def _claim(self, entry: Entry, change: Claim, _events: list[Durable]) -> Entered:
        identity, away_since = self._claimant(entry, change)
        self._db.execute(
            "INSERT INTO names (name, identity) VALUES (?1, ?2)"
            " ON CONFLICT DO UPDATE SET identity = ?2",
            (entry.user, identity),
        )
        self._db.execute(
            "INSERT OR REPLACE INTO seats (session, name, client, token, address, entered)"
            " VALUES (?, ?, ?, ?, ?, ?)",
            (entry.session, entry.user, entry.client, change.token, change.address, entry.at),
        )
        self._facts.holders.pop(entry.user, None)
        sent = self._facts.last_sent(identity, entry.client)
        return Entered(
            identity,
            self._seq,
            away_since,
            sent.nonce if sent else 0,
            (LOBBY, *self._facts.rooms(identity)),
            self._missing(identity, change.resume, away_since),
            change.account,
        )

    def _claimant(self, entry: Entry, change: Claim) -> tuple[int, int | None]:
        """Return the identity that claims the name, and since when it was away."""
        identity = change.identity
        if identity is None and change.account:  # made by the change before this one
            account = self._facts.account(entry.user)
            assert account is not None  # noqa: S101  (only an Enlist comes before such a Claim)
            identity = account.identity
        if identity is None:
            self._db.execute(
                "INSERT INTO identities (name, client, transient) VALUES (?, ?, ?)",
                (entry.user, entry.client, change.transient),
            )
            return self._db.last_insert_rowid(), None
        row = self._facts.one("SELECT away_since FROM identities WHERE id = ?", identity)
        self._db.execute(
            "UPDATE identities SET away_since = NULL, transient = ? WHERE id = ?",
            (change.transient, identity),
        )
        return identity, row[0] if row else None

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

    def _lose(self, entry: Entry, _change: Lose, _events: list[Durable]) -> None:
        self._db.execute("UPDATE seats SET lost = 1 WHERE session = ?", (entry.session,))
        self._facts.holders.pop(entry.user, None)

    def _vacate(self, entry: Entry, _change: Vacate, _events: list[Durable]) -> None:
        self._db.execute("DELETE FROM seats WHERE session = ?", (entry.session,))
        self._facts.holders.pop(entry.user, None)

    def _finish(self, _entry: Entry, change: Finish, _events: list[Durable]) -> None:
        self._db.executemany(
            "DELETE FROM seats WHERE session = ?", [(it,) for it in change.sessions]
        )
        self._facts.holders.pop(change.name, None)
        self._endings += tuple(Ending(it, change.goodbye) for it in change.sessions)

    def _enrol(self, entry: Entry, change: Enrol, events: list[Durable]) -> Ack:
        topic = self._topic(change.room)
        body = Joined(change.room, entry.user)
        seq = self._record(entry, topic, change.identity, body, events)
        self._db.execute(
            "INSERT INTO memberships (identity, topic, since) VALUES (?, ?, ?)",
            (change.identity, topic.id, seq),
        )
        self._facts.stays_of(change.identity)[change.room] = seq
        room = self._facts.room(change.room)
        if change.owner:
            self._db.execute(
                "UPDATE topics SET owner = ? WHERE id = ?", (change.identity, topic.id)
            )
            self._facts.forget_room(change.room)
        if room is not None and change.identity in room.invited:
            self._db.execute(
                "DELETE FROM invitations WHERE topic = ? AND identity = ?",
                (topic.id, change.identity),
            )
            self._facts.forget_room(change.room)
        return Ack(seq, sent_at=entry.at)

    def _withdraw(self, entry: Entry, change: Withdraw, events: list[Durable]) -> Ack:
        topic = self._topic(change.room)
        body = Left(change.room, change.user)
        seq = self._record(entry, topic, change.identity, body, events)
        since = self._facts.stays_of(change.identity).pop(change.room)
        self._db.execute(
            "UPDATE memberships SET until = ? WHERE identity = ? AND topic = ? AND since = ?",
            (seq, change.identity, topic.id, since),
        )
        self._leave_role(change)
        return Ack(seq, sent_at=entry.at)

    def _leave_role(self, change: Withdraw) -> None:
        """Take a guest's role, who may never come back; an account keeps it."""
        room = self._facts.room(change.room)
        if room is None or room.role(change.identity) is Role.MEMBER:
            return
        account = self._facts.account(change.user)
        if account is None or account.identity != change.identity:
            access.forget_role(self._db, self._facts, change.room, change.identity)

    def _tell(self, entry: Entry, change: Tell, events: list[Durable]) -> Ack:
        topic = self._topic(change.topic)
        seq = self._record(entry, topic, change.identity, change.body, events)
        return Ack(seq, sent_at=entry.at)

    def _post(self, entry: Entry, change: Post) -> Applied:
        send = entry.body
        assert isinstance(send, Send)  # noqa: S101  (only a Send is decided as a Post)
        at, nonce, identity = entry.at, send.nonce, change.identity
        topic = self._topic(change.topic)
        topic.number = number = topic.number + 1
        message = Message(send.to, entry.user, number, send.text, at, send.reply_to)
        seq = self._seq + 1
        frame = self._messages.encode(message, seq)
        self._keep(topic, seq, number, at, frame)
        if nonce:
            key = (identity, entry.client)
            self._facts.sent[key] = Sent(nonce, seq, number, at, change.refused)
            self._dirty_sent.add(key)
        event = Durable(seq, topic.key, identity, message, frame)
        return Applied(entry, Ack(seq, number, nonce, False, at), (event,))

    def _cut(self, _entry: Entry, change: Trim, _events: list[Durable]) -> None:
        self._write_events()  # where a batch begins and ends must make no difference
        trimming.cut(self._db, change)

    _CHANGES: dict[type[Change], Callable[..., Any]] = {  # noqa: RUF012  (a constant table)
        Claim: _claim,
        MarkAway: _mark_away,
        Lose: _lose,
        Vacate: _vacate,
        Finish: _finish,
        Enrol: _enrol,
        Withdraw: _withdraw,
        Tell: _tell,
        Trim: _cut,
    }

    def _record(
        self,
        entry: Entry,
        topic: TopicRow,
        identity: int,
        body: DurableBody,
        events: list[Durable],
    ) -> int:
        """Give an event its seq and encoding, keep it for the batch's end, and return the seq."""
        seq = self._seq + 1
        frame = encode_event(Event(body, seq))
        self._keep(topic, seq, 0, entry.at, frame)
        events.append(Durable(seq, topic.key, identity, body, frame))
        return seq

    def _keep(self, topic: TopicRow, seq: int, number: int, at: int, frame: bytes) -> None:
        """Have an event written at the end of the step."""
        self._seq = topic.seq = seq
        self._dirty_topics.add(topic)
        self._new_events += (seq, topic.id, number, at, frame)

    # Rows and their caches.

    def _topic(self, topic: Topic) -> TopicRow:
        row = self._facts.topics.get(topic)
        if row is None:
            found = self._facts.one(
                "SELECT id, number, seq FROM topics WHERE name = ?", topic_name(topic)
            )
            row = TopicRow(topic, *found) if found else self._make_topic(topic)
            self._facts.topics[topic] = row
        return row

    def _make_topic(self, topic: Topic) -> TopicRow:
        self._db.execute("INSERT INTO topics (name) VALUES (?)", (topic_name(topic),))
        row = TopicRow(topic, self._db.last_insert_rowid(), 0, 0)
        self._facts.roles.pop(topic_name(topic), None)
        if not isinstance(topic, str):
            self._db.executemany(
                "INSERT INTO conversations (identity, topic) VALUES (?, ?)",
                [(identity, row.id) for identity in sorted(set(topic))],
            )
        return row

    def _write_events(self) -> None:
        values = self._new_events
        size = _COLUMNS * _ROWS_AT_ONCE
        whole = len(values) // size * size
        for start in range(0, whole, size):
            self._db.execute(_INSERT_ROWS, values[start : start + size])
        for start in range(whole, len(values), _COLUMNS):
            self._db.execute(_INSERT, values[start : start + _COLUMNS])
        values.clear()

    def _write(self) -> None:
        """Write the rows that have gathered."""
        self._write_events()
        self._db.executemany(
            "UPDATE topics SET number = ?, seq = ? WHERE id = ?",
            [(topic.number, topic.seq, topic.id) for topic in self._dirty_topics],
        )
        self._db.executemany(
            "INSERT OR REPLACE INTO clients (identity, client, nonce, seq, number, at, refused)"
            " VALUES (?, ?, ?, ?, ?, ?, ?)",
            [(*key, *sent_row(self._facts.sent[key])) for key in self._dirty_sent],
        )
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
        self._endings = ()

    def _roll_back(self) -> None:
        # What is in memory first, and without reading: the storage may be what has failed.
        self._seq = self._before
        self.progress.roll_back()
        self._clean()
        self._facts.forget()
        # SQLite rolls back by itself on some errors, on a full disk for one.
        if self._db.in_transaction:
            self._db.execute("ROLLBACK")
