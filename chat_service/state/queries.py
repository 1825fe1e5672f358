"""What is read from the state, each function one short read on a given connection."""

import heapq
from collections.abc import Iterator
from typing import Any

import apsw

from chat_service.core.address import LOBBY, is_room
from chat_service.core.errors import NoSuchUser, NotAMember
from chat_service.core.events import Conversation, ConversationsPage, HistoryPage
from chat_service.core.moderation import Role
from chat_service.core.rules.talking import topic_of
from chat_service.state import trimming
from chat_service.state.facts import topic_name
from chat_service.state.port import Page

PAGE_EVENTS = 512
PAGE_BYTES = 256 * 1024

_FOREVER = 1 << 62

_SOURCES = """
WITH seen (topic, since, until) AS (
    SELECT c.topic, ?1 + 1, ?3 FROM conversations c JOIN topics t ON t.id = c.topic
        WHERE c.identity = ?4 AND t.seq > ?1
    UNION ALL
    SELECT id, ?2 + 1, ?3 FROM topics WHERE name = ?5 AND seq > ?2
    UNION ALL
    SELECT topic, max(since, ?2 + 1), min(ifnull(until, ?3), ?3) FROM memberships
        WHERE identity = ?4 AND since <= ?3 AND ifnull(until, ?3) > ?2
), begun (topic, first, until) AS MATERIALIZED (
    SELECT topic, (
        SELECT min(seq) FROM events INDEXED BY events_by_topic
            WHERE events.topic = seen.topic AND seq >= since
    ), until FROM seen
)
SELECT topic, first, until FROM begun WHERE first <= until ORDER BY first LIMIT ?6
"""

_CONVERSATIONS = """
WITH mine (sides, seq, number) AS MATERIALIZED (
    SELECT t.name, t.seq, t.number FROM conversations c CROSS JOIN topics t ON t.id = c.topic
        WHERE c.identity = ?1 AND t.seq < ?2 AND t.kept <= t.number ORDER BY t.seq DESC
)
SELECT '@' || i.name, mine.seq, mine.number FROM mine  -- of the sides '3,7' the integer is 3
    CROSS JOIN identities i ON i.id = CAST(CASE CAST(sides AS INTEGER)
        WHEN ?1 THEN substr(sides, instr(sides, ',') + 1) ELSE sides END AS INTEGER)
    CROSS JOIN names n ON n.name = i.name AND n.identity = i.id
    ORDER BY mine.seq DESC LIMIT ?3
"""


def epoch(db: apsw.Connection) -> str:
    """Return the identity of the log."""
    return str(_one(db, "SELECT value FROM meta WHERE key = 'epoch'")[0])


def held_names(db: apsw.Connection) -> list[tuple[str, bytes, str]]:
    """Return each name that a session has, with its client and that session."""
    return list(db.execute("SELECT name, client, session FROM seats ORDER BY name, session"))


def missed(db: apsw.Connection, identity: int, after: int, rooms_after: int, upto: int) -> Page:
    """Return the next page of what an identity was to see; see `Archive.missed`."""
    with db:  # one snapshot, so that all topics are read as of the same moment
        trimmed = trimming.missing(db, identity, after, rooms_after)
        sources = [
            _between(db, topic, first, until)
            for topic, first, until in _sources(db, identity, after, rooms_after, upto)
        ]
        frames: list[bytes] = []
        size = 0
        for seq, frame in heapq.merge(*sources):
            frames.append(frame)
            size += len(frame)
            if len(frames) == PAGE_EVENTS or size >= PAGE_BYTES:
                return Page(tuple(frames), seq, trimmed)
    return Page(tuple(frames), upto, trimmed)


def history(
    db: apsw.Connection, identity: int, to: str, before_seq: int, limit: int
) -> HistoryPage:
    """Return the latest messages before a seq; see `Archive.history`."""
    topic = _readable(db, identity, to)
    rows = db.execute(
        "SELECT frame FROM events WHERE seq IN (SELECT seq FROM events INDEXED BY events_by_topic"
        " WHERE topic = ? AND seq < ? AND number > 0 ORDER BY seq DESC LIMIT ?)"
        " ORDER BY seq DESC",
        (topic, min(before_seq or _FOREVER, _FOREVER), limit + 1),
    )
    frames = [frame for (frame,) in rows]
    return HistoryPage(to, tuple(reversed(frames[:limit])), more=len(frames) > limit)


def conversations(
    db: apsw.Connection, identity: int, before_seq: int, limit: int
) -> ConversationsPage:
    """Return the latest conversations before a seq; see `Archive.conversations`.

    They are put in order first, so that names are looked up for one page alone.
    """
    before = min(before_seq or _FOREVER, _FOREVER)
    found = [
        Conversation(*row) for row in db.execute(_CONVERSATIONS, (identity, before, limit + 1))
    ]
    return ConversationsPage(tuple(found[:limit]), more=len(found) > limit)


def members(
    db: apsw.Connection, identity: int, room: str, after: str, limit: int
) -> list[tuple[str, Role]]:
    """Return names of a room's members behind one, in code-point order, with their roles."""
    topic = _readable(db, identity, room)
    rows = db.execute(
        "SELECT i.name, CASE WHEN i.id = t.owner THEN 3 WHEN EXISTS (SELECT 1 FROM moderators o"
        " WHERE o.topic = t.id AND o.identity = i.id) THEN 2 ELSE 1 END"
        " FROM memberships m INDEXED BY members JOIN identities i ON i.id = m.identity"
        " JOIN topics t ON t.id = m.topic"
        " WHERE m.topic = ? AND m.until IS NULL AND i.name > ? ORDER BY i.name LIMIT ?",
        (topic, after, limit),
    )
    return [(name, Role(role)) for name, role in rows]


def _sources(
    db: apsw.Connection, identity: int, after: int, rooms_after: int, upto: int
) -> list[tuple[int, int, int]]:
    """Return (topic, first event's seq, last seq) of what the next page may come from.

    There may be many thousands: conversations that strangers began, or stays in one room. No page
    has events of more than those that begin first.
    """
    bindings = (after, rooms_after, upto, identity, LOBBY, PAGE_EVENTS)
    return list(db.execute(_SOURCES, bindings))


def _between(
    db: apsw.Connection, topic: int, since: int, until: int
) -> Iterator[tuple[int, bytes]]:
    return db.execute(
        "SELECT seq, frame FROM events WHERE topic = ? AND seq BETWEEN ? AND ? ORDER BY seq",
        (topic, since, until),
    )


def _readable(db: apsw.Connection, identity: int, to: str) -> int:
    """Return the topic that an address is to an identity, or 0 if nothing was said there yet."""
    if is_room(to):
        return _room(db, identity, to)
    other = _one(db, "SELECT identity FROM names WHERE name = ?", to[1:])
    if other is None:
        raise NoSuchUser(f"no such user: {to[1:]}")
    name = topic_name(topic_of(identity, other[0]))
    row = _one(db, "SELECT id FROM topics WHERE name = ?", name)
    return int(row[0]) if row else 0


def _room(db: apsw.Connection, identity: int, room: str) -> int:
    row = _one(
        db,
        "SELECT t.id FROM topics t WHERE t.name = ?1 AND (t.name = ?3 OR EXISTS (SELECT 1 FROM"
        " memberships m WHERE m.identity = ?2 AND m.topic = t.id AND m.until IS NULL))",
        room,
        identity,
        LOBBY,
    )
    if row is None:
        raise NotAMember(f"you are not in {room}")
    return int(row[0])


def _one(db: apsw.Connection, sql: str, *bindings: str | int) -> Any:
    return db.execute(sql, bindings).fetchone()
