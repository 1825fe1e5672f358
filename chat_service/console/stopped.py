"""The data of a server that does not run, changed by the rules that the server goes by.

What is asked is applied as entries, like those that a server takes from its log. The lock on the
directory keeps a server away meanwhile.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from chat_service.auth.passwords import Passwords
from chat_service.console.entries import Console, now
from chat_service.console.port import NotDone
from chat_service.core.commands import Entry, EntryBody, Exit, Register
from chat_service.core.errors import Refusal
from chat_service.core.outcome import Applied
from chat_service.core.rules.proofs import CONSOLE
from chat_service.startup import InUse
from chat_service.state.store import Store


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


class StoppedServer(Console):
    """Applies entries to a store that nobody serves."""

    async def ban(self, subject: str, reason: str, duration: float | None) -> int:
        """Let a subject in no more; nobody is connected whom that could end."""
        await super().ban(subject, reason, duration)
        return 0

    async def _submit(self, body: EntryBody, user: str = CONSOLE) -> Applied:
        if isinstance(body, Register):  # a guest who had the name is not waited for any longer
            await self._let_go(user)
        return await self._apply(Entry("", 0, user, b"", now(), body))

    async def _let_go(self, name: str) -> None:
        """End what the last run has left of a name's sessions."""
        for user, client, session in await self._store.held_names():
            if user == name:
                await self._apply(Entry(session, 0, user, client, now(), Exit()))

    async def _apply(self, entry: Entry) -> Applied:
        (applied,) = await self._store.apply((entry,))
        if isinstance(applied.reply, Refusal):
            raise applied.reply
        return applied
