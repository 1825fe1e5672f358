"""What is true of the state whatever has happened."""

from collections.abc import Iterator
from contextlib import closing
from ipaddress import ip_address, ip_network

from hypothesis import given, settings

from chat_service.core.commands import Entry, Send
from chat_service.core.events import Ack
from chat_service.state.machine import StateMachine
from tests.state.batches import State
from tests.state.entries import NETWORK, logs

NEVER = {
    "whose name a seat is": "SELECT name FROM seats WHERE name NOT IN (SELECT name FROM names)",
    "an account whose name is another's": (
        "SELECT a.name FROM accounts a LEFT JOIN names n USING (name)"
        " WHERE n.identity IS NOT a.identity"
    ),
    "an account that ends with its connection": (
        "SELECT name FROM identities WHERE transient AND id IN (SELECT identity FROM accounts)"
    ),
    "a token of no account": "SELECT * FROM tokens WHERE name NOT IN (SELECT name FROM accounts)",
    "a member whose name has passed on": (
        "SELECT * FROM memberships m JOIN identities i ON i.id = m.identity"
        " WHERE m.until IS NULL AND i.id NOT IN (SELECT identity FROM names)"
    ),
    "somebody who is in a room twice": (
        "SELECT * FROM memberships WHERE until IS NULL GROUP BY identity, topic HAVING count(*) > 1"
    ),
    "a guest with a role where he is not": (
        "SELECT * FROM (SELECT owner AS identity, id AS topic FROM topics WHERE owner NOT NULL"
        " UNION ALL SELECT identity, topic FROM moderators) r"
        " WHERE identity NOT IN (SELECT identity FROM accounts) AND NOT EXISTS (SELECT 1"
        " FROM memberships m WHERE m.identity = r.identity AND m.topic = r.topic AND until IS NULL)"
    ),
    "a role or a secret in the lobby": (
        "SELECT * FROM topics WHERE name = '#lobby' AND (owner NOT NULL OR private)"
    ),
    "a private room of a guest": (
        "SELECT * FROM topics WHERE private AND owner NOT NULL"
        " AND owner NOT IN (SELECT identity FROM accounts)"
    ),
    "an invitation to a public room, or of one who is in it": (
        "SELECT * FROM invitations v JOIN topics t ON t.id = v.topic WHERE NOT t.private OR EXISTS"
        " (SELECT 1 FROM memberships m WHERE m.identity = v.identity AND m.topic = v.topic"
        " AND until IS NULL)"
    ),
    "a banned one who is in the room": (
        "SELECT * FROM memberships m JOIN names n USING (identity)"
        " JOIN sanctions s ON s.topic = m.topic AND s.kind = 1 AND s.subject = n.name"
        " WHERE m.until IS NULL AND (s.until = 0 OR s.until > ?1)"
    ),
    "a banned name that is here": (
        "SELECT * FROM seats JOIN sanctions s ON s.topic = 0 AND s.subject = name"
        " WHERE s.until = 0 OR s.until > ?1"
    ),
    "somebody who is here and away, or neither": (
        "SELECT i.id, i.away_since FROM identities i WHERE (i.away_since IS NULL) != EXISTS"
        " (SELECT 1 FROM names n JOIN seats s ON s.name = n.name"
        " WHERE n.identity = i.id AND NOT s.lost)"
    ),
}
"""What no state ever holds, each with what would find it; ?1 is the time."""

_MUTED = (
    "SELECT 1 FROM sanctions s JOIN topics t ON t.id = s.topic WHERE s.kind = 2"
    " AND t.name = ? AND s.subject = ? AND (s.until = 0 OR s.until > ?)"
)


def seats_in(state: State, network: str) -> Iterator[str]:
    """Return the sessions that come from a network, but for those of admins."""
    rows = state.db.execute(
        "SELECT session, address FROM seats WHERE address != ''"
        " AND name NOT IN (SELECT name FROM accounts WHERE admin)"
    )
    return (session for session, it in rows if ip_address(it) in ip_network(network))


def check(state: State, at: int) -> None:
    for what, sql in NEVER.items():
        assert not state.db.execute(sql, (at,) if "?1" in sql else ()).fetchall(), what
    banned = "SELECT 1 FROM sanctions WHERE topic = 0 AND subject = ? AND (until = 0 OR until > ?)"
    if state.db.execute(banned, (NETWORK, at)).fetchone():
        assert not list(seats_in(state, NETWORK))


@settings(max_examples=100)
@given(logs)
def test_some_things_are_never_true(entries: list[Entry]) -> None:
    with closing(State()) as state:
        for entry in entries:
            to = entry.body.to if isinstance(entry.body, Send) else ""
            muted = state.db.execute(_MUTED, (to, entry.user, entry.at)).fetchone()
            reply = state.reply(entry)
            if muted and isinstance(reply, Ack):
                assert reply.duplicate, "one who is muted has spoken"
            check(state, entry.at)


@settings(max_examples=100)
@given(logs)
def test_what_is_cached_is_what_is_stored(entries: list[Entry]) -> None:
    with closing(State()) as cached, closing(State()) as reopened:
        for entry in entries:
            reopened.machine = StateMachine(reopened.db)
            one, two = cached.apply(entry), reopened.apply(entry)
            assert repr(one) == repr(two)  # refusals are told apart by what they say
        assert cached.dump() == reopened.dump()
