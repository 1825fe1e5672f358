"""A database that turns out to be corrupt while it is in use ends the server with one line."""

import asyncio

import apsw
import pytest

from chat_service.startup import StartupError
from chat_service.state.machine import StateMachine
from tests.conftest import StartNode
from tests.scenarios.programs import GrpcPerson
from tests.waiting import until


async def test_a_corrupt_page_ends_the_node_with_a_reason(
    start_node: StartNode, monkeypatch: pytest.MonkeyPatch
) -> None:
    node = await start_node()
    ann = GrpcPerson("ann", "a")
    await ann.connect(node)

    def broken(*_: object) -> None:
        raise apsw.CorruptError("database disk image is malformed")

    monkeypatch.setattr(StateMachine, "steps", broken)
    asking = asyncio.create_task(ann.say("anyone there?"))
    await until(node._following.done, what="the follower to end")
    with pytest.raises(StartupError, match=r"cannot go on: .*malformed"):
        await node.stop()
    await until(lambda: ann.ended, what="the goodbye")
    asking.cancel()
    await ann.hang_up()
