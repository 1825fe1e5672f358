"""What an operator may ask of a server, whether it runs or not."""

from typing import Protocol

from chat_service.core.commands import Secret
from chat_service.state.port import AccountRow, BanRow


class NotDone(Exception):
    """What was asked cannot be done; `str()` of it is one sentence for the operator."""


class Server(Protocol):
    """A server's accounts and bans. Each method raises NotDone, or a Refusal."""

    async def accounts(self) -> list[AccountRow]:
        """Return every account, in code-point order."""

    async def add(self, user: str, password: Secret, *, admin: bool) -> str:
        """Make an account; returns its name in its normal form."""

    async def set_password(self, user: str, password: Secret) -> None:
        """Set an account's password, which ends its sign-ins."""

    async def set_admin(self, user: str, *, admin: bool) -> None:
        """Make an account an admin, or no admin."""

    async def remove(self, user: str) -> None:
        """Take an account away."""

    async def ban(self, subject: str, reason: str, duration: float | None) -> int:
        """Let a name, an address or a network in no more, for some seconds or for good.

        Returns how many connections that has ended.
        """

    async def unban(self, subject: str) -> None:
        """Let a name, an address or a network in again."""

    async def bans(self) -> list[BanRow]:
        """Return the bans in force, by their subjects."""
