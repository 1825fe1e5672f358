"""The database file: what makes it ours, and how it came to its present shape.

Migrations are append-only: a step that has been released is never edited, and `user_version`
counts the steps that a file has seen. `application_id` tells our files from others'
(https://www.sqlite.org/fileformat2.html#application_id).
"""

import secrets
from pathlib import Path
from typing import Final

import apsw

from chat_service.core.lookalike import reduced
from chat_service.startup import StartupError

APPLICATION_ID: Final = 0x43484154  # "CHAT"
_MAGIC: Final = b"SQLite format 3\x00"
_HEADER_BYTES: Final = 100
_CHECKED_BYTES: Final = 256 * 1024 * 1024
"""Files up to this size are checked page by page at start; it takes about a second."""

_V1: Final = """
CREATE TABLE meta (
    key     TEXT PRIMARY KEY,
    value   ANY NOT NULL
) STRICT, WITHOUT ROWID;

-- Who a name belongs to; session is NULL where it is free for another client.
CREATE TABLE names (
    name      TEXT PRIMARY KEY,
    identity  INTEGER NOT NULL REFERENCES identities,
    session   TEXT
) STRICT, WITHOUT ROWID;

-- away_since: the seq at which nobody was connected any more; NULL while somebody is.
CREATE TABLE identities (
    id          INTEGER PRIMARY KEY,
    name        TEXT NOT NULL,
    client      BLOB NOT NULL,
    transient   INTEGER NOT NULL,
    away_since  INTEGER,
    UNIQUE (name, client)
) STRICT;

-- The last numbered message of each client: all that exactly-once takes. refused: the latest
-- nonces below it that were received and did not happen, apart by spaces.
CREATE TABLE clients (
    identity  INTEGER NOT NULL REFERENCES identities,
    client    BLOB NOT NULL,
    nonce     INTEGER NOT NULL,
    seq       INTEGER NOT NULL,
    number    INTEGER NOT NULL,
    at        INTEGER NOT NULL,
    refused   TEXT NOT NULL,
    PRIMARY KEY (identity, client)
) STRICT, WITHOUT ROWID;

-- A room ("#dev") or a conversation ("3,7"). number and seq are those of its last message and
-- event; kept is the lowest number that retention has left, trimmed the highest seq it took.
CREATE TABLE topics (
    id       INTEGER PRIMARY KEY,
    name     TEXT NOT NULL UNIQUE,
    number   INTEGER NOT NULL DEFAULT 0,
    seq      INTEGER NOT NULL DEFAULT 0,
    kept     INTEGER NOT NULL DEFAULT 1,
    trimmed  INTEGER NOT NULL DEFAULT 0
) STRICT;

CREATE TABLE conversations (
    identity  INTEGER NOT NULL REFERENCES identities,
    topic     INTEGER NOT NULL REFERENCES topics,
    PRIMARY KEY (identity, topic)
) STRICT, WITHOUT ROWID;

-- One row a stay: its first and last event's seq; until is NULL while it lasts.
CREATE TABLE memberships (
    identity  INTEGER NOT NULL REFERENCES identities,
    topic     INTEGER NOT NULL REFERENCES topics,
    since     INTEGER NOT NULL,
    until     INTEGER,
    PRIMARY KEY (identity, topic, since)
) STRICT, WITHOUT ROWID;
CREATE INDEX members ON memberships (topic) WHERE until IS NULL;

-- frame: the event as every reader gets it. number: 0 for what is no message. at: microseconds.
CREATE TABLE events (
    seq     INTEGER PRIMARY KEY,
    topic   INTEGER NOT NULL REFERENCES topics,
    number  INTEGER NOT NULL,
    at      INTEGER NOT NULL,
    frame   BLOB NOT NULL
) STRICT;
CREATE INDEX events_by_topic ON events (topic, seq, number);

INSERT INTO topics (id, name) VALUES (1, '#lobby');
INSERT INTO meta (key, value) VALUES ('seq', 0), ('trimmed', 0);
"""

_V2: Final = """
-- Names that belong to somebody for good. skeleton: what the name looks like (UTS #39), so that
-- none is registered beside one that looks like it. password: its Argon2id hash in PHC format;
-- NULL where others vouch for who it is. generation: how often the password was changed.
CREATE TABLE accounts (
    name        TEXT PRIMARY KEY,
    skeleton    TEXT NOT NULL UNIQUE,
    identity    INTEGER NOT NULL REFERENCES identities,
    password    TEXT,
    generation  INTEGER NOT NULL DEFAULT 0,
    admin       INTEGER NOT NULL DEFAULT 0,
    created     INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- Session tokens of accounts, by the SHA-256 of each.
CREATE TABLE tokens (
    digest   BLOB PRIMARY KEY,
    name     TEXT NOT NULL REFERENCES accounts,
    label    TEXT NOT NULL,
    created  INTEGER NOT NULL,
    expires  INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX tokens_by_name ON tokens (name, created);

-- The sessions that have a name; one is lost while its client may come back. token: the digest
-- of the one that an account came with, or that a guest was given.
CREATE TABLE seats (
    session  TEXT PRIMARY KEY,
    name     TEXT NOT NULL REFERENCES names,
    client   BLOB NOT NULL,
    token    BLOB NOT NULL,
    address  TEXT NOT NULL,
    entered  INTEGER NOT NULL,
    lost     INTEGER NOT NULL DEFAULT 0,
    UNIQUE (name, client)
) STRICT, WITHOUT ROWID;
CREATE INDEX seats_by_token ON seats (token);
INSERT INTO seats (session, name, client, token, address, entered)
    SELECT n.session, n.name, i.client, x'', '', 0 FROM names n
    JOIN identities i ON i.id = n.identity WHERE n.session IS NOT NULL;
ALTER TABLE names DROP COLUMN session;

ALTER TABLE topics ADD COLUMN private INTEGER NOT NULL DEFAULT 0;
ALTER TABLE topics ADD COLUMN owner INTEGER REFERENCES identities;

CREATE TABLE moderators (
    topic     INTEGER NOT NULL REFERENCES topics,
    identity  INTEGER NOT NULL REFERENCES identities,
    PRIMARY KEY (topic, identity)
) STRICT, WITHOUT ROWID;

CREATE TABLE invitations (
    topic     INTEGER NOT NULL REFERENCES topics,
    identity  INTEGER NOT NULL REFERENCES identities,
    PRIMARY KEY (topic, identity)
) STRICT, WITHOUT ROWID;

-- Bans (kind 1) and mutes (2), of a name or a network; topic 0 is the whole server. until: 0 for
-- what does not end by itself.
CREATE TABLE sanctions (
    topic    INTEGER NOT NULL,
    kind     INTEGER NOT NULL,
    subject  TEXT NOT NULL,
    until    INTEGER NOT NULL,
    reason   TEXT NOT NULL,
    author   TEXT NOT NULL,
    PRIMARY KEY (topic, kind, subject)
) STRICT, WITHOUT ROWID;
"""

_V3: Final = """
-- Of a log that many nodes share. position: that of the last record applied, 0 where the log has
-- none. digest: of all that was done up to there.
INSERT INTO meta (key, value) VALUES ('position', 0), ('digest', x'');

-- Who has appended records, and the number of the last one of each.
CREATE TABLE publishers (
    id      TEXT PRIMARY KEY,
    number  INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
"""

_V4: Final = """
-- Skeletons without the marks that nobody sees. Accounts that have one in common since then both
-- stay, so they are no longer unique; no further one is registered beside them.
CREATE TABLE reduced_accounts (
    name        TEXT PRIMARY KEY,
    skeleton    TEXT NOT NULL,
    identity    INTEGER NOT NULL REFERENCES identities,
    password    TEXT,
    generation  INTEGER NOT NULL DEFAULT 0,
    admin       INTEGER NOT NULL DEFAULT 0,
    created     INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
INSERT INTO reduced_accounts (name, skeleton, identity, password, generation, admin, created)
    SELECT name, reduced(skeleton), identity, password, generation, admin, created FROM accounts;
DROP TABLE accounts;
ALTER TABLE reduced_accounts RENAME TO accounts;
CREATE INDEX accounts_by_skeleton ON accounts (skeleton);

-- record: the id of the record at the position, by which a log that has lost its end and gone on
-- otherwise is known. Empty where there is none, or where it was applied by an earlier version.
INSERT INTO meta (key, value) VALUES ('record', '');
"""

MIGRATIONS: Final = (_V1, _V2, _V3, _V4)


def verify(path: Path) -> None:
    """Check, without writing, that a file is a database that this version can serve.

    Raises StartupError if it is foreign, newer or corrupt, or cannot be read.
    """
    try:
        with path.open("rb") as file:
            header = file.read(_HEADER_BYTES)
    except OSError as error:
        raise StartupError(f"cannot read {path}: {error.strerror}") from None
    if not header:
        return  # an interrupted first start leaves an empty file
    if not header.startswith(_MAGIC) or len(header) < _HEADER_BYTES:
        raise StartupError(f"{path} is not a database of this service, or is corrupt")
    version = int.from_bytes(header[60:64], "big")
    application = int.from_bytes(header[68:72], "big")
    if application != APPLICATION_ID:
        raise StartupError(f"{path} is another program's database")
    if version > len(MIGRATIONS):
        raise StartupError(
            f"{path} was written by a newer version (schema {version}, this one knows "
            f"{len(MIGRATIONS)})"
        )
    if path.stat().st_size <= _CHECKED_BYTES:
        _check_pages(path)


def _check_pages(path: Path) -> None:
    try:
        connection = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READONLY)
        try:
            found = str(connection.pragma("quick_check", 1))
        finally:
            connection.close()
    except apsw.ReadOnlyError:
        return  # killed while it was made: who may write rolls back what had begun
    except (apsw.CorruptError, apsw.NotADBError) as error:
        raise StartupError(f"{path} is corrupt ({error}); restore it from a backup") from None
    except apsw.Error as error:
        raise StartupError(f"cannot read {path}: {error}") from None
    if found != "ok":  # a heading line, then the first thing found
        reason = found.splitlines()[-1]
        raise StartupError(f"{path} is corrupt ({reason}); restore it from a backup")


def migrate(connection: apsw.Connection) -> None:
    """Bring a database to the present schema, each step in a transaction of its own.

    Raises StartupError if it is ahead of this version.
    """
    present = int(connection.pragma("user_version"))
    if present > len(MIGRATIONS):
        raise StartupError(f"the database was written by a newer version (schema {present})")
    connection.create_scalar_function("reduced", reduced, 1)
    if present == 0:
        connection.pragma("application_id", APPLICATION_ID)
    for version in range(present, len(MIGRATIONS)):
        with connection:
            connection.execute(MIGRATIONS[version])
            connection.pragma("user_version", version + 1)
            if version == 0:
                epoch = secrets.token_hex(8)
                connection.execute("INSERT INTO meta VALUES ('epoch', ?)", (epoch,))
