"""One gRPC stream, from Hello to its end."""

import asyncio
from collections.abc import Sequence
from typing import Any, Final, Self

import grpc
import grpc.aio

from chat.v1 import chat_pb2, chat_pb2_grpc, commands_pb2, events_pb2
from chat_client.channel import open_channel, unreachable
from chat_client.errors import (
    ChatError,
    Lost,
    Refused,
    TlsError,
    Unavailable,
    departure,
    is_final,
)
from chat_client.status import refusal, retry_after

HELLO_TIMEOUT: Final = 10.0
"""Seconds that a server has to answer, connecting included."""

# Statuses that another try will not change. With a Goodbye before it, that decides instead.
_FINAL: Final = frozenset(
    {
        grpc.StatusCode.INVALID_ARGUMENT,
        grpc.StatusCode.PERMISSION_DENIED,
        grpc.StatusCode.UNIMPLEMENTED,
    }
)


class Stream:
    """A session's stream. One task reads it and one writes; neither is cancelled before its end."""

    welcome: events_pb2.Event
    first: Sequence[events_pb2.Event]
    """What came in one frame with the Welcome, behind it."""

    def __init__(self, server: str, credentials: grpc.ChannelCredentials | None) -> None:
        self._server = server
        self._credentials = credentials
        # A channel of its own for every try: none inherits what went wrong with the last.
        self._channel = open_channel(server, credentials)
        self._unanswered = False
        self._call: Any = chat_pb2_grpc.ChatStub(self._channel).Connect()

    @classmethod
    async def open(
        cls, server: str, hello: commands_pb2.Hello, credentials: grpc.ChannelCredentials | None
    ) -> Self:
        """Connect and say Hello; raises Lost, or the ChatError that ends it all."""
        stream = cls(server, credentials)
        try:
            await stream._greet_in_time(hello)
        except Lost as lost:
            await stream.close()
            lost.stray_hello = stream._unanswered or _may_have_happened(lost.error)
            raise
        except BaseException:
            await stream.close()
            raise
        return stream

    async def read(self) -> chat_pb2.ServerFrame | None:
        """Return the next frame, or None at the end; raises Lost, or ChatError if it is final."""
        try:
            frame = await self._call.read()
        except grpc.aio.AioRpcError as error:
            raise self._meaning(error) from error
        return None if frame is grpc.aio.EOF else frame

    async def write(self, frame: chat_pb2.ClientFrame) -> bool:
        """Send a frame; False if the stream has ended, of which reading tells the reason."""
        try:
            await self._call.write(frame)
        except (grpc.aio.AioRpcError, asyncio.InvalidStateError):
            return False
        return True

    async def half_close(self) -> None:
        """Say that nothing more will be written: a clean leave."""
        await self._call.done_writing()

    async def close(self) -> None:
        """End it now, whatever its state."""
        self._call.cancel()
        await self._channel.close()

    async def _greet_in_time(self, hello: commands_pb2.Hello) -> None:
        try:
            async with asyncio.timeout(HELLO_TIMEOUT):
                await self._greet(hello)
        except TimeoutError:
            raise Lost(
                Unavailable(f"cannot reach {self._server}: no answer in {HELLO_TIMEOUT:.0f} s")
            ) from None

    async def _greet(self, hello: commands_pb2.Hello) -> None:
        greeting = chat_pb2.ClientFrame(commands=[commands_pb2.Command(hello=hello)])
        self._unanswered = await self.write(greeting)
        refused: Refused | None = None
        while frame := await self._read_greeting(refused):
            self._unanswered = False
            for place, event in enumerate(frame.events, start=1):
                if event.HasField("welcome"):
                    self.welcome, self.first = event, frame.events[place:]
                    return
                if event.HasField("goodbye"):
                    raise departure(event.goodbye, refused)
                if event.HasField("error"):
                    refused = Refused(event.error)
        if refused and (refused.retry_after is None or is_final(refused)):
            raise refused
        cause = refused or Unavailable(f"{self._server} ended the stream without a Welcome")
        raise Lost(cause, refused.retry_after if refused else None)

    async def _read_greeting(self, refused: Refused | None) -> chat_pb2.ServerFrame | None:
        try:
            return await self.read()
        except (ChatError, Lost):
            if refused is None:
                raise
            return None  # the Error that came before says more than the status does

    def _meaning(self, error: grpc.aio.AioRpcError) -> ChatError | Lost:
        if error.code() is grpc.StatusCode.UNAUTHENTICATED and (told := refusal(error)):
            return Refused(told)
        unavailable = unreachable(self._server, error, self._credentials)
        if error.code() in _FINAL or isinstance(unavailable, TlsError):
            return unavailable
        return Lost(unavailable, retry_after(error))


def _may_have_happened(error: ChatError) -> bool:
    """Tell whether a Hello may yet be carried out: the server has waited for long enough itself."""
    return isinstance(error, Refused) and error.code == events_pb2.ERROR_CODE_UNAVAILABLE
