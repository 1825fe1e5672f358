"""People whose programs speak the contract itself, over gRPC or a WebSocket."""

import asyncio
import socket
import struct
from abc import abstractmethod
from collections.abc import AsyncIterator, Callable
from http import HTTPStatus
from typing import Any

import aiohttp
import grpc
from google.protobuf import json_format
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass

from chat.v1 import accounts_pb2, chat_pb2, chat_pb2_grpc, commands_pb2, events_pb2
from chat_service.node import Node
from tests.accounts import bearer, method_of, unary
from tests.scenarios.deeds import command, told_by_event
from tests.scenarios.heard import (
    Announced,
    Bye,
    Came,
    Heard,
    JoinedRoom,
    LeftRoom,
    Refused,
    Said,
    Went,
)
from tests.scenarios.person import Person


class CallRefusedError(Exception):
    """A call about an account was refused; the message is the server's."""


class FramePerson(Person):
    """Somebody whose program speaks the contract itself, over whatever carries frames."""

    needs_to_be_there = False

    @abstractmethod
    async def open(self, node: Node) -> None:
        """Open the stream."""

    @abstractmethod
    async def write(self, frame: chat_pb2.ClientFrame) -> None:
        """Send a frame."""

    @abstractmethod
    def frames(self) -> AsyncIterator[chat_pb2.ServerFrame]:
        """Return what comes, until the stream ends."""

    @abstractmethod
    async def call(self, request: Message, token: str = "") -> Any:
        """Call the accounts service; raises CallRefusedError."""

    async def connect(self, node: Node) -> None:
        await self.open(node)
        self._replies: dict[int, asyncio.Future[events_pb2.Event]] = {}
        self._ref = 0
        self._reader = asyncio.create_task(self._read())
        hello = commands_pb2.Hello(user=self.user, client_id=self.client_id)
        if self.password:
            hello.password = self.password
        reply = await self.ask(hello=hello)
        if reply.HasField("welcome"):
            self.user = reply.welcome.user
        self._token = reply.welcome.token

    async def ask(self, **kind: Any) -> events_pb2.Event:
        """Send one command and wait for its reply."""
        self._ref += 1
        reply = self._replies[self._ref] = asyncio.get_running_loop().create_future()
        command = commands_pb2.Command(ref=self._ref, **kind)
        await self.write(chat_pb2.ClientFrame(commands=[command]))
        return await asyncio.wait_for(reply, 10)

    async def say(self, text: str, to: str = "#lobby") -> None:
        await self.ask(send=commands_pb2.Send(to=to, text=text))

    async def join(self, room: str) -> None:
        await self.ask(join=commands_pb2.Join(room=room))

    async def leave(self, room: str) -> None:
        await self.ask(leave=commands_pb2.Leave(room=room))

    async def who(self, room: str) -> list[str]:
        reply = await self.ask(who=commands_pb2.Who(to=room))
        return [member.user for member in reply.roster.members if member.online]

    async def history(self, room: str, count: int) -> list[tuple[str, str]]:
        reply = await self.ask(history=commands_pb2.History(to=room, limit=count))
        return [(e.message.sender, e.message.text) for e in reply.history.events]

    async def conversations(self) -> list[tuple[str, int]]:
        reply = await self.ask(conversations=commands_pb2.Conversations())
        return [(it.to, it.last_number) for it in reply.conversations.conversations]

    async def tries(self, verb: str, room: str, user: str = "", rest: str = "") -> str:
        asked = _ASK[verb](room) if verb in _ASK else {"moderate": command(verb, room, user, rest)}
        return str((await self.ask(**asked)).error.message)

    async def register(self, password: str) -> str:
        request = accounts_pb2.RegisterRequest(user=self.user, password=password)
        return await self._refusal(request, self._token)

    async def change_password(self, old: str, new: str) -> str:
        sign_in = accounts_pb2.LoginRequest(user=self.user, password=old)
        try:
            token = (await self.call(sign_in)).session.token
        except CallRefusedError as refused:
            return str(refused)
        request = accounts_pb2.ChangePasswordRequest(old_password=old, new_password=new)
        return await self._refusal(request, token)

    async def _refusal(self, request: Message, token: str) -> str:
        try:
            await self.call(request, token)
        except CallRefusedError as refused:
            return str(refused)
        return ""

    async def _read(self) -> None:
        async for frame in self.frames():
            for event in frame.events:
                self._take(event)
        self.ended = True

    def _take(self, event: events_pb2.Event) -> None:
        kind = event.WhichOneof("kind")
        if (observe := _OBSERVE.get(kind or "")) is not None:
            self.heard.append(observe(event))
        if event.ref and (reply := self._replies.pop(event.ref, None)) is not None:
            reply.set_result(event)


class GrpcPerson(FramePerson):
    """Somebody with a gRPC client."""

    async def open(self, node: Node) -> None:
        self._channel = grpc.aio.insecure_channel(str(node.endpoints["grpc"]))
        self._call: Any = chat_pb2_grpc.ChatStub(self._channel).Connect()

    async def write(self, frame: chat_pb2.ClientFrame) -> None:
        await self._call.write(frame)

    async def frames(self) -> AsyncIterator[chat_pb2.ServerFrame]:
        try:
            async for frame in self._call:
                yield frame
        except (grpc.aio.AioRpcError, asyncio.CancelledError):
            pass  # the status is told by the goodbye as well

    async def call(self, request: Message, token: str = "") -> Any:
        try:
            return await unary(self._channel, request, token)
        except grpc.aio.AioRpcError as error:
            raise CallRefusedError(error.details()) from None

    async def depart(self) -> None:
        await self._call.done_writing()
        await self._reader

    async def vanish(self) -> None:
        self._call.cancel()
        await self._reader

    async def hang_up(self) -> None:
        await self.vanish()
        await self._channel.close()


class WebPerson(FramePerson):
    """Somebody with a WebSocket. A class of it says in which encoding."""

    subprotocol: str

    @abstractmethod
    def encode(self, frame: chat_pb2.ClientFrame) -> str | bytes:
        """Return what a message holds."""

    @abstractmethod
    def decode(self, data: str | bytes) -> chat_pb2.ServerFrame:
        """Return what a message has brought."""

    async def open(self, node: Node) -> None:
        self._http = aiohttp.ClientSession(f"http://{node.endpoints['web']}")
        self._socket = await self._http.ws_connect("/ws", protocols=[self.subprotocol])

    async def write(self, frame: chat_pb2.ClientFrame) -> None:
        data = self.encode(frame)
        if isinstance(data, str):
            await self._socket.send_str(data)
        else:
            await self._socket.send_bytes(data)

    async def frames(self) -> AsyncIterator[chat_pb2.ServerFrame]:
        async for message in self._socket:
            yield self.decode(message.data)

    async def call(self, request: Message, token: str = "") -> Any:
        method = method_of(request)
        headers = {"Content-Type": "application/json", **dict(bearer(token) if token else ())}
        path = f"/{method.containing_service.full_name}/{method.name}"
        body = json_format.MessageToJson(request)
        async with self._http.post(path, data=body, headers=headers) as response:
            answer = await response.json()
        if response.status != HTTPStatus.OK:
            raise CallRefusedError(answer["message"])
        return json_format.ParseDict(answer, GetMessageClass(method.output_type)())

    async def depart(self) -> None:
        await self._socket.close()
        await self._reader

    async def vanish(self) -> None:
        sock = self._socket.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._reader.cancel()
        await asyncio.gather(self._reader, return_exceptions=True)
        await self._http.close()
        self.ended = True

    async def hang_up(self) -> None:
        await self._socket.close()
        await asyncio.gather(self._reader, return_exceptions=True)
        await self._http.close()


class JsonPerson(WebPerson):
    """Somebody who looks at the page, or has `websocat`."""

    subprotocol = "chat.v1.json"

    def encode(self, frame: chat_pb2.ClientFrame) -> str:
        return json_format.MessageToJson(frame, indent=None)

    def decode(self, data: str | bytes) -> chat_pb2.ServerFrame:
        return json_format.Parse(data, chat_pb2.ServerFrame())


class ProtobufPerson(WebPerson):
    """Somebody with a program that reaches the server through a web proxy."""

    subprotocol = "chat.v1.protobuf"

    def encode(self, frame: chat_pb2.ClientFrame) -> bytes:
        return frame.SerializeToString()

    def decode(self, data: str | bytes) -> chat_pb2.ServerFrame:
        assert isinstance(data, bytes)
        return chat_pb2.ServerFrame.FromString(data)


_ASK: dict[str, Callable[[str], dict[str, Any]]] = {
    "say": lambda room: {"send": commands_pb2.Send(to=room, text="anything")},
    "join": lambda room: {"join": commands_pb2.Join(room=room)},
    "leave": lambda room: {"leave": commands_pb2.Leave(room=room)},
    "who": lambda room: {"who": commands_pb2.Who(to=room)},
    "history": lambda room: {"history": commands_pb2.History(to=room)},
    "conversations": lambda _: {"conversations": commands_pb2.Conversations()},
}

_OBSERVE: dict[str, Callable[[events_pb2.Event], Heard]] = {
    "message": lambda e: Said(e.message.to, e.message.sender, e.message.text),
    "joined": lambda e: JoinedRoom(e.joined.room, e.joined.user),
    "left": lambda e: LeftRoom(e.left.room, e.left.user),
    "presence": lambda e: (Came if e.presence.online else Went)(e.presence.user),
    "error": lambda e: Refused(e.error.message),
    "goodbye": lambda e: Bye(e.goodbye.message),
    "moderated": told_by_event,
    "announcement": lambda e: Announced(e.announcement.text, e.announcement.by),
}
