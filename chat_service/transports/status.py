"""Errors and goodbyes as gRPC statuses, with the rich details of google.rpc."""

import asyncio
from typing import Any, Final

import grpc
from google.protobuf.any_pb2 import Any as AnyMessage
from google.rpc.error_details_pb2 import ErrorInfo, RetryInfo
from google.rpc.status_pb2 import Status
from grpc_status import rpc_status

from chat_service.core.errors import ErrorCode, Refusal
from chat_service.core.events import Goodbye, GoodbyeReason
from chat_service.logs import get
from chat_service.wire.times import duration

_log = get("grpc")

ERROR_STATUS: Final = {
    ErrorCode.MALFORMED: grpc.StatusCode.INVALID_ARGUMENT,
    ErrorCode.INVALID_COMMAND: grpc.StatusCode.INVALID_ARGUMENT,
    ErrorCode.HELLO_REQUIRED: grpc.StatusCode.FAILED_PRECONDITION,
    ErrorCode.INVALID_ADDRESS: grpc.StatusCode.INVALID_ARGUMENT,
    ErrorCode.INVALID_TEXT: grpc.StatusCode.INVALID_ARGUMENT,
    ErrorCode.TOO_LARGE: grpc.StatusCode.RESOURCE_EXHAUSTED,
    ErrorCode.NAME_TAKEN: grpc.StatusCode.ALREADY_EXISTS,
    ErrorCode.NO_SUCH_USER: grpc.StatusCode.NOT_FOUND,
    ErrorCode.NOT_A_MEMBER: grpc.StatusCode.PERMISSION_DENIED,
    ErrorCode.LIMIT_REACHED: grpc.StatusCode.RESOURCE_EXHAUSTED,
    ErrorCode.RATE_LIMITED: grpc.StatusCode.RESOURCE_EXHAUSTED,
    ErrorCode.UNAVAILABLE: grpc.StatusCode.UNAVAILABLE,
    ErrorCode.INTERNAL: grpc.StatusCode.INTERNAL,
    ErrorCode.UNAUTHENTICATED: grpc.StatusCode.UNAUTHENTICATED,
    ErrorCode.PERMISSION_DENIED: grpc.StatusCode.PERMISSION_DENIED,
    ErrorCode.BANNED: grpc.StatusCode.PERMISSION_DENIED,
}
_GOODBYE_STATUS: Final = {
    GoodbyeReason.SHUTDOWN: grpc.StatusCode.UNAVAILABLE,
    GoodbyeReason.SLOW_CONSUMER: grpc.StatusCode.RESOURCE_EXHAUSTED,
    GoodbyeReason.SUPERSEDED: grpc.StatusCode.ABORTED,
    GoodbyeReason.REFUSED: grpc.StatusCode.FAILED_PRECONDITION,
    GoodbyeReason.PROTOCOL_ERROR: grpc.StatusCode.INVALID_ARGUMENT,
    GoodbyeReason.RATE_LIMITED: grpc.StatusCode.RESOURCE_EXHAUSTED,
    GoodbyeReason.INTERNAL: grpc.StatusCode.INTERNAL,
    GoodbyeReason.LEFT: grpc.StatusCode.OK,
    GoodbyeReason.REVOKED: grpc.StatusCode.UNAUTHENTICATED,
    GoodbyeReason.ENDED: grpc.StatusCode.ABORTED,
    GoodbyeReason.BANNED: grpc.StatusCode.PERMISSION_DENIED,
}

Context = grpc.aio.ServicerContext[Any, Any]


async def end_stream(context: Context, error: ErrorCode | None, goodbye: Goodbye | None) -> None:
    """End the stream with the status that fits its goodbye."""
    if goodbye is None or goodbye.reason is GoodbyeReason.LEFT:
        return
    code = _GOODBYE_STATUS[goodbye.reason] if error is None else ERROR_STATUS[error]
    reason = goodbye.reason.name if error is None else error.name
    await _abort(context, code, reason, goodbye.message, goodbye.retry_after)


async def refuse(context: Context, refusal: Refusal) -> None:
    """End a call with the status that fits a refusal."""
    code = ERROR_STATUS[refusal.code]
    await _abort(context, code, refusal.code.name, str(refusal), refusal.retry_after)


async def _abort(
    context: Context,
    code: grpc.StatusCode,
    reason: str,
    message: str,
    retry_after: float | None,
) -> None:
    details = [_packed(ErrorInfo(reason=reason, domain="chat.v1"))]
    if retry_after is not None:
        details.append(_packed(RetryInfo(retry_delay=duration(retry_after))))
    status = rpc_status.to_status(Status(code=code.value[0], message=message, details=details))
    try:
        await context.abort(status.code, status.details, status.trailing_metadata)
    except grpc.aio.AbortError as aborted:
        _forget_traceback(aborted)
        raise
    except Exception as failure:  # the client has gone meanwhile
        _log.debug("nobody took the status", code=status.code.name, reason=str(failure))


def _forget_traceback(aborted: grpc.aio.AbortError) -> None:
    """Break the circle of an error that its stream keeps, and frames that keep the stream.

    The garbage collector would find it, but that looks at what is old only rarely.
    """
    if (task := asyncio.current_task()) is not None:
        task.add_done_callback(lambda _: aborted.with_traceback(None))


def _packed(detail: Any) -> AnyMessage:
    packed = AnyMessage()
    packed.Pack(detail)
    return packed
