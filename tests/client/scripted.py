"""A gRPC server that does what a test tells it, for what the real one would never do.

The transport is real: only the other side's behaviour is made up.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any

import grpc
import grpc.aio

from chat.v1 import accounts_pb2_grpc, chat_pb2, commands_pb2, cursor_pb2, events_pb2

PATIENCE = 10.0


async def eventually(condition: Callable[[], object]) -> None:
    """Wait for a condition that other tasks bring about."""
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, "it never happened"
        await asyncio.sleep(0.005)


def message(
    seq: int, text: str = "hi", *, to: str = "#lobby", sender: str = "ann"
) -> events_pb2.Event:
    return events_pb2.Event(
        seq=seq, message=events_pb2.Message(to=to, sender=sender, number=seq, text=text)
    )


def goodbye(
    reason: events_pb2.GoodbyeReason, *, reconnect: bool = False, retry_after: float = 0.0
) -> events_pb2.Event:
    event = events_pb2.Event(goodbye=events_pb2.Goodbye(reason=reason, reconnect=reconnect))
    if retry_after:
        event.goodbye.retry_after.FromNanoseconds(int(retry_after * 1e9))
    return event


class Ended(Exception):
    """The client has half-closed."""


class Peer:
    """The server's end of one stream."""

    def __init__(self, context: Any) -> None:
        self._context = context
        self._commands: list[commands_pb2.Command] = []
        self.opened_at = time.monotonic()
        self.frames_written = 0

    async def command(self) -> commands_pb2.Command:
        """Return the next command; raises Ended."""
        while not self._commands:
            frame = await self._context.read()
            if frame is grpc.aio.EOF:
                raise Ended
            self._commands.extend(frame.commands)
        return self._commands.pop(0)

    async def frame(self) -> list[commands_pb2.Command]:
        """Return the commands of the next frame."""
        assert not self._commands
        first = await self.command()
        rest, self._commands = self._commands, []
        return [first, *rest]

    async def say(self, *events: events_pb2.Event) -> None:
        await self._context.write(chat_pb2.ServerFrame(events=events))
        self.frames_written += 1

    async def welcome(
        self,
        *behind: events_pb2.Event,
        epoch: str = "e1",
        seq: int = 0,
        last_nonce: int = 0,
        resumed: bool = False,
        max_frame_bytes: int = 0,
    ) -> commands_pb2.Hello:
        """Take the Hello and answer it; `behind` comes in the same frame."""
        hello = (await self.command()).hello
        welcome = events_pb2.Welcome(
            user=hello.user.lower(),
            cursor=cursor_pb2.Cursor(epoch=epoch, seq=seq),
            resumed=resumed,
            last_nonce=last_nonce,
            rooms=["#lobby"],
            limits=events_pb2.Limits(max_frame_bytes=max_frame_bytes),
        )
        await self.say(events_pb2.Event(welcome=welcome), *behind)
        return hello

    async def ack(
        self, command: commands_pb2.Command, seq: int = 0, *, duplicate: bool = False
    ) -> None:
        ack = events_pb2.Ack(seq=seq, nonce=command.send.nonce, duplicate=duplicate)
        await self.say(events_pb2.Event(ref=command.ref, ack=ack))

    async def refuse(
        self,
        command: commands_pb2.Command,
        code: events_pb2.ErrorCode,
        text: str = "no",
        retry_after: float = 0.0,
    ) -> None:
        error = events_pb2.Error(code=code, message=text)
        if retry_after:
            error.retry_after.FromNanoseconds(int(retry_after * 1e9))
        await self.say(events_pb2.Event(ref=command.ref, error=error))

    async def acknowledge_all(self, seq: int = 0) -> None:
        """Answer each command with an Ack until the client leaves."""
        while True:
            seq += 1
            await self.ack(await self.command(), seq)

    async def until_left(self) -> None:
        """Wait until the client half-closes, taking nothing from it."""
        try:
            command = await self.command()
        except Ended:
            return
        raise AssertionError(f"unexpected: {command}")

    async def drop(self, code: grpc.StatusCode = grpc.StatusCode.UNAVAILABLE) -> None:
        """Break the stream, unless the client has already, of which grpc tells here."""
        with suppress(grpc.aio.InternalError):
            await self._context.abort(code, "dropped by the script")

    async def drop_with(self, status: Any) -> None:
        """Break the stream with a rich status."""
        await self._context.abort_with_status(status)


Script = Callable[[Peer], Awaitable[None]]


class ScriptedServer:
    """Serves its n-th connection by its n-th script. A script that returns ends its stream."""

    def __init__(self, *scripts: Script) -> None:
        self._scripts = list(scripts)
        self.peers: list[Peer] = []
        self.faults: list[BaseException] = []
        self.address = ""

    async def connect(self, _requests: object, context: Any) -> None:
        peer = Peer(context)
        self.peers.append(peer)
        if self.faults:  # the test has failed: no client is to come back for ever
            await peer.drop(grpc.StatusCode.UNIMPLEMENTED)
        try:
            assert self._scripts, "one connection too many"
            await self._scripts.pop(0)(peer)
        except Ended:
            pass
        except (Exception, asyncio.CancelledError) as fault:
            if not isinstance(fault, asyncio.CancelledError | grpc.aio.AbortError):
                self.faults.append(fault)
            raise

    @asynccontextmanager
    async def serving(
        self,
        port: int = 0,
        *,
        credentials: grpc.ServerCredentials | None = None,
        accounts: object = None,
    ) -> AsyncIterator["ScriptedServer"]:
        server = grpc.aio.server()
        if accounts:
            accounts_pb2_grpc.add_AccountsServicer_to_server(accounts, server)
        handler = grpc.stream_stream_rpc_method_handler(
            self.connect,
            request_deserializer=chat_pb2.ClientFrame.FromString,
            response_serializer=chat_pb2.ServerFrame.SerializeToString,
        )
        service = grpc.method_handlers_generic_handler("chat.v1.Chat", {"Connect": handler})
        server.add_generic_rpc_handlers((service,))
        address = f"127.0.0.1:{port}"
        self.address = "127.0.0.1:" + str(
            server.add_secure_port(address, credentials)
            if credentials
            else server.add_insecure_port(address)
        )
        await server.start()
        try:
            yield self
        finally:
            await server.stop(0)
        assert not self.faults, self.faults


async def polite(peer: Peer) -> None:
    """Let the client in and take whatever it says."""
    await peer.welcome()
    await peer.acknowledge_all()


def serving(*scripts: Script, **how: Any) -> Any:
    """Serve the scripts, one a connection; raises at its end what went wrong in one."""
    return ScriptedServer(*scripts).serving(**how)
