"""Account and admin calls: any bytes as a request, with any of several credentials."""

from typing import Any, Final

import grpc
from google.protobuf.descriptor import MethodDescriptor
from google.protobuf.message_factory import GetMessageClass

from chat.v1 import accounts_pb2, admin_pb2
from tests.fuzz.rig import TOKEN, Rig

METHODS: Final[list[MethodDescriptor]] = [
    method
    for contract in (accounts_pb2, admin_pb2)
    for service in contract.DESCRIPTOR.services_by_name.values()
    for method in service.methods
]

_FAULTS: Final = {grpc.StatusCode.INTERNAL, grpc.StatusCode.UNKNOWN}


async def feed(rig: Rig, data: bytes) -> None:
    """Make the call of an input: a byte for the method, one for the token, then the request.

    An even second byte brings the admin's token; an odd one, what the request begins with.
    """
    if len(data) < 2:
        return
    method, request = METHODS[data[0] % len(METHODS)], data[2:]
    await rig.prepare()
    path = f"/{method.containing_service.full_name}/{method.name}"
    ask: Any = rig.channel.unary_unary(path)
    call = ask(request, metadata=_metadata(data[1], request), timeout=20)
    code = await call.code()
    assert code not in _FAULTS, f"{method.name}: {await call.details()}"
    if code is grpc.StatusCode.OK:
        GetMessageClass(method.output_type).FromString(await call)


def _metadata(choice: int, request: bytes) -> list[tuple[str, str]]:
    if choice % 2:
        shown = "".join(chr(0x20 + byte % 0x5F) for byte in request[: choice // 2]).strip()
        return [("authorization", shown)]
    return [("authorization", f"Bearer {TOKEN}")]
