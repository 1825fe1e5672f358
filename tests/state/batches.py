"""Databases to apply entries to, and what to look at afterwards."""

from collections.abc import Callable, Sequence
from typing import Any

import apsw

from chat_service.core.commands import (
    Enter,
    Entry,
    EntryBody,
    Exit,
    Join,
    Leave,
    Moderate,
    Proof,
    Send,
)
from chat_service.core.events import Joined, Left, Message, Moderated
from chat_service.core.moderation import ModerationAction
from chat_service.core.outcome import Applied
from chat_service.state import schema
from chat_service.state.machine import StateMachine
from chat_service.wire.events import decode_frame

TABLES = (
    "names", "identities", "clients", "topics", "conversations", "memberships", "events",
    "accounts", "tokens", "seats", "moderators", "invitations", "sanctions", "publishers",
)  # fmt: skip


class State:
    """A state machine on a database in memory, and commands to it in short."""

    def __init__(self) -> None:
        self.db = apsw.Connection(":memory:")
        schema.migrate(self.db)
        self.machine = StateMachine(self.db)

    def apply(self, *entries: Entry) -> list[Applied]:
        return self.machine.apply(entries)

    def reply(self, entry: Entry) -> Any:
        return self.machine.apply([entry])[0].reply

    def enter(self, *users: str) -> None:
        self.apply(*map(enter, users))

    def identity(self, user: str) -> int:
        """Return the identity that has a name, or had it last."""
        ((identity,),) = self.db.execute("SELECT identity FROM names WHERE name = ?", (user,))
        assert isinstance(identity, int)
        return identity

    def dump(self) -> dict[str, list[tuple[Any, ...]]]:
        """Return the content of every table, with meta but for the epoch, which is random."""
        content = {table: list(self.db.execute(f"SELECT * FROM {table}")) for table in TABLES}
        meta = self.db.execute("SELECT * FROM meta WHERE key != 'epoch'")
        return {table: sorted(rows, key=repr) for table, rows in content.items()} | {
            "meta": sorted(meta)
        }

    def close(self) -> None:
        self.db.close()


def by(user: str, body: EntryBody, *, client: str | None = None, at: int = 1_000) -> Entry:
    """Return an entry by a user's session, whose client is called like the user by default."""
    client = client or user
    return Entry(f"{user}/{client}", 1, user, client.encode(), at, body)


def enter(
    user: str, client: str | None = None, *, transient: bool = False, proof: Proof = None
) -> Entry:
    return by(user, Enter(transient, proof=proof), client=client)


def leave_chat(user: str, client: str | None = None, *, hold: bool = False) -> Entry:
    return by(user, Exit(hold), client=client)


def say(user: str, text: str, to: str = "#lobby", nonce: int = 0) -> Entry:
    return by(user, Send(to, text, nonce))


def join(user: str, room: str) -> Entry:
    return by(user, Join(room))


def leave(user: str, room: str) -> Entry:
    return by(user, Leave(room))


def moderate(user: str, room: str, action: ModerationAction, target: str = "") -> Entry:
    return by(user, Moderate(room, action, target))


def told(frames: Sequence[bytes]) -> list[str]:
    """Return stored events in short: a text, or who came or went where."""
    return [_SHORT[type(event.body)](event.body) for it in frames for event in decode_frame(it)]


_SHORT: dict[type, Callable[[Any], str]] = {
    Message: lambda it: str(it.text),
    Joined: lambda it: f"{it.user} joined {it.room}",
    Left: lambda it: f"{it.user} left {it.room}",
    Moderated: lambda it: f"{it.by}: {it.action.name} {it.user} {it.room}",
}
