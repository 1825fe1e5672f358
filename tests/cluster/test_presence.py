"""Who is online, as every node tells it, also where a node dies."""

import asyncio

import pytest
from structlog.testing import capture_logs

from chat_service import peers
from chat_service.node import Node
from tests.accounts import PASSWORD, make_account
from tests.cluster.conftest import Enter
from tests.cluster.nodes import Cluster
from tests.processes import ServerProcess, StartServer
from tests.transports.stream import Stream
from tests.waiting import until


@pytest.fixture
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nodes that judge each other in a fraction of the usual time, and hold names for less."""
    monkeypatch.setattr(peers, "AWAY_AFTER", 2.0)
    monkeypatch.setattr(peers, "DEAD_AFTER", 3.0)
    monkeypatch.setattr("chat_service.hub.hub.NAME_HOLD", 0.5)
    monkeypatch.setattr("chat_service.watch.NAME_HOLD", 0.5)


def fall_silent(node: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a node tell nothing more, while all else goes on."""
    monkeypatch.setattr(node.watch._signals, "tell", lambda signal: None)


def nats_flags(trio: Cluster) -> tuple[str, ...]:
    return ("--nats", trio.servers.url, "--nats-stream", trio.stream, "--node", "doomed")


async def doomed_node(trio: Cluster, start: StartServer) -> ServerProcess:
    """Start one more node, in a process that can be killed."""
    server = await asyncio.to_thread(start, *nats_flags(trio))
    assert server.ready, server.log
    return server


async def test_users_of_a_killed_node_are_offline_within_five_seconds(
    trio: Cluster, enter: Enter, server_process: StartServer
) -> None:
    doomed = await doomed_node(trio, server_process)
    ann = await enter(trio.nodes[0], "ann")
    bob = await Stream.open(doomed).enter("bob", "b")
    await ann.hears_presence("bob", online=True)
    await asyncio.to_thread(doomed.kill)
    await ann.hears_presence("bob", online=False, within=5)
    again = await enter(trio.nodes[1], "bob", "b", resume=bob.cursor)
    assert again.welcome.resumed
    await until(lambda: ann.presences[-1] == ("bob", True), what="bob to be back")
    assert ann.presences == [("bob", True), ("bob", False), ("bob", True)]
    await bob.hang_up()


async def test_who_reconnects_to_another_node_in_time_was_never_away(
    trio: Cluster, enter: Enter, server_process: StartServer
) -> None:
    doomed = await doomed_node(trio, server_process)
    ann = await enter(trio.nodes[0], "ann")
    bob = await Stream.open(doomed).enter("bob", "b")
    await ann.hears_presence("bob", online=True)
    await asyncio.to_thread(doomed.kill)
    await enter(trio.nodes[1], "bob", "b", resume=bob.cursor)
    instance = bob.welcome.session_id.partition("-")[0]
    watch = trio.nodes[0].watch
    await until(
        lambda: instance not in {it.heartbeat.instance for it in watch.nodes() if it.live},
        within=10,
        what="the node to be missed",
    )
    await ann.ping()
    assert ann.presences == [("bob", True)]
    await bob.hang_up()


@pytest.mark.usefixtures("hasty")
async def test_the_names_of_a_killed_node_are_free_in_the_end(
    trio: Cluster, enter: Enter, server_process: StartServer
) -> None:
    doomed = await doomed_node(trio, server_process)
    bob = await Stream.open(doomed).enter("bob", "b")
    await asyncio.to_thread(doomed.kill)
    instance = bob.welcome.session_id.partition("-")[0]
    for node in trio.nodes:
        await until(
            lambda hub=node.hub: not hub.attendance.seats_of(instance),  # type: ignore[misc]
            within=20,
            what="its seats to be released",
        )
    await enter(trio.nodes[2], "bob", "somebody else")
    await bob.hang_up()


@pytest.mark.usefixtures("hasty")
async def test_a_node_that_was_taken_for_dead_sends_its_clients_to_resume_elsewhere(
    trio: Cluster, enter: Enter, monkeypatch: pytest.MonkeyPatch
) -> None:
    ann = await enter(trio.nodes[0], "ann")
    bob = await enter(trio.nodes[2], "bob", "b")
    fall_silent(trio.nodes[2], monkeypatch)
    await ann.hears_presence("bob", online=False)
    for number in range(20):
        await ann.say(f"line {number}")
    await bob.ended()
    assert bob.events[-1].goodbye.reconnect
    again = await enter(trio.nodes[1], "bob", "b", resume=bob.cursor)
    await ann.say("the end")
    await again.hears_text("the end")
    assert bob.texts + again.texts == [*(f"line {n}" for n in range(20)), "the end"]


async def test_a_node_that_is_slow_for_a_moment_loses_nobody(
    trio: Cluster, enter: Enter, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(peers, "AWAY_AFTER", 2.0)
    ann, bob = await enter(trio.nodes[0], "ann"), await enter(trio.nodes[2], "bob")
    await ann.hears_presence("bob", online=True)
    with monkeypatch.context() as slow:
        fall_silent(trio.nodes[2], slow)
        watch = trio.nodes[0].watch
        last = watch._peers._peers[trio.nodes[2]._instance].heard
        await until(lambda: watch._clock() - last > 1.5, what="a silence")
    await until(
        lambda: watch._peers._peers[trio.nodes[2]._instance].heard > last + 1.5, what="its return"
    )
    await bob.say("here all the time")
    await ann.hears_text("here all the time")
    assert ann.presences == [("bob", True)]


async def test_a_node_that_was_stopped_is_forgotten_at_once_and_nobody_is_warned(
    trio: Cluster, enter: Enter
) -> None:
    *others, leaving = trio.nodes
    await until(lambda: all(len(it.watch.nodes()) == 3 for it in others), what="all to be heard")
    ann, bob = await enter(others[0], "ann"), await enter(leaving, "bob", "b")
    await ann.hears_presence("bob", online=True)
    with capture_logs() as logs:
        await leaving.stop()
        stopped = others[0].watch._clock()
        await until(
            lambda: all(len(it.watch.nodes()) == 2 for it in others),
            within=2,
            what="it to be forgotten",
        )
        await until(
            lambda: others[0].watch._clock() - stopped > peers.AWAY_AFTER + 1, what="silence"
        )
    assert not [it for it in logs if it["log_level"] == "warning"]
    assert {it["node"] for it in logs if it["event"] == "a node has stopped"} == {"node-2"}
    await bob.ended()


async def test_who_is_on_two_nodes_is_online_until_both_are_left(
    trio: Cluster, enter: Enter
) -> None:
    await make_account(trio.nodes[0], "bob")
    ann = await enter(trio.nodes[0], "ann")
    here = await enter(trio.nodes[1], "bob", password=PASSWORD)
    there = await enter(trio.nodes[2], "bob", password=PASSWORD)
    await here.leave()
    await there.say("still here")
    await ann.hears_text("still here")
    assert ann.presences == [("bob", True)]
    await there.leave()
    await ann.hears_presence("bob", online=False)


async def test_a_storm_of_arrivals_costs_no_signals(
    trio: Cluster, enter: Enter, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = 0
    tell = trio.nodes[1].watch._signals.tell

    def counting(signal: object) -> None:
        nonlocal told
        told += 1
        tell(signal)  # type: ignore[arg-type]

    monkeypatch.setattr(trio.nodes[1].watch._signals, "tell", counting)
    watch = trio.nodes[1].watch
    began = watch._clock()
    await asyncio.gather(*(enter(trio.nodes[1], f"user{n}") for n in range(200)))
    await until(lambda: len(trio.nodes[0].hub.attendance.online) == 200)
    assert told <= (watch._clock() - began) / peers.PULSE + 1  # its heartbeats
