"""Clients that show a certificate, and servers that change theirs."""

from pathlib import Path
from typing import Any

import grpc
import pytest
from structlog.testing import capture_logs

from chat_service.auth.doorman import Certified
from chat_service.node import Node
from chat_service.reception import Reception
from chat_service.tls import TlsFiles
from tests.certificates import Identity, replace
from tests.transports.lines import PROMPT
from tests.transports.tls.clients import AUTHORITY, LISTENERS, SERVER, STRANGER, People, serial
from tests.transports.tls.conftest import StartTls
from tests.waiting import until

# --- client certificates ---


@pytest.fixture
def certified(monkeypatch: pytest.MonkeyPatch) -> list[str | None]:
    """Whom the certificates of those who come in name."""
    named: list[str | None] = []
    opened = Reception.open

    def remember(self: Reception, codec: Any, peer: str, **shown: Any) -> Any:
        certified: Certified | None = shown["certified"]
        named.append(certified and certified.name)
        return opened(self, codec, peer, **shown)

    monkeypatch.setattr(Reception, "open", remember)
    return named


async def test_a_client_certificate_names_who_comes_in(
    start_tls: StartTls, client_ca: Path, people: People, certified: list[str | None]
) -> None:
    node = await start_tls(tls_client_ca=client_ca)
    ann = await people.stream(node, Identity.client("ann", by=AUTHORITY)).enter("ann")
    bob = await people.lines(node, "bob", Identity.client("bob", by=AUTHORITY))
    await ann.say("hello")
    await bob.hears("ann: hello")
    assert certified == ["ann", "bob"]


async def test_without_client_certificates_nobody_is_named(
    tls_node: Node, people: People, certified: list[str | None]
) -> None:
    await people.stream(tls_node, Identity.client("ann", by=AUTHORITY)).enter("ann")
    await people.lines(tls_node, "bob", Identity.client("bob", by=AUTHORITY))
    assert certified == [None, None]


@pytest.mark.parametrize(
    "shown",
    [
        None,
        Identity.client("ann", by=STRANGER),
        Identity("ann"),
        Identity("ann", by=AUTHORITY),
        Identity.client("ann", by=AUTHORITY, days=(-2, -1)),
    ],
    ids=["none", "another authority's", "her own", "a server's", "an expired one"],
)
async def test_without_a_good_client_certificate_nobody_comes_in(
    start_tls: StartTls,
    client_ca: Path,
    people: People,
    certified: list[str | None],
    shown: Identity | None,
) -> None:
    node = await start_tls(tls_client_ca=client_ca)
    stream = people.stream(node, shown)
    assert await stream.ended() is grpc.StatusCode.UNAVAILABLE
    try:
        line = await people.lines(node, shown=shown)
        await line.until_ended()
        assert PROMPT not in line.lines
    except OSError:
        pass  # it depends on the version who notices first
    assert not certified


# --- a change of certificates ---


async def test_newcomers_see_a_new_certificate_and_those_here_talk_on(
    tls_node: Node, files: TlsFiles, people: People
) -> None:
    ann = await people.stream(tls_node).enter("ann")
    bob = await people.lines(tls_node, "bob")
    for listener in LISTENERS:
        assert await serial(tls_node, listener) == SERVER.certificate.serial_number
    new = Identity("chat-server", by=AUTHORITY)
    with capture_logs() as logs:
        new.write(files.certificate.parent, "server")
        loaded = "certificate loaded"
        await until(lambda: [it for it in logs if it["event"] == loaded], what=loaded)
    for listener in LISTENERS:
        assert await serial(tls_node, listener) == new.certificate.serial_number
    await ann.say("still here")
    await bob.hears("ann: still here")
    bob.send("so am I\n")
    await ann.hears_text("so am I")
    cyd = await people.stream(tls_node).enter("cyd")
    await cyd.say("and I am new")
    await bob.hears("cyd: and I am new")
    assert not [line for line in bob.lines if "left" in line]


async def test_a_bad_new_certificate_leaves_the_old_one(
    tls_node: Node, files: TlsFiles, people: People
) -> None:
    with capture_logs() as logs:
        replace(files.certificate, STRANGER.pem)
        refused = "certificate refused, the old one stays"
        await until(lambda: [it for it in logs if it["event"] == refused], what=refused)
    assert logs[0]["log_level"] == "error"
    for listener in LISTENERS:
        assert await serial(tls_node, listener) == SERVER.certificate.serial_number
    await people.stream(tls_node).enter("ann")
    await people.lines(tls_node, "bob")


async def test_a_new_client_authority_decides_about_newcomers(
    start_tls: StartTls, client_ca: Path, people: People
) -> None:
    node = await start_tls(tls_client_ca=client_ca)
    old, new = Identity.client("ann", by=AUTHORITY), Identity.client("bob", by=STRANGER)
    ann = await people.stream(node, old).enter("ann")
    with capture_logs() as logs:
        replace(client_ca, STRANGER.pem)
        await until(lambda: logs, what="the new authority")
    assert await people.stream(node, old).ended() is grpc.StatusCode.UNAVAILABLE
    bob = await people.lines(node, "bob", new)
    await people.stream(node, Identity.client("cyd", by=STRANGER)).enter("cyd")
    await ann.say("still here")
    await bob.hears("ann: still here")
