"""Accounts to test with, and what is asked as them without a stream."""

import secrets
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from typing import Any, Final, NamedTuple, Protocol

import grpc
import pytest
from argon2 import PasswordHasher
from google.protobuf.descriptor import MethodDescriptor
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass
from google.rpc.error_details_pb2 import ErrorInfo, RetryInfo
from google.rpc.status_pb2 import Status

from chat.v1 import accounts_pb2, admin_pb2
from chat_service.auth.tokens import digest, new_token
from chat_service.core.commands import Entry, Register, Token
from chat_service.core.lookalike import skeleton
from chat_service.core.outcome import Applied
from chat_service.core.rules.proofs import CONSOLE
from chat_service.node import Node

PASSWORD: Final = "correct horse battery"
CHEAP: Final = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
"""Hashes that cost as little as can be, where what they cost is not what a test is about."""

_HASH: Final = CHEAP.hash(PASSWORD)

_UNARY: Final[dict[str, MethodDescriptor]] = {
    method.input_type.full_name: method
    for contract in (accounts_pb2, admin_pb2)
    for service in contract.DESCRIPTOR.services_by_name.values()
    for method in service.methods
}


class Server(Protocol):
    """Whoever listens, in this process or in another."""

    @property
    def endpoints(self) -> Mapping[str, object]: ...


Call = Callable[..., Awaitable[Any]]


@pytest.fixture
async def call(start_node: object) -> AsyncIterator[Call]:
    """Return a function that sends a request to a server, with a token if there is one.

    The kind of the request says which call it is.
    """
    channels: dict[str, grpc.aio.Channel] = {}

    async def call_one(to: Server, request: Message, token: str = "") -> Any:
        address = str(to.endpoints["grpc"])
        if address not in channels:
            channels[address] = grpc.aio.insecure_channel(address)
        return await unary(channels[address], request, token)

    yield call_one
    for channel in channels.values():
        await channel.close()


async def unary(channel: grpc.aio.Channel, request: Message, token: str = "") -> Any:
    """Send a request over a channel and return the response."""
    method = method_of(request)
    send: Any = channel.unary_unary(
        f"/{method.containing_service.full_name}/{method.name}",
        request_serializer=lambda it: it.SerializeToString(),
        response_deserializer=GetMessageClass(method.output_type).FromString,
    )
    return await send(request, metadata=bearer(token) if token else (), timeout=20)


def method_of(request: Message) -> MethodDescriptor:
    """Return which call a request is for."""
    return _UNARY[request.DESCRIPTOR.full_name]


def bearer(token: str) -> tuple[tuple[str, str], ...]:
    """Return the metadata of a call that is made with a token."""
    return (("authorization", f"Bearer {token}"),)


class Failure(NamedTuple):
    """How a call has failed."""

    code: grpc.StatusCode
    reason: str
    words: str
    retry_after: float | None


async def failure(calling: Awaitable[Any]) -> Failure:
    """Wait for a call that has to fail, and return how it did."""
    with pytest.raises(grpc.aio.AioRpcError) as raised:
        await calling
    error = raised.value
    packed = dict(error.trailing_metadata())["grpc-status-details-bin"]
    info, retry = ErrorInfo(), RetryInfo()
    unpacked = [it.Unpack(retry) for it in Status.FromString(packed).details if not it.Unpack(info)]
    delay = retry.retry_delay.ToMilliseconds() / 1000 if any(unpacked) else None
    return Failure(error.code(), info.reason, error.details() or "", delay)


async def make_account(node: Node, name: str, *, admin: bool = False) -> str:
    """Make an account with PASSWORD, as an operator may, and return a session token of it."""
    token = new_token()
    expires = _now() + 3_600_000_000
    kept = Token(digest(token), expires, "made for a test")
    body = Register(_HASH, skeleton(name), kept, admin=admin, by=CONSOLE)
    applied = await ask(node, name, body)
    assert not isinstance(applied.reply, Exception), applied.reply
    return token


async def ask(node: Node, user: str, body: Any) -> Applied:
    """Have an entry ordered and return what came of it on this node; others may be behind it."""
    asker = secrets.token_hex(8)
    answer = node.hub.answer_to(asker)
    node._foundation.log.append(Entry(asker, 0, user, secrets.token_bytes(16), _now(), body))
    return await answer


async def apply(node: Node, user: str, body: Any) -> Applied:
    """Make an entry true that nobody who is connected has asked for and nobody is told of."""
    entry = Entry("", 0, user, secrets.token_bytes(16), _now(), body)
    (applied,) = await node._store.apply([entry])
    return applied


def _now() -> int:
    return time.time_ns() // 1000
