"""What a gRPC status tells besides its code, from the details that the server packs along."""

from collections.abc import Iterator
from typing import Final

import grpc
import grpc.aio
from google.protobuf.any_pb2 import Any
from google.rpc import error_details_pb2
from grpc_status import rpc_status

from chat.v1 import events_pb2

# For what does not name the ErrorCode: something in front of the server, or a later server.
_CODES: Final = {
    grpc.StatusCode.ALREADY_EXISTS: events_pb2.ERROR_CODE_NAME_TAKEN,
    grpc.StatusCode.FAILED_PRECONDITION: events_pb2.ERROR_CODE_INVALID_COMMAND,
    grpc.StatusCode.INVALID_ARGUMENT: events_pb2.ERROR_CODE_INVALID_COMMAND,
    grpc.StatusCode.NOT_FOUND: events_pb2.ERROR_CODE_INVALID_COMMAND,
    grpc.StatusCode.PERMISSION_DENIED: events_pb2.ERROR_CODE_PERMISSION_DENIED,
    grpc.StatusCode.RESOURCE_EXHAUSTED: events_pb2.ERROR_CODE_RATE_LIMITED,
    grpc.StatusCode.UNAUTHENTICATED: events_pb2.ERROR_CODE_UNAUTHENTICATED,
}


def retry_after(error: grpc.aio.AioRpcError) -> float | None:
    """Return the seconds that the status's RetryInfo asks for, if it has one."""
    for detail in _details(error):
        retry = error_details_pb2.RetryInfo()
        if detail.Unpack(retry):
            return float(retry.retry_delay.seconds + retry.retry_delay.nanos / 1e9)
    return None


def refusal(error: grpc.aio.AioRpcError) -> events_pb2.Error | None:
    """Return the Error that a status stands for; None where nobody has judged the call."""
    code = _named_code(error) or _CODES.get(error.code())
    if code is None:
        return None
    told = events_pb2.Error(code=code, message=error.details() or "")
    if wait := retry_after(error):
        told.retry_after.FromNanoseconds(round(wait * 1e9))
    return told


def _named_code(error: grpc.aio.AioRpcError) -> str | None:
    for detail in _details(error):
        info = error_details_pb2.ErrorInfo()
        if detail.Unpack(info) and info.domain == "chat.v1":
            name = f"ERROR_CODE_{info.reason}"
            return name if name in events_pb2.ErrorCode.keys() else None  # noqa: SIM118 - no dict
    return None


def _details(error: grpc.aio.AioRpcError) -> Iterator[Any]:
    try:
        status = rpc_status.from_call(error)
    except ValueError:  # details that contradict their status say nothing
        return
    yield from status.details if status else ()
