"""Accounts: names that belong to somebody for good, by a password or a session token."""

from types import TracebackType
from typing import Any, Final, Self

import grpc
import grpc.aio

from chat.v1 import accounts_pb2, accounts_pb2_grpc
from chat_client import status
from chat_client.channel import check_secrecy, open_channel, unreachable
from chat_client.errors import AccountError, ChatError, Unavailable

TIMEOUT: Final = 10.0
"""Seconds that a call may take."""


class Accounts:
    """The calls about accounts, on a connection of their own.

        async with Accounts("127.0.0.1:50051") as accounts:
            session = await accounts.login("bob", password)
        async with ChatClient("127.0.0.1:50051", "bob", token=session.token) as chat:
            ...

    `register` and `login` sign this object in: what follows is done as that account. `token`: a
    session token from before, to begin with; for `register`, a guest's `chat.welcome.token`, with
    which the guest's rooms and conversations become the account's (a ChatClient who stays connected
    is told the new one by `use_token`). `client_id`: as for ChatClient;
    with the one by which the account has signed in before, wrong passwords of others at the same
    address hold nobody up. `credentials`, `insecure`: as for ChatClient. `timeout`: seconds that a
    call may take.

    Each call raises AccountError if the server says no (UNAUTHENTICATED for a wrong name, password
    or token, NAME_TAKEN, RATE_LIMITED with `retry_after` for too many tries), or Unavailable.
    """

    def __init__(
        self,
        server: str,
        *,
        token: str | None = None,
        client_id: str = "",
        credentials: grpc.ChannelCredentials | None = None,
        insecure: bool = False,
        timeout: float = TIMEOUT,
    ) -> None:
        self._server = server
        self._insecure = insecure
        self._credentials = credentials
        self._token = token
        self._client_id = client_id
        self._timeout = timeout
        self._channel = open_channel(server, credentials)
        self._stub: Any = accounts_pb2_grpc.AccountsStub(self._channel)

    async def register(
        self, user: str, password: str, label: str = ""
    ) -> accounts_pb2.SessionToken:
        """Make an account and sign in. `label`: what `list_sessions` calls this sign-in."""
        request = accounts_pb2.RegisterRequest(user=user, password=password, label=label)
        return self._signed_in(await self._ask(self._stub.Register, request))

    async def login(self, user: str, password: str, label: str = "") -> accounts_pb2.SessionToken:
        """Sign in. `label`: what `list_sessions` calls this sign-in."""
        request = accounts_pb2.LoginRequest(
            user=user, password=password, label=label, client_id=self._client_id
        )
        return self._signed_in(await self._ask(self._stub.Login, request))

    async def logout(self) -> None:
        """Sign out: the token is worthless from now on, and the streams that use it end."""
        await self._ask(self._stub.Logout, accounts_pb2.LogoutRequest())
        self._token = None

    async def change_password(self, old: str, new: str) -> None:
        """Set another password; every token but this one becomes worthless."""
        request = accounts_pb2.ChangePasswordRequest(
            old_password=old, new_password=new, client_id=self._client_id
        )
        await self._ask(self._stub.ChangePassword, request)

    async def list_sessions(self) -> list[accounts_pb2.SignIn]:
        """Return the account's sign-ins, the oldest first."""
        reply = await self._ask(self._stub.ListSessions, accounts_pb2.ListSessionsRequest())
        return list(reply.sessions)

    async def revoke_session(self, session_id: str) -> None:
        """Make the token of a sign-in (SignIn.id) worthless, and end the streams that use it."""
        await self._ask(self._stub.RevokeSession, accounts_pb2.RevokeSessionRequest(id=session_id))

    async def close(self) -> None:
        """Close the connection. It signs nobody out."""
        await self._channel.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.close()

    def _signed_in(self, reply: Any) -> accounts_pb2.SessionToken:
        session: accounts_pb2.SessionToken = reply.session
        self._token = session.token
        return session

    async def _ask(self, method: Any, request: object) -> Any:
        check_secrecy(self._server, self._credentials, insecure=self._insecure)
        bearer = (("authorization", f"Bearer {self._token}"),) if self._token else ()
        try:
            return await method(request, metadata=bearer, timeout=self._timeout)
        except grpc.aio.AioRpcError as error:
            # `from None`: the call's own error shows its metadata, and so the token.
            raise self._meaning(error) from None

    def _meaning(self, error: grpc.aio.AioRpcError) -> ChatError:
        if refused := status.refusal(error):
            return AccountError(refused)
        if error.code() is grpc.StatusCode.UNIMPLEMENTED:
            return Unavailable(f"{self._server} has no accounts")
        return unreachable(self._server, error, self._credentials)
