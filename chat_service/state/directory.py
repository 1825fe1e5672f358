"""What is read of accounts and sessions, each function one short read on a given connection."""

from typing import Any

import apsw

from chat_service.core.address import LOBBY
from chat_service.core.moderation import SanctionKind
from chat_service.core.outcome import Seat
from chat_service.state.facts import SERVER
from chat_service.state.port import AccountRow, BanRow, ConnectionRow, Credentials, SignInRow


def credentials(db: apsw.Connection, name: str) -> Credentials | None:
    """Return what proves an account; see `Directory.credentials`."""
    row = _one(db, "SELECT password, generation FROM accounts WHERE name = ?", name)
    return Credentials(*row) if row else None


def bearer(db: apsw.Connection, digest: bytes) -> str | None:
    """Return whose token has this digest; see `Directory.bearer`."""
    row = _one(
        db,
        "SELECT name FROM tokens WHERE digest = ?1"
        " UNION SELECT name FROM seats WHERE token = ?1 LIMIT 1",
        digest,
    )
    return str(row[0]) if row else None


def expiry(db: apsw.Connection, digest: bytes) -> int | None:
    """Return when an account's token ends; see `Directory.expiry`."""
    row = _one(db, "SELECT expires FROM tokens WHERE digest = ?", digest)
    return int(row[0]) if row else None


def signed_in(db: apsw.Connection, digest: bytes, at: int) -> str | None:
    """Return the account whose token has this digest and is good at a time."""
    row = _one(db, "SELECT name FROM tokens WHERE digest = ? AND expires > ?", digest, at)
    return str(row[0]) if row else None


def is_admin(db: apsw.Connection, name: str) -> bool:
    """Tell whether a name is an admin's account."""
    return bool(_one(db, "SELECT 1 FROM accounts WHERE name = ? AND admin", name))


def sign_ins(db: apsw.Connection, name: str, at: int) -> list[SignInRow]:
    """Return an account's tokens that are good at a time; see `Directory.sign_ins`."""
    rows = db.execute(
        "SELECT digest, label, created, expires, (SELECT count(*) FROM seats s"
        " WHERE s.name = t.name AND s.token = t.digest AND NOT s.lost) FROM tokens t"
        " WHERE name = ? AND expires > ? ORDER BY created, digest",
        (name, at),
    )
    return [SignInRow(*row) for row in rows]


def connections(db: apsw.Connection, user: str) -> list[ConnectionRow]:
    """Return the sessions that have names; see `Directory.connections`."""
    rows = db.execute(
        "SELECT session, name, address, entered, lost FROM seats WHERE ?1 IN ('', name)"
        " ORDER BY name, session",
        (user,),
    )
    return [
        ConnectionRow(session, name, address, entered, bool(lost))
        for session, name, address, entered, lost in rows
    ]


def seats(db: apsw.Connection) -> list[Seat]:
    """Return the sessions that have names, with the rooms that their users are in."""
    rooms: dict[int, list[str]] = {}
    stays: list[Any]
    rows: list[Any]
    with db:  # one snapshot
        stays = db.execute(
            "SELECT DISTINCT m.identity, t.name FROM seats s JOIN names n ON n.name = s.name"
            " JOIN memberships m ON m.identity = n.identity AND m.until IS NULL"
            " JOIN topics t ON t.id = m.topic ORDER BY t.name"
        ).fetchall()
        rows = db.execute(
            "SELECT s.session, s.name, n.identity, s.client, s.lost FROM seats s"
            " JOIN names n ON n.name = s.name ORDER BY s.name, s.session"
        ).fetchall()
    for identity, room in stays:
        rooms.setdefault(identity, []).append(room)
    return [
        Seat(session, name, identity, client, (LOBBY, *rooms.get(identity, ())), bool(lost))
        for session, name, identity, client, lost in rows
    ]


def bans(db: apsw.Connection, at: int) -> list[BanRow]:
    """Return the bans from the server in force at a time; see `Directory.bans`."""
    rows = db.execute(
        "SELECT subject, until, reason, author FROM sanctions WHERE topic = ? AND kind = ?"
        " AND (until = 0 OR until > ?) ORDER BY subject",
        (SERVER, SanctionKind.BAN, at),
    )
    return [BanRow(*row) for row in rows]


def accounts(db: apsw.Connection, after: str, limit: int) -> list[AccountRow]:
    """Return accounts behind a name; see `Directory.accounts`."""
    rows = db.execute(
        "SELECT name, admin, password IS NOT NULL, created FROM accounts WHERE name > ?"
        " ORDER BY name LIMIT ?",
        (after, limit),
    )
    return [
        AccountRow(name, bool(admin), bool(has_password), created)
        for name, admin, has_password, created in rows
    ]


def count_accounts(db: apsw.Connection) -> int:
    """Return how many accounts there are."""
    return int(_one(db, "SELECT count(*) FROM accounts")[0])


def _one(db: apsw.Connection, sql: str, *bindings: str | bytes | int) -> Any:
    return db.execute(sql, bindings).fetchone()
