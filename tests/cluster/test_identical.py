"""Whatever happens on whichever node, all of them hold the same state, byte for byte."""

import asyncio
import random

import grpc
import pytest

from chat.v1 import commands_pb2, moderation_pb2
from chat.v1.accounts_pb2 import RegisterRequest
from chat_service.node import Node
from chat_service.state.inspection import Findings, inspect
from tests.accounts import PASSWORD, Call, make_account
from tests.cluster.conftest import OpenStream
from tests.cluster.nodes import Cluster
from tests.transports.stream import Stream
from tests.waiting import until

NAMES = ("ann", "bob", "cyd", "dan")
ROOMS = ("#lobby", "#dev", "#ops")
ACTIONS = moderation_pb2.ModerationAction.keys()[1:]
STEPS = 60


class Somebody:
    """A client that does whatever comes to its mind, on one node and then on another."""

    def __init__(self, number: int, chance: random.Random, open_stream: OpenStream) -> None:
        self._number = number
        self._chance = chance
        self._open = open_stream
        self._stream: Stream | None = None
        self._nonce = 0

    async def live(self, nodes: list[Node]) -> None:
        """Do one thing after the other. Much of it is refused, the same way everywhere."""
        for _ in range(STEPS):
            if self._stream is None or self._stream.code is not None:
                self._stream = self._open(self._chance.choice(nodes))
                doing = self._come(self._stream)
            else:
                doing = self._do(self._stream)
            try:
                await doing
            except (AssertionError, grpc.aio.AioRpcError, asyncio.InvalidStateError):
                await self._stream.ended()  # refused, superseded, banned …

    async def _come(self, stream: Stream) -> None:
        client = self._chance.choice((f"client {self._number}", f"client {self._number}", "", "x"))
        password = self._chance.choice((None, PASSWORD))
        await stream.enter(self._chance.choice(NAMES), client, password=password)

    async def _do(self, stream: Stream) -> None:
        doing = self._chance.random()
        if doing < 0.06:
            stream.vanish()
            await stream.ended()
        elif doing < 0.1:
            await stream.half_close()
            await stream.ended()
        elif doing < 0.25:
            await stream.send(*(self._anything() for _ in range(self._chance.randint(2, 20))))
        else:
            await stream.send(self._anything())
            await stream.ping()

    def _anything(self) -> commands_pb2.Command:
        room, name = self._chance.choice(ROOMS), self._chance.choice(NAMES)
        self._nonce += self._chance.choice((0, 1, 1, 1))
        kinds = (
            {"send": commands_pb2.Send(to=room, text=f"to {room}", nonce=self._nonce)},
            {"send": commands_pb2.Send(to=f"@{name}", text="psst", nonce=self._nonce)},
            {"join": commands_pb2.Join(room=room)},
            {"leave": commands_pb2.Leave(room=room)},
            {"moderate": self._deed(room, name)},
        )
        (kind,) = self._chance.choices(kinds, (5, 2, 2, 1, 2))
        return commands_pb2.Command(ref=1 << 40, **kind)

    def _deed(self, room: str, name: str) -> commands_pb2.Moderate:
        action = self._chance.choice(ACTIONS)
        duration = self._chance.choice((None, 1))
        it = commands_pb2.Moderate(room=room, action=action, user=name, reason="because")
        if duration is not None:
            it.duration.seconds = duration
        return it


async def looked_over(trio: Cluster) -> list[Findings]:
    """Return what is in the nodes' databases, all as of one position of the log."""
    for _ in range(100):  # names are still let go of, after a while
        await trio.level()
        found = [await asyncio.to_thread(inspect, trio.data(it) / "chat.db") for it in trio.nodes]
        if len({it.position for it in found}) == 1:
            return found
    raise AssertionError(f"never at one position: {found}")


@pytest.mark.parametrize("seed", range(3))
async def test_after_whatever_was_done_on_three_nodes_all_states_are_the_same(
    trio: Cluster, open_stream: OpenStream, call: Call, seed: int
) -> None:
    chance = random.Random(seed)
    await make_account(trio.nodes[0], "dan", admin=True)
    people = [Somebody(i, random.Random(chance.random()), open_stream) for i in range(8)]
    registering = asyncio.gather(
        *(call(node, RegisterRequest(user="cyd", password=PASSWORD)) for node in trio.nodes),
        return_exceptions=True,
    )
    await asyncio.gather(*(person.live(trio.nodes) for person in people))
    await registering
    found = await looked_over(trio)
    assert found[0].position > 100
    assert found[0].faults == ()
    assert found == [found[0]] * 3

    newcomer = await trio.start("newcomer")
    found = await looked_over(trio)
    assert found == [found[0]] * 4
    position = found[0].position
    await until(lambda: newcomer.watch.agreed >= position, what="the others to agree")
    assert [node.watch.diverged for node in trio.nodes] == [0] * 4
