"""How a connection under TLS ends, whoever ends it."""

import asyncio
import gc

from chat_service.core.limits import PRESENCE_GRACE
from chat_service.node import Node
from chat_service.session import Session
from chat_service.transports.tls_socket import TlsTransport
from tests.transports.tls.clients import People, cut_off, half_close
from tests.waiting import until


async def test_what_was_sent_before_the_end_is_executed(tls_node: Node, people: People) -> None:
    bob, ann = await people.lines(tls_node, "bob"), await people.lines(tls_node)
    ann.send("ann\nhello\n/msg nobody hello\nthe last line needs no end")
    await ann.hang_up()
    await bob.hears("ann: the last line needs no end")
    await bob.hears("* ann left", within=PRESENCE_GRACE / 2)  # she left, and was not lost
    assert bob.lines[-3:] == ["ann: hello", "ann: the last line needs no end", "* ann left"]


async def test_however_much_was_sent_before_the_end_it_is_executed(
    tls_node: Node, people: People
) -> None:
    bob, ann = await people.lines(tls_node, "bob"), await people.lines(tls_node)
    said = [f"{i} {'x' * 500}" for i in range(2000)]
    ann.send("ann\n" + "".join(f"{line}\n" for line in said))
    await ann.hang_up()
    await bob.hears("* ann left", within=20)
    assert [it for it in bob.lines if it.startswith("ann: ")] == [f"ann: {line}" for line in said]


async def test_the_replies_to_it_come_back(tls_node: Node, people: People) -> None:
    bob = await people.lines(tls_node, "bob")
    said = b"ann\n" + b"/msg nobody hello\n" * 300
    lines = (await asyncio.to_thread(half_close, tls_node, said)).decode().splitlines()
    assert lines.count("! no such user: nobody") == 300
    await bob.hears("* ann left", within=PRESENCE_GRACE / 2)


async def test_who_talks_on_behind_quit_is_still_told_bye(tls_node: Node, people: People) -> None:
    ann = await people.lines(tls_node, "ann")
    ann.send("/quit\n" + "x\n" * 100_000)
    await ann.until_ended()
    assert not ann.reset
    assert ann.lines[-1] == "* bye"


async def test_who_is_cut_off_has_said_the_whole_lines(tls_node: Node, people: People) -> None:
    bob = await people.lines(tls_node, "bob")
    await asyncio.to_thread(cut_off, tls_node, b"ann\nwhole\nhal")
    await bob.hears("ann: whole")
    await bob.hears("* ann left")
    assert "ann: hal" not in bob.lines


async def test_a_session_goes_without_waiting_for_the_garbage_collector(tls_node: Node) -> None:
    gc.collect()
    gc.disable()
    try:
        for said in (b"ann\n/quit\n", b"ann\n", b"GET /\n", b""):
            await asyncio.to_thread(cut_off, tls_node, said)
        await asyncio.to_thread(half_close, tls_node, b"ann\n")
        await until(lambda: not _left(), what=f"{_left()} to go")
    finally:
        gc.enable()


def _left() -> list[object]:
    return [it for it in gc.get_objects() if isinstance(it, Session | TlsTransport)]
