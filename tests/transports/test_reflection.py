"""What gRPC tools ask of any server: which services there are, and whether they are well."""

from typing import Any

import grpc
import pytest
from google.protobuf.descriptor_pb2 import FileDescriptorProto
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message_factory import GetMessageClass
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

from chat_service.node import Node
from tests.transports.stream import channel_to


async def reflect(
    node: Node, *requests: reflection_pb2.ServerReflectionRequest
) -> list[reflection_pb2.ServerReflectionResponse]:
    async with channel_to(node) as channel:
        stub = reflection_pb2_grpc.ServerReflectionStub(channel)
        return [response async for response in stub.ServerReflectionInfo(iter(requests))]


async def test_the_services_are_listed(node: Node) -> None:
    (response,) = await reflect(node, reflection_pb2.ServerReflectionRequest(list_services=""))
    assert {service.name for service in response.list_services_response.service} == {
        "chat.v1.Accounts",
        "chat.v1.Admin",
        "chat.v1.Chat",
        "grpc.health.v1.Health",
        "grpc.reflection.v1alpha.ServerReflection",
    }


async def test_the_contract_can_be_rebuilt_from_what_is_reflected(node: Node) -> None:
    wanted = {"chat/v1/accounts.proto", "chat/v1/admin.proto", "chat/v1/chat.proto"}
    files: dict[str, FileDescriptorProto] = {}
    while missing := wanted - files.keys():
        requests = [
            reflection_pb2.ServerReflectionRequest(file_by_filename=name) for name in missing
        ]
        for response in await reflect(node, *requests):
            for encoded in response.file_descriptor_response.file_descriptor_proto:
                file = FileDescriptorProto.FromString(encoded)
                files[file.name] = file
                wanted |= set(file.dependency)
    pool = DescriptorPool()
    while files:
        for name, file in list(files.items()):
            if not files.keys() & set(file.dependency):
                pool.Add(files.pop(name))
    method = pool.FindServiceByName("chat.v1.Chat").methods_by_name["Connect"]
    assert (method.client_streaming, method.server_streaming) == (True, True)
    for service, name in (("Accounts", "Login"), ("Admin", "Ban")):
        assert name in pool.FindServiceByName(f"chat.v1.{service}").methods_by_name
    frame: Any = GetMessageClass(method.input_type)()
    frame.commands.add(ref=1).hello.user = "ann"
    assert frame.SerializeToString()


async def test_a_symbol_leads_to_its_file(node: Node) -> None:
    (response,) = await reflect(
        node, reflection_pb2.ServerReflectionRequest(file_containing_symbol="chat.v1.Chat")
    )
    (encoded, *_) = response.file_descriptor_response.file_descriptor_proto
    assert FileDescriptorProto.FromString(encoded).name == "chat/v1/chat.proto"


@pytest.mark.parametrize("service", ["", "chat.v1.Chat"])
async def test_the_service_is_healthy(node: Node, service: str) -> None:
    async with channel_to(node) as channel:
        stub = health_pb2_grpc.HealthStub(channel)
        response = await stub.Check(health_pb2.HealthCheckRequest(service=service))
    assert response.status == health_pb2.HealthCheckResponse.SERVING


async def test_of_the_health_of_others_nothing_is_known(node: Node) -> None:
    async with channel_to(node) as channel:
        stub = health_pb2_grpc.HealthStub(channel)
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await stub.Check(health_pb2.HealthCheckRequest(service="chat.v2.Chat"))
    assert caught.value.code() is grpc.StatusCode.NOT_FOUND
