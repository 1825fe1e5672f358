"""The rooms that one connection is in, and which of them its lines go to.

Somebody who types has a current room. A move to another counts at once, so that the lines behind it
go where their writer means them to go, however late its reply comes; a refused move is undone. What
happens to the user from elsewhere (a kick, another connection of the same account) counts as well.
"""

from collections.abc import Iterable
from typing import Final, NamedTuple

from chat_service.core.address import LOBBY

_BACK_IN_LOBBY: Final = f"* you are in {LOBBY} now\n"


class _Move(NamedTuple):
    """A Join or Leave that has not been answered; `leads_to` is None if one stays where one is."""

    room: str
    joins: bool
    leads_to: str | None


class Whereabouts:
    """What is known of the rooms, and what has been asked for.

    Sentences that it returns are lines for the user, empty where there is nothing to say.
    """

    def __init__(self) -> None:
        self.current = LOBBY
        """Where the moves so far will have led if all are done."""
        self._settled = LOBBY
        """Where those have led that are done."""
        self._rooms = dict.fromkeys([LOBBY])  # a set in order of joining
        self._moves: dict[int, _Move] = {}

    def begin(self, rooms: Iterable[str]) -> None:
        """Take note of the rooms that the user is in already."""
        self._rooms = dict.fromkeys((LOBBY, *rooms))

    def tell(self) -> str:
        """Return the line that answers `/rooms`."""
        return f"* you are in: {', '.join(self._rooms)} (current: {self._settled})\n"

    # What is asked for here.

    def will_join(self, ref: int, room: str) -> None:
        """Move to a room; the reply to `ref` will tell."""
        self._moves[ref] = _Move(room, joins=True, leads_to=room)
        self.current = room

    def will_leave(self, ref: int, room: str) -> None:
        """Move out of a room; the reply to `ref` will tell."""
        leads_to = LOBBY if room == self.current else None
        self._moves[ref] = _Move(room, joins=False, leads_to=leads_to)
        self.current = leads_to or self.current

    def done(self, ref: int) -> str:
        """Take note that a move was done."""
        move = self._moves.pop(ref)
        sentence = self._has_joined(move.room) if move.joins else self._has_left(move.room)
        return sentence + self._settle()

    def refused(self, ref: int) -> str:
        """Take note that what was asked was refused, be it a move or not."""
        self._moves.pop(ref, None)
        return self._settle()

    def _has_joined(self, room: str) -> str:
        self._settled = room
        return f"* you are in {room} now\n"

    def _has_left(self, room: str) -> str:
        if room != self._settled:
            return f"* you left {room}\n"
        self._settled = LOBBY
        return f"* you left {room}; you are in {LOBBY} now\n"

    # What happens, wherever from.

    def joined(self, room: str) -> None:
        """Take note that the user is in a room."""
        self._rooms[room] = None

    def left(self, room: str) -> str:
        """Take note that the user is in a room no more."""
        self._rooms.pop(room, None)
        return self._settle()

    def _settle(self) -> str:
        """Fall back to the lobby where the room is lost, and see what the moves to come make."""
        sentence = ""
        if self._settled not in self._rooms and not self._is_leaving(self._settled):
            self._settled, sentence = LOBBY, _BACK_IN_LOBBY
        leads = (move.leads_to for move in reversed(self._moves.values()) if move.leads_to)
        self.current = next(leads, self._settled)
        return sentence

    def _is_leaving(self, room: str) -> bool:
        """Tell whether a reply is to come that tells of leaving a room."""
        return any(move.room == room and not move.joins for move in self._moves.values())
