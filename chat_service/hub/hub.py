"""The hub: the sessions of this node, the rooms they are in, and the way of a batch to them."""

import asyncio
from collections import defaultdict
from collections.abc import Callable, Hashable, Sequence

from chat_service.core.address import LOBBY
from chat_service.core.commands import Entry, Exit, Send
from chat_service.core.errors import Unavailable
from chat_service.core.events import (
    CUT_OFF,
    FAILED,
    NAME_PASSED,
    SLOW,
    SUPERSEDED,
    Event,
    Goodbye,
    Joined,
    Left,
    Message,
    Presence,
)
from chat_service.core.limits import NAME_HOLD, PRESENCE_GRACE
from chat_service.core.outcome import Applied, Durable, Entered, Seat
from chat_service.hub.attendance import Attendance, node_of
from chat_service.hub.fan_out import FanOut
from chat_service.hub.presence import PresenceBook
from chat_service.hub.registry import Registry, Subscriber
from chat_service.logs import get

_log = get("hub")

_TELL_PRESENCE_AFTER = 0.05
"""Seconds in which changes of presence gather when no batch takes them along."""

_SLICE = 64
"""Sessions that are written to at a time: few, so that the next batch is applied meanwhile, and is
on its way to the disk when the last of them have this one.
"""

_FEW = 8
"""One of so many may be behind without being waited for."""

_LOOK = 0.001
"""Seconds between two looks who is."""

_EXIT_AGAIN_AFTER = 1.0
"""Seconds after which an Exit is appended again that the storage could not take."""


class Hub:
    """Tells the sessions of this node what has happened, and the log who has gone.

    `append` hands an entry to the log, `now` gives the time in microseconds since 1970, and
    `instance` is what the ids of this node's sessions begin with.
    """

    def __init__(
        self,
        append: Callable[[Entry], None],
        now: Callable[[], int],
        presence_limit: int,
        instance: str = "",
    ) -> None:
        self.registry = Registry()
        self.presence_limit = presence_limit
        self.seq = 0
        """The seq of the last event that was fanned out."""
        self.draining = False
        """Whether the server is shutting down: nothing new is let in or executed."""
        self._append = append
        self._now = now
        self._instance = instance
        self._rooms: dict[str, set[Subscriber]] = {}
        self._presence = PresenceBook(PRESENCE_GRACE, self._tell_presence_soon)
        self.attendance = Attendance(self._presence)
        """Who is connected to any node."""
        self._telling: asyncio.TimerHandle | None = None
        self._exits: set[asyncio.TimerHandle] = set()
        self._asked: dict[str, asyncio.Future[Applied]] = {}
        self._closed = False

    # A session's way in and out.

    def open(self, subscriber: Subscriber) -> None:
        """Take in a session that has yet to say who it is."""
        self.registry.open(subscriber)

    def register(self, subscriber: Subscriber, entered: Entered, entry: Entry) -> None:
        """Put a session into the map, its name being its own from here on."""
        subscriber.user = entry.user
        subscriber.identity = entered.identity
        subscriber.client = entry.client
        subscriber.rooms = set(entered.rooms)
        self.registry.add(subscriber)
        for room in subscriber.rooms:
            self._rooms.setdefault(room, set()).add(subscriber)

    def leave(self, subscriber: Subscriber, *, hold: bool) -> None:
        """Forget a session and let go of its name; with `hold`, only after a while."""
        registered = subscriber in self.registry.of_user(subscriber.user)
        self._forget(subscriber)
        if registered:
            # It is so whatever becomes of the entry: the storage may be full, the log away.
            self.attendance.exited(subscriber.id, subscriber.user, hold=hold)
            self.release(subscriber.id, subscriber.user, subscriber.client, hold=hold)

    def release(self, session: str, user: str, client: bytes, *, hold: bool) -> None:
        """Tell the log that a session has no more use for its name; with `hold`, after a while."""
        if self._closed:
            return  # the next start finds the name held and lets go of it
        self._append(Entry(session, 0, user, client, self._now(), Exit(hold)))
        if hold:
            self._exit_later(NAME_HOLD, Entry(session, 0, user, client, 0, Exit()))

    def exit_of(self, seat: Seat) -> Entry:
        """Return what lets go of a seat that a node has left behind; its name stays held at first.

        Only of a seat that is lost already the name is free.
        """
        return Entry(seat.session, 0, seat.user, seat.client, self._now(), Exit(not seat.lost))

    def answer_to(self, asker: str) -> asyncio.Future[Applied]:
        """Return what will come of an entry that names, instead of a session, this asker."""
        answer = self._asked[asker] = asyncio.get_running_loop().create_future()
        answer.add_done_callback(lambda _: self._asked.pop(asker, None))
        return answer

    def close(self) -> None:
        """Stop all timers: nothing is told or appended any more."""
        self._closed = True
        self._presence.close()
        for timer in (*self._exits, self._telling):
            if timer is not None:
                timer.cancel()

    # A batch's way out.

    def fan_out(self, batch: Sequence[Applied]) -> list[Subscriber]:
        """Answer who asked and deliver what followed; returns the sessions that are to `wake`."""
        fan_out = FanOut(self.registry, self._rooms)
        answers: defaultdict[Subscriber, list[Applied]] = defaultdict(list)
        answered: set[Subscriber] = set()
        for applied in batch:
            entry = applied.entry
            moves = not isinstance(entry.body, Send)  # most of all is said, and moves nobody
            if moves:
                self.attendance.follow(applied)
            author = self._author(entry) if moves else self.registry.get(entry.session)
            for event in applied.events:
                fan_out.add(event, author)
                if not isinstance(event.body, Message):
                    self._follow(fan_out, event)
                self.seq = event.seq
            if author is not None:
                answers[author].append(applied)
            elif self._asked:
                self._answer_asker(applied)
            if moves and _moves_sessions(applied):
                # At once, since what follows may concern the one who has come, and behind the
                # answers, since those who end here are owed theirs.
                answered.update(answers)
                self._let_in(fan_out, applied, author)
                _answer(answers)
                self._send_away(applied)
        answered.update(answers)
        _answer(answers)
        for slow in fan_out.deliver():
            slow.owner.end(SLOW, drop=True)
        self.tell_presence()
        # Who asked comes first, behind them the members of the smallest rooms.
        return [*answered, *(member for member in fan_out.touched if member not in answered)]

    async def wake(self, subscribers: Sequence[Subscriber]) -> None:
        """Let the transports write, and return when nearly all have taken what there is.

        In slices, between which everything else on the loop has its turn: one write costs tens of
        microseconds, and a room may have ten thousand readers.
        """
        for start in range(0, len(subscribers), _SLICE):
            for subscriber in subscribers[start : start + _SLICE]:
                _wake(subscriber)
            # Two rounds of the loop: in the first the writers take what they got, in the second
            # the transports have taken it from them.
            await asyncio.sleep(0)
            await asyncio.sleep(0)
        await self._taken(subscribers)

    async def _taken(self, subscribers: Sequence[Subscriber]) -> None:
        """Wait for writers who are still at what they got before, as long as they get fewer.

        Else the next fan-out would begin before this one was paid for, and the one after that:
        batches would get ever smaller. Who does not read is not waited for.
        """
        before, behind = len(subscribers) + 1, _behind(subscribers)
        while before > behind > len(subscribers) // _FEW:
            await asyncio.sleep(_LOOK)
            before, behind = behind, _behind(subscribers)

    def refuse(self, batch: Sequence[Entry], refusal: Unavailable) -> None:
        """Tell who asked that none of a batch has happened."""
        for entry in batch:
            author = self.registry.get(entry.session)
            if isinstance(entry.body, Exit):
                self._exit_later(_EXIT_AGAIN_AFTER, entry)
            elif author is not None:
                author.owner.answered((Applied(entry, refusal),))
                _wake(author)
            else:
                self._answer_asker(Applied(entry, refusal))

    def tell_presence(self) -> None:
        """Tell who came and went to those who share a room with them that is not too large."""
        by_room: dict[str, list[Presence]] = {}
        changed: set[str] = set()
        for presence, rooms in self._presence.due():
            changed.add(presence.user)
            for room in rooms:
                if room in self._rooms and self.attendance.crowd(room) <= self.presence_limit:
                    by_room.setdefault(room, []).append(presence)
        if LOBBY in by_room:  # where everyone is, and so every change
            by_room = {LOBBY: by_room[LOBBY]}
        told: dict[Subscriber, tuple[str, ...]] = {}
        for room in by_room:
            for subscriber in self._rooms[room]:
                told[subscriber] = (*told.get(subscriber, ()), room)
        shared: dict[Hashable, tuple[bytes, int]] = {}
        for subscriber, in_rooms in told.items():
            if subscriber.outbox.past_half:
                continue  # what can be shed is shed for a reader who is behind
            own = subscriber.user if subscriber.user in changed else ""
            key = (subscriber.codec.sharing(private=False), in_rooms, own)
            if key not in shared:
                changes = dict.fromkeys(c for room in in_rooms for c in by_room[room])
                shared[key] = _encode(subscriber, [c for c in changes if c.user != own])
            subscriber.outbox.put(*shared[key])
            _wake(subscriber)

    def _follow(self, fan_out: FanOut, event: Durable) -> None:
        """Let memberships follow an event."""
        if isinstance(event.body, Joined):
            for subscriber in self.registry.of_identity(event.identity):
                subscriber.rooms.add(event.body.room)
                subscriber.codec.moved(event.body)
                self._rooms.setdefault(event.body.room, set()).add(subscriber)
                fan_out.joined(subscriber, event.body.room, event.seq)
        elif isinstance(event.body, Left):
            for subscriber in self.registry.of_identity(event.identity):
                if subscriber.live:
                    fan_out.left(subscriber, event.body.room)
                subscriber.rooms.discard(event.body.room)
                subscriber.codec.moved(event.body)
                self._drop_from_room(subscriber, event.body.room)

    def _author(self, entry: Entry) -> Subscriber | None:
        """Return the session that waits for what comes of an entry, if it is one of ours."""
        return None if isinstance(entry.body, Exit) else self.registry.get(entry.session)

    def _let_in(self, fan_out: FanOut, applied: Applied, author: Subscriber | None) -> None:
        """Let a session see only what follows; if it has gone meanwhile, let go of its name."""
        entry, entered = applied.entry, applied.reply
        if not isinstance(entered, Entered):
            return
        if author is not None:
            fan_out.entered(author, entered.seq)
        elif node_of(entry.session) == self._instance:  # nobody else would ever let go of the name
            self.release(entry.session, entry.user, entry.client, hold=False)

    def _send_away(self, applied: Applied) -> None:
        """End the sessions here that an entry ends; the state has let go of their names already."""
        if isinstance(applied.reply, Entered):
            self._supersede(applied.entry, applied.reply)
        for ending in applied.endings:
            self._dismiss(ending.session, ending.goodbye)
        if isinstance(applied.entry.body, Exit):
            # Who leaves is forgotten before that is appended: others have taken us for dead.
            self._dismiss(applied.entry.session, CUT_OFF)

    def _supersede(self, entry: Entry, entered: Entered) -> None:
        """End the older sessions of a client that has come again, to whichever node.

        Other clients of the user stay, unless the name is another's now.
        """
        for older in list(self.registry.of_user(entry.user)):
            if older.id == entry.session:
                continue
            if older.client == entry.client:
                self._dismiss(older.id, SUPERSEDED)
            elif older.identity != entered.identity:
                self._dismiss(older.id, NAME_PASSED)

    def _dismiss(self, session: str, goodbye: Goodbye) -> None:
        subscriber = self.registry.get(session)
        if subscriber is not None:
            subscriber.owner.end(goodbye)
            self._forget(subscriber)

    def _answer_asker(self, applied: Applied) -> None:
        answer = self._asked.get(applied.entry.session)
        if answer is not None and not answer.done():
            answer.set_result(applied)

    def _forget(self, subscriber: Subscriber) -> None:
        self.registry.remove(subscriber)
        for room in subscriber.rooms:
            self._drop_from_room(subscriber, room)

    def _drop_from_room(self, subscriber: Subscriber, room: str) -> None:
        members = self._rooms.get(room)
        if members is not None:
            members.discard(subscriber)
            if not members:
                del self._rooms[room]

    def _exit_later(self, delay: float, entry: Entry) -> None:
        def append() -> None:
            self._exits.discard(timer)
            self._append(entry.replace(at=self._now()))

        timer = asyncio.get_running_loop().call_later(delay, append)
        self._exits.add(timer)

    def _tell_presence_soon(self) -> None:
        if self._telling is None and not self._closed:
            loop = asyncio.get_running_loop()
            self._telling = loop.call_later(_TELL_PRESENCE_AFTER, self._tell_presence_now)

    def _tell_presence_now(self) -> None:
        self._telling = None
        self.tell_presence()


def _moves_sessions(applied: Applied) -> bool:
    """Tell whether an entry lets a session in or ends some."""
    entered = isinstance(applied.reply, Entered)
    return entered or bool(applied.endings) or isinstance(applied.entry.body, Exit)


def _answer(answers: dict[Subscriber, list[Applied]]) -> None:
    """Answer who asked, and forget that they did."""
    for author, applied in answers.items():
        author.owner.answered(applied)
    answers.clear()


def _wake(subscriber: Subscriber) -> None:
    """Let a transport write; what goes wrong there ends that session and nothing else."""
    try:
        subscriber.outbox.wake()
    except Exception:
        _log.exception("a transport failed", session=subscriber.id)
        subscriber.outbox.on_ready = None
        subscriber.owner.end(FAILED, drop=True)


def _behind(subscribers: Sequence[Subscriber]) -> int:
    """Return how many have something left in their outbox."""
    return sum([len(subscriber.outbox) > 0 for subscriber in subscribers])


def _encode(subscriber: Subscriber, changes: Sequence[Presence]) -> tuple[bytes, int]:
    return b"".join(subscriber.codec.encode(Event(c)) for c in changes), len(changes)
