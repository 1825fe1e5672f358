"""The nodes of a cluster, as one of them sees the others: who lives, and who says the same.

Pure but for what it is given: times are seconds of a clock that never jumps, and none is read here.
"""

from collections import deque
from collections.abc import Callable, Iterable, Set
from enum import IntEnum
from typing import Final, NamedTuple

from chat_service.core.signals import Heartbeat

PULSE: Final = 0.5
"""Seconds between two heartbeats of a node."""

AWAY_AFTER: Final = 4.0
"""Seconds of silence after which a node's users are told as gone, until it is heard again."""

DEAD_AFTER: Final = 10.0
"""Seconds of silence after which a node's seats are released."""

DOUBTED_AFTER: Final = 2.5
"""Seconds of silence after which a node may have to be judged soon, so that this one asks for a
proof that it can be trusted with that: see `proof.py`. A proof outlasts no verdict that is due:
it is younger than the silence.
"""

OUT_OF_TOUCH: Final = 1.5
"""Seconds without its own heartbeats after which a node judges nobody: it may be the deaf one."""


_STOPPED_KEPT: Final = 256
"""Nodes that have stopped of which a heartbeat may still be on its way."""


class Life(IntEnum):
    """How a node is."""

    LIVE = 0
    AWAY = 1
    DEAD = 2


class Verdicts(NamedTuple):
    """Whose lives have changed, by their instances."""

    away: list[str]
    back: list[str]
    dead: list[str]


class Peer:
    """A node, this one included. `last` is its latest heartbeat.

    It is None of one that was never heard, or that has stopped.
    """

    __slots__ = ("heard", "last", "life")

    def __init__(self, heard: float, last: Heartbeat | None) -> None:
        self.heard = heard
        self.last = last
        self.life = Life.LIVE


class Peers:
    """Every node that was heard of, by its instance. `own` is the instance of this one."""

    def __init__(self, own: str) -> None:
        self._own = own
        self._peers: dict[str, Peer] = {}
        self._stopped: deque[str] = deque(maxlen=_STOPPED_KEPT)
        self._in_touch = False

    @property
    def in_touch(self) -> bool:
        """Whether this node can judge others: it was so at the last judgement."""
        return self._in_touch

    def all(self) -> Iterable[Peer]:
        """Return those whose heartbeats were heard."""
        return [peer for peer in self._peers.values() if peer.last is not None]

    def dead(self) -> list[str]:
        """Return the nodes that are dead."""
        return [instance for instance, peer in self._peers.items() if peer.life is Life.DEAD]

    def name(self, instance: str) -> str:
        """Return what a node is called; empty if it was never heard."""
        peer = self._peers.get(instance)
        return peer.last.name if peer is not None and peer.last is not None else ""

    def leads(self) -> bool:
        """Tell whether this node is the one, of all that live, to do what one has to do."""
        live = [(it.name, it.instance) for it in self._live()]
        return bool(live) and min(live)[1] == self._own

    def in_doubt(self, now: float) -> bool:
        """Tell whether the silence of some node may have to be judged soon."""
        return any(
            peer.life is not Life.DEAD and now - peer.heard >= DOUBTED_AFTER
            for peer in self._peers.values()
        )

    def heard(self, heartbeat: Heartbeat, now: float) -> None:
        """Take a heartbeat."""
        peer = self._peers.setdefault(heartbeat.instance, Peer(now, heartbeat))
        peer.heard, peer.last = now, heartbeat

    def expect(self, instances: Set[str], now: float) -> None:
        """Count the silence of nodes that have seats, whether or not they were ever heard.

        Of others that were not, or have stopped, nothing is to be expected.
        """
        for instance, peer in list(self._peers.items()):
            if peer.last is None and peer.life is Life.LIVE and instance not in instances:
                self.forget(instance)
        for instance in instances:
            if instance not in self._peers:
                self._peers[instance] = Peer(now, None)

    def forget(self, instance: str) -> None:
        """Think no more of a node."""
        self._peers.pop(instance, None)

    def has_stopped(self, instance: str) -> bool:
        """Tell whether a node has said that it stops; what else it says is late."""
        return instance in self._stopped

    def stopped(self, instance: str, now: float) -> None:
        """Take a node for one that is not heard any more; seats that it leaves are waited for."""
        self._stopped.append(instance)
        peer = self._peers.get(instance)
        if peer is not None:
            peer.heard, peer.last = now, None

    def judge(self, now: float, *, log_works: bool, proven: bool) -> Verdicts:
        """Return whose lives have changed; nobody's while this node itself may be cut off.

        Nobody is worse than before unless it is `proven` that this node is not.
        """
        verdicts = Verdicts([], [], [])
        own = self._peers.get(self._own)
        if not log_works or own is None or now - own.heard > OUT_OF_TOUCH:
            self._in_touch = False
            return verdicts
        if not self._in_touch:
            # What was silent meanwhile could not be heard: everyone has as long again.
            self._in_touch = True
            for peer in self._peers.values():
                peer.heard = now
        for instance, peer in self._peers.items():
            life = _life(now - peer.heard)
            if life < peer.life or (life > peer.life and proven):
                (verdicts.back, verdicts.away, verdicts.dead)[life].append(instance)
                peer.life = life
        return verdicts

    def _live(self) -> list[Heartbeat]:
        return [peer.last for peer in self._peers.values() if peer.last and peer.life is Life.LIVE]


class Comparison:
    """Compares what other nodes have made of the log with what this one has.

    `digest_at` gives the digest of a position that was applied here lately, and None of any other.
    """

    def __init__(
        self, own: Callable[[], Heartbeat], digest_at: Callable[[int], bytes | None]
    ) -> None:
        self.agreed = 0
        """The highest position at which another node had the same digest."""
        self.agreements: dict[str, int] = {}
        """The nodes that had the same digest, each with the highest position."""
        self.diverged: dict[str, int] = {}
        """The nodes that have made something else of the log, each with the position."""
        self._own = own
        self._digest_at = digest_at
        self._pending: dict[str, Heartbeat] = {}

    def heard(self, heartbeat: Heartbeat) -> None:
        """Take what another node says, to look at when this one is as far."""
        own = self._own()
        # Another version may digest the same otherwise. One that is ahead keeps being so, so the
        # first thing that it said waits, not the latest.
        if heartbeat.instance != own.instance and heartbeat.version == own.version:
            self._pending.setdefault(heartbeat.instance, heartbeat)

    def compare(self) -> list[Heartbeat]:
        """Compare what can be compared now; returns what is found to differ for the first time."""
        position = self._own().position
        ready = [it for it in self._pending.values() if it.position <= position]
        found: list[Heartbeat] = []
        for heartbeat in ready:
            del self._pending[heartbeat.instance]
            ours = self._digest_at(heartbeat.position)
            if ours == heartbeat.digest:
                self._agrees(heartbeat)
            elif ours is not None and heartbeat.instance not in self.diverged:
                self.diverged[heartbeat.instance] = heartbeat.position
                found.append(heartbeat)
        return found

    def forget(self, instance: str) -> None:
        """Think no more of what a node has said."""
        self._pending.pop(instance, None)
        self.agreements.pop(instance, None)
        self.diverged.pop(instance, None)

    def _agrees(self, heartbeat: Heartbeat) -> None:
        instance, position = heartbeat.instance, heartbeat.position
        self.agreements[instance] = max(self.agreements.get(instance, 0), position)
        self.agreed = max(self.agreed, position)


def _life(silence: float) -> Life:
    if silence >= DEAD_AFTER:
        return Life.DEAD
    return Life.AWAY if silence >= AWAY_AFTER else Life.LIVE
