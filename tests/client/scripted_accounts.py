"""Accounts as the contract has them, kept in dictionaries: the other side of the client's tests.

It notes what it was asked with, and answers as the real one does.
"""
# ruff: noqa: N802 - the methods have the contract's names

import secrets
from typing import Any, Final, NoReturn

import grpc
from google.protobuf.any_pb2 import Any as AnyMessage
from google.rpc import error_details_pb2, status_pb2
from grpc_status import rpc_status

from chat.v1 import accounts_pb2, events_pb2

from .scripted import Peer, goodbye

EXPIRY: Final = 2_000_000_000


class ScriptedAccounts:
    """Knows what it is told, and who was told what token."""

    def __init__(self, **passwords: str) -> None:
        self.passwords = passwords
        self.tokens: dict[str, str] = {}
        self.labels: dict[str, str] = {}
        self.bearers: list[str] = []
        self.client_ids: list[str] = []

    async def Register(self, request: Any, context: Any) -> Any:
        self._bearer(context)
        if request.user in self.passwords:
            await refuse(context, grpc.StatusCode.ALREADY_EXISTS, "NAME_TAKEN", "bob is taken")
        self.passwords[request.user] = request.password
        return accounts_pb2.RegisterResponse(session=self._sign_in(request))

    async def Login(self, request: Any, context: Any) -> Any:
        self.client_ids.append(request.client_id)
        if self.passwords.get(request.user) != request.password:
            await _wrong(context)
        return accounts_pb2.LoginResponse(session=self._sign_in(request))

    async def Logout(self, request: Any, context: Any) -> Any:
        await self._user(context)
        del self.tokens[self.bearers[-1]]
        return accounts_pb2.LogoutResponse()

    async def ChangePassword(self, request: Any, context: Any) -> Any:
        self.client_ids.append(request.client_id)
        user = await self._user(context)
        if self.passwords[user] != request.old_password:
            await _wrong(context)
        self.passwords[user] = request.new_password
        return accounts_pb2.ChangePasswordResponse()

    async def ListSessions(self, request: Any, context: Any) -> Any:
        user = await self._user(context)
        reply = accounts_pb2.ListSessionsResponse()
        for token in [token for token, owner in self.tokens.items() if owner == user]:
            current = token == self.bearers[-1]
            it = reply.sessions.add(id=token[:4], label=self.labels[token], current=current)
            it.expires_at.FromSeconds(EXPIRY)
        return reply

    async def RevokeSession(self, request: Any, context: Any) -> Any:
        await self._user(context)
        self.tokens = {it: user for it, user in self.tokens.items() if it[:4] != request.id}
        return accounts_pb2.RevokeSessionResponse()

    async def doorman(self, peer: Peer) -> None:
        """Let in whoever proves a name, and acknowledge what they say: a script."""
        command = await peer.command()
        hello = command.hello
        known = self.passwords.get(hello.user)
        proven = (hello.password or None) == known or self.tokens.get(hello.token) == hello.user
        if known and not proven:
            code = events_pb2.ERROR_CODE_UNAUTHENTICATED
            await peer.refuse(command, code, "wrong name or password")
            await peer.say(goodbye(events_pb2.GOODBYE_REASON_REFUSED))
            return
        welcome = events_pb2.Welcome(user=hello.user, rooms=["#lobby"])
        welcome.token = "" if known else "guest-token"
        await peer.say(events_pb2.Event(ref=command.ref, welcome=welcome))
        await peer.acknowledge_all()

    def _sign_in(self, request: Any) -> accounts_pb2.SessionToken:
        token = secrets.token_urlsafe(32)
        self.tokens[token], self.labels[token] = request.user, request.label
        session = accounts_pb2.SessionToken(user=request.user, token=token)
        session.expires_at.FromSeconds(EXPIRY)
        return session

    def _bearer(self, context: Any) -> str:
        said = dict(context.invocation_metadata()).get("authorization", "")
        self.bearers.append(said.removeprefix("Bearer "))
        return self.bearers[-1]

    async def _user(self, context: Any) -> str:
        user = self.tokens.get(self._bearer(context))
        return user or await _wrong(context)


async def _wrong(context: Any) -> NoReturn:
    await refuse(
        context, grpc.StatusCode.UNAUTHENTICATED, "UNAUTHENTICATED", "wrong name or password"
    )


async def refuse(
    context: Any, code: grpc.StatusCode, reason: str, text: str, retry_after: float = 0.0
) -> NoReturn:
    """Refuse a call with the details that the contract promises."""
    packed = AnyMessage()
    packed.Pack(error_details_pb2.ErrorInfo(reason=reason, domain="chat.v1"))
    details = [packed]
    if retry_after:
        retry = error_details_pb2.RetryInfo()
        retry.retry_delay.FromNanoseconds(int(retry_after * 1e9))
        packed = AnyMessage()
        packed.Pack(retry)
        details.append(packed)
    status = rpc_status.to_status(
        status_pb2.Status(code=code.value[0], message=text, details=details)
    )
    await context.abort(status.code, status.details, status.trailing_metadata)
    raise AssertionError("abort does not return")
