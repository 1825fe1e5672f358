"""What the unary services have in common: who calls, how often, and how a call fails."""

from collections.abc import Awaitable, Callable
from functools import wraps
from typing import Any, ClassVar, Protocol, TypeVar

import grpc
from google.protobuf.descriptor import ServiceDescriptor
from google.protobuf.message import DecodeError, Message
from google.protobuf.message_factory import GetMessageClass

from chat_service.core.errors import Internal, Malformed, Refusal
from chat_service.flood import FloodControl
from chat_service.logs import get
from chat_service.tls import Tls
from chat_service.transports.status import Context, refuse
from chat_service.transports.visitors import Visitor, visitor

_log = get("grpc")

_Request = TypeVar("_Request")
_Response = TypeVar("_Response")
_Service = TypeVar("_Service", bound="Door")


class UnaryService(Protocol):
    """A service beside the stream."""

    @property
    def name(self) -> str:
        """Its full name in the contract."""

    def register(self, server: grpc.aio.Server) -> None:
        """Let a server answer its calls."""


class Door:
    """Lets calls in: each counts as a connect of its address.

    A service has a method for each of its `contract`, of the same name.
    """

    contract: ClassVar[ServiceDescriptor]

    def __init__(self, flood: FloodControl, tls: Tls | None) -> None:
        self._flood = flood
        self._tls = tls

    @property
    def name(self) -> str:
        """Its full name in the contract."""
        return str(self.contract.full_name)

    def register(self, server: grpc.aio.Server) -> None:
        """Let a server answer its calls."""
        handlers = {
            method.name: grpc.unary_unary_rpc_method_handler(
                getattr(self, method.name),
                _reader(GetMessageClass(method.input_type)),
                _written,
            )
            for method in self.contract.methods
        }
        server.add_generic_rpc_handlers(
            (grpc.method_handlers_generic_handler(self.name, handlers),)
        )

    def enter(self, context: Context) -> Visitor:
        """Return who calls; raises RateLimited."""
        who = visitor(context, self._tls)
        self._flood.connect(who.address)
        return who


def answers(
    method: Callable[[_Service, _Request, Visitor], Awaitable[_Response]],
) -> Callable[[_Service, _Request | Malformed, Context], Awaitable[_Response]]:
    """Make a method that takes a request and a visitor the handler of a call.

    What it refuses becomes a status; what goes wrong otherwise is logged, and told without details.
    """

    @wraps(method)
    async def handle(self: _Service, request: _Request | Malformed, context: Context) -> _Response:
        try:
            who = self.enter(context)
            return await method(self, _understood(request), who)
        except Refusal as refusal:
            failure = refusal
        except Exception:
            _log.exception("a call failed", method=method.__name__)
            failure = Internal("the server made a mistake")
        await refuse(context, failure)
        raise failure  # never reached: refusing ends the call

    return handle


def _understood(request: _Request | Malformed) -> _Request:
    if isinstance(request, Malformed):
        raise request
    return request


def _reader(kind: type[Message]) -> Callable[[bytes], Message | Malformed]:
    """Return a function that reads requests: whatever it raised, grpc would log as a fault."""

    def read(data: bytes) -> Message | Malformed:
        try:
            return kind.FromString(data)
        except DecodeError:
            return Malformed(f"the request is not a {kind.DESCRIPTOR.full_name}")

    return read


def _written(response: Any) -> bytes:
    return bytes(response.SerializeToString())
