"""Who came and who went, told once and to those who care.

A change is told to the rooms that the user is in, but for rooms with more sessions than the limit.
Changes wait for the next fan-out and travel with it; one that was undone meanwhile is not told. A
departure that may be a mere hiccup is held back for a while and forgotten if the user returns.
"""

import asyncio
from collections.abc import Callable, Iterable, Set

from chat_service.core.events import Presence


class PresenceBook:
    """What has been told of whom, and what is yet to be told."""

    def __init__(self, grace: float, on_change: Callable[[], None]) -> None:
        self._grace = grace
        self._on_change = on_change
        self._told: set[str] = set()
        self._due: dict[str, tuple[bool, frozenset[str]]] = {}
        self._timers: dict[str, asyncio.TimerHandle] = {}

    @property
    def held(self) -> Set[str]:
        """Those whose departure is held back: neither that nor a return is told yet."""
        return self._timers.keys()

    def arrived(self, user: str, rooms: Iterable[str]) -> None:
        """Note a user's first session here."""
        if (timer := self._timers.pop(user, None)) is not None:
            timer.cancel()
        self._note(user, online=True, rooms=frozenset(rooms))

    def departed(self, user: str, rooms: Iterable[str], *, lost: bool) -> None:
        """Note the end of a user's last session; if `lost`, only after the grace."""
        gone_from = frozenset(rooms)
        if not lost:
            self._note(user, online=False, rooms=gone_from)
            return
        loop = asyncio.get_running_loop()
        self._timers[user] = loop.call_later(self._grace, self._give_up, user, gone_from)

    def due(self) -> list[tuple[Presence, frozenset[str]]]:
        """Return what is to be told now, each with the rooms concerned."""
        due = [(Presence(user, online), rooms) for user, (online, rooms) in self._due.items()]
        for user, (online, _rooms) in self._due.items():
            (self._told.add if online else self._told.discard)(user)
        self._due.clear()
        return due

    def close(self) -> None:
        """Forget what was to be told later."""
        for timer in self._timers.values():
            timer.cancel()
        self._timers.clear()

    def _give_up(self, user: str, rooms: frozenset[str]) -> None:
        del self._timers[user]
        self._note(user, online=False, rooms=rooms)

    def _note(self, user: str, *, online: bool, rooms: frozenset[str]) -> None:
        if (user in self._told) == online:
            self._due.pop(user, None)
            return
        self._due[user] = (online, rooms)
        self._on_change()
