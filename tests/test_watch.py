"""The watch: three nodes without clients, a bus between them, and a clock that the test sets."""

import asyncio
from collections.abc import Callable, Iterator, Sequence

import pytest
from structlog.testing import capture_logs

from chat_service import watch as watch_module
from chat_service.core.address import LOBBY
from chat_service.core.commands import Entry, Exit
from chat_service.core.events import Ack
from chat_service.core.limits import NAME_HOLD
from chat_service.core.outcome import Applied, Entered
from chat_service.core.signals import Heartbeat, Signal
from chat_service.hub.hub import Hub
from chat_service.peers import AWAY_AFTER, DEAD_AFTER
from chat_service.signals.local import LocalSignals
from chat_service.watch import Watch
from tests.hub.members import enter


class Node:
    """A node that has applied what every node has, and what its watch asks of the log."""

    def __init__(self, cluster: "Cluster", instance: str) -> None:
        self.instance = instance
        self.appended: list[Entry] = []
        self.proofs = 0
        self.digest = b"same"
        self.version = "1"
        self.log_works = True
        self.acknowledges = True
        self.hub = Hub(self.appended.append, lambda: 1, presence_limit=500, instance=instance)
        self.signals = LocalSignals(cluster.bus)
        self.watch = Watch(
            self.signals,
            self.hub,
            self.heartbeat,
            lambda position: self.digest if position == 1 else None,
            lambda: self.log_works,
            self.attempt,
            lambda: cluster.now,
        )

    def heartbeat(self) -> Heartbeat:
        name = f"node-{self.instance}"
        return Heartbeat(self.instance, name, self.version, 1, self.digest, 0)

    async def attempt(self, entries: Sequence[Entry]) -> bool:
        """Append what releases seats, and count what only proves that it could be."""
        if self.acknowledges:
            released = [it for it in entries if it.session]
            self.appended += released
            self.proofs += not released
        return self.acknowledges

    @property
    def released(self) -> list[str]:
        return [f"{it.session} {it.body}" for it in self.appended]


class Cluster:
    """Three nodes on one log."""

    def __init__(self) -> None:
        self.now = 0.0
        self.bus: list[list[Callable[[Signal], None]]] = []
        self.nodes = {instance: Node(self, instance) for instance in "abc"}

    async def start(self) -> None:
        for node in self.nodes.values():
            await node.signals.listen(node.watch.hear)
        await self.passes(1, *self.nodes)

    async def passes(self, seconds: float, *alive: str) -> None:
        """Let time pass, in which only these nodes do anything."""
        for _ in range(round(seconds / 0.5)):
            self.now += 0.5
            for instance in alive:
                self.nodes[instance].watch.beat()
            for _ in range(3):  # signals are heard, and what is appended is acknowledged
                await asyncio.sleep(0)

    def happens(self, *batch: Applied) -> None:
        for node in self.nodes.values():
            node.hub.fan_out(batch)

    def arrive(self, session: str, user: str) -> None:
        entry = enter(session, user, session.encode())
        self.happens(Applied(entry, Entered(sum(map(ord, user)), 0, None, 0, (LOBBY,))))

    def comes_true(self) -> None:
        """Let what was asked of the log happen."""
        for node in self.nodes.values():
            asked, node.appended[:] = list(node.appended), []
            self.happens(*(Applied(entry, Ack()) for entry in asked))

    def online(self) -> list[set[str]]:
        return [set(node.hub.attendance.online) for node in self.nodes.values()]


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch) -> Iterator[Cluster]:
    cluster = Cluster()
    yield cluster
    for node in cluster.nodes.values():
        node.hub.close()


async def test_users_of_a_dead_node_are_offline_within_five_seconds(cluster: Cluster) -> None:
    await cluster.start()
    for session, user in (("a-1", "ann"), ("b-1", "bob"), ("c-1", "cyd")):
        cluster.arrive(session, user)
    await cluster.passes(AWAY_AFTER - 0.5, "a", "b")
    assert cluster.online()[:2] == [{"ann", "bob", "cyd"}] * 2
    await cluster.passes(1, "a", "b")
    assert cluster.online()[:2] == [{"ann", "bob"}] * 2


async def test_a_node_that_is_heard_again_has_its_users_back(cluster: Cluster) -> None:
    await cluster.start()
    cluster.arrive("c-1", "cyd")
    await cluster.passes(AWAY_AFTER + 1, "a", "b")
    await cluster.passes(1, "a", "b", "c")
    assert cluster.online() == [{"cyd"}] * 3


async def test_who_is_on_another_node_as_well_stays_online(cluster: Cluster) -> None:
    await cluster.start()
    cluster.arrive("c-1", "ann")
    cluster.arrive("a-1", "ann")
    await cluster.passes(DEAD_AFTER + 1, "a", "b")
    assert cluster.online()[:2] == [{"ann"}] * 2


async def test_one_of_those_that_live_releases_the_seats_of_a_dead_node_once(
    cluster: Cluster,
) -> None:
    await cluster.start()
    cluster.arrive("c-1", "cyd")
    await cluster.passes(DEAD_AFTER - 1, "a", "b")
    assert cluster.nodes["a"].released == []
    await cluster.passes(5, "a", "b")
    assert cluster.nodes["a"].released == [f"c-1 {Exit(hold=True)}"]
    assert cluster.nodes["b"].released == []


async def test_a_seat_that_was_lost_before_its_node_died_is_free_at_once(
    cluster: Cluster,
) -> None:
    await cluster.start()
    cluster.arrive("c-1", "cyd")
    lost = enter("c-1", "cyd", b"c-1").replace(body=Exit(hold=True))
    cluster.happens(Applied(lost, Ack()))
    await cluster.passes(DEAD_AFTER + 1, "a", "b")
    assert cluster.nodes["a"].released == [f"c-1 {Exit()}"]
    cluster.comes_true()
    assert not cluster.nodes["a"].hub.attendance.nodes


async def test_seats_that_are_still_there_are_released_again_by_who_leads_then(
    cluster: Cluster,
) -> None:
    await cluster.start()
    cluster.arrive("c-1", "cyd")
    await cluster.passes(DEAD_AFTER + 1, "a", "b")
    cluster.nodes["a"].appended.clear()  # it dies before its entry is ordered
    await cluster.passes(DEAD_AFTER + 1, "b")
    assert cluster.nodes["b"].released == [f"c-1 {Exit(hold=True)}"]
    await cluster.passes(30, "b")
    assert cluster.nodes["b"].released == [f"c-1 {Exit(hold=True)}"] * 2


async def test_many_seats_are_released_in_slices(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watch_module, "RELEASED_AT_ONCE", 2)
    await cluster.start()
    for number in range(5):
        cluster.arrive(f"c-{number}", f"user{number}")
    counts = []
    for _ in range(40):
        before = len(cluster.nodes["a"].appended)
        await cluster.passes(0.5, "a", "b")
        counts.append(len(cluster.nodes["a"].appended) - before)
    assert [it for it in counts if it] == [2, 2, 1]


async def test_a_node_that_was_cut_off_takes_nobody_for_dead(cluster: Cluster) -> None:
    await cluster.start()
    cluster.arrive("b-1", "bob")
    cluster.nodes["a"].watch._signals = LocalSignals()  # it tells, and nobody hears
    await cluster.passes(60, "a", "b", "c")
    assert cluster.nodes["a"].released == []
    assert cluster.online()[0] == {"bob"}


async def test_a_node_that_is_out_of_touch_for_long_says_so_once(
    cluster: Cluster,
) -> None:
    await cluster.start()
    cluster.nodes["a"].log_works = False
    with capture_logs() as logs:
        await cluster.passes(60, "a", "b", "c")
        cluster.nodes["a"].log_works = True
        await cluster.passes(1, "a", "b", "c")
        cluster.nodes["a"].log_works = False
        await cluster.passes(60, "a", "b", "c")
    assert [it["event"].partition(":")[0] for it in logs] == ["out of touch"] * 2


async def test_a_node_that_is_cut_off_with_its_server_judges_nobody_and_releases_nothing(
    cluster: Cluster,
) -> None:
    await cluster.start()
    cluster.arrive("c-1", "cyd")
    a = cluster.nodes["a"]
    a.acknowledges = False  # and has nothing else to append that would tell it
    await cluster.passes(60, "a")
    assert cluster.online()[0] == {"cyd"}
    assert not a.watch.leads
    a.acknowledges = True
    await cluster.passes(AWAY_AFTER - 1, "a")  # it hears itself first; the others have time
    await cluster.passes(60, *cluster.nodes)
    assert cluster.online()[0] == {"cyd"}
    assert a.released == []


async def test_a_release_that_was_not_acknowledged_is_judged_anew(cluster: Cluster) -> None:
    await cluster.start()
    cluster.arrive("c-1", "cyd")
    await cluster.passes(DEAD_AFTER - 0.5, "a", "b")
    a = cluster.nodes["a"]
    a.acknowledges = False
    await cluster.passes(5, "a", "b")
    a.acknowledges = True
    await cluster.passes(5, *cluster.nodes)  # it was alive after all
    assert a.released == []
    await cluster.passes(DEAD_AFTER + 1, "a", "b")
    assert a.released == [f"c-1 {Exit(hold=True)}"]


async def test_a_quiet_cluster_appends_nothing_and_one_that_misses_a_node_little(
    cluster: Cluster,
) -> None:
    await cluster.start()
    await cluster.passes(60, *cluster.nodes)
    assert [node.proofs for node in cluster.nodes.values()] == [0, 0, 0]
    await cluster.passes(60, "a", "b")
    for node in list(cluster.nodes.values())[:2]:
        assert 0 < node.proofs <= DEAD_AFTER


async def test_a_name_is_held_for_a_while_before_it_is_free(cluster: Cluster) -> None:
    await cluster.start()
    cluster.arrive("older-1", "eve")
    await cluster.passes(DEAD_AFTER + 1, *cluster.nodes)
    cluster.comes_true()
    await cluster.passes(NAME_HOLD - 1, *cluster.nodes)
    assert cluster.nodes["a"].released == []
    await cluster.passes(3, *cluster.nodes)
    assert cluster.nodes["a"].released == [f"older-1 {Exit()}"]


async def test_a_node_that_has_stopped_is_forgotten_at_once_and_without_a_warning(
    cluster: Cluster,
) -> None:
    await cluster.start()
    with capture_logs() as logs:
        cluster.nodes["c"].watch.depart()
        cluster.nodes["c"].signals.tell(cluster.nodes["c"].heartbeat())  # which was late
        await cluster.passes(60, "a", "b")
    assert [it.heartbeat.instance for it in cluster.nodes["a"].watch.nodes()] == ["a", "b"]
    assert {it["log_level"] for it in logs} == {"info"}


async def test_the_seats_that_a_node_has_left_behind_are_released_in_time(
    cluster: Cluster,
) -> None:
    await cluster.start()
    cluster.arrive("c-1", "cyd")
    with capture_logs() as logs:
        cluster.nodes["c"].watch.depart()
        await cluster.passes(AWAY_AFTER - 1, "a", "b")
        assert cluster.online()[0] == {"cyd"}  # who may come back elsewhere in that time
        await cluster.passes(DEAD_AFTER, "a", "b")
    assert cluster.online()[0] == set()
    assert cluster.nodes["a"].released == [f"c-1 {Exit(hold=True)}"]
    assert {it["log_level"] for it in logs} == {"info"}


async def test_while_the_log_fails_nobody_is_taken_for_dead(cluster: Cluster) -> None:
    await cluster.start()
    cluster.arrive("c-1", "cyd")
    cluster.nodes["a"].log_works = False
    await cluster.passes(60, "a", "b")
    assert cluster.online()[0] == {"cyd"}
    assert cluster.nodes["a"].released == []


async def test_seats_of_a_run_that_nobody_remembers_are_released(cluster: Cluster) -> None:
    cluster.arrive("older-1", "eve")
    await cluster.start()
    await cluster.passes(DEAD_AFTER, *cluster.nodes)
    assert cluster.nodes["a"].released == [f"older-1 {Exit(hold=True)}"]
    assert [node.released for node in cluster.nodes.values()][1:] == [[], []]


async def test_a_dead_node_without_seats_is_forgotten(cluster: Cluster) -> None:
    await cluster.start()
    await cluster.passes(DEAD_AFTER + 1, "a", "b")
    watch = cluster.nodes["a"].watch
    assert [it.heartbeat.instance for it in watch.nodes()] == ["a", "b"]


async def test_nodes_are_told_by_name_and_whether_they_live(cluster: Cluster) -> None:
    await cluster.start()
    cluster.arrive("c-1", "cyd")
    await cluster.passes(AWAY_AFTER + 1, "a", "b")
    nodes = cluster.nodes["b"].watch.nodes()
    assert [(it.heartbeat.name, it.live) for it in nodes] == [
        ("node-a", True),
        ("node-b", True),
        ("node-c", False),
    ]


async def test_a_node_that_has_made_something_else_of_the_log_is_told_of(
    cluster: Cluster,
) -> None:
    await cluster.start()
    watch = cluster.nodes["a"].watch
    assert (watch.diverged, watch.agreed) == (0, 1)
    cluster.nodes["c"].digest = b"else"
    await cluster.passes(2, *cluster.nodes)
    assert [node.watch.diverged for node in cluster.nodes.values()] == [1, 1, 2]
    assert [it.diverged for it in watch.nodes()] == [False, False, True]


async def test_a_node_of_another_version_is_told_as_one_that_was_never_compared(
    cluster: Cluster,
) -> None:
    cluster.nodes["c"].version = "2"
    await cluster.start()
    await cluster.passes(2, *cluster.nodes)
    statuses = cluster.nodes["a"].watch.nodes()
    assert [(it.diverged, it.agreed) for it in statuses] == [(False, 1), (False, 1), (False, 0)]


async def test_only_a_node_that_leads_and_that_nobody_contradicts_vouches_for_its_state(
    cluster: Cluster,
) -> None:
    def vouching() -> list[bool]:
        return [node.watch.vouches for node in cluster.nodes.values()]

    await cluster.start()
    assert vouching() == [True, False, False]
    cluster.nodes["a"].digest = b"else"
    await cluster.passes(2, *cluster.nodes)
    assert vouching() == [False, False, False]
    await cluster.passes(DEAD_AFTER + 1, "b", "c")  # it is stopped, to be given a new copy
    assert vouching()[1:] == [True, False]
    assert cluster.nodes["b"].watch.diverged == 0
