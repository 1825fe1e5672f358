"""The changes that accounts, rights and sanctions undergo, each on its tables and caches."""

from typing import Any

import apsw

from chat_service.core.commands import Entry
from chat_service.core.moderation import Role
from chat_service.core.rules.changes import (
    Assign,
    Cancel,
    Change,
    Drop,
    Enlist,
    Impose,
    Invite,
    Issue,
    Lift,
    Promote,
    Rekey,
    Shut,
)
from chat_service.state.facts import SERVER, StateFacts


def enlist(db: apsw.Connection, facts: StateFacts, entry: Entry, change: Enlist) -> None:
    """Make a name an account's."""
    identity = change.identity
    if identity is None:
        # Nobody has been here, so that all that is said to it waits for the first connection.
        identity = int(facts.one("SELECT ifnull(max(id), 0) + 1 FROM identities")[0])
        db.execute(
            "INSERT INTO identities (id, name, client, transient, away_since)"
            " VALUES (?, ?, ?, 0, 0)",
            (identity, change.name, _nobody(identity)),
        )
    else:
        db.execute("UPDATE identities SET transient = 0 WHERE id = ?", (identity,))
    db.execute(
        "INSERT INTO names (name, identity) VALUES (?1, ?2)"
        " ON CONFLICT DO UPDATE SET identity = ?2",
        (change.name, identity),
    )
    db.execute(
        "INSERT INTO accounts (name, skeleton, identity, password, admin, created)"
        " VALUES (?, ?, ?, ?, ?, ?)",
        (change.name, change.skeleton, identity, change.hash, change.admin, entry.at),
    )
    facts.holders.pop(change.name, None)
    facts.accounts.pop(change.name, None)


def issue(db: apsw.Connection, _facts: StateFacts, entry: Entry, change: Issue) -> None:
    """Add a session token."""
    token = change.token
    db.execute(
        "INSERT OR REPLACE INTO tokens (digest, name, label, created, expires)"
        " VALUES (?, ?, ?, ?, ?)",
        (token.digest, change.name, token.label, entry.at, token.expires),
    )


def cancel(db: apsw.Connection, _facts: StateFacts, _entry: Entry, change: Cancel) -> None:
    """Delete session tokens."""
    db.executemany("DELETE FROM tokens WHERE digest = ?", [(it,) for it in change.digests])


def rekey(db: apsw.Connection, facts: StateFacts, _entry: Entry, change: Rekey) -> None:
    """Set another password."""
    db.execute(
        "UPDATE accounts SET password = ?, generation = generation + 1 WHERE name = ?",
        (change.hash, change.name),
    )
    facts.accounts.pop(change.name, None)


def promote(db: apsw.Connection, facts: StateFacts, _entry: Entry, change: Promote) -> None:
    """Make an account an admin or not."""
    db.execute("UPDATE accounts SET admin = ? WHERE name = ?", (change.admin, change.name))
    facts.accounts.pop(change.name, None)


def drop(db: apsw.Connection, facts: StateFacts, _entry: Entry, change: Drop) -> None:
    """Delete an account, with the roles that it had."""
    account = facts.account(change.name)
    db.execute("DELETE FROM tokens WHERE name = ?", (change.name,))
    db.execute("DELETE FROM accounts WHERE name = ?", (change.name,))
    facts.accounts.pop(change.name, None)
    if account is not None:
        forget_roles(db, facts, account.identity)
        # Else the client of the guest that it once was would have its conversations again.
        gone = _nobody(account.identity), account.identity
        db.execute("UPDATE identities SET client = ? WHERE id = ?", gone)
        facts.holders.pop(change.name, None)


def forget_roles(db: apsw.Connection, facts: StateFacts, identity: int) -> None:
    """Take every role from an identity that will not come back."""
    db.execute("UPDATE topics SET owner = NULL WHERE owner = ?", (identity,))
    db.execute("DELETE FROM moderators WHERE identity = ?", (identity,))
    db.execute("DELETE FROM invitations WHERE identity = ?", (identity,))
    facts.roles.clear()


def forget_role(db: apsw.Connection, facts: StateFacts, room: str, identity: int) -> None:
    """Take an identity's role in a room."""
    topic = _topic(facts, room)
    db.execute("UPDATE topics SET owner = NULL WHERE id = ? AND owner = ?", (topic, identity))
    db.execute("DELETE FROM moderators WHERE topic = ? AND identity = ?", (topic, identity))
    facts.forget_room(room)


def assign(db: apsw.Connection, facts: StateFacts, _entry: Entry, change: Assign) -> None:
    """Give or take a role in a room."""
    topic, identity = _topic(facts, change.room), change.identity
    forget_role(db, facts, change.room, identity)
    if change.role is Role.OWNER:
        db.execute("UPDATE topics SET owner = ? WHERE id = ?", (identity, topic))
    elif change.role is Role.MODERATOR:
        db.execute("INSERT INTO moderators (topic, identity) VALUES (?, ?)", (topic, identity))
    facts.forget_room(change.room)


def shut(db: apsw.Connection, facts: StateFacts, _entry: Entry, change: Shut) -> None:
    """Make a room private or public; what was to let somebody in is of no more use then."""
    topic = _topic(facts, change.room)
    db.execute("UPDATE topics SET private = ? WHERE id = ?", (change.private, topic))
    db.execute("DELETE FROM invitations WHERE topic = ?", (topic,))
    facts.forget_room(change.room)


def invite(db: apsw.Connection, facts: StateFacts, _entry: Entry, change: Invite) -> None:
    """Let somebody into a private room."""
    topic = _topic(facts, change.room)
    db.execute("INSERT INTO invitations (topic, identity) VALUES (?, ?)", (topic, change.identity))
    facts.forget_room(change.room)


def impose(db: apsw.Connection, facts: StateFacts, entry: Entry, change: Impose) -> None:
    """Put a sanction in force; those of its scope that have ended go on this occasion."""
    topic, it = _topic(facts, change.room), change.sanction
    db.execute(
        "DELETE FROM sanctions WHERE topic = ? AND until > 0 AND until <= ?", (topic, entry.at)
    )
    db.execute(
        "INSERT OR REPLACE INTO sanctions (topic, kind, subject, until, reason, author)"
        " VALUES (?, ?, ?, ?, ?, ?)",
        (topic, change.kind, change.subject, it.until, it.reason, it.by),
    )
    facts.forget_room(change.room)


def lift(db: apsw.Connection, facts: StateFacts, _entry: Entry, change: Lift) -> None:
    """Take a sanction back."""
    db.execute(
        "DELETE FROM sanctions WHERE topic = ? AND kind = ? AND subject = ?",
        (_topic(facts, change.room), change.kind, change.subject),
    )
    facts.forget_room(change.room)


CHANGES: dict[type[Change], Any] = {
    Enlist: enlist,
    Issue: issue,
    Cancel: cancel,
    Rekey: rekey,
    Promote: promote,
    Drop: drop,
    Assign: assign,
    Shut: shut,
    Invite: invite,
    Impose: impose,
    Lift: lift,
}
"""How each of these changes is made; none of them is told to anybody."""


def _nobody(identity: int) -> bytes:
    """Return a client that is nobody's, and another one for each account that a name ever is."""
    return b"account:%d" % identity


def _topic(facts: StateFacts, room: str) -> int:
    if not room:
        return SERVER
    row = facts.one("SELECT id FROM topics WHERE name = ?", room)
    return int(row[0])
