"""Account calls over HTTP: any bytes as a body of JSON, with any of several credentials."""

from http import HTTPStatus
from typing import Final

from google.protobuf import json_format
from google.protobuf.message_factory import GetMessageClass

from chat.v1 import accounts_pb2
from tests.fuzz.rig import TOKEN, Rig

METHODS: Final = list(accounts_pb2.DESCRIPTOR.services_by_name["Accounts"].methods)


async def feed(rig: Rig, data: bytes) -> None:
    """Make the call of an input: a byte for the method, one for the token, then the request.

    An even second byte brings the token; an odd one, what the request begins with.
    """
    if len(data) < 2:
        return
    method, body = METHODS[data[0] % len(METHODS)], data[2:]
    await rig.prepare()
    headers = {"Content-Type": "application/json", "Authorization": _credential(data[1], body)}
    path = f"/{method.containing_service.full_name}/{method.name}"
    async with rig.http.post(path, data=body, headers=headers) as response:
        told = await response.text()
    assert response.status < HTTPStatus.INTERNAL_SERVER_ERROR, f"{method.name}: {told}"
    if response.status == HTTPStatus.OK:
        json_format.Parse(told, GetMessageClass(method.output_type)())


def _credential(choice: int, body: bytes) -> str:
    if choice % 2:
        return "".join(chr(0x20 + byte % 0x5F) for byte in body[: choice // 2]).strip()
    return f"Bearer {TOKEN}"
