"""What the rules ask of the state, answered from its tables and kept in caches.

A failed transaction empties the caches. What a change touches is changed in the cache as well, or
forgotten and read again.
"""

from collections.abc import Mapping, Sequence
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from typing import Any

import apsw

from chat_service.core.moderation import SanctionKind
from chat_service.core.outcome import Topic
from chat_service.core.rules.admin import is_network
from chat_service.core.rules.facts import Account, Holder, Room, Sanction, Seat, Sent, SignIn

SERVER = 0
"""The topic of sanctions that hold on the whole server."""

_UINT64 = 1 << 64
"""Nonces are below this; SQLite's integers are signed, so those from half of it on wrap around."""


class TopicRow:
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


def sent_row(sent: Sent | None) -> tuple[int | str, ...]:
    """Return what the table `clients` holds of a client's last message."""
    if sent is None:
        return ()
    wraps = sent.nonce >= _UINT64 // 2
    nonce = sent.nonce - _UINT64 if wraps else sent.nonce
    return (nonce, sent.seq, sent.number, sent.at, " ".join(map(str, sent.refused)))


def _account(name: str, identity: int, generation: int, admin: int) -> Account:
    return Account(name, identity, generation, bool(admin))


def _sent(row: Any) -> Sent:
    nonce, seq, number, at, refused = row
    return Sent(nonce % _UINT64, seq, number, at, tuple(map(int, refused.split())))


class StateFacts:
    """The `Facts` of the rules, on the connection of the one who writes."""

    def __init__(self, connection: apsw.Connection) -> None:
        self._db = connection
        self.holders: dict[str, Holder | None] = {}
        self.topics: dict[Topic, TopicRow] = {}
        self.stays: dict[int, dict[str, int]] = {}
        self.sent: dict[tuple[int, bytes], Sent | None] = {}
        self.roles: dict[str, Room | None] = {}
        self.accounts: dict[str, Account | None] = {}
        self._bans: dict[str, Sanction] | None = None
        self._banned_networks: list[tuple[IPv4Network | IPv6Network, Sanction]] | None = None

    def one(self, sql: str, *bindings: Any) -> Any:
        """Return the first row, or None."""
        return self._db.execute(sql, bindings).fetchone()

    def rows(self, sql: str, *bindings: Any) -> list[Any]:
        """Return all rows."""
        return list(self._db.execute(sql, bindings))

    # Names.

    def holder(self, name: str) -> Holder | None:
        """Return who has the name, or had it last."""
        try:
            return self.holders[name]
        except KeyError:
            holder = self.holders[name] = self._holder(name)
            return holder

    def _holder(self, name: str) -> Holder | None:
        row = self.one(
            "SELECT i.id, i.client, i.transient FROM names n"
            " JOIN identities i ON i.id = n.identity WHERE n.name = ?",
            name,
        )
        return Holder(row[0], row[1], bool(row[2]), self._seats(name)) if row else None

    def _seats(self, name: str) -> dict[str, Seat]:
        rows = self.rows("SELECT session, client, token, lost FROM seats WHERE name = ?", name)
        return {session: Seat(client, token, bool(lost)) for session, client, token, lost in rows}

    def seated_in(self, network: str) -> Sequence[tuple[str, str]]:
        """Return the name and session of each seat whose address is in a network."""
        net = ip_network(network)
        rows = self.rows("SELECT name, session, address FROM seats ORDER BY name, session")
        return [(name, session) for name, session, at in rows if at and ip_address(at) in net]

    def identity(self, name: str, client: bytes) -> int | None:
        """Return the identity of a client under a name."""
        row = self.one("SELECT id FROM identities WHERE name = ? AND client = ?", name, client)
        return row[0] if row else None

    # Accounts.

    def account(self, name: str) -> Account | None:
        """Return the account of a name, if it is one."""
        if name not in self.accounts:
            row = self.one(
                "SELECT name, identity, generation, admin FROM accounts WHERE name = ?", name
            )
            self.accounts[name] = _account(*row) if row else None
        return self.accounts[name]

    def other_admin(self, name: str) -> bool:
        """Tell whether there is an admin besides the account of that name."""
        row = self.one("SELECT 1 FROM accounts WHERE admin AND name != ? LIMIT 1", name)
        return row is not None

    def registered(self, identity: int) -> bool:
        """Tell whether an identity is an account's."""
        row = self.one(
            "SELECT 1 FROM identities i JOIN accounts a ON a.name = i.name AND a.identity = i.id"
            " WHERE i.id = ?",
            identity,
        )
        return row is not None

    def lookalike(self, skeleton: str) -> str | None:
        """Return the name of an account that looks like that, if there is one."""
        row = self.one("SELECT min(name) FROM accounts WHERE skeleton = ?", skeleton)
        name: str | None = row[0]
        return name

    def sign_in(self, digest: bytes) -> SignIn | None:
        """Return a session token, also one that has expired."""
        row = self.one("SELECT name, digest, created, expires FROM tokens WHERE digest = ?", digest)
        return SignIn(*row) if row else None

    def sign_ins(self, name: str) -> Sequence[SignIn]:
        """Return an account's session tokens, the oldest first."""
        rows = self.rows(
            "SELECT name, digest, created, expires FROM tokens WHERE name = ?"
            " ORDER BY created, digest",
            name,
        )
        return [SignIn(*row) for row in rows]

    # Rooms.

    def member(self, identity: int, room: str) -> bool:
        """Tell whether an identity has joined a room."""
        return room in self.stays_of(identity)

    def rooms(self, identity: int) -> Sequence[str]:
        """Return the rooms that an identity has joined, in order of their names."""
        return sorted(self.stays_of(identity))

    def stays_of(self, identity: int) -> dict[str, int]:
        """Return the rooms that an identity is in, each with the seq at which it joined."""
        stays = self.stays.get(identity)
        if stays is None:
            rows = self.rows(
                "SELECT t.name, m.since FROM memberships m JOIN topics t ON t.id = m.topic"
                " WHERE m.identity = ? AND m.until IS NULL",
                identity,
            )
            stays = self.stays[identity] = dict(rows)
        return stays

    def room(self, room: str) -> Room | None:
        """Return who may do what in a room."""
        try:
            return self.roles[room]
        except KeyError:
            row = self.one("SELECT id, private, owner FROM topics WHERE name = ?", room)
            found = self.roles[room] = self._room(*row) if row else None
            return found

    def _room(self, topic: int, private: int, owner: int | None) -> Room:
        moderators = self.rows("SELECT identity FROM moderators WHERE topic = ?", topic)
        invited = self.rows("SELECT identity FROM invitations WHERE topic = ?", topic)
        return Room(
            bool(private),
            owner,
            frozenset(identity for (identity,) in moderators),
            frozenset(identity for (identity,) in invited),
            self._sanctions(topic, SanctionKind.BAN),
            self._sanctions(topic, SanctionKind.MUTE),
        )

    def vacant(self, room: str) -> bool:
        """Tell whether nobody is a member of a room."""
        row = self.one(
            "SELECT 1 FROM memberships WHERE until IS NULL"
            " AND topic = (SELECT id FROM topics WHERE name = ?) LIMIT 1",
            room,
        )
        return row is None

    # Sanctions.

    def banned(self, name: str, address: str, at: int) -> Sanction | None:
        """Return the ban from this server that keeps out a name or an address."""
        bans = self.bans()
        if not bans:
            return None
        ban = bans.get(name)
        if ban is not None and ban.in_force(at):
            return ban
        return self._banned_network(address, at) if address else None

    def _banned_network(self, address: str, at: int) -> Sanction | None:
        here = ip_address(address)
        if self._banned_networks is None:  # reading one takes longer than to look into ten
            self._banned_networks = [
                (ip_network(subject), ban)
                for subject, ban in self.bans().items()
                if is_network(subject)
            ]
        for network, ban in self._banned_networks:
            if here in network and ban.in_force(at):
                return ban
        return None

    def bans(self) -> Mapping[str, Sanction]:
        """Return the bans from this server, by name or network."""
        if self._bans is None:
            self._bans = self._sanctions(SERVER, SanctionKind.BAN)
        return self._bans

    def _sanctions(self, topic: int, kind: SanctionKind) -> dict[str, Sanction]:
        rows = self.rows(
            "SELECT subject, until, reason, author FROM sanctions WHERE topic = ? AND kind = ?"
            " ORDER BY subject",
            topic,
            kind,
        )
        return {subject: Sanction(*rest) for subject, *rest in rows}

    # Nonces.

    def last_sent(self, identity: int, client: bytes) -> Sent | None:
        """Return the last numbered message accepted from a client."""
        key = (identity, client)
        try:
            return self.sent[key]
        except KeyError:
            row = self.one(
                "SELECT nonce, seq, number, at, refused FROM clients"
                " WHERE identity = ? AND client = ?",
                *key,
            )
            sent = self.sent[key] = _sent(row) if row else None
            return sent

    # The caches.

    def forget_room(self, room: str) -> None:
        """Read a room's roles and sanctions again; of the server's if `room` is empty."""
        self.roles.pop(room, None)
        if not room:
            self._bans = self._banned_networks = None

    def cached(self) -> int:
        """Return how many rows the caches hold."""
        caches = (
            self.holders, self.topics, self.stays, self.sent, self.roles, self.accounts,
        )  # fmt: skip
        return sum(len(cache) for cache in caches)

    def forget(self) -> None:
        """Empty the caches."""
        self.holders.clear()
        self.topics.clear()
        self.stays.clear()
        self.sent.clear()
        self.roles.clear()
        self.accounts.clear()
        self._bans = self._banned_networks = None
