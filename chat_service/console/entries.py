"""What the operator asks of accounts and bans, as entries with the console as their user.

They go by the same rules as those of a server's clients. Subclasses say where they are applied.
"""

import time
from abc import ABC, abstractmethod

from chat_service.auth.passwords import Passwords
from chat_service.core.address import parse_name
from chat_service.core.checks import check_duration, check_reason
from chat_service.core.commands import (
    BanSubject,
    DeleteAccount,
    EntryBody,
    Register,
    Secret,
    UnbanSubject,
    UpdateAccount,
)
from chat_service.core.lookalike import skeleton
from chat_service.core.outcome import Applied
from chat_service.core.rules.admin import parse_subject
from chat_service.core.rules.proofs import CONSOLE
from chat_service.state.port import AccountRow, BanRow
from chat_service.state.store import Store

_PAGE = 1_000


class Console(ABC):
    """Carries out what the operator asks, and reads what comes of it; see `port.Server`."""

    def __init__(self, store: Store, passwords: Passwords) -> None:
        self._store = store
        self._passwords = passwords

    @abstractmethod
    async def _submit(self, body: EntryBody, user: str = CONSOLE) -> Applied:
        """Have an entry applied; raises the Refusal if it was refused."""

    async def accounts(self) -> list[AccountRow]:
        """Return every account."""
        rows: list[AccountRow] = []
        while page := await self._store.accounts(rows[-1].name if rows else "", _PAGE):
            rows += page
        return rows

    async def add(self, user: str, password: Secret, *, admin: bool) -> str:
        """Make an account."""
        name = parse_name(user)
        hashed = await self._passwords.hash(password, "")
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
        """Let a subject in no more; returns how many connections that has ended."""
        check_reason(reason)
        check_duration(duration)
        body = BanSubject(parse_subject(subject), None, reason, duration)
        return len((await self._submit(body)).endings)

    async def unban(self, subject: str) -> None:
        """Let a subject in again."""
        await self._submit(UnbanSubject(parse_subject(subject), None))

    async def bans(self) -> list[BanRow]:
        """Return the bans in force."""
        return await self._store.bans(now())


def now() -> int:
    """Return the time in microseconds since 1970."""
    return time.time_ns() // 1000
