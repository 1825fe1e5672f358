"""The watch: tells the other nodes that this one lives, and draws the consequences where one died.

Who is connected is known from the log (`hub/attendance.py`). What a node cannot write there is
that it has died, so each tells that it lives, twice a second:

    silent for 4 s    its users are offline for everyone; undone as soon as it is heard again
    silent for 10 s   its seats are released through the log, by one of those that live

Whoever cannot append now may be the one that is cut off, so each consequence takes a fresh proof of
that, and seats are released at once or not at all: released late they might be those of the living.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from itertools import islice
from typing import Final, NamedTuple

from chat_service.core.commands import Entry
from chat_service.core.limits import NAME_HOLD
from chat_service.core.outcome import Seat
from chat_service.core.signals import Departure, Heartbeat, Signal
from chat_service.hub.hub import Hub
from chat_service.logs import get
from chat_service.peers import PULSE, Comparison, Life, Peers
from chat_service.proof import Proof
from chat_service.signals.port import Signals

_log = get("watch")

RELEASED_AT_ONCE: Final = 1_024
"""Seats that are released between two heartbeats, so that clients' entries find room in the log."""

_OUT_OF_TOUCH_FOR: Final = 10.0
"""Seconds after which it is worth a warning that a node cannot judge the others."""

_RELEASED_AGAIN: Final = 20.0
"""Seconds after which seats that are still there are released again, by whoever has that to do."""

_NOBODY: Final = Seat("", "", 0, b"", (), lost=True)
"""Whose exit changes nothing, and proves that it could be appended."""


class NodeStatus(NamedTuple):
    """A node as this one sees it."""

    heartbeat: Heartbeat
    live: bool
    diverged: bool
    agreed: int
    """The highest position at which it had the same digest as this one; 0 if there was none."""


class _Release(NamedTuple):
    """When a seat was released here, and whether it was lost then, so that it was for good."""

    at: float
    for_good: bool

    def is_over(self, seat: Seat, now: float) -> bool:
        """Tell whether the seat, which is still there, is to be released again."""
        held = seat.lost and not self.for_good
        return now - self.at > (NAME_HOLD if held else _RELEASED_AGAIN)


class Watch:
    """Watches over the nodes; `run` is its one task.

    `own` gives this node's heartbeat as of now, `digest_at` the digest of a position that was
    applied lately, `log_works` whether entries get into the log as far as is known, and `clock`
    seconds. `attempt` appends entries at once or not at all, and tells whether that worked.
    """

    def __init__(
        self,
        signals: Signals,
        hub: Hub,
        own: Callable[[], Heartbeat],
        digest_at: Callable[[int], bytes | None],
        log_works: Callable[[], bool],
        attempt: Callable[[Sequence[Entry]], Awaitable[bool]],
        clock: Callable[[], float],
    ) -> None:
        self._signals = signals
        self._hub = hub
        self.own = own
        """This node's heartbeat, as of now."""
        self._log_works = log_works
        self._clock = clock
        self._instance = own().instance
        self._peers = Peers(self._instance)
        self._comparison = Comparison(own, digest_at)
        self._proof = Proof(attempt)
        self._touched = clock()
        """When this node could judge the others last."""
        self._complained = False
        self._released: dict[str, dict[str, _Release]] = {}
        """The sessions of each dead node whose seats were released here."""

    @property
    def diverged(self) -> int:
        """How many nodes have made something else of the log than this one."""
        return len(self._comparison.diverged)

    @property
    def agreed(self) -> int:
        """The highest position at which another node had the same digest."""
        return self._comparison.agreed

    @property
    def leads(self) -> bool:
        """Whether it is this node that does what only one has to do."""
        return self._peers.in_touch and self._peers.leads()

    @property
    def vouches(self) -> bool:
        """Whether this node leads, and no other has made something else of the log.

        Nobody can tell which of two that differ is right, so neither hands on what it holds.
        """
        return self.leads and not self.diverged

    def nodes(self) -> list[NodeStatus]:
        """Return the nodes that were heard and are not forgotten, by their names."""
        heard = [
            self._status(peer.last, live=peer.life is Life.LIVE)
            for peer in self._peers.all()
            if peer.last is not None
        ]
        return sorted(heard, key=lambda it: (it.heartbeat.name, it.heartbeat.instance))

    async def run(self) -> None:
        """Watch until cancelled."""
        await self._signals.listen(self.hear)
        try:
            while True:
                self.beat()
                await asyncio.sleep(PULSE)
        finally:
            await self._proof.close()

    def depart(self) -> None:
        """Say that this node has stopped, so that nobody waits for it."""
        self._signals.tell(Departure(self._instance))

    def hear(self, signal: Signal) -> None:
        """Take a signal of any node."""
        if isinstance(signal, Departure):
            name = self._peers.name(signal.instance)
            _log.info("a node has stopped", node=name, instance=signal.instance)
            self._peers.stopped(signal.instance, self._clock())
            self._comparison.forget(signal.instance)
        elif not self._peers.has_stopped(signal.instance):
            self._peers.heard(signal, self._clock())
            self._comparison.heard(signal)

    def beat(self) -> None:
        """Say that this node lives, and look after the others."""
        self._signals.tell(self.own())
        now = self._clock()
        self._judge(now)
        for dead in self._peers.dead():
            if not self._hub.attendance.seats_of(dead):
                self._forget(dead)
        self._prove(now)
        for it in self._comparison.compare():
            _log.error(
                "a node has made something else of the log: stop one and give it a new copy;"
                " no snapshots until then",
                node=it.name,
                instance=it.instance,
                position=it.position,
            )

    def _status(self, heartbeat: Heartbeat, *, live: bool) -> NodeStatus:
        instance, comparison = heartbeat.instance, self._comparison
        agreed = comparison.agreements.get(instance, 0)
        if instance == self._instance:
            agreed = heartbeat.position  # with itself
        return NodeStatus(heartbeat, live, instance in comparison.diverged, agreed)

    def _judge(self, now: float) -> None:
        attendance = self._hub.attendance
        self._peers.expect(attendance.nodes - {self._instance}, now)
        away, back, dead = self._peers.judge(
            now,
            log_works=self._log_works() and not self._proof.failed,
            proven=self._proof.is_fresh(now),
        )
        if self._proof.failed:
            self._released.clear()  # what was not acknowledged has not happened
        self._complain(now)
        for instance in away:
            self._warn("a node is silent: its users are offline", instance)
            attendance.away(instance)
        for instance in dead:
            self._warn("a node is taken for dead", instance)
            attendance.away(instance)
        for instance in back:
            self._warn("a node is back", instance)
            attendance.back(instance)

    def _complain(self, now: float) -> None:
        """Say once where this node has been out of touch for long."""
        if self._peers.in_touch:
            self._touched, self._complained = now, False
        elif not self._complained and now - self._touched > _OUT_OF_TOUCH_FOR:
            self._complained = True
            _log.warning(
                "out of touch: this node takes nobody for dead until it hears itself again, and"
                " the log takes what it appends"
            )

    def _warn(self, what: str, instance: str) -> None:
        if not self._peers.has_stopped(instance):  # else it was to be expected
            _log.warning(what, node=self._peers.name(instance), instance=instance)

    def _prove(self, now: float) -> None:
        """Release the seats of the dead; before that, and before judging, prove that it may be."""
        if self._proof.is_asked:
            return
        due = self._due(now)
        if due and self._proof.is_fresh(now):
            for instance, seat in due:
                released = self._released.setdefault(instance, {})
                released[seat.session] = _Release(now, for_good=seat.lost)
            self._append([seat for _, seat in due], now)
        elif (due or self._proof.failed or self._doubts(now)) and self._proof.is_due(now):
            self._append([_NOBODY], now)

    def _due(self, now: float) -> list[tuple[str, Seat]]:
        """Return seats of dead nodes that this node has to release now, each with its node."""
        if not self.leads:
            return []
        seats = (
            (instance, seat, self._released.get(instance, {}).get(seat.session))
            for instance in self._peers.dead()
            for seat in self._hub.attendance.seats_of(instance)
        )
        due = ((instance, seat) for instance, seat, it in seats if not it or it.is_over(seat, now))
        return list(islice(due, RELEASED_AT_ONCE))

    def _doubts(self, now: float) -> bool:
        return self._peers.in_touch and self._peers.in_doubt(now)

    def _append(self, seats: Sequence[Seat], now: float) -> None:
        self._proof.ask([self._hub.exit_of(seat) for seat in seats], now)

    def _forget(self, instance: str) -> None:
        self._hub.attendance.back(instance)  # nothing is there to be away
        self._released.pop(instance, None)
        self._peers.forget(instance)
        self._comparison.forget(instance)
