"""A gRPC client that remembers all it was told, with the generated stub or with bare bytes."""

import asyncio
from collections.abc import Callable
from typing import Any, Self

import grpc
from google.rpc.error_details_pb2 import ErrorInfo, RetryInfo
from google.rpc.status_pb2 import Status

from chat.v1 import chat_pb2, chat_pb2_grpc, commands_pb2, cursor_pb2, events_pb2
from chat_service.node import Node
from tests.accounts import Server, bearer
from tests.waiting import until

METHOD = "/chat.v1.Chat/Connect"
# So that each channel is a connection of its own, also where several lead to one server.
OPTIONS = (("grpc.use_local_subchannel_pool", 1),)


def channel_to(node: Server) -> grpc.aio.Channel:
    """Return a channel that shares its connection with no other."""
    return grpc.aio.insecure_channel(str(node.endpoints["grpc"]), options=OPTIONS)


class Stream:
    """One stream and everything that came of it. Opened in a test's own event loop."""

    def __init__(self, channel: grpc.aio.Channel, call: Any) -> None:
        self.events: list[events_pb2.Event] = []
        self.welcome = events_pb2.Welcome()
        self.details = ""
        self.code: grpc.StatusCode | None = None
        """The status, once the stream has ended."""
        self._channel = channel
        self._call = call
        self._ref = 0
        self._reader = asyncio.create_task(self._read())

    @classmethod
    def open(cls, node: Server, token: str = "") -> Self:
        """Open a stream with the generated stub, and a token in its metadata if there is one."""
        channel = channel_to(node)
        metadata = bearer(token) if token else ()
        return cls(channel, chat_pb2_grpc.ChatStub(channel).Connect(metadata=metadata))

    @classmethod
    def open_raw(cls, node: Node) -> Self:
        """Open a stream that takes and gives bytes."""
        channel = channel_to(node)
        return cls(channel, channel.stream_stream(METHOD)())

    async def enter(self, user: str, client_id: str = "", **fields: Any) -> Self:
        """Say hello and be welcomed."""
        reply = await self.hello(user, client_id, **fields)
        assert reply.HasField("welcome"), reply
        self.welcome = reply.welcome
        return self

    async def hello(self, user: str, client_id: str = "", **fields: Any) -> events_pb2.Event:
        """Say hello and return what is answered."""
        hello = commands_pb2.Hello(user=user, client_id=client_id, **fields)
        return await self.ask(hello=hello)

    async def ask(self, **kind: Any) -> events_pb2.Event:
        """Send one command and return its reply."""
        self._ref += 1
        await self.send(commands_pb2.Command(ref=self._ref, **kind))
        return await self.reply(self._ref)

    async def say(self, text: str, to: str = "#lobby", nonce: int = 0) -> events_pb2.Event:
        """Send a message and return the reply."""
        return await self.ask(send=commands_pb2.Send(to=to, text=text, nonce=nonce))

    async def join(self, room: str) -> None:
        """Become a member of a room."""
        reply = await self.ask(join=commands_pb2.Join(room=room))
        assert reply.HasField("ack"), reply

    async def ping(self) -> None:
        """Wait until everything asked before is done, and everything told before is here."""
        reply = await self.ask(ping=commands_pb2.Ping())
        assert reply.HasField("pong"), reply

    async def send(self, *commands: commands_pb2.Command) -> None:
        """Send commands in one frame."""
        await self._call.write(chat_pb2.ClientFrame(commands=commands))

    async def send_bytes(self, frame: bytes) -> None:
        """Send a frame as it is; for streams opened raw."""
        await self._call.write(frame)

    async def reply(self, ref: int) -> events_pb2.Event:
        """Wait for the reply with a ref."""
        return await self.hears(lambda event: event.ref == ref)

    async def hears_text(self, text: str, *, within: float = 10.0) -> events_pb2.Event:
        """Wait for a message."""
        return await self.hears(lambda event: event.message.text == text, within=within)

    async def hears_presence(self, user: str, *, online: bool, within: float = 10.0) -> None:
        """Wait until somebody's coming or going is told."""
        await self.hears(lambda event: presence(event) == (user, online), within=within)

    async def hears(
        self, wanted: Callable[[events_pb2.Event], bool], *, within: float = 10.0
    ) -> events_pb2.Event:
        """Wait for an event; fails at once if the stream ends without it."""
        checked = 0
        found: list[events_pb2.Event] = []

        def heard() -> bool:
            nonlocal checked
            found.extend(event for event in self.events[checked:] if wanted(event))
            checked = len(self.events)
            return bool(found) or self._reader.done()

        await until(heard, within=within, what=f"an event behind {self._last}")
        heard()
        assert found, f"ended with {self.code} {self.details!r} after {self._last}"
        return found[0]

    @property
    def texts(self) -> list[str]:
        """The texts of all messages told so far."""
        return [event.message.text for event in self.events if event.HasField("message")]

    @property
    def presences(self) -> list[tuple[str, bool]]:
        """Whose coming (True) or going was told so far."""
        return [told for event in self.events if (told := presence(event)) is not None]

    @property
    def cursor(self) -> cursor_pb2.Cursor:
        """What a client keeps in order to resume."""
        seq = max((event.seq for event in self.events), default=0)
        return cursor_pb2.Cursor(
            epoch=self.welcome.cursor.epoch, seq=max(seq, self.welcome.cursor.seq)
        )

    async def half_close(self) -> None:
        """Say that nothing more comes from this side."""
        await self._call.done_writing()

    async def leave(self) -> None:
        """Leave cleanly and wait for the end."""
        await self.half_close()
        assert await self.ended() is grpc.StatusCode.OK, self.details

    async def ended(self, *, within: float = 10.0) -> grpc.StatusCode:
        """Wait for the end of the stream and return its status."""
        await until(lambda: self.code is not None, within=within, what="the stream to end")
        assert self.code is not None
        return self.code

    async def sent_away(self, code: grpc.StatusCode, reason: int) -> str:
        """Wait for an end that asks nobody to come back, and return the last words."""
        assert await self.ended() is code
        goodbye = self.events[-1].goodbye
        assert goodbye.reason == reason
        assert not goodbye.reconnect
        return goodbye.message

    def vanish(self) -> None:
        """Cut the stream, as a client does that crashes."""
        self._call.cancel()

    async def hang_up(self) -> None:
        """Give everything back, whatever state the stream is in."""
        self._call.cancel()
        await self._reader
        await self._channel.close()

    async def error_info(self) -> ErrorInfo:
        """Return the machine-readable reason in the status's rich details."""
        info = ErrorInfo()
        for detail in (await self._rich_status()).details:
            if detail.Unpack(info):
                return info
        raise AssertionError(f"no ErrorInfo with {self.code} {self.details!r}")

    async def retry_delay(self) -> float:
        """Return the delay, in seconds, that the status's rich details ask for."""
        info = RetryInfo()
        for detail in (await self._rich_status()).details:
            if detail.Unpack(info):
                return float(info.retry_delay.ToMilliseconds() / 1000)
        raise AssertionError(f"no RetryInfo with {self.code} {self.details!r}")

    async def _rich_status(self) -> Status:
        trailing = dict(await self._call.trailing_metadata())
        status = Status.FromString(trailing["grpc-status-details-bin"])
        assert (status.code, status.message) == (self.code and self.code.value[0], self.details)
        return status

    @property
    def _last(self) -> str:
        return " ".join(str(event)[:200].replace("\n", "") for event in self.events[-3:])

    async def _read(self) -> None:
        try:
            async for frame in self._call:
                raw = isinstance(frame, bytes)
                self.events += (chat_pb2.ServerFrame.FromString(frame) if raw else frame).events
        except (grpc.aio.AioRpcError, asyncio.CancelledError):
            pass  # the status is asked for in any case
        self.details = await self._call.details()
        self.code = await self._call.code()


def presence(event: events_pb2.Event) -> tuple[str, bool] | None:
    """Return of a presence event who came (True) or went."""
    if not event.HasField("presence"):
        return None
    return event.presence.user, event.presence.online
