"""What those are told who show no credential, for every call that the contract has."""

import pkgutil
from importlib import import_module
from typing import Any, Final

import grpc
import pytest
from google.protobuf.descriptor import MethodDescriptor
from google.protobuf.message_factory import GetMessageClass

import chat.v1
from chat.v1 import commands_pb2, events_pb2
from chat.v1.chat_pb2_grpc import ChatStub
from chat_service.node import Node
from tests.accounts import Call, bearer, failure, make_account
from tests.conftest import StartNode
from tests.transports.conftest import OpenStream
from tests.transports.stream import Stream, channel_to

STATUS = grpc.StatusCode


def contract() -> list[MethodDescriptor]:
    """Return every method of every service in the contract."""
    names = [it.name for it in pkgutil.iter_modules(chat.v1.__path__) if it.name.endswith("_pb2")]
    files = [import_module(f"chat.v1.{name}").DESCRIPTOR for name in names]
    services = [it for file in files for it in file.services_by_name.values()]
    return [method for service in services for method in service.methods]


METHODS: Final = contract()
FOR_EVERYBODY: Final = {"chat.v1.Accounts.Register", "chat.v1.Accounts.Login"}
"""What one calls to get a credential."""

EVERYBODYS: Final = [it for it in METHODS if it.full_name in FOR_EVERYBODY]
STREAMS: Final = [it for it in METHODS if it.client_streaming]
OTHERS: Final = [it for it in METHODS if it not in EVERYBODYS and it not in STREAMS]

NOTHING_OF_USE: Final = {
    "nothing": (),
    "an empty bearer": (("authorization", "Bearer "),),
    "nonsense": bearer("nonsense"),
    "a token that nobody has": bearer("cst_" + "A" * 43),
    "another scheme": (("authorization", "Basic Ym9iOmNvcnJlY3QgaG9yc2U="),),
}


def named(method: MethodDescriptor) -> str:
    return str(method.name)


def request(method: MethodDescriptor) -> Any:
    return GetMessageClass(method.input_type)()


def test_the_contract_has_the_services_that_are_looked_at_here() -> None:
    assert {it.containing_service.name for it in METHODS} == {"Chat", "Accounts", "Admin"}
    assert [it.name for it in STREAMS] == ["Connect"]
    assert {it.full_name for it in EVERYBODYS} == FOR_EVERYBODY


@pytest.mark.parametrize("auth", ["open", "registered"])
@pytest.mark.parametrize("method", OTHERS, ids=named)
async def test_no_call_is_answered_without_a_credential(
    start_node: StartNode, method: MethodDescriptor, auth: str
) -> None:
    node = await start_node(auth=auth)
    path = f"/{method.containing_service.full_name}/{method.name}"
    async with channel_to(node) as channel:
        send: Any = channel.unary_unary(path, lambda it: it.SerializeToString())
        failures = {
            (await failure(send(request(method), metadata=it)))[:2]
            for it in NOTHING_OF_USE.values()
        }
    assert failures == {(STATUS.UNAUTHENTICATED, "UNAUTHENTICATED")}


@pytest.mark.parametrize("method", EVERYBODYS, ids=named)
async def test_what_everybody_may_call_gives_nothing_for_nothing(
    node: Node, call: Call, method: MethodDescriptor
) -> None:
    await make_account(node, "bob")
    assert (await failure(call(node, request(method)))).code is STATUS.INVALID_ARGUMENT
    nameless = request(method)
    nameless.password = "correct horse battery"
    assert (await failure(call(node, nameless))).code is STATUS.INVALID_ARGUMENT


@pytest.mark.parametrize("metadata", NOTHING_OF_USE.values(), ids=list(NOTHING_OF_USE))
async def test_no_stream_is_opened_without_a_credential_where_one_is_asked_for(
    start_node: StartNode, metadata: tuple[tuple[str, str], ...]
) -> None:
    node = await start_node(auth="registered")
    async with channel_to(node) as channel:
        stream = Stream(channel, ChatStub(channel).Connect(metadata=metadata))
        reply = await stream.hello("bob", "bob's")
        assert reply.error.code == events_pb2.ERROR_CODE_UNAUTHENTICATED
        assert await stream.ended() is STATUS.UNAUTHENTICATED
        await stream.hang_up()


@pytest.mark.parametrize(
    "kind", [field.name for field in commands_pb2.Command.DESCRIPTOR.oneofs_by_name["kind"].fields]
)
async def test_no_command_is_done_before_hello(
    node: Node, open_stream: OpenStream, kind: str
) -> None:
    stream = open_stream(node)
    command = commands_pb2.Command(ref=1)
    getattr(command, kind).SetInParent()
    await stream.send(command)
    error = (await stream.reply(1)).error
    if kind == "hello":  # a nameless one
        assert error.code == events_pb2.ERROR_CODE_INVALID_ADDRESS
    else:
        assert error.code == events_pb2.ERROR_CODE_HELLO_REQUIRED
    assert await stream.ended() is not STATUS.OK
    assert len(stream.events) == 2
