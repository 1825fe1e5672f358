"""ChatClient: what a program needs to take part in a chat."""

import asyncio
import secrets
import time
from collections.abc import Callable, Iterable
from types import TracebackType
from typing import Self

import grpc

from chat.v1 import commands_pb2, cursor_pb2, events_pb2, moderation_pb2
from chat_client.connection import Connection, Settings, State


class ChatClient:
    """A session that survives its connections. Each instance is entered once.

        async with ChatClient("127.0.0.1:50051", "bob", rooms=["#dev"]) as chat:
            await chat.send("#dev", "hello")
            async for event in chat:
                if event.HasField("message"):
                    print(event.message.sender, event.message.text)

    Entering connects: raises Refused (the name is taken, the password wrong) or Unavailable. From
    then on it reconnects by itself, goes on where the events stopped, and sends again what has no
    reply, so that each message happens once. Leaving waits for the replies that are still to come.

    Iterating yields what others do, in order: message, joined, left, moderated, announcement,
    presence, gap (what can never be shown), history (the backlog asked for), error (one that
    answers no command), and the goodbye that ends it. Kinds newer than this client may come too.
    It ends quietly after a wish of one's own, and raises Closed (superseded, signed out, banned),
    Refused or Unavailable after anything else. Whoever does not iterate for long is a slow consumer
    to the server; a program that only sends asks for no events at all (`listen=False`).

    `server`: HOST:PORT, or any gRPC target. `user`: the name wanted; `chat.user` is its normal
    form. `client_id`: the secret that proves a returning guest, fresh by default. `resume`: a
    `chat.cursor` kept from before. `backlog`: how many of each room's latest messages to get first
    when there is nothing to resume. `rooms`: joined on entering. `on_state`: called in the event
    loop at each change of `chat.state`. `password` or `token` (from Accounts.login, or a guest's
    `chat.welcome.token`): what proves the name, said at each connection. `credentials`: TLS
    (`tls.channel_credentials`), plaintext without. `insecure`: let a password or token go to
    another machine without TLS, where entering raises TlsError else.

    All times are in seconds. `connect_timeout`: how long entering keeps trying while the server is
    away (0: one try, None: for ever). `max_reconnect_time`: how long a lost connection may take to
    come back (None: for ever). `leave_timeout`: how long leaving waits for replies.
    `max_in_flight`: commands without a reply, beyond which the next call waits. `max_events`:
    events not yet iterated, beyond which the stream is not read on.
    """

    def __init__(
        self,
        server: str,
        user: str,
        *,
        client_id: str | None = None,
        resume: cursor_pb2.Cursor | None = None,
        backlog: int = 0,
        rooms: Iterable[str] = (),
        listen: bool = True,
        on_state: Callable[[State], None] | None = None,
        password: str | None = None,
        token: str | None = None,
        credentials: grpc.ChannelCredentials | None = None,
        insecure: bool = False,
        connect_timeout: float | None = 0.0,
        max_reconnect_time: float | None = None,
        leave_timeout: float = 5.0,
        max_in_flight: int = 256,
        max_events: int = 8192,
    ) -> None:
        if password is not None and token is not None:
            raise ValueError("a password or a token, not both")
        settings = Settings(
            server=server,
            user=user,
            client_id=secrets.token_hex(16) if client_id is None else client_id,
            resume=resume,
            backlog=backlog,
            password=password,
            token=token,
            credentials=credentials,
            insecure=insecure,
            connect_timeout=connect_timeout,
            max_reconnect_time=max_reconnect_time,
            max_in_flight=max_in_flight,
            max_events=max_events,
        )
        self._connection = Connection(settings, on_state or _ignore)
        if not listen:
            self._connection.inbox.discard()
        self._task: asyncio.Task[None] | None = None
        self._rooms = tuple(rooms)
        self._leave_timeout = leave_timeout
        self._cursor = cursor_pb2.Cursor()

    @property
    def state(self) -> State:
        """Where the client stands now."""
        return self._connection.state

    @property
    def welcome(self) -> events_pb2.Welcome:
        """The server's latest Welcome: rooms, limits, version; empty before the first."""
        return self._connection.welcome or events_pb2.Welcome()

    @property
    def user(self) -> str:
        """One's own name in its normal form."""
        return self.welcome.user

    @property
    def cursor(self) -> cursor_pb2.Cursor:
        """The position behind the last event iterated: keep it to resume in another process."""
        return self._cursor

    def use_token(self, token: str) -> None:
        """Prove the name by this token from the next connection on: a guest's who registered it."""
        self._connection.use_token(token)

    async def send(self, to: str, text: str, reply_to: int = 0) -> events_pb2.Ack:
        """Say something to "#room" or "@user"; returns when it has happened and is on disk.

        `reply_to` is the seq of the message that it answers. If the connection breaks meanwhile,
        the Ack may be a duplicate's, which has seq 0 unless it was the last message sent.
        Cancelled, it may have happened or not. Raises CommandError: it has not happened, and
        `retry_after` tells whether another call is worth it.
        """
        send = commands_pb2.Send(to=to, text=text, reply_to=reply_to)
        return (await self._ask(commands_pb2.Command(send=send))).ack

    async def join(self, room: str) -> events_pb2.Ack:
        """Become a member of "#room"; raises CommandError."""
        reply = await self._ask(commands_pb2.Command(join=commands_pb2.Join(room=room)))
        self._connection.rooms.add(room.lower())
        return reply.ack

    async def leave(self, room: str) -> events_pb2.Ack:
        """Cease to be a member of "#room"; raises CommandError."""
        reply = await self._ask(commands_pb2.Command(leave=commands_pb2.Leave(room=room)))
        self._connection.rooms.discard(room.lower())
        return reply.ack

    async def who(self, to: str = "") -> list[events_pb2.Member]:
        """Return the members of "#room", or everyone online; raises CommandError."""
        members: list[events_pb2.Member] = []
        more = True
        while more:
            after = members[-1].user if members else ""
            who = commands_pb2.Who(to=to, after=after)
            roster = (await self._ask(commands_pb2.Command(who=who))).roster
            members.extend(roster.members)
            more = roster.more and bool(roster.members)
        return members

    async def history(self, to: str, before_seq: int = 0, limit: int = 0) -> events_pb2.HistoryPage:
        """Return a page of past messages of "#room" or with "@user", the latest by default.

        `before_seq`: only messages before that one. `limit`: how many at most, 0 for as many as
        the server allows. Raises CommandError.
        """
        history = commands_pb2.History(to=to, before_seq=before_seq, limit=limit)
        return (await self._ask(commands_pb2.Command(history=history))).history

    async def conversations(
        self, before_seq: int = 0, limit: int = 0
    ) -> events_pb2.ConversationsPage:
        """Return a page of those whom one has written with in private, the latest first.

        `before_seq`: only conversations whose `last_seq` is lower. `limit`: how many at most, 0 for
        as many as the server allows. Raises CommandError.
        """
        asked = commands_pb2.Conversations(before_seq=before_seq, limit=limit)
        return (await self._ask(commands_pb2.Command(conversations=asked))).conversations

    async def ping(self) -> float:
        """Return how many seconds the server takes to answer."""
        start = time.perf_counter()
        await self._ask(commands_pb2.Command(ping=commands_pb2.Ping()))
        return time.perf_counter() - start

    async def moderate(
        self,
        room: str,
        action: moderation_pb2.ModerationAction,
        user: str = "",
        reason: str = "",
        duration: float | None = None,
    ) -> events_pb2.Ack:
        """Use a right over "#room"; the methods below do this, one for each action.

        `duration`: seconds that a ban or a mute lasts, None until it is taken back. The Ack has
        seq 0 if nothing had to change. Raises CommandError (PERMISSION_DENIED without the right).
        """
        moderate = commands_pb2.Moderate(room=room, action=action, user=user, reason=reason)
        if duration is not None:
            moderate.duration.FromNanoseconds(round(duration * 1e9))
        return (await self._ask(commands_pb2.Command(moderate=moderate))).ack

    async def kick(self, room: str, user: str, reason: str = "") -> events_pb2.Ack:
        """Take a member out of a room, who may come back."""
        return await self.moderate(room, moderation_pb2.MODERATION_ACTION_KICK, user, reason)

    async def ban(
        self, room: str, user: str, reason: str = "", duration: float | None = None
    ) -> events_pb2.Ack:
        """Take a user out of a room and keep them out, for `duration` seconds or until `unban`."""
        return await self.moderate(
            room, moderation_pb2.MODERATION_ACTION_BAN, user, reason, duration
        )

    async def unban(self, room: str, user: str) -> events_pb2.Ack:
        """Take a ban back."""
        return await self.moderate(room, moderation_pb2.MODERATION_ACTION_UNBAN, user)

    async def mute(
        self, room: str, user: str, reason: str = "", duration: float | None = None
    ) -> events_pb2.Ack:
        """Let a user only read in a room, for `duration` seconds or until `unmute`."""
        return await self.moderate(
            room, moderation_pb2.MODERATION_ACTION_MUTE, user, reason, duration
        )

    async def unmute(self, room: str, user: str) -> events_pb2.Ack:
        """Take a mute back."""
        return await self.moderate(room, moderation_pb2.MODERATION_ACTION_UNMUTE, user)

    async def invite(self, room: str, user: str) -> events_pb2.Ack:
        """Let a user into a private room; the user is told."""
        return await self.moderate(room, moderation_pb2.MODERATION_ACTION_INVITE, user)

    async def make_private(self, room: str) -> events_pb2.Ack:
        """Let nobody into a room any more but those who are invited."""
        return await self.moderate(room, moderation_pb2.MODERATION_ACTION_MAKE_PRIVATE)

    async def make_public(self, room: str) -> events_pb2.Ack:
        """Let everybody into a room again."""
        return await self.moderate(room, moderation_pb2.MODERATION_ACTION_MAKE_PUBLIC)

    async def appoint(self, room: str, user: str) -> events_pb2.Ack:
        """Make a member a moderator of a room."""
        return await self.moderate(room, moderation_pb2.MODERATION_ACTION_APPOINT, user)

    async def dismiss(self, room: str, user: str) -> events_pb2.Ack:
        """Make a moderator a plain member again."""
        return await self.moderate(room, moderation_pb2.MODERATION_ACTION_DISMISS, user)

    async def hand_over(self, room: str, user: str) -> events_pb2.Ack:
        """Make a member the owner of one's own room."""
        return await self.moderate(room, moderation_pb2.MODERATION_ACTION_HAND_OVER, user)

    async def submit(self, command: commands_pb2.Command) -> asyncio.Future[events_pb2.Event]:
        """Queue any command but Hello without awaiting its reply: the way to send many at once.

        Commands happen in the order of the calls; `ref` and `nonce` are set here. The future
        yields the reply, or raises what the other methods do. Waits only while `max_in_flight`
        commands are open; raises Closed, or whatever else has ended this client.
        """
        return await self._connection.submit(command)

    async def close(self) -> None:
        """Leave: takes no more commands, and waits for the open replies and the server's end.

        Events that come meanwhile can still be iterated, behind them the end. Those without a
        reply after `leave_timeout` seconds get Closed.
        """
        if self._task is None:
            return
        self._connection.leave()
        if not self._connection.idle:
            await asyncio.wait([self._task], timeout=self._leave_timeout)
        await self._stop()

    async def __aenter__(self) -> Self:
        self._task = asyncio.create_task(self._connection.run(), name="chat-client")
        try:
            await self._connection.opened()
            await asyncio.gather(*map(self.join, self._rooms))
        except BaseException:
            await self._stop()
            raise
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._connection.inbox.discard()  # or an inbox nobody empties would hold back the replies
        await self.close()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> events_pb2.Event:
        while True:
            event = await self._connection.inbox.get()
            if event.seq:
                self._cursor.seq = event.seq
                return event
            if not event.HasField("welcome"):
                return event
            self._cursor.CopyFrom(event.welcome.cursor)

    async def _ask(self, command: commands_pb2.Command) -> events_pb2.Event:
        return await (await self._connection.submit(command))

    async def _stop(self) -> None:
        if self._task and not self._task.done():
            self._task.cancel()
            await asyncio.wait([self._task])


def _ignore(_state: State) -> None:
    """Nobody wants to know."""
