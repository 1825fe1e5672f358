"""What the operators of a server may do and know. Every call first asks who calls."""

from collections.abc import Callable
from typing import NamedTuple

from chat_service import __version__
from chat_service.accounts import Accounts, Caller
from chat_service.auth.doorman import Origin
from chat_service.auth.passwords import Passwords
from chat_service.core.address import parse_name
from chat_service.core.checks import check_duration, check_reason
from chat_service.core.commands import (
    AdminBody,
    Announce,
    BanSubject,
    DeleteAccount,
    EndSessions,
    Register,
    Secret,
    UnbanSubject,
    UpdateAccount,
)
from chat_service.core.errors import (
    InvalidText,
    PermissionDenied,
)
from chat_service.core.limits import MAX_TEXT_BYTES
from chat_service.core.lookalike import skeleton
from chat_service.core.outcome import Applied
from chat_service.core.signals import Heartbeat
from chat_service.desk import Desk
from chat_service.hub.hub import Hub
from chat_service.loop_lag import LoopLag
from chat_service.state.port import AccountRow, Archive, BanRow, ConnectionRow, Directory
from chat_service.watch import NodeStatus, Watch

MAX_ACCOUNTS = 1_000
"""Accounts on one page of a list."""


class Statistics(NamedTuple):
    """How a server is doing; times in microseconds since 1970, durations in seconds."""

    version: str
    epoch: str
    seq: int
    connections: int
    users: int
    accounts: int
    started: int
    loop_lag_p99: float
    own: Heartbeat
    nodes: list[NodeStatus]
    diverged: int
    agreed: int


class Watched(NamedTuple):
    """What statistics are read off. `started` in microseconds since 1970."""

    hub: Hub
    archive: Archive
    loop_lag: LoopLag
    watch: Watch
    started: int


class Administration:
    """Carries out what admins ask; `drain` begins a graceful shutdown."""

    def __init__(
        self,
        accounts: Accounts,
        desk: Desk,
        directory: Directory,
        passwords: Passwords,
        watched: Watched,
        drain: Callable[[], None],
    ) -> None:
        self._accounts = accounts
        self._desk = desk
        self._directory = directory
        self._passwords = passwords
        self._watched = watched
        self._drain = drain

    async def admin(self, bearer: Secret | None, origin: Origin) -> Caller:
        """Return the admin who calls; raises Unauthenticated, PermissionDenied."""
        caller = await self._accounts.caller(bearer, origin)
        if not await self._directory.is_admin(caller.name):
            raise PermissionDenied("only an admin of this server may do that")
        return caller

    async def connections(self, user: str) -> list[ConnectionRow]:
        """Return who is connected; of one user if that is not empty."""
        return await self._directory.connections(parse_name(user) if user else "")

    async def end(self, admin: Caller, user: str, session: str, reason: str) -> int:
        """End a user's connections, or one; returns how many there were."""
        check_reason(reason)
        body = EndSessions(parse_name(user), admin.proof, session, reason)
        return len((await self._submit(admin, body)).endings)

    async def ban(self, admin: Caller, subject: str, reason: str, duration: float | None) -> int:
        """Let a subject in no more; returns how many connections that has ended."""
        check_reason(reason)
        check_duration(duration)
        body = BanSubject(subject, admin.proof, reason, duration)
        return len((await self._submit(admin, body)).endings)

    async def unban(self, admin: Caller, subject: str) -> None:
        """Let a subject in again."""
        await self._submit(admin, UnbanSubject(subject, admin.proof))

    async def bans(self) -> list[BanRow]:
        """Return the bans in force."""
        return await self._directory.bans(self._desk.now())

    async def announce(self, admin: Caller, text: str) -> int:
        """Say something to everyone; returns its seq."""
        if not text or text.isspace() or len(text.encode()) > MAX_TEXT_BYTES:
            raise InvalidText(f"an announcement has 1 to {MAX_TEXT_BYTES} bytes")
        applied = await self._submit(admin, Announce(text, admin.proof))
        return applied.events[0].seq

    async def accounts(self, after: str) -> tuple[list[AccountRow], bool]:
        """Return a page of accounts, and whether there are more."""
        rows = await self._directory.accounts(after, MAX_ACCOUNTS + 1)
        return rows[:MAX_ACCOUNTS], len(rows) > MAX_ACCOUNTS

    async def create(self, admin: Caller, user: str, password: Secret, *, rights: bool) -> str:
        """Make an account, an admin's with `rights`; returns its name in its normal form."""
        name = parse_name(user)
        hashed = await self._passwords.hash(password, admin.address)
        body = Register(hashed, skeleton(name), proof=admin.proof, admin=rights, by=admin.name)
        await self._desk.submit(name, body)
        return name

    async def update(
        self, admin: Caller, user: str, password: Secret | None, rights: bool | None
    ) -> None:
        """Set an account's password or rights; None leaves them."""
        hashed = None
        if password is not None:
            hashed = await self._passwords.hash(password, admin.address)
        body = UpdateAccount(parse_name(user), admin.proof, hashed, rights)
        await self._submit(admin, body)

    async def delete(self, admin: Caller, user: str) -> None:
        """Take an account away."""
        await self._submit(admin, DeleteAccount(parse_name(user), admin.proof))

    def drain(self) -> None:
        """Begin a graceful shutdown."""
        self._drain()

    async def statistics(self) -> Statistics:
        """Return how the server is doing."""
        hub, archive, loop_lag, watch, started = self._watched
        return Statistics(
            __version__,
            archive.epoch,
            hub.seq,
            len(hub.registry),
            len(hub.attendance.online),
            await self._directory.count_accounts(),
            started,
            loop_lag.quantile(0.99),
            watch.own(),
            watch.nodes(),
            watch.diverged,
            watch.agreed,
        )

    async def _submit(self, admin: Caller, body: AdminBody) -> Applied:
        return await self._desk.submit(admin.name, body)
