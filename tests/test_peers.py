"""Who of the nodes lives and who says the same: rules without a clock of their own."""

import pytest

from chat_service.core.signals import Heartbeat
from chat_service.peers import (
    AWAY_AFTER,
    DEAD_AFTER,
    DOUBTED_AFTER,
    OUT_OF_TOUCH,
    Comparison,
    Peers,
    Verdicts,
)
from chat_service.proof import LASTS

NOTHING = Verdicts([], [], [])


def beat(instance: str, position: int = 0, digest: bytes = b"", version: str = "1") -> Heartbeat:
    return Heartbeat(instance, f"node-{instance}", version, position, digest, 0)


class Cluster:
    """What the node `own` hears, in steps of half a second."""

    def __init__(self) -> None:
        self.peers = Peers("own")
        self.now = 100.0

    def passes(
        self, seconds: float, *alive: str, log_works: bool = True, proven: bool = True
    ) -> list[Verdicts]:
        """Let so much time pass, in which these are heard; returns what was judged."""
        verdicts = []
        for _ in range(round(seconds / 0.5)):
            self.now += 0.5
            for instance in alive:
                self.peers.heard(beat(instance), self.now)
            verdicts.append(self.peers.judge(self.now, log_works=log_works, proven=proven))
        return [it for it in verdicts if it != NOTHING]


@pytest.fixture
def cluster() -> Cluster:
    cluster = Cluster()
    assert cluster.passes(5, "own", "a", "b") == []
    return cluster


def test_a_silent_node_is_away_after_four_seconds_and_dead_after_ten(cluster: Cluster) -> None:
    assert cluster.passes(AWAY_AFTER - 0.5, "own", "a") == []
    assert cluster.passes(0.5, "own", "a") == [Verdicts(["b"], [], [])]
    assert cluster.passes(DEAD_AFTER - AWAY_AFTER - 0.5, "own", "a") == []
    assert cluster.passes(0.5, "own", "a") == [Verdicts([], [], ["b"])]
    assert cluster.peers.dead() == ["b"]
    assert cluster.passes(60, "own", "a") == []  # told once


def test_a_node_that_is_merely_slow_is_never_away(cluster: Cluster) -> None:
    for _ in range(10):
        assert cluster.passes(AWAY_AFTER - 0.5, "own", "a") == []
        assert cluster.passes(0.5, "own", "a", "b") == []


@pytest.mark.parametrize("silence", [AWAY_AFTER, DEAD_AFTER])
def test_a_node_that_is_heard_again_is_back(cluster: Cluster, silence: float) -> None:
    cluster.passes(silence, "own", "a")
    assert cluster.passes(0.5, "own", "a", "b") == [Verdicts([], ["b"], [])]
    assert cluster.peers.dead() == []


def test_who_does_not_hear_itself_judges_nobody(cluster: Cluster) -> None:
    assert cluster.passes(60) == []
    assert not cluster.peers.in_touch


def test_who_cannot_reach_the_log_judges_nobody(cluster: Cluster) -> None:
    assert cluster.passes(60, "own", log_works=False) == []


def test_without_a_proof_of_the_log_nobody_is_worse_than_before(cluster: Cluster) -> None:
    assert cluster.passes(60, "own", "a", proven=False) == []
    assert cluster.passes(0.5, "own", "a") == [Verdicts([], [], ["b"])]
    assert cluster.passes(0.5, "own", "a", "b", proven=False) == [Verdicts([], ["b"], [])]


def test_a_proof_is_wanted_before_a_verdict_is_due_and_until_the_last(cluster: Cluster) -> None:
    assert LASTS < AWAY_AFTER  # so a proof that counts was asked for during the silence
    cluster.passes(DOUBTED_AFTER - 0.5, "own", "a")
    assert not cluster.peers.in_doubt(cluster.now)
    cluster.passes(0.5, "own", "a")
    assert cluster.peers.in_doubt(cluster.now)
    cluster.passes(DEAD_AFTER, "own", "a")
    assert not cluster.peers.in_doubt(cluster.now)


def test_when_a_deaf_node_hears_again_the_others_have_as_long_as_ever(cluster: Cluster) -> None:
    cluster.passes(60)
    assert cluster.passes(AWAY_AFTER, "own") == []
    assert cluster.passes(0.5, "own") == [Verdicts(["a", "b"], [], [])]


def test_a_hiccup_in_which_a_node_hears_nobody_is_none_of_the_others_fault(
    cluster: Cluster,
) -> None:
    # Just short of being away; then this node hangs for a while, and they with it.
    cluster.passes(AWAY_AFTER - 0.5, "own")
    cluster.now += OUT_OF_TOUCH + 1
    assert cluster.peers.judge(cluster.now, log_works=True, proven=True) == NOTHING
    assert cluster.passes(0.5, "own", "a", "b") == []


def test_a_node_that_was_never_heard_and_has_seats_is_dead_in_the_end(cluster: Cluster) -> None:
    cluster.peers.expect({"ghost"}, cluster.now)
    assert cluster.passes(DEAD_AFTER, "own", "a", "b") == [
        Verdicts(["ghost"], [], []),
        Verdicts([], [], ["ghost"]),
    ]


def test_of_a_node_that_was_never_heard_and_has_no_seats_any_more_nothing_is_expected(
    cluster: Cluster,
) -> None:
    cluster.peers.expect({"ghost"}, cluster.now)
    cluster.peers.expect(set(), cluster.now)
    assert cluster.passes(DEAD_AFTER, "own", "a", "b") == []


def test_a_node_that_has_stopped_is_missed_only_if_it_has_left_seats(cluster: Cluster) -> None:
    cluster.peers.stopped("a", cluster.now)
    cluster.peers.stopped("b", cluster.now)
    cluster.peers.expect({"b"}, cluster.now)
    assert cluster.peers.leads()
    assert cluster.passes(DEAD_AFTER, "own") == [
        Verdicts(["b"], [], []),
        Verdicts([], [], ["b"]),
    ]


def test_the_lowest_of_those_that_live_leads() -> None:
    cluster = Cluster()
    assert not cluster.peers.leads()  # it has not heard itself yet
    cluster.passes(5, "own", "a")
    assert not cluster.peers.leads()
    cluster.passes(AWAY_AFTER, "own")
    assert cluster.peers.leads()
    cluster.passes(0.5, "own", "z", "a")
    assert not cluster.peers.leads()


def test_who_was_never_heard_does_not_lead() -> None:
    cluster = Cluster()
    cluster.peers.expect({""}, cluster.now)
    cluster.passes(1, "own")
    assert cluster.peers.leads()


def test_of_a_node_that_is_forgotten_nothing_is_left(cluster: Cluster) -> None:
    cluster.passes(DEAD_AFTER, "own", "a")
    cluster.peers.forget("b")
    assert cluster.peers.dead() == []
    assert cluster.passes(5, "own", "a", "b") == []  # it is new


# --- digests ---


class Log:
    """What this node has made of the log."""

    def __init__(self, position: int) -> None:
        self.position = position
        self.comparison = Comparison(
            lambda: beat("own", self.position), lambda position: self.digests().get(position)
        )

    def digests(self) -> dict[int, bytes]:
        """Return the digests that are still known."""
        return {it: b"%d" % it for it in range(max(0, self.position - 99), self.position + 1)}


def test_nodes_that_have_done_the_same_agree() -> None:
    log = Log(10)
    log.comparison.heard(beat("a", 7, b"7"))
    assert log.comparison.compare() == []
    assert (log.comparison.agreed, log.comparison.diverged) == (7, {})
    assert log.comparison.agreements == {"a": 7}
    log.comparison.heard(beat("b", 9, b"9"))
    log.comparison.heard(beat("a", 8, b"8"))
    log.comparison.compare()
    assert log.comparison.agreements == {"a": 8, "b": 9}
    log.comparison.forget("b")
    assert (log.comparison.agreed, log.comparison.agreements) == (9, {"a": 8})


def test_a_node_that_has_done_something_else_is_found_and_told_once() -> None:
    log = Log(10)
    for position in (7, 8):
        log.comparison.heard(beat("a", position, b"else"))
        found = log.comparison.compare()
        assert [it.position for it in found] == ([7] if position == 7 else [])
    assert log.comparison.diverged == {"a": 7}
    assert log.comparison.agreed == 0


def test_a_node_that_is_forgotten_no_longer_counts_as_one_that_differs() -> None:
    log = Log(10)
    log.comparison.heard(beat("a", 7, b"else"))
    log.comparison.compare()
    log.comparison.forget("a")
    assert log.comparison.diverged == {}
    log.comparison.heard(beat("a", 8, b"else"))  # it was only away
    assert [it.position for it in log.comparison.compare()] == [8]


def test_what_a_node_that_is_ahead_says_waits_until_this_one_is_as_far() -> None:
    log = Log(10)
    log.comparison.heard(beat("a", 12, b"else"))
    log.comparison.heard(beat("a", 500, b"500"))  # it keeps being ahead
    assert log.comparison.compare() == []
    log.position = 11
    assert log.comparison.compare() == []
    log.position = 12
    assert [it.instance for it in log.comparison.compare()] == ["a"]


def test_a_position_too_far_back_to_be_known_is_no_difference() -> None:
    log = Log(1000)
    log.comparison.heard(beat("a", 3, b"else"))
    assert log.comparison.compare() == []
    assert (log.comparison.agreed, log.comparison.diverged) == (0, {})


def test_neither_another_version_nor_oneself_is_compared() -> None:
    log = Log(10)
    log.comparison.heard(beat("a", 7, b"else", version="2"))
    log.comparison.heard(beat("own", 7, b"else"))
    assert log.comparison.compare() == []
    assert (log.comparison.diverged, log.comparison.agreements) == ({}, {})
