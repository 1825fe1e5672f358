"""What retention does to the state: which events are over, taking them, and who misses them.

What to trim is read off the state by whoever proposes it; the `Trim` entry then names it exactly,
so that applying it depends on nothing else.
"""

from typing import Any

import apsw

from chat_service.core.address import LOBBY, is_room
from chat_service.core.commands import Trim

CHUNK_EVENTS = 512
"""Events that one Trim takes at most: a millisecond or two, in which nobody else has a turn."""


def overdue(db: apsw.Connection, *, before: int | None, keep: int | None) -> Trim | None:
    """Return the next cut to make: of events before a time (µs), or beyond `keep` in a room."""
    if before is not None and (cut := _too_old(db, before)) is not None:
        return cut
    return None if keep is None else _too_many(db, keep)


def _too_old(db: apsw.Connection, before: int) -> Trim | None:
    upto = 0
    for seq, at in db.execute("SELECT seq, at FROM events ORDER BY seq LIMIT ?", (CHUNK_EVENTS,)):
        if at >= before:
            break
        upto = seq
    return Trim("", upto) if upto else None


def _too_many(db: apsw.Connection, keep: int) -> Trim | None:
    row: Any = db.execute(
        "SELECT id, name, number FROM topics WHERE number - kept >= ? LIMIT 1", (keep,)
    ).fetchone()
    if row is None:
        return None
    topic, name, last = row
    upto = 0
    for seq, number in db.execute(
        "SELECT seq, number FROM events INDEXED BY events_by_topic WHERE topic = ? ORDER BY seq"
        " LIMIT ?",
        (topic, CHUNK_EVENTS),
    ):
        if number > last - keep:
            break
        upto = seq
    return Trim(name, upto)


def cut(db: apsw.Connection, trim: Trim) -> None:
    """Delete what a Trim names, and note it in the topics concerned."""
    sql = "DELETE FROM events WHERE seq <= ?"
    bindings: tuple[int | str, ...] = (trim.upto,)
    if trim.topic:
        sql += " AND topic = (SELECT id FROM topics WHERE name = ?)"
        bindings += (trim.topic,)
    gone: list[Any] = db.execute(sql + " RETURNING topic, number, seq", bindings).fetchall()
    db.executemany(
        "UPDATE topics SET kept = max(kept, ?2 + 1), trimmed = max(trimmed, ?3) WHERE id = ?1", gone
    )
    highest = max((seq for _topic, _number, seq in gone), default=0)
    db.execute("UPDATE meta SET value = max(value, ?) WHERE key = 'trimmed'", (highest,))


def missing(
    db: apsw.Connection, identity: int, behind: int, rooms_behind: int | None
) -> tuple[tuple[str, int], ...]:
    """Return the addresses, with the highest seq gone, of what was trimmed behind a seq.

    Rooms are looked at behind a seq of their own, which is no lower; None leaves them out.
    """
    row: Any = db.execute("SELECT value FROM meta WHERE key = 'trimmed'").fetchone()
    if row[0] <= behind:
        return ()
    found: list[Any] = db.execute(
        "SELECT t.name, t.trimmed FROM conversations c JOIN topics t ON t.id = c.topic"
        " WHERE c.identity = ? AND t.trimmed > ?",
        (identity, behind),
    ).fetchall()
    if rooms_behind is not None:
        found += db.execute(
            "SELECT t.name, t.trimmed FROM memberships m JOIN topics t ON t.id = m.topic"
            " WHERE m.identity = ?1 AND t.trimmed > ?2 AND m.since <= t.trimmed"
            " AND ifnull(m.until, t.trimmed) > ?2"
            " UNION SELECT name, trimmed FROM topics WHERE name = ?3 AND trimmed > ?2",
            (identity, rooms_behind, LOBBY),
        )
    return tuple(sorted((_address(db, identity, name), seq) for name, seq in found))


def _address(db: apsw.Connection, identity: int, topic: str) -> str:
    """Return a topic as one of its two sides would write it."""
    if is_room(topic):
        return topic
    first, second = map(int, topic.split(","))
    other = second if first == identity else first
    row: Any = db.execute("SELECT name FROM identities WHERE id = ?", (other,)).fetchone()
    return f"@{row[0]}"
