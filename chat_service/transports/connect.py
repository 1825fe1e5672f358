"""`chat.v1.Accounts` for browsers: unary calls as HTTP POST, in canonical JSON.

It is the unary form of the Connect protocol (https://connectrpc.com/docs/protocol), so a client
that is generated for that works as well. The calls and their use cases are those of gRPC.
"""

import asyncio
from collections.abc import Awaitable, Callable
from inspect import unwrap
from math import ceil
from typing import Any, Final

from aiohttp import web
from google.protobuf import json_format
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass

from chat_service.core.commands import Secret
from chat_service.core.errors import ErrorCode, Internal, InvalidCommand, Refusal
from chat_service.core.origin import parse_origin
from chat_service.flood import FloodControl
from chat_service.logs import get
from chat_service.transports.accounts import AccountsService
from chat_service.transports.peer import peer_of
from chat_service.transports.status import ERROR_STATUS
from chat_service.transports.tls_socket import certified
from chat_service.transports.visitors import Visitor

_log = get("web")

MAX_BODY_BYTES: Final = 16 * 1024
_BODY_TIMEOUT: Final = 10.0
_BEARER: Final = "bearer "

# https://connectrpc.com/docs/protocol#error-codes
_HTTP_STATUS: Final = {
    "invalid_argument": 400,
    "unauthenticated": 401,
    "permission_denied": 403,
    "not_found": 404,
    "already_exists": 409,
    "resource_exhausted": 429,
    "failed_precondition": 400,
    "unavailable": 503,
    "internal": 500,
    "unimplemented": 501,
    "deadline_exceeded": 504,
}

_Call = Callable[[AccountsService, Any, Visitor], Awaitable[Message]]


class Calls:
    """The methods of the Accounts service."""

    def __init__(self, accounts: AccountsService, flood: FloodControl) -> None:
        self._accounts = accounts
        self._flood = flood
        methods = AccountsService.contract.methods
        self._requests = {it.name: GetMessageClass(it.input_type) for it in methods}

    def routes(self) -> list[web.RouteDef]:
        """Return where what is called."""
        return [web.post(f"/{AccountsService.contract.full_name}/{{method}}", self._answer)]

    async def _answer(self, request: web.Request) -> web.Response:
        try:
            visitor = _visitor(request)
            self._flood.connect(visitor.address)
            return web.json_response(text=await self._call(request, visitor))
        except Refusal as refusal:
            failure = refusal
        except web.HTTPException:
            raise
        except Exception:
            _log.exception("a call failed", method=request.match_info["method"])
            failure = Internal("the server made a mistake")
        return _refused(failure)

    async def _call(self, request: web.Request, visitor: Visitor) -> str:
        name = request.match_info["method"]
        if (make := self._requests.get(name)) is None:
            raise web.HTTPNotFound
        if request.content_type != "application/json":  # which no page sends elsewhere unasked
            raise web.HTTPUnsupportedMediaType(headers={"Accept-Post": "application/json"})
        asked = make()
        try:
            async with asyncio.timeout(_BODY_TIMEOUT):
                body = await request.text()
            json_format.Parse(body, asked, max_recursion_depth=8)
        except TimeoutError:
            raise web.HTTPRequestTimeout from None
        except (json_format.Error, ValueError, LookupError, RecursionError):
            raise InvalidCommand(f"this is no chat.v1.{asked.DESCRIPTOR.name} in JSON") from None
        call: _Call = unwrap(getattr(AccountsService, name))
        answer = await call(self._accounts, asked, visitor)
        return json_format.MessageToJson(answer, indent=None)


def bearer(request: web.Request) -> Secret | None:
    """Return the token that came with a request."""
    value = request.headers.get("Authorization", "")
    if value[: len(_BEARER)].lower() != _BEARER:
        return None
    return Secret(value[len(_BEARER) :].strip())


def _visitor(request: web.Request) -> Visitor:
    transport = request.transport
    if transport is None:
        raise web.HTTPRequestTimeout  # nobody is there any more
    peer = peer_of(transport)
    return Visitor(parse_origin(peer), certified(transport), bearer(request))


def _refused(refusal: Refusal) -> web.Response:
    code = ERROR_STATUS[refusal.code].name.lower()
    body = {"code": code, "message": str(refusal)}
    headers = {}
    if refusal.retry_after is not None:
        headers["Retry-After"] = str(ceil(refusal.retry_after))
    if refusal.code is ErrorCode.UNAUTHENTICATED:
        headers["WWW-Authenticate"] = "Bearer"
    return web.json_response(body, status=_HTTP_STATUS[code], headers=headers)
