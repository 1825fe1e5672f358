"""The data of a server that does not run, changed by the rules that the server goes by.

What is asked is applied as entries, like those that a server takes from its log, with the console
as their user. The lock on the directory keeps a server away meanwhile.
"""

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from chat_service.auth.passwords import Passwords
from chat_service.console.port import NotDone
from chat_service.core.address import parse_name
from chat_service.core.checks import check_duration, check_reason
from chat_service.core.commands import (
    BanSubject,
    DeleteAccount,
    Entry,
    EntryBody,
    Exit,
    Register,
    Secret,
    UnbanSubject,
    UpdateAccount,
)
from chat_service.core.errors import Refusal
from chat_service.core.lookalike import skeleton
from chat_service.core.outcome import Applied
from chat_service.core.rules.admin import parse_subject
from chat_service.core.rules.proofs import CONSOLE
from chat_service.startup import InUse
from chat_service.state.port import AccountRow, BanRow
from chat_service.state.store import Store

_PAGE = 1_000


@asynccontextmanager
async def stopped_server(data: Path | None, *, new: bool) -> "AsyncIterator[StoppedServer]":
    """Open a server's data, which may be `new`; raises NotDone, StartupError."""
    if data is None:
        raise NotDone("--data :memory: keeps nothing to work on; use --server for a running server")
    if not new and not (data / "chat.db").exists():
        raise NotDone(f"there is no server's data in {data}")
    try:
        store = Store.open(data)
    except InUse:
        raise NotDone(f"a server is running on {data}: use --server HOST:PORT") from None
    passwords = Passwords()
    try:
        yield StoppedServer(store, passwords)
    finally:
        passwords.close()
        await store.close()


class StoppedServer:
    """Carries out on a store what the operator asks; see `port.Server`."""

    def __init__(self, store: Store, passwords: Passwords) -> None:
        self._store = store
        self._passwords = passwords

    async def accounts(self) -> list[AccountRow]:
        """Return every account."""
        rows: list[AccountRow] = []
        while page := await self._store.accounts(rows[-1].name if rows else "", _PAGE):
            rows += page
        return rows

    async def add(self, user: str, password: Secret, *, admin: bool) -> str:
        """Make an account; a guest who had the name is not waited for any longer."""
        name = parse_name(user)
        hashed = await self._passwords.hash(password, "")
        await self._let_go(name)
        await self._submit(Register(hashed, skeleton(name), admin=admin, by=CONSOLE), name)
        return name

    async def set_password(self, user: str, password: Secret) -> None:
        """Set an account's password."""
        hashed = await self._passwords.hash(password, "")
        await self._submit(UpdateAccount(parse_name(user), None, hash=hashed))

    async def set_admin(self, user: str, *, admin: bool) -> None:
        """Make an account an admin, or no admin."""
        await self._submit(UpdateAccount(parse_name(user), None, admin=admin))

    async def remove(self, user: str) -> None:
        """Take an account away."""
        await self._submit(DeleteAccount(parse_name(user), None))

    async def ban(self, subject: str, reason: str, duration: float | None) -> int:
        """Let a subject in no more; nobody is connected whom that could end."""
        check_reason(reason)
        check_duration(duration)
        await self._submit(BanSubject(parse_subject(subject), None, reason, duration))
        return 0

    async def unban(self, subject: str) -> None:
        """Let a subject in again."""
        await self._submit(UnbanSubject(parse_subject(subject), None))

    async def bans(self) -> list[BanRow]:
        """Return the bans in force."""
        return await self._store.bans(_now())

    async def _let_go(self, name: str) -> None:
        """End what the last run has left of a name's sessions."""
        for user, client, session in await self._store.held_names():
            if user == name:
                await self._apply(Entry(session, 0, user, client, _now(), Exit()))

    async def _submit(self, body: EntryBody, user: str = CONSOLE) -> None:
        await self._apply(Entry("", 0, user, b"", _now(), body))

    async def _apply(self, entry: Entry) -> Applied:
        (applied,) = await self._store.apply((entry,))
        if isinstance(applied.reply, Refusal):
            raise applied.reply
        return applied


def _now() -> int:
    return time.time_ns() // 1000
