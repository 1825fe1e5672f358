"""Who is connected, and to which node.

Every node applies every `Enter` and `Exit`, so each knows this from the log alone, about all nodes
alike; nothing is told between nodes when somebody comes or goes. What the log cannot tell is that
a node has died: that is a `Watch`'s to find out, which then calls a node `away` and maybe `back`.
"""

from collections import Counter
from collections.abc import Iterable, Set
from typing import NamedTuple

from chat_service.core.commands import Entry, Exit
from chat_service.core.events import Joined, Left
from chat_service.core.outcome import Applied, Entered, Seat
from chat_service.hub.presence import PresenceBook


def node_of(session: str) -> str:
    """Return the instance of the node that a session is on; its id begins with that."""
    return session.rpartition("-")[0]


class _Place(NamedTuple):
    """One session of a user."""

    client: bytes
    lost: bool


class _Attendee:
    """A user who has a session, or is expected back."""

    __slots__ = ("identity", "places", "rooms")

    def __init__(self, identity: int) -> None:
        self.identity = identity
        self.rooms: set[str] = set()
        self.places: dict[str, _Place] = {}


class Attendance:
    """Follows the seats of the state, entry by entry, and tells a book who came and who went.

    A user is online while one session is, on whichever node.
    """

    def __init__(self, book: PresenceBook) -> None:
        self._book = book
        self._users: dict[str, _Attendee] = {}
        self._names: dict[int, str] = {}
        self._nodes: dict[str, dict[str, str]] = {}
        """The sessions of each node, each with its user."""
        self._away: set[str] = set()
        self._online: set[str] = set()
        self._crowds: Counter[str] = Counter()

    # What is asked.

    @property
    def online(self) -> Set[str]:
        """The names of those who are connected, to whichever node."""
        return self._online

    @property
    def present(self) -> Set[str]:
        """The names of those who are online as far as anybody was told.

        Who was lost a moment ago is among them: of one who comes back in time nothing is told, so
        whoever was shown them as gone would go on to believe it.
        """
        held = self._book.held
        return self._online | held if held else self._online

    @property
    def nodes(self) -> Set[str]:
        """The nodes that have sessions, by their instances."""
        return self._nodes.keys()

    def crowd(self, room: str) -> int:
        """Return how many of those who are online are in a room."""
        return self._crowds[room]

    def seats_of(self, node: str) -> list[Seat]:
        """Return the sessions of a node, those that are lost included."""
        sessions = self._nodes.get(node, {})
        return [self._seat(session, user) for session, user in sessions.items()]

    # What the log tells.

    def load(self, seats: Iterable[Seat]) -> None:
        """Take over what the state knew when it was opened."""
        for seat in seats:
            self._sit(seat)

    def follow(self, applied: Applied) -> None:
        """Take note of what an entry has changed."""
        entry = applied.entry
        if isinstance(entry.body, Exit):  # first, since who goes is missed where it was
            self.exited(entry.session, entry.user, hold=entry.body.hold)
        for event in applied.events:
            if isinstance(event.body, Joined):
                self.joined(event.identity, event.body.room)
            elif isinstance(event.body, Left):
                self.left(event.identity, event.body.room)
        for ending in applied.endings:  # before who has ended them takes the seat
            self.ended(ending.session)
        if isinstance(applied.reply, Entered):
            self.entered(entry, applied.reply)

    def entered(self, entry: Entry, entered: Entered) -> None:
        """Note that a session has its name; an older one of its client, or of who had it, ends."""
        session, user, client = entry.session, entry.user, entry.client
        it = self._users.get(user)
        if it is not None:
            passed = it.identity != entered.identity
            for older, place in list(it.places.items()):
                if passed or place.client == client:
                    self._stand_up(older, user)
        self._sit(Seat(session, user, entered.identity, client, entered.rooms, lost=False))

    def exited(self, session: str, user: str, *, hold: bool) -> None:
        """Note the end of a session; with `hold`, its client may come back."""
        it = self._users.get(user)
        if it is None or session not in it.places:
            return  # a later session of its client has its seat
        if hold:
            it.places[session] = it.places[session]._replace(lost=True)
        else:
            self._stand_up(session, user)
        self._settle(user, lost=hold)

    def ended(self, session: str) -> None:
        """Note that a session has lost its right to be here."""
        user = self._nodes.get(node_of(session), {}).get(session)
        if user is not None:
            self._stand_up(session, user)
            self._settle(user)

    def joined(self, identity: int, room: str) -> None:
        """Note that somebody is in a room."""
        user = self._names.get(identity)
        if user is not None and room not in self._users[user].rooms:
            self._users[user].rooms.add(room)
            self._count((room,), int(user in self._online))

    def left(self, identity: int, room: str) -> None:
        """Note that somebody is no more in a room."""
        user = self._names.get(identity)
        if user is not None and room in self._users[user].rooms:
            self._users[user].rooms.remove(room)
            self._count((room,), -int(user in self._online))

    # What the watch tells.

    def away(self, node: str) -> None:
        """Take a node's sessions for gone, until it is back."""
        self._away.add(node)
        self._settle_all(node)

    def back(self, node: str) -> None:
        """Take a node's sessions for connected again."""
        self._away.discard(node)
        self._settle_all(node)

    # How that is kept.

    def _sit(self, seat: Seat) -> None:
        it = self._users.setdefault(seat.user, _Attendee(seat.identity))
        if it.identity != seat.identity:
            del self._names[it.identity]
            it.identity = seat.identity
        self._names[seat.identity] = seat.user
        if it.rooms != set(seat.rooms):
            online = int(seat.user in self._online)
            self._count(it.rooms, -online)
            it.rooms = set(seat.rooms)
            self._count(it.rooms, online)
        it.places[seat.session] = _Place(seat.client, seat.lost)
        self._nodes.setdefault(node_of(seat.session), {})[seat.session] = seat.user
        self._settle(seat.user)

    def _stand_up(self, session: str, user: str) -> None:
        """Forget a session; `_settle` draws the consequences."""
        del self._users[user].places[session]
        node = node_of(session)
        del self._nodes[node][session]
        if not self._nodes[node]:
            del self._nodes[node]

    def _settle_all(self, node: str) -> None:
        for user in set(self._nodes.get(node, {}).values()):
            self._settle(user)

    def _settle(self, user: str, *, lost: bool = False) -> None:
        """Tell the book if somebody has come or gone; if `lost`, it may be a mere hiccup."""
        it = self._users[user]
        online = any(self._connected(*place) for place in it.places.items())
        if online and user not in self._online:
            self._online.add(user)
            self._count(it.rooms, 1)
            self._book.arrived(user, it.rooms)
        elif not online and user in self._online:
            self._online.remove(user)
            self._count(it.rooms, -1)
            self._book.departed(user, it.rooms, lost=lost)
        if not it.places:
            del self._users[user], self._names[it.identity]

    def _connected(self, session: str, place: _Place) -> bool:
        return not place.lost and node_of(session) not in self._away

    def _count(self, rooms: Iterable[str], difference: int) -> None:
        for room in rooms if difference else ():
            self._crowds[room] += difference
            if not self._crowds[room]:
                del self._crowds[room]

    def _seat(self, session: str, user: str) -> Seat:
        it = self._users[user]
        client, lost = it.places[session]
        return Seat(session, user, it.identity, client, tuple(sorted(it.rooms)), lost)
