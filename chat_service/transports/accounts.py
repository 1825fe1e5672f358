"""`chat.v1.Accounts` over gRPC."""

from chat.v1 import accounts_pb2
from chat_service.accounts import Accounts, SessionToken
from chat_service.core.commands import Secret
from chat_service.core.rules.facts import sign_in_id
from chat_service.flood import FloodControl
from chat_service.tls import Tls
from chat_service.transports.unary import Door, answers
from chat_service.transports.visitors import Visitor
from chat_service.wire.times import timestamp


class AccountsService(Door):
    """Answers the calls of the Accounts service."""

    contract = accounts_pb2.DESCRIPTOR.services_by_name["Accounts"]

    def __init__(self, accounts: Accounts, flood: FloodControl, tls: Tls | None) -> None:
        super().__init__(flood, tls)
        self._accounts = accounts

    # The names of the contract.

    @answers
    async def Register(  # noqa: N802
        self, request: accounts_pb2.RegisterRequest, who: Visitor
    ) -> accounts_pb2.RegisterResponse:
        """Make an account, and sign in."""
        given = await self._accounts.register(
            request.user, Secret(request.password), request.label, who.bearer, who.origin
        )
        return accounts_pb2.RegisterResponse(session=_session(given))

    @answers
    async def Login(  # noqa: N802
        self, request: accounts_pb2.LoginRequest, who: Visitor
    ) -> accounts_pb2.LoginResponse:
        """Exchange a name and password for a session token."""
        given = await self._accounts.login(
            request.user,
            Secret(request.password),
            request.label,
            who.origin.of_client(request.client_id),
        )
        return accounts_pb2.LoginResponse(session=_session(given))

    @answers
    async def Logout(  # noqa: N802
        self, _request: accounts_pb2.LogoutRequest, who: Visitor
    ) -> accounts_pb2.LogoutResponse:
        """Make the caller's token worthless."""
        await self._accounts.logout(await self._accounts.caller(who.bearer, who.origin))
        return accounts_pb2.LogoutResponse()

    @answers
    async def ChangePassword(  # noqa: N802
        self, request: accounts_pb2.ChangePasswordRequest, who: Visitor
    ) -> accounts_pb2.ChangePasswordResponse:
        """Set another password."""
        caller = await self._accounts.caller(who.bearer, who.origin)
        old, new = Secret(request.old_password), Secret(request.new_password)
        origin = who.origin.of_client(request.client_id)
        await self._accounts.change_password(caller, old, new, origin)
        return accounts_pb2.ChangePasswordResponse()

    @answers
    async def ListSessions(  # noqa: N802
        self, _request: accounts_pb2.ListSessionsRequest, who: Visitor
    ) -> accounts_pb2.ListSessionsResponse:
        """List the caller's session tokens."""
        caller = await self._accounts.caller(who.bearer, who.origin)
        rows = await self._accounts.sign_ins(caller)
        sign_ins = [
            accounts_pb2.SignIn(
                id=sign_in_id(row.digest),
                label=row.label,
                created_at=timestamp(row.created),
                expires_at=timestamp(row.expires),
                current=row.digest == caller.digest,
                streams=row.sessions,
            )
            for row in rows
        ]
        return accounts_pb2.ListSessionsResponse(sessions=sign_ins)

    @answers
    async def RevokeSession(  # noqa: N802
        self, request: accounts_pb2.RevokeSessionRequest, who: Visitor
    ) -> accounts_pb2.RevokeSessionResponse:
        """Make one of the caller's tokens worthless."""
        caller = await self._accounts.caller(who.bearer, who.origin)
        await self._accounts.revoke(caller, request.id)
        return accounts_pb2.RevokeSessionResponse()


def _session(given: SessionToken) -> accounts_pb2.SessionToken:
    return accounts_pb2.SessionToken(
        user=given.user, token=given.token, expires_at=timestamp(given.expires)
    )
