"""Who shows a client's certificate: which names are theirs, and for how long."""

import time
from pathlib import Path

import grpc
import pytest

from chat.v1 import chat_pb2_grpc, events_pb2
from chat.v1.accounts_pb2 import ListSessionsRequest, LoginRequest, RegisterRequest
from chat_service.core.events import REVOKED
from chat_service.node import Node
from tests.accounts import PASSWORD, failure, unary
from tests.certificates import Identity
from tests.transports.stream import Stream
from tests.transports.tls.clients import AUTHORITY, People
from tests.transports.tls.conftest import StartTls

STATUS = grpc.StatusCode
CYRILLIC_ANN = "\u0430nn"


@pytest.fixture
async def strict_node(start_tls: StartTls, client_ca: Path) -> Node:
    """A node that wants a certificate of everybody."""
    return await start_tls(tls_client_ca=client_ca)


def certified(name: str, *, seconds: float = 86_400) -> Identity:
    return Identity.client(name, by=AUTHORITY, days=(-1, seconds / 86_400))


def expiring() -> tuple[Identity, float]:
    """Return a certificate that expires in a moment, and when that is."""
    identity = certified("ann", seconds=3)
    return identity, identity.certificate.not_valid_after_utc.timestamp()


# --- names ---


async def test_who_is_certified_registers_the_certified_name_and_no_other(
    strict_node: Node, people: People
) -> None:
    channel = people.channel(strict_node, certified("Ann"))
    for name in ("bob", CYRILLIC_ANN):
        refused = await failure(unary(channel, RegisterRequest(user=name, password=PASSWORD)))
        assert refused.code is STATUS.PERMISSION_DENIED
        assert refused.words == "your certificate is for ann: register no other name"
    await unary(channel, RegisterRequest(user="ann", password=PASSWORD))
    await unary(channel, LoginRequest(user="ann", password=PASSWORD))


async def test_nobody_is_asked_for_a_password_where_a_certificate_says_who_it_is(
    strict_node: Node, people: People
) -> None:
    bob = await people.lines(strict_node, shown=certified("bob"))
    bob.send("carol\n")
    await bob.until_ended()
    assert bob.lines[1:] == [
        "! your certificate is for bob: come as bob, or by another certificate",
        "* bye",
    ]
    bob = await people.lines(strict_node, "bob", certified("bob"))
    bob.send("/login carol\n")
    await bob.hears("! your certificate says who you are: no password is needed")


async def test_a_certified_name_that_looks_like_a_registered_one_is_refused_all_the_same(
    strict_node: Node, people: People
) -> None:
    await people.stream(strict_node, certified("ann")).enter("")
    alike = certified(CYRILLIC_ANN)
    stream = people.stream(strict_node, alike)
    reply = await stream.hello("")
    assert reply.error.code == events_pb2.ERROR_CODE_NAME_TAKEN
    line = await people.lines(strict_node, shown=alike)
    line.send(f"{CYRILLIC_ANN}\n")
    await line.hears(f"! the name {CYRILLIC_ANN} looks like ann, which is taken")


# --- the end of a certificate ---


async def test_a_stream_ends_with_its_certificate(strict_node: Node, people: People) -> None:
    identity, expires = expiring()
    stream = await people.stream(strict_node, identity).enter("ann")
    assert await stream.ended() is STATUS.UNAUTHENTICATED
    assert expires <= time.time() < expires + 1
    assert stream.events[-1].goodbye.reason == events_pb2.GOODBYE_REASON_REVOKED


async def test_a_tcp_connection_ends_with_its_certificate(
    strict_node: Node, people: People
) -> None:
    identity, expires = expiring()
    line = await people.lines(strict_node, "ann", identity)
    await line.until_ended()
    assert expires <= time.time() < expires + 1
    assert line.lines[-1] == f"* {REVOKED.message}"


async def test_on_a_connection_whose_certificate_has_expired_nothing_more_begins(
    strict_node: Node, people: People
) -> None:
    channel = people.channel(strict_node, expiring()[0])
    first = await Stream(channel, chat_pb2_grpc.ChatStub(channel).Connect()).enter("ann")
    await first.ended()
    second = Stream(channel, chat_pb2_grpc.ChatStub(channel).Connect())
    assert (await second.hello("ann")).error.message == "your certificate has expired"
    for request in (ListSessionsRequest(), RegisterRequest(user="ann", password=PASSWORD)):
        assert (await failure(unary(channel, request))).code is STATUS.UNAUTHENTICATED
    await second.hang_up()
