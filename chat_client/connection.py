"""One session, kept going over as many streams as it takes.

A single task connects, reads and reconnects; beside it, each stream has one task that writes. What
must outlive a stream is here and in InFlight: the cursor, and the commands without a reply.
"""

import asyncio
import math
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from enum import Enum
from typing import Final

import grpc

from chat.v1 import chat_pb2, commands_pb2, cursor_pb2, events_pb2
from chat_client.backoff import Backoff
from chat_client.channel import check_secrecy
from chat_client.errors import ChatError, Closed, Lost, Unavailable, departure
from chat_client.in_flight import InFlight
from chat_client.inbox import Inbox
from chat_client.stream import Stream

# Seconds that a stream must last to count as a success. A server that welcomes and then fails is
# no better than one that is away.
_STABLE: Final = 5.0

# Seconds in which a Hello that was given up may still arrive: a node of a cluster that was cut off
# repeats what it has sent to the log until it is connected again. And how many are remembered.
_STRAY: Final = 600.0
_STRAYS: Final = 16


class State(Enum):
    """Where a client stands. It is told of each change once."""

    CONNECTING = "connecting"
    CONNECTED = "connected"
    RECONNECTING = "reconnecting"
    CLOSED = "closed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What a connection is made of; ChatClient describes each."""

    server: str
    user: str
    client_id: str
    resume: cursor_pb2.Cursor | None
    backlog: int
    password: str | None = field(repr=False)
    token: str | None = field(repr=False)
    credentials: grpc.ChannelCredentials | None
    insecure: bool
    connect_timeout: float | None
    max_reconnect_time: float | None
    max_in_flight: int
    max_events: int


class Connection:
    """Connects, resumes and resends until it is told to leave or the server will have no more."""

    def __init__(
        self, settings: Settings, on_state: Callable[[State], None], backoff: Backoff | None = None
    ) -> None:
        self._settings = settings
        self._on_state = on_state
        self._backoff = backoff or Backoff()
        # Set whenever the writer or a held reader may have something to do.
        self._changed = asyncio.Event()
        self._in_flight = InFlight(settings.max_in_flight, on_due=self._changed.set)
        self.inbox = Inbox(settings.max_events, on_room=self._changed.set)
        self.state = State.CONNECTING
        self._settled = asyncio.Event()
        self.error: Exception | None = None
        """Why nothing more can be asked; None until the end."""
        self.welcome: events_pb2.Welcome | None = None
        self.rooms: set[str] = set()
        """What to join again if the server has lost its log."""
        self._seq = 0
        self._behind = False
        self._strays: deque[float] = deque(maxlen=_STRAYS)
        """Until when each Hello that was given up may still arrive."""
        self._leaving = False

    @property
    def idle(self) -> bool:
        """Whether there is no stream, and nothing that needs one."""
        return self.state is not State.CONNECTED and not self._in_flight

    async def opened(self) -> None:
        """Wait for the first Welcome; raises what came instead."""
        await self._settled.wait()
        if self.error:
            raise self.error

    async def submit(self, command: commands_pb2.Command) -> asyncio.Future[events_pb2.Event]:
        """Queue a command, once there is a slot for it; return the future of its reply."""
        self._check_open()
        await self._in_flight.slot()
        try:
            self._check_open()
        except Exception:
            self._in_flight.give_back()
            raise
        reply = self._in_flight.add(command)
        self._changed.set()
        return reply

    def use_token(self, token: str) -> None:
        """Say this token from the next stream on, in the place of what has proved the name."""
        self._settings = replace(self._settings, password=None, token=token)
        if self.welcome:
            self.welcome.ClearField("token")  # a guest's, which the user is no more

    def leave(self) -> None:
        """Take no more commands, get the replies to those there are, and end."""
        self._leaving = True
        self._changed.set()

    async def run(self) -> None:
        """Work until the end, which is told to everyone who waits for something."""
        end: Exception | None = None
        try:
            await self._keep_connected()
        except Closed as closed:
            end = None if closed.reason == events_pb2.GOODBYE_REASON_LEFT else closed
        except Exception as error:  # a fault of our own must reach the caller too
            end = error
        finally:
            self.error = end or _left()
            self._in_flight.fail(self.error)
            self.inbox.end(end)
            self._settled.set()
            self._tell(State.CLOSED)

    async def _keep_connected(self) -> None:
        now = asyncio.get_running_loop().time
        give_up = now() + _forever(self._settings.connect_timeout)
        while not (self._leaving and not self._in_flight):
            try:
                await self._use_one_stream()
                continue
            except Lost as lost:
                delay, error = self._backoff.next(lost.retry_after), lost.error
            if self.state is State.CONNECTED:
                give_up = now() + _forever(self._settings.max_reconnect_time)
                self._tell(State.RECONNECTING)
            if self._leaving and not self._in_flight:
                return
            if now() + delay > give_up:
                raise error
            await asyncio.sleep(delay)

    async def _use_one_stream(self) -> None:
        stream = await self._open_stream()
        writer: asyncio.Task[None] | None = None
        opened = asyncio.get_running_loop().time()
        try:
            writer = asyncio.create_task(self._write(stream, self._welcomed(stream.welcome)))
            await self._read(stream)
        finally:
            if asyncio.get_running_loop().time() - opened > _STABLE:
                self._backoff.reset()
            if writer:
                writer.cancel()
                await asyncio.wait([writer])
            await stream.close()

    async def _open_stream(self) -> Stream:
        settings = self._settings
        if settings.password is not None or settings.token is not None:
            check_secrecy(settings.server, settings.credentials, insecure=settings.insecure)
        try:
            return await Stream.open(settings.server, self._hello(), settings.credentials)
        except Lost as lost:
            if lost.stray_hello:
                self._strays.append(asyncio.get_running_loop().time() + _STRAY)
            raise

    def _hello(self) -> commands_pb2.Hello:
        settings = self._settings
        hello = commands_pb2.Hello(user=settings.user, client_id=settings.client_id)
        if settings.password is not None:
            hello.password = settings.password
        elif settings.token is not None:
            hello.token = settings.token
        if self.welcome:
            hello.resume.epoch = self.welcome.cursor.epoch
            hello.resume.seq = self._seq
            return hello
        hello.backlog = settings.backlog
        if settings.resume:
            hello.resume.CopyFrom(settings.resume)
        return hello

    def _welcomed(self, event: events_pb2.Event) -> list[commands_pb2.Command]:
        """Start from a Welcome; return what must be done before anything else."""
        welcome = self.welcome = event.welcome
        self._seq = welcome.cursor.seq
        self._behind = False
        self._in_flight.reopen(welcome)
        self.inbox.extend([event])
        self._settled.set()
        self._tell(State.CONNECTED)
        lost = () if welcome.resumed else sorted(self.rooms.difference(welcome.rooms))
        return [commands_pb2.Command(join=commands_pb2.Join(room=room)) for room in lost]

    async def _write(self, stream: Stream, first: list[commands_pb2.Command]) -> None:
        frame = chat_pb2.ClientFrame(commands=first) if first else self._in_flight.next_frame()
        while True:
            while frame:
                if not await stream.write(frame):
                    return
                frame = self._in_flight.next_frame()
            if self._leaving and not self._in_flight.held:
                await stream.half_close()
                return
            self._changed.clear()
            await self._changed.wait()
            frame = self._in_flight.next_frame()

    async def _read(self, stream: Stream) -> None:
        events: Iterable[events_pb2.Event] = stream.first
        while True:
            self._take(events)
            await self._hold()
            frame = await stream.read()
            if frame is None:
                break
            events = frame.events
        if not self._leaving:
            raise Lost(Unavailable(f"{self._settings.server} ended the stream"))

    def _take(self, events: Iterable[events_pb2.Event]) -> None:
        """Sort what came: replies to those who wait for them, the rest to the caller."""
        self._behind = self._behind or self.inbox.full
        kept: list[events_pb2.Event] = []
        end: ChatError | Lost | None = None
        for event in events:
            if event.ref:
                self._in_flight.resolve(event)
            elif event.seq:
                if event.seq > self._seq and not self._behind:
                    self._seq = event.seq
                    self._forget_left_room(event.left)
                    kept.append(event)
            elif event.HasField("goodbye"):
                end = self._departure(event.goodbye)
                if not isinstance(end, Lost):
                    kept.append(event)
            elif _is_for_caller(event, self._behind):
                kept.append(event)
        self.inbox.extend(kept)
        if end:
            raise end

    def _forget_left_room(self, left: events_pb2.Left) -> None:
        """Never rejoin by itself a room that one was taken out of, or left by another client."""
        if left.room and self.welcome and left.user == self.welcome.user:
            self.rooms.discard(left.room)

    def _departure(self, goodbye: events_pb2.Goodbye) -> ChatError | Lost:
        """Return what a Goodbye means: the end, or another try.

        A Hello that was given up, and arrives behind the next one, takes the session over for a
        stream that nobody holds any more. That is no one else: the session is taken back, once for
        each that may arrive, since whoever then takes it over is another.
        """
        if goodbye.reason == events_pb2.GOODBYE_REASON_SUPERSEDED and self._has_stray():
            self._strays.popleft()
            return Lost(Unavailable(goodbye.message))
        return departure(goodbye)

    def _has_stray(self) -> bool:
        now = asyncio.get_running_loop().time()
        while self._strays and self._strays[0] < now:
            self._strays.popleft()
        return bool(self._strays)

    async def _hold(self) -> None:
        """Stop reading while the caller is behind, so that the server sees a slow consumer.

        A caller that awaits a reply must get it all the same, and it lies behind the events. So
        while a command is open reading goes on, but nothing more is kept: once the caller has
        caught up, the cursor brings it back.
        """
        while self.inbox.full and not self._in_flight:
            self._changed.clear()
            await self._changed.wait()
        if self._behind and not self.inbox.full:
            raise Lost(Unavailable("the caller fell behind"))

    def _check_open(self) -> None:
        if self.error or self._leaving:
            raise self.error or _left()

    def _tell(self, state: State) -> None:
        self.state = state
        self._on_state(state)


def _is_for_caller(event: events_pb2.Event, behind: bool) -> bool:
    kind = event.WhichOneof("kind")
    if kind == "presence":
        return not behind
    return kind in {"gap", "history", "error"}


def _forever(seconds: float | None) -> float:
    return math.inf if seconds is None else seconds


def _left() -> Closed:
    return Closed(events_pb2.GOODBYE_REASON_LEFT, "this client has left")
