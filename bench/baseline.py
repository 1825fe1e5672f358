"""A chat as one writes it first with grpc.aio: a queue a user, one write a message, no storage.

It speaks `chat.v1` with the ordinary generated stubs, as far as the load generator needs it, so the
same clients drive both. Run as `python -m bench.baseline HOST:PORT`.
"""

import asyncio
import sys
from collections import defaultdict
from collections.abc import AsyncIterator
from typing import Any

import grpc

from chat.v1 import chat_pb2, chat_pb2_grpc, commands_pb2, events_pb2

Queue = asyncio.Queue[events_pb2.Event | None]


class PlainChat(chat_pb2_grpc.ChatServicer):  # type: ignore[misc]
    """Everybody's queues, and the rooms that they are in."""

    def __init__(self) -> None:
        self._queues: dict[str, Queue] = {}
        self._rooms: defaultdict[str, set[str]] = defaultdict(set)
        self._seq = 0

    async def Connect(  # noqa: N802  (the contract's name)
        self, requests: AsyncIterator[chat_pb2.ClientFrame], _context: Any
    ) -> AsyncIterator[chat_pb2.ServerFrame]:
        """Serve one user: read in a task, write what the queue brings."""
        queue: Queue = asyncio.Queue()
        reading = asyncio.create_task(self._read(requests, queue))
        try:
            while (event := await queue.get()) is not None:
                yield chat_pb2.ServerFrame(events=[event])
        finally:
            reading.cancel()

    async def _read(self, requests: AsyncIterator[chat_pb2.ClientFrame], queue: Queue) -> None:
        user = ""
        try:
            async for frame in requests:
                for command in frame.commands:
                    user = user or command.hello.user
                    queue.put_nowait(self._execute(user, queue, command))
        finally:
            self._forget(user)
            queue.put_nowait(None)

    def _execute(self, user: str, queue: Queue, command: commands_pb2.Command) -> events_pb2.Event:
        match command.WhichOneof("kind"):
            case "hello":
                self._queues[user] = queue
                return events_pb2.Event(ref=command.ref, welcome=events_pb2.Welcome(user=user))
            case "join":
                self._rooms[command.join.room].add(user)
            case "send":
                self._deliver(user, command.send)
            case "ping":
                return events_pb2.Event(ref=command.ref, pong=events_pb2.Pong())
        return events_pb2.Event(ref=command.ref, ack=events_pb2.Ack(seq=self._seq))

    def _deliver(self, user: str, send: commands_pb2.Send) -> None:
        self._seq += 1
        message = events_pb2.Message(to=send.to, sender=user, text=send.text)
        message.sent_at.GetCurrentTime()
        event = events_pb2.Event(seq=self._seq, message=message)
        readers = self._rooms[send.to] if send.to.startswith("#") else {send.to[1:], user}
        for reader in readers:
            if reader in self._queues:
                self._queues[reader].put_nowait(event)

    def _forget(self, user: str) -> None:
        self._queues.pop(user, None)
        for members in self._rooms.values():
            members.discard(user)


async def serve(address: str) -> None:
    """Serve until the process is ended."""
    server = grpc.aio.server()
    chat_pb2_grpc.add_ChatServicer_to_server(PlainChat(), server)
    port = server.add_insecure_port(address)
    await server.start()
    print(f"ready grpc={address.rpartition(':')[0]}:{port}", flush=True)
    await server.wait_for_termination()


if __name__ == "__main__":
    asyncio.run(serve(sys.argv[1]))
