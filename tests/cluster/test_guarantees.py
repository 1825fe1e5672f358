"""What docs/guarantees.md promises holds across nodes."""

import asyncio
import random

import pytest

from chat.v1 import admin_pb2, commands_pb2, events_pb2
from chat.v1.accounts_pb2 import LoginRequest
from chat_service.node import Node
from tests.accounts import PASSWORD, Call, make_account
from tests.cluster.conftest import Enter
from tests.cluster.nodes import Cluster
from tests.console.command import chat_server
from tests.transports.stream import Stream
from tests.waiting import until


async def chatter(stream: Stream, texts: list[str], *, pause: float = 0.0) -> None:
    """Say everything, numbered, without waiting for each reply."""
    for nonce, text in enumerate(texts, 1):
        send = commands_pb2.Send(to="#lobby", text=text, nonce=nonce)
        await stream.send(commands_pb2.Command(send=send))
        await asyncio.sleep(pause)


def durable(stream: Stream) -> list[tuple[int, str]]:
    """Return the durable events that a stream was told, in the order in which they came."""
    return [(it.seq, it.message.text) for it in stream.events if it.seq]


async def test_everyone_on_every_node_hears_everything_in_one_order(
    trio: Cluster, enter: Enter
) -> None:
    people = [await enter(node, f"user{i}") for i, node in enumerate(trio.nodes)]
    count = 200
    await asyncio.gather(
        *(chatter(person, [f"{i}:{n}" for n in range(count)]) for i, person in enumerate(people))
    )
    await until(
        lambda: all(len(person.texts) == 3 * count for person in people),
        within=20,
        what="everything to be heard",
    )
    heard = [durable(person) for person in people]
    assert heard[0] == heard[1] == heard[2]
    assert [seq for seq, _ in heard[0]] == sorted({seq for seq, _ in heard[0]})
    for i in range(3):
        own = [text for _, text in heard[0] if text.startswith(f"{i}:")]
        assert own == [f"{i}:{n}" for n in range(count)]


@pytest.mark.parametrize("seed", range(3))
async def test_a_client_that_wanders_from_node_to_node_misses_and_repeats_nothing(
    trio: Cluster, enter: Enter, seed: int
) -> None:
    chance = random.Random(seed)
    ann = await enter(trio.nodes[0], "ann")
    bob = await enter(trio.nodes[1], "bob", "wanderer")
    texts = [f"line {n}" for n in range(400)]
    talking = asyncio.create_task(chatter(ann, texts, pause=0.002))
    heard: list[str] = []
    hops = 0
    while len(heard) < len(texts):
        some = min(chance.randint(1, 60), len(texts) - len(heard))
        await until(lambda bob=bob, some=some: len(bob.texts) >= some)  # type: ignore[misc]
        cursor, told = bob.cursor, list(bob.texts)
        heard += told
        if chance.random() < 0.5:
            bob.vanish()  # else the older connection is superseded
        bob = await enter(chance.choice(trio.nodes), "bob", "wanderer", resume=cursor)
        assert bob.welcome.resumed
        hops += 1
    assert heard == texts
    assert hops > 3
    await talking


async def test_what_is_said_while_a_node_shuts_down_is_heard_once_on_the_next(
    trio: Cluster, enter: Enter
) -> None:
    ann = await enter(trio.nodes[0], "ann")
    bob = await enter(trio.nodes[1], "bob", "b")
    texts = [f"line {n}" for n in range(300)]
    talking = asyncio.create_task(chatter(ann, texts, pause=0.001))
    await bob.hears_text("line 50")
    await trio.nodes[1].stop()
    await bob.ended()
    goodbye = bob.events[-1].goodbye
    assert (goodbye.reason, goodbye.reconnect) == (events_pb2.GOODBYE_REASON_SHUTDOWN, True)
    again = await enter(trio.nodes[2], "bob", "b", resume=bob.cursor)
    assert again.welcome.resumed
    await talking
    await again.hears_text(texts[-1])
    assert bob.texts + again.texts == texts


async def test_a_private_message_waits_on_every_node(trio: Cluster, enter: Enter) -> None:
    ann = await enter(trio.nodes[0], "ann")
    bob = await enter(trio.nodes[1], "bob", "b")
    await bob.leave()
    await ann.hears_presence("bob", online=False)
    await ann.say("are you there?", "@bob")
    again = await enter(trio.nodes[2], "bob", "b")
    await again.hears_text("are you there?")


async def test_a_node_that_comes_later_knows_all_that_was_said(trio: Cluster, enter: Enter) -> None:
    ann = await enter(trio.nodes[0], "ann", "a")
    await ann.join("#dev")
    for number in range(50):
        await ann.say(f"line {number}", "#dev")
    newcomer = await trio.start("newcomer", rate_commands=None)
    assert newcomer._store.position == await trio.level()
    again = await enter(newcomer, "ann", "a")
    page = (await again.ask(history=commands_pb2.History(to="#dev"))).history
    assert [it.message.text for it in page.events] == [f"line {n}" for n in range(50)]


async def test_a_node_that_was_away_catches_up_before_it_serves(
    trio: Cluster, enter: Enter
) -> None:
    ann = await enter(trio.nodes[0], "ann")
    await trio.nodes[1].stop()
    last = [(await ann.say(f"line {n}")).ack.seq for n in range(50)][-1]
    returned = await trio.start("node-1")
    assert returned.hub.seq >= last
    assert returned._store.epoch == trio.nodes[0]._store.epoch


# --- operators ---


@pytest.fixture
async def root(trio: Cluster) -> str:
    """The token of an admin."""
    return await make_account(trio.nodes[0], "root", admin=True)


async def test_connections_to_every_node_are_listed_and_ended_by_any(
    trio: Cluster, call: Call, enter: Enter, root: str
) -> None:
    people = [await enter(node, f"user{i}") for i, node in enumerate(trio.nodes)]
    names = [f"user{i}" for i in range(3)]

    async def listed(node: Node) -> list[str]:
        reply = await call(node, admin_pb2.ListConnectionsRequest(), root)
        return [it.user for it in reply.connections]

    for node in trio.nodes:
        await trio.level()
        assert await listed(node) == names
    request = admin_pb2.EndConnectionsRequest(user="user2", reason="enough")
    assert (await call(trio.nodes[0], request, root)).ended == 1
    await people[2].ended()
    assert people[2].events[-1].goodbye.reason == events_pb2.GOODBYE_REASON_ENDED
    assert await listed(trio.nodes[0]) == names[:2]


async def test_who_is_banned_on_one_node_is_sent_away_and_let_in_by_none(
    trio: Cluster, call: Call, enter: Enter, root: str
) -> None:
    bob = await enter(trio.nodes[2], "bob")
    await call(trio.nodes[0], admin_pb2.BanRequest(user="bob"), root)
    await bob.ended()
    for node in trio.nodes:
        stream = Stream.open(node)
        assert (await stream.hello("bob")).error.code == events_pb2.ERROR_CODE_BANNED
        await stream.hang_up()


async def test_an_announcement_is_heard_on_every_node(
    trio: Cluster, call: Call, enter: Enter, root: str
) -> None:
    people = [await enter(node, f"user{i}") for i, node in enumerate(trio.nodes)]
    await call(trio.nodes[0], admin_pb2.AnnounceRequest(text="tea is ready"), root)
    for person in people:
        await person.hears(lambda event: event.announcement.text == "tea is ready")


async def test_a_token_that_is_revoked_on_one_node_is_worthless_on_all_at_once(
    trio: Cluster, call: Call, enter: Enter, root: str
) -> None:
    await make_account(trio.nodes[0], "ann")
    request = LoginRequest(user="ann", password=PASSWORD)
    token = (await call(trio.nodes[1], request)).session.token
    here = await enter(trio.nodes[2], "ann", token=token)
    update = admin_pb2.UpdateAccountRequest(user="ann", password="another password")
    await call(trio.nodes[0], update, root)
    stream = Stream.open(trio.nodes[1])
    assert (await stream.hello("ann", token=token)).error.code
    await stream.hang_up()
    await here.ended()


async def test_every_node_shows_all_nodes_and_that_they_agree(
    trio: Cluster, call: Call, enter: Enter, root: str
) -> None:
    ann = await enter(trio.nodes[0], "ann")
    for number in range(20):
        await ann.say(f"line {number}")
    position = await trio.level()
    for node in trio.nodes:
        await until(lambda of=node: of.watch.agreed >= position, what="heartbeats to agree")  # type: ignore[misc]
        told = await call(node, admin_pb2.GetStatisticsRequest(), root)
        assert [(it.name, it.live, it.diverged) for it in told.nodes] == [
            (f"node-{i}", True, False) for i in range(3)
        ]
        assert (told.diverged, told.users) == (0, 1)
        assert told.agreed_position >= position
        assert len(told.digest) == 32


async def test_an_operator_sees_every_node_on_a_terminal(trio: Cluster, root: str) -> None:
    await until(lambda: len(trio.nodes[1].watch.nodes()) == 3, what="all to be heard")
    server = str(trio.nodes[1].endpoints["grpc"])
    done = await asyncio.to_thread(
        chat_server,
        *("statistics", "--server", server, "--as", "root"),
        CHAT_ADMIN_PASSWORD=PASSWORD,
    )
    assert done.returncode == 0, done.stderr
    told, nodes = done.stdout.split("\n\n")
    assert "node-1" in told
    heading, *lines = (line.split() for line in nodes.splitlines())
    assert heading == [
        *("NAME", "VERSION", "POSITION", "CONNECTIONS", "LIVE", "DIVERGED", "AGREED_POSITION"),
    ]
    assert [(it[0], *it[4:6]) for it in lines] == [(f"node-{i}", "yes", "no") for i in range(3)]


async def test_a_state_that_was_tampered_with_is_told_of(trio: Cluster, enter: Enter) -> None:
    ann = await enter(trio.nodes[0], "ann")
    await trio.level()
    progress = trio.nodes[2]._store._machine.progress
    progress.digest = bytes(16)
    await ann.say("and now it shows")
    await until(lambda: [it.watch.diverged for it in trio.nodes] == [1, 1, 2], what="all to tell")
