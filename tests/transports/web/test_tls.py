"""The web listener under TLS."""

import ssl
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from chat_service.certificate import make_client_pair, make_server_pair
from tests.conftest import ANY_PORT, StartNode
from tests.transports.web.conftest import Open


@pytest.fixture(scope="module")
def pki(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """ca.pem, server.pem and server.key for 127.0.0.1, client-bob.pem and client-bob.key."""
    directory = tmp_path_factory.mktemp("pki")
    make_server_pair(directory, ["127.0.0.1", "localhost"], 1)
    make_client_pair(directory, "bob", 1)
    return directory


def client_tls(pki: Path, *, known: bool = False) -> Any:
    context = ssl.create_default_context(cafile=str(pki / "ca.pem"))
    if known:
        context.load_cert_chain(pki / "client-bob.pem", pki / "client-bob.key")
    return context


async def test_all_of_it_works_under_tls(
    start_node: StartNode, open_socket: Open, pki: Path
) -> None:
    node = await start_node(web=ANY_PORT, tls_cert=pki / "server.pem", tls_key=pki / "server.key")
    tls = client_tls(pki)
    async with (
        aiohttp.ClientSession() as session,
        session.get(f"https://{node.endpoints['web']}/", ssl=tls) as response,
    ):
        assert response.status == 200
    ann = await open_socket(node, "ann", ssl=tls, origin=f"https://{node.endpoints['web']}")
    for number in range(3):
        await ann.say(f"{number}" * 4000)
    assert "ack" in await ann.say("hi")
    await node.stop()
    assert (await ann.goodbye())["reason"] == "GOODBYE_REASON_SHUTDOWN"
    assert ann.close_code == 1001


async def test_plain_http_is_told_that_this_is_tls(start_node: StartNode, pki: Path) -> None:
    node = await start_node(web=ANY_PORT, tls_cert=pki / "server.pem", tls_key=pki / "server.key")
    async with (
        aiohttp.ClientSession() as session,
        session.get(f"http://{node.endpoints['web']}/") as response,
    ):
        assert response.status == 400
        assert await response.text() == "this port takes TLS: https://HOST:PORT/\n"


async def test_a_certificate_is_who_one_is(
    start_node: StartNode, open_socket: Open, pki: Path
) -> None:
    node = await start_node(
        web=ANY_PORT,
        tls_cert=pki / "server.pem",
        tls_key=pki / "server.key",
        tls_client_ca=pki / "ca.pem",
    )
    bob = await open_socket(node, ssl=client_tls(pki, known=True))
    assert (await bob.ask(hello={}))["welcome"]["user"] == "bob"
    with pytest.raises((aiohttp.ClientError, OSError)):
        await open_socket(node, ssl=client_tls(pki))
