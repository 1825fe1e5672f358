"""What a typed line means, and what is shown of what comes back.

The same with and without a terminal; the commands are those of the line protocol.
"""

import asyncio
from collections.abc import Callable, Collection, Mapping
from types import MappingProxyType
from typing import ClassVar, Final, Protocol, TypeVar

from precis_i18n import get_profile

from chat.v1 import commands_pb2, events_pb2, moderation_pb2
from chat_client import moderation
from chat_client.client import ChatClient
from chat_client.connection import State
from chat_client.errors import ChatError, CommandError
from chat_client.render import visible
from chat_client.verbs import UsageError, Verb

LOBBY: Final = "#lobby"
WINDOW: Final = 64
"""Lines that may be on their way to the server at one time."""
_PAUSE: Final = 0.2  # seconds
_MAX_NAMES: Final = 1000
_MAX_OWN: Final = 2**15  # more than can wait in the inbox
_HISTORY: Final = 20
_PROFILE: Final = get_profile("UsernameCaseMapped")  # of all names, by the contract
_EXPULSIONS: Final = (
    moderation_pb2.MODERATION_ACTION_KICK,
    moderation_pb2.MODERATION_ACTION_BAN,
)


_Key = TypeVar("_Key")


class Screen(Protocol):
    """Where a conversation shows up."""

    async def show(self, event: events_pb2.Event, room: str, user: str) -> None:
        """Show what the server told."""

    async def note(self, line: str) -> None:
        """Show what the client itself has to say."""

    async def complain(self, line: str) -> None:
        """Show what went wrong."""


class Conversation:
    """One user's talk: lines go in, what happens is shown.

    `hidden`: kinds of events that are not shown when this connection brought them about; private
    messages always are. `unattended`: nobody is there to react, so a room that could not be joined
    stays the current one, lest the lines meant for it go to another; and what the server wants
    later is sent later. `verbs`: what may be typed besides `VERBS`.
    """

    def __init__(
        self,
        chat: ChatClient,
        screen: Screen,
        tasks: asyncio.TaskGroup,
        *,
        room: str = LOBBY,
        hidden: Collection[str] = (),
        unattended: bool = False,
        verbs: Mapping[str, Verb] = MappingProxyType({}),
    ) -> None:
        self.verbs = {**self.VERBS, **verbs}
        self.room = room
        self.rooms = dict.fromkeys([*chat.welcome.rooms, room])
        self.names: dict[str, None] = {}
        """Users heard of lately, for completion."""
        self.over = False
        """Whether the user wants to quit."""
        self.failed = False
        """Whether anything that was typed could not be done."""
        self._chat = chat
        self._screen = screen
        self._tasks = tasks
        self._hidden = hidden
        self._unattended = unattended
        self._turn = asyncio.Lock()
        self._slowed = False
        self._window = asyncio.Semaphore(WINDOW)
        self._open: set[asyncio.Task[bool]] = set()
        self._own_seqs: dict[int, None] = {}
        self._unanswered = 0

    async def begin(self, history: int) -> None:
        """Enter the room to begin in, and show its latest messages; raises CommandError.

        What was said in the rooms that one was in before comes by itself, as the backlog.
        """
        if self.room == LOBBY:
            return
        joined = await self._chat.join(self.room)
        if joined.seq:
            _remember(self._own_seqs, joined.seq, _MAX_OWN)
            await self._show_past(before_seq=joined.seq, limit=history)

    async def enter(self, line: str) -> None:
        """Do what a line asks; what goes wrong with it is shown."""
        try:
            if line.startswith("/") and not line.startswith("//"):
                await self._command(line)
            elif line.strip():
                await self._send(self.room, line.removeprefix("/"))
        except UsageError as error:
            await self._complain(f"! {visible(str(error))}\n")
        except CommandError as error:
            await self._refused(error)

    async def ask(self, command: commands_pb2.Command) -> asyncio.Task[bool]:
        """Send a command without awaiting its reply; the task tells whether it was done."""
        await self._window.acquire()
        try:
            async with self._turn:
                reply = await self._chat.submit(command)
        except BaseException:
            self._window.release()
            raise
        task = self._tasks.create_task(self._settle(command, reply))
        self._open.add(task)
        task.add_done_callback(self._open.discard)
        if self._slowed:
            await asyncio.wait([task])
        return task

    async def follow(self) -> None:
        """Show what happens until the session ends; raises the ChatError that ended it."""
        async for event in self._chat:
            self._learn(event)
            if not (event.WhichOneof("kind") in self._hidden and await self._is_own(event)):
                await self._show(event)

    async def settled(self) -> None:
        """Wait until every line has its answer."""
        while self._open:
            await asyncio.wait(self._open)
        if self._unanswered:
            await self._complain(f"! not acknowledged: {self._unanswered} of your lines\n")

    async def _command(self, line: str) -> None:
        word = line.split(maxsplit=1)[0]
        verb = self.verbs.get(word.lower())
        if verb is None:
            raise UsageError(f"no such command: {word[:32]} (/help lists them)")
        await verb.do(self, *verb.arguments(line))

    async def _msg(self, name: str, text: str) -> None:
        await self._send("@" + name.removeprefix("@"), text)

    async def _send(self, to: str, text: str) -> None:
        await self.ask(commands_pb2.Command(send=commands_pb2.Send(to=to, text=text)))

    async def _join(self, raw: str) -> None:
        before, self.room = self.room, normal_room(raw)
        room = self.room
        if await (await self.ask(commands_pb2.Command(join=commands_pb2.Join(room=room)))):
            self.rooms[room] = None
            await self._screen.note(f"* you are in {room} now\n")
        elif not self._unattended:
            self.room = before

    async def _leave(self, raw: str | None = None) -> None:
        room = self.room if raw is None else normal_room(raw)
        if await (await self.ask(commands_pb2.Command(leave=commands_pb2.Leave(room=room)))):
            self.rooms.pop(room, None)
            moved = room == self.room
            self.room = LOBBY if moved else self.room
            also = f"; you are in {LOBBY} now" if moved else ""
            await self._screen.note(f"* you left {room}{also}\n")

    async def _who(self) -> None:
        members = await self._chat.who(self.room)
        self._hear_of(*(member.user for member in members))
        await self._show(events_pb2.Event(roster=events_pb2.Roster(to=self.room, members=members)))

    async def _history(self, count: str = str(_HISTORY)) -> None:
        if not (count.isdecimal() and 0 < int(count) < 2**32):
            raise UsageError("usage: /history [N], with N from 1 on")
        page = await self._chat.history(self.room, limit=int(count))
        await self._show(events_pb2.Event(history=page))
        if not page.events:
            await self._screen.note("* nothing was said yet\n")

    async def _conversations(self) -> None:
        page = await self._chat.conversations()
        self._hear_of(*(it.to.removeprefix("@") for it in reversed(page.conversations)))
        await self._show(events_pb2.Event(conversations=page))
        if not page.conversations:
            await self._screen.note("* nothing was said in private yet\n")

    async def _show_past(self, before_seq: int, limit: int) -> None:
        if not limit:  # which would ask for as many as there may be
            return
        page = await self._chat.history(self.room, before_seq, limit)
        if page.events:
            await self._show(events_pb2.Event(history=page))

    async def _list_rooms(self) -> None:
        await self._screen.note(f"* you are in: {', '.join(self.rooms)} (current: {self.room})\n")

    async def _help(self) -> None:
        lines = [(verb.usage, verb.meaning) for verb in self.verbs.values()]
        lines.append(("//text", "says a line that begins with a slash"))
        width = max(len(usage) for usage, _ in lines)
        await self._screen.note("".join(f"* {u:<{width}}  {meaning}\n" for u, meaning in lines))

    async def _quit(self) -> None:
        self.over = True

    VERBS: ClassVar[dict[str, Verb]] = {
        "/msg": Verb(_msg, 2, 2, "/msg NAME text", "says something to one user"),
        "/join": Verb(_join, 1, 1, "/join #room", "enters a room, or makes it the current one"),
        "/leave": Verb(_leave, 0, 1, "/leave [#room]", "leaves a room"),
        "/who": Verb(_who, 0, 0, "/who", "lists who is in the current room"),
        "/rooms": Verb(_list_rooms, 0, 0, "/rooms", "lists the rooms you are in"),
        "/history": Verb(_history, 0, 1, "/history [N]", "shows the last N messages (20)"),
        "/conversations": Verb(
            _conversations, 0, 0, "/conversations", "lists whom you have written with, latest first"
        ),
        **moderation.VERBS,
        "/help": Verb(_help, 0, 0, "/help", "shows this"),
        "/quit": Verb(_quit, 0, 0, "/quit", "leaves the chat"),
    }

    async def _settle(
        self, command: commands_pb2.Command, reply: asyncio.Future[events_pb2.Event]
    ) -> bool:
        try:
            event = await self._answer(command, reply)
            if self._hidden and event.ack.seq:
                _remember(self._own_seqs, event.ack.seq, _MAX_OWN)
            await self._show(event)
            if command.HasField("moderate") and not event.ack.seq:
                await self._screen.note("* nothing to change\n")
        except CommandError as error:
            await self._refused(error)
            return False
        except ChatError:
            self._unanswered += 1
            return False
        finally:
            self._window.release()
        return True

    async def _answer(
        self, command: commands_pb2.Command, reply: asyncio.Future[events_pb2.Event]
    ) -> events_pb2.Event:
        """Return the reply; if unattended, that of the first try that the server does not put off.

        Lines on their way then may come before those that were put off. From there on they go one
        by one, each after a pause that brings in many, so that the server has little to refuse.
        """
        try:
            return await reply
        except CommandError as error:
            if not self._unattended or error.retry_after is None:
                raise
            wait = error.retry_after
        self._slowed = True
        async with self._turn:
            while True:
                await asyncio.sleep(max(wait, _PAUSE))
                try:
                    return await (await self._chat.submit(command))
                except CommandError as error:
                    if error.retry_after is None:
                        raise
                    wait = error.retry_after

    async def _refused(self, error: CommandError) -> None:
        await self._show(events_pb2.Event(error=error.error))
        self.failed = True

    async def _complain(self, line: str) -> None:
        self.failed = True
        await self._screen.complain(line)

    async def _show(self, event: events_pb2.Event) -> None:
        await self._screen.show(event, self.room, self._chat.user)

    async def _is_own(self, event: events_pb2.Event) -> bool:
        """Tell whether this connection did it, not another one of the same user."""
        if _actor(event) != self._chat.user or event.message.to.startswith("@"):
            return False
        if event.seq not in self._own_seqs and self._open:
            await asyncio.wait(self._open)  # the Ack that tells may still be on its way
        return event.seq in self._own_seqs

    def _learn(self, event: events_pb2.Event) -> None:
        name = _actor(event)
        if name and name != self._chat.user:
            self._hear_of(name)
        elif event.HasField("joined"):
            self.rooms[event.joined.room] = None
        elif event.HasField("left"):
            self.rooms.pop(event.left.room, None)
        if _expelled(event) == (self.room, self._chat.user) and not self._unattended:
            self.room = LOBBY

    def _hear_of(self, *names: str) -> None:
        for name in names:
            _remember(self.names, name, _MAX_NAMES)


def _expelled(event: events_pb2.Event) -> tuple[str, str] | None:
    """Return the room, and whom an event tells to have been taken out of it."""
    it = event.moderated
    return (it.room, it.user) if it.action in _EXPULSIONS else None


def normal_room(raw: str) -> str:
    """Return a room's name as the server spells it; what is no name is left for it to refuse."""
    name = raw.strip().removeprefix("#")
    try:
        return "#" + str(_PROFILE.enforce(name))
    except UnicodeEncodeError:
        return "#" + name


def narrator(say: Callable[[str], object]) -> Callable[[State], None]:
    """Return an `on_state` that says when the connection is lost, and when it is back."""
    lost = False

    def tell(state: State) -> None:
        nonlocal lost
        if state is State.RECONNECTING:
            say("* connection lost, reconnecting\n")
        elif state is State.CONNECTED and lost:
            say("* reconnected\n")
        lost = state is State.RECONNECTING

    return tell


def _remember(kept: dict[_Key, None], key: _Key, limit: int) -> None:
    """Put a key last in an ordered set, which loses its first when it is over its limit."""
    kept.pop(key, None)
    kept[key] = None
    if len(kept) > limit:
        del kept[next(iter(kept))]


def _actor(event: events_pb2.Event) -> str:
    match event.WhichOneof("kind"):
        case "message":
            return event.message.sender
        case "joined" | "left" | "presence" as kind:
            return str(getattr(event, kind).user)
        case "moderated":
            return event.moderated.by
        case _:
            return ""
