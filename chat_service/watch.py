"""The watch: tells the other nodes that this one lives, and draws the consequences where one died.

Who is connected is known from the log (`hub/attendance.py`). What a node cannot write there is
that it has died, so each tells that it lives, twice a second:

    silent for 4 s    its users are offline for everyone; undone as soon as it is heard again
    silent for 10 s   its seats are released through the log, by one of those that live
"""

import asyncio
from collections.abc import Callable
from math import inf
from typing import Final, NamedTuple

from chat_service.core.signals import Heartbeat, Signal
from chat_service.hub.hub import Hub
from chat_service.logs import get
from chat_service.peers import PULSE, Comparison, Life, Peers
from chat_service.signals.port import Signals

_log = get("watch")

RELEASED_AT_ONCE: Final = 1_024
"""Seats that are released between two heartbeats, so that clients' entries find room in the log."""

_OUT_OF_TOUCH_FOR: Final = 10.0
"""Seconds after which it is worth a warning that a node cannot judge the others."""

_RELEASED_AGAIN: Final = 20.0
"""Seconds after which seats that are still there are released again, by whoever has that to do."""


class NodeStatus(NamedTuple):
    """A node as this one sees it."""

    heartbeat: Heartbeat
    live: bool
    diverged: bool


class Watch:
    """Watches over the nodes; `run` is its one task.

    `own` gives this node's heartbeat as of now, `digest_at` the digest of a position that was
    applied lately, `log_works` whether entries get into the log now, and `clock` seconds.
    """

    def __init__(
        self,
        signals: Signals,
        hub: Hub,
        own: Callable[[], Heartbeat],
        digest_at: Callable[[int], bytes | None],
        log_works: Callable[[], bool],
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
        self._touched = clock()
        """When this node could judge the others last."""
        self._complained = False
        self._released: dict[str, dict[str, float]] = {}
        """The sessions of each dead node whose seats were released here, and when."""

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
            NodeStatus(
                peer.last, peer.life is Life.LIVE, peer.last.instance in self._comparison.diverged
            )
            for peer in self._peers.all()
            if peer.last is not None
        ]
        return sorted(heard, key=lambda it: (it.heartbeat.name, it.heartbeat.instance))

    async def run(self) -> None:
        """Watch until cancelled."""
        await self._signals.listen(self.hear)
        while True:
            self.beat()
            await asyncio.sleep(PULSE)

    def hear(self, signal: Signal) -> None:
        """Take a signal of any node."""
        self._peers.heard(signal, self._clock())
        self._comparison.heard(signal)

    def beat(self) -> None:
        """Say that this node lives, and look after the others."""
        self._signals.tell(self.own())
        now = self._clock()
        self._judge(now)
        for dead in self._peers.dead():
            self._bury(dead, now)
        for it in self._comparison.compare():
            _log.error(
                "a node has made something else of the log: stop one and give it a new copy;"
                " no snapshots until then",
                node=it.name,
                instance=it.instance,
                position=it.position,
            )

    def _judge(self, now: float) -> None:
        attendance = self._hub.attendance
        self._peers.expect(attendance.nodes - {self._instance}, now)
        away, back, dead = self._peers.judge(now, log_works=self._log_works())
        self._complain(now)
        for instance in away:
            self._note("a node is silent: its users are offline", instance)
            attendance.away(instance)
        for instance in dead:
            self._note("a node is taken for dead", instance)
            attendance.away(instance)
        for instance in back:
            self._note("a node is back", instance)
            attendance.back(instance)

    def _complain(self, now: float) -> None:
        """Say once where this node has been out of touch for long."""
        if self._peers.in_touch:
            self._touched, self._complained = now, False
        elif not self._complained and now - self._touched > _OUT_OF_TOUCH_FOR:
            self._complained = True
            _log.warning(
                "out of touch: this node takes nobody for dead until it hears itself again"
            )

    def _note(self, what: str, instance: str) -> None:
        _log.warning(what, node=self._peers.name(instance), instance=instance)

    def _bury(self, instance: str, now: float) -> None:
        """Release the seats of a dead node, if that is this node's to do; forget it without any."""
        seats = self._hub.attendance.seats_of(instance)
        if not seats:
            self._forget(instance)
        elif self.leads:
            released = self._released.setdefault(instance, {})
            due = [it for it in seats if now - released.get(it.session, -inf) > _RELEASED_AGAIN]
            for seat in due[:RELEASED_AT_ONCE]:
                released[seat.session] = now
                self._hub.release(seat.session, seat.user, seat.client, hold=not seat.lost)

    def _forget(self, instance: str) -> None:
        self._hub.attendance.back(instance)  # nothing is there to be away
        self._released.pop(instance, None)
        self._peers.forget(instance)
        self._comparison.forget(instance)
