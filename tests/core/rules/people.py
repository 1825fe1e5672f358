"""Guests, accounts and admins to try the rules on, with a real state behind them."""

from typing import Any

from chat_service.core.commands import (
    ByPassword,
    Enter,
    Entry,
    EntryBody,
    Grant,
    Proof,
    Register,
    Token,
)
from chat_service.core.errors import Refusal
from chat_service.core.lookalike import skeleton
from chat_service.core.outcome import Applied
from tests.state.batches import State, by, told

AT = 1_000_000_000
"""When everything happens that is not said to happen later, in microseconds."""

SECOND = 1_000_000
DAY = 86_400 * SECOND
CONSOLE = ""
PASSWORD = ByPassword(0)
"""Proves an account whose password was never changed."""


class People(State):
    """A state, and those who have come to be on it."""

    def ok(self, *entries: Entry) -> list[Applied]:
        """Apply entries of which none is refused."""
        applied = self.apply(*entries)
        assert not [it for it in applied if isinstance(it.reply, Refusal)]
        return applied

    def refusal(self, entry: Entry) -> Refusal:
        """Apply an entry that is refused, and return why."""
        before = self.dump()
        reply = self.reply(entry)
        assert isinstance(reply, Refusal), reply
        assert self.dump() == before
        return reply

    def why(self, entry: Entry) -> type[Refusal]:
        """Apply an entry that is refused, and return the kind of the refusal."""
        return type(self.refusal(entry))

    def registered(self, *names: str, admin: bool = False) -> None:
        """Have the console make accounts, of people who are not here."""
        self.ok(*(register(name, by=CONSOLE, admin=admin) for name in names))

    def seated(self, *names: str, admin: bool = False) -> None:
        """Have the console make accounts, and their owners come in."""
        self.registered(*names, admin=admin)
        self.ok(*(come(name, proof=PASSWORD) for name in names))

    def signed_in(self, name: str, digest: bytes, *, lasts: int = DAY, label: str = "") -> None:
        """Give an account a session token that is good for some microseconds."""
        token = Token(digest, AT + lasts, label)
        self.ok(by(name, Grant(token, PASSWORD), client="desk", at=AT))

    def events(self, *entries: Entry) -> list[str]:
        """Apply entries of which none is refused, and return in short what happened."""
        frames = [event.frame for applied in self.ok(*entries) for event in applied.events]
        return told(frames)

    def seats(self, name: str) -> list[str]:
        """Return the clients that have a name."""
        rows = self.db.execute("SELECT client FROM seats WHERE name = ? ORDER BY client", (name,))
        return [client.decode() for (client,) in rows]

    def one(self, sql: str, *bindings: Any) -> Any:
        """Return the first value of the first row, None if there is none."""
        row = self.db.execute(sql, bindings).fetchone()
        return row[0] if row else None


def do(user: str, body: EntryBody, client: str | None = None, *, at: int = AT) -> Entry:
    """Return an entry by a user's client, which is called like the user by default."""
    return by(user, body, client=client, at=at)


def come(
    user: str,
    client: str | None = None,
    *,
    proof: Proof = None,
    token: bytes = b"",
    address: str = "",
    transient: bool = False,
    at: int = AT,
) -> Entry:
    """Return an entry by which somebody comes in."""
    token = token or f"token of {user}/{client or user}".encode()
    body = Enter(transient, None, proof, token, skeleton(user), address)
    return do(user, body, client, at=at)


def register(
    name: str,
    client: str = "desk",
    *,
    by: str | None = None,
    proof: Proof = None,
    token: Token | None = None,
    admin: bool = False,
    at: int = AT,
) -> Entry:
    """Return an entry by which a name becomes an account's; by the console if `by` is empty."""
    body = Register("a hash", skeleton(name), token, proof, admin, by)
    return do(name, body, client, at=at)
