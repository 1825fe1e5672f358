"""Who asks for much has to wait for it; who asks for little does not."""

import asyncio
from collections.abc import Sequence
from typing import cast

import grpc
import pytest
from structlog.testing import capture_logs

from chat.v1 import commands_pb2, events_pb2
from chat_service import in_flight
from chat_service.core import limits
from chat_service.core.commands import Entry
from chat_service.core.outcome import Applied
from chat_service.core.record import Record
from chat_service.in_flight import MAX_UNANSWERED
from chat_service.inquiries import Answer, Inquiries, Inquiry
from chat_service.log import embedded
from chat_service.log.embedded import EmbeddedLog
from chat_service.node import Node
from chat_service.state.store import Store
from tests.conftest import StartNode
from tests.transports.conftest import Dial, Enter, OpenStream
from tests.transports.lines import Lines
from tests.transports.stream import Stream
from tests.waiting import until

FLOOD = 2 * MAX_UNANSWERED + 100


class Gate:
    """A disk that commits nothing until it is told to, and the batches that it was given."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.opened = asyncio.Event()
        self.batches: list[Sequence[Entry]] = []
        apply = Store.apply_records

        async def applied(store: Store, records: Sequence[Record]) -> list[Applied]:
            self.batches.append([entry for record in records for entry in record.entries])
            await self.opened.wait()
            return await apply(store, records)

        monkeypatch.setattr(Store, "apply_records", applied)

    def under_way(self, node: Node, user: str) -> int:
        """Return how many entries of a user are in the log or in the batch at the gate."""
        at_gate = self.batches[-1] if self.batches else ()
        return sum(
            it.user == user for it in (*at_gate, *cast("EmbeddedLog", node._ledger)._pending)
        )


@pytest.fixture
async def node(start_node: StartNode) -> Node:
    return await start_node(rate_commands=None, rate_bytes=None)


async def flood_by_rpc(ann: Stream) -> None:
    for start in range(1, FLOOD, 100):
        texts = [str(i) for i in range(start, min(start + 100, FLOOD + 1))]
        sends = [commands_pb2.Send(to="#lobby", text=text) for text in texts]
        await ann.send(*(commands_pb2.Command(send=send) for send in sends))


async def test_who_floods_over_rpc_leaves_room_in_the_batches_for_others(
    node: Node, enter: Enter, monkeypatch: pytest.MonkeyPatch
) -> None:
    ann, bob = await enter(node, "ann"), await enter(node, "bob")
    gate = Gate(monkeypatch)
    await flood_by_rpc(ann)
    await until(lambda: gate.under_way(node, "ann") == MAX_UNANSWERED, what="the flood")
    asked = asyncio.create_task(bob.say("excuse me", "@ann"))
    await until(lambda: gate.under_way(node, "bob") == 1, what="a word from bob")
    assert gate.under_way(node, "ann") == MAX_UNANSWERED
    gate.opened.set()
    acked = (await asked).ack
    assert acked.seq <= MAX_UNANSWERED + 1
    await until(lambda: len(bob.texts) == FLOOD + 1, what="all of the flood")
    flood = [text for text in bob.texts if text != "excuse me"]
    assert flood == [str(i) for i in range(1, FLOOD + 1)]


async def test_who_floods_over_tcp_leaves_room_in_the_batches_for_others(
    node: Node, dial: Dial, monkeypatch: pytest.MonkeyPatch
) -> None:
    ann, bob = await dial(node, "ann"), await dial(node, "bob")
    gate = Gate(monkeypatch)
    ann.send("".join(f"{i}\n" for i in range(1, FLOOD + 1)))
    await until(lambda: gate.under_way(node, "ann") == MAX_UNANSWERED, what="the flood")
    bob.send("/msg ann excuse me\n")
    await until(lambda: gate.under_way(node, "bob") == 1, what="a word from bob")
    assert gate.under_way(node, "ann") == MAX_UNANSWERED
    gate.opened.set()
    await until(lambda: bob.lines[-1] == f"ann: {FLOOD}", what="the end of the flood")
    flood = [line for line in bob.lines if line.startswith("ann: ")]
    assert flood == [f"ann: {i}" for i in range(1, FLOOD + 1)]


async def test_who_hangs_up_while_its_flood_waits_is_let_go_of(
    node: Node, dial: Dial, monkeypatch: pytest.MonkeyPatch
) -> None:
    ann: Lines = await dial(node, "ann")
    gate = Gate(monkeypatch)
    ann.send("".join(f"{i}\n" for i in range(FLOOD)))
    await until(lambda: gate.under_way(node, "ann") == MAX_UNANSWERED, what="the flood")
    ann.vanish()
    gate.opened.set()
    await until(lambda: not node.hub.registry.all(), what="the session to be gone")


async def test_who_asks_again_and_again_who_is_here_leaves_turns_to_others(
    node: Node, enter: Enter, monkeypatch: pytest.MonkeyPatch
) -> None:
    ann = await enter(node, "ann")
    turn = 0
    asked: list[int] = []
    answer = Inquiries.answer

    async def others() -> None:
        nonlocal turn
        while True:
            turn += 1
            await asyncio.sleep(0)

    async def noted(inquiries: Inquiries, identity: int, it: Inquiry) -> Answer:
        asked.append(turn)
        return await answer(inquiries, identity, it)

    monkeypatch.setattr(Inquiries, "answer", noted)
    taking_turns = asyncio.create_task(others())
    await ann.send(*(commands_pb2.Command(ref=9, who=commands_pb2.Who()) for _ in range(100)))
    await until(lambda: sum(it.HasField("roster") for it in ann.events) == 100, what="answers")
    taking_turns.cancel()
    assert len(set(asked)) == 100


async def test_while_the_log_is_full_others_ask_and_come_in(
    node: Node, enter: Enter, open_stream: OpenStream, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(embedded, "MAX_PENDING", 10)
    monkeypatch.setattr(limits, "HELLO_TIMEOUT", 0.2)
    ann, bob = await enter(node, "ann"), await enter(node, "bob")
    gate = Gate(monkeypatch)
    await flood_by_rpc(ann)
    await until(lambda: not node._ledger.has_room, what="a full log")
    page = await bob.ask(history=commands_pb2.History(to="#lobby"))
    assert page.HasField("history")
    zoe = asyncio.create_task(open_stream(node).hello("zoe", "z"))
    await until(lambda: gate.under_way(node, "zoe") == 1, what="zoe at the door")
    await asyncio.sleep(0.3)  # longer than she had to say hello, which she has
    gate.opened.set()
    assert (await zoe).HasField("welcome")


async def test_who_waits_too_long_for_room_is_told_to_come_back(
    node: Node, enter: Enter, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(embedded, "MAX_PENDING", 10)
    monkeypatch.setattr(in_flight, "COMMIT_TIMEOUT", 0.3)
    ann, bob = await enter(node, "ann"), await enter(node, "bob")
    gate = Gate(monkeypatch)
    await flood_by_rpc(ann)
    await until(lambda: not node._ledger.has_room, what="a full log")
    refused = await bob.say("excuse me")
    assert refused.error.code == events_pb2.ERROR_CODE_UNAVAILABLE
    assert refused.error.HasField("retry_after")
    gate.opened.set()
    await until(lambda: "1" in bob.texts, what="what was accepted")
    assert "excuse me" not in bob.texts


async def test_who_leaves_and_waits_too_long_for_replies_is_told_to_come_back(
    node: Node, enter: Enter, dial: Dial, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(in_flight, "COMMIT_TIMEOUT", 0.3)
    ann, bob = await enter(node, "ann"), await dial(node, "bob")
    Gate(monkeypatch)  # which never opens
    await ann.send(commands_pb2.Command(send=commands_pb2.Send(to="#lobby", text="hi")))
    bob.send("hi\n")
    with capture_logs() as logs:
        await ann.half_close()
        bob.end_input()
        assert await ann.ended() is grpc.StatusCode.UNAVAILABLE
        await bob.until_ended()
    assert ann.events[-1].goodbye.reconnect
    assert "! the server is too slow now (try again in 1 s)" in bob.lines
    assert not [it for it in logs if it["log_level"] == "error"]


@pytest.mark.parametrize("transport", ["grpc", "tcp"])
async def test_a_node_stops_in_time_though_its_log_is_full(
    start_node: StartNode,
    enter: Enter,
    dial: Dial,
    transport: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(embedded, "MAX_PENDING", 10)
    node = await start_node(rate_commands=None, rate_bytes=None, shutdown_deadline=1)
    ann = await (enter(node, "ann") if transport == "grpc" else dial(node, "ann"))
    Gate(monkeypatch)  # which never opens
    if isinstance(ann, Stream):
        await flood_by_rpc(ann)
    else:
        ann.send("".join(f"{i}\n" for i in range(FLOOD)))
    await until(lambda: not node._ledger.has_room, what="a full log")
    await asyncio.wait_for(node.stop(), 5)


async def test_what_a_client_is_not_shown_takes_no_place_in_its_outbox(
    start_node: StartNode, dial: Dial
) -> None:
    node = await start_node(rate_commands=None, rate_bytes=None, outbox_events=64)
    ann = await dial(node, "ann")
    ann.send("".join(f"{i}\n" for i in range(500)) + "/join #dev\n")
    await ann.hears("* you are in #dev now")
