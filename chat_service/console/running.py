"""A running server, by its Admin service."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from typing import Any, Final, NamedTuple

import grpc
import grpc.aio
from google.protobuf.json_format import MessageToDict

from chat.v1 import accounts_pb2, accounts_pb2_grpc, admin_pb2, admin_pb2_grpc
from chat_service.console.channel import Trust, meaning, open_channel
from chat_service.console.port import NotDone
from chat_service.core.commands import Secret
from chat_service.core.rules.admin import is_network, parse_subject
from chat_service.state.port import AccountRow, BanRow, ConnectionRow
from chat_service.wire.times import duration as to_duration

TIMEOUT: Final = 10.0
"""Seconds that a call may take."""

_LABEL: Final = "chat-server"
"""What the admin's list of sign-ins calls one that is made here, for as long as it lasts."""


class Credentials(NamedTuple):
    """Who the admin is: by a token, or by a name and password. Neither, where TLS tells it."""

    token: Secret | None = None
    user: str = ""
    password: Secret | None = None


@asynccontextmanager
async def running_server(
    address: str, trust: Trust, admin: Credentials
) -> "AsyncIterator[RunningServer]":
    """Connect and sign in, and sign out in the end; raises NotDone."""
    async with open_channel(address, trust) as channel:
        server = RunningServer(address, trust, channel, admin.token)
        if admin.password is None:
            yield server
            return
        await server.login(admin.user, admin.password)
        try:
            yield server
        finally:
            with suppress(NotDone):  # nobody else has the token, and it ends by itself
                await server.logout()


class RunningServer:
    """Asks a server to carry out what the operator wants; see `port.Server`."""

    def __init__(
        self, address: str, trust: Trust, channel: grpc.aio.Channel, token: Secret | None
    ) -> None:
        self._address = address
        self._trust = trust
        self._token = token
        self._accounts: Any = accounts_pb2_grpc.AccountsStub(channel)
        self._admin: Any = admin_pb2_grpc.AdminStub(channel)

    async def login(self, user: str, password: Secret) -> None:
        """Sign in."""
        request = accounts_pb2.LoginRequest(user=user, password=password, label=_LABEL)
        reply = await self._ask(self._accounts.Login, request)
        self._token = Secret(reply.session.token)

    async def logout(self) -> None:
        """Make the token worthless."""
        await self._ask(self._accounts.Logout, accounts_pb2.LogoutRequest())

    async def accounts(self) -> list[AccountRow]:
        """Return every account."""
        rows: list[AccountRow] = []
        more = True
        while more:
            request = admin_pb2.ListAccountsRequest(after=rows[-1].name if rows else "")
            page = await self._ask(self._admin.ListAccounts, request)
            rows += [
                AccountRow(it.user, it.admin, it.has_password, it.created_at.ToMicroseconds())
                for it in page.accounts
            ]
            more = page.more
        return rows

    async def add(self, user: str, password: Secret, *, admin: bool) -> str:
        """Make an account."""
        request = admin_pb2.CreateAccountRequest(user=user, password=password, admin=admin)
        reply = await self._ask(self._admin.CreateAccount, request)
        return str(reply.user)

    async def set_password(self, user: str, password: Secret) -> None:
        """Set an account's password."""
        request = admin_pb2.UpdateAccountRequest(user=user, password=password)
        await self._ask(self._admin.UpdateAccount, request)

    async def set_admin(self, user: str, *, admin: bool) -> None:
        """Make an account an admin, or no admin."""
        request = admin_pb2.UpdateAccountRequest(user=user, admin=admin)
        await self._ask(self._admin.UpdateAccount, request)

    async def remove(self, user: str) -> None:
        """Take an account away."""
        await self._ask(self._admin.DeleteAccount, admin_pb2.DeleteAccountRequest(user=user))

    async def ban(self, subject: str, reason: str, duration: float | None) -> int:
        """Let a subject in no more."""
        lasting = None if duration is None else to_duration(duration)
        request = admin_pb2.BanRequest(reason=reason, duration=lasting, **_subject(subject))
        return int((await self._ask(self._admin.Ban, request)).ended)

    async def unban(self, subject: str) -> None:
        """Let a subject in again."""
        await self._ask(self._admin.Unban, admin_pb2.UnbanRequest(**_subject(subject)))

    async def bans(self) -> list[BanRow]:
        """Return the bans in force."""
        reply = await self._ask(self._admin.ListBans, admin_pb2.ListBansRequest())
        return [
            BanRow(it.user or it.address, it.until.ToMicroseconds(), it.reason, it.by)
            for it in reply.bans
        ]

    async def connections(self, user: str) -> list[ConnectionRow]:
        """Return who is connected; of one user if that is not empty."""
        request = admin_pb2.ListConnectionsRequest(user=user)
        reply = await self._ask(self._admin.ListConnections, request)
        return [
            ConnectionRow(
                it.session_id, it.user, it.address, it.entered_at.ToMicroseconds(), it.lost
            )
            for it in reply.connections
        ]

    async def end(self, user: str, session: str, reason: str) -> int:
        """End a user's connections, or one; returns how many there were."""
        request = admin_pb2.EndConnectionsRequest(user=user, session_id=session, reason=reason)
        return int((await self._ask(self._admin.EndConnections, request)).ended)

    async def announce(self, text: str) -> None:
        """Say something to everyone."""
        await self._ask(self._admin.Announce, admin_pb2.AnnounceRequest(text=text))

    async def drain(self) -> None:
        """Begin a graceful shutdown."""
        await self._ask(self._admin.Drain, admin_pb2.DrainRequest())

    async def statistics(self) -> Mapping[str, Any]:
        """Return how the server is doing, by the names of the contract."""
        reply = await self._ask(self._admin.GetStatistics, admin_pb2.GetStatisticsRequest())
        return MessageToDict(
            reply, preserving_proto_field_name=True, always_print_fields_with_no_presence=True
        )

    async def _ask(self, method: Any, request: object) -> Any:
        bearer = (("authorization", f"Bearer {self._token}"),) if self._token else ()
        try:
            return await method(request, metadata=bearer, timeout=TIMEOUT)
        except grpc.aio.AioRpcError as error:
            # `from None`: the call's own error shows its metadata, and so the token.
            raise NotDone(meaning(self._address, self._trust, error)) from None


def _subject(text: str) -> dict[str, str]:
    """Return the field of a ban's subject: an address, or a name."""
    subject = parse_subject(text)
    return {"address" if is_network(subject) else "user": subject}
