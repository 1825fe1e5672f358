"""The doors for browsers: not for other sites' pages, nor for admins' calls."""

from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest
from google.protobuf.descriptor import MethodDescriptor

from chat.v1 import accounts_pb2, admin_pb2
from chat_service.node import Node
from tests.accounts import PASSWORD, make_account
from tests.conftest import StartNode
from tests.security.test_calls import NOTHING_OF_USE, OTHERS, named

Http = aiohttp.ClientSession

ADMIN = list(admin_pb2.DESCRIPTOR.services_by_name["Admin"].methods)
ACCOUNTS = accounts_pb2.DESCRIPTOR.services_by_name["Accounts"]
GUARDED = [it for it in OTHERS if it.containing_service is ACCOUNTS]


@pytest.fixture
async def http(node: Node) -> AsyncIterator[Http]:
    async with aiohttp.ClientSession(f"http://{node.endpoints['web']}") as session:
        yield session


def path(method: MethodDescriptor) -> str:
    return f"/{method.containing_service.full_name}/{method.name}"


async def first_told(http: Http, hello: dict[str, str], **how: Any) -> dict[str, Any]:
    """Open a WebSocket, say hello, and return the first event."""
    async with http.ws_connect("/ws", **how) as socket:
        await socket.send_json({"commands": [{"ref": 1, "hello": hello}]})
        told: dict[str, Any] = (await socket.receive_json(timeout=10))["events"][0]
        return told


def test_all_calls_of_accounts_are_looked_at_here() -> None:
    assert {it.name for it in GUARDED} | {"Register", "Login"} == {
        it.name for it in ACCOUNTS.methods
    }


@pytest.mark.parametrize("method", GUARDED, ids=named)
async def test_no_call_over_http_is_answered_without_a_credential(
    http: Http, method: MethodDescriptor
) -> None:
    for metadata in NOTHING_OF_USE.values():
        async with http.post(path(method), json={}, headers=dict(metadata)) as response:
            assert response.status == 401
            assert (await response.json())["code"] == "unauthenticated"


@pytest.mark.parametrize("method", ADMIN, ids=named)
async def test_what_admins_call_is_not_there_for_browsers(
    node: Node, http: Http, method: MethodDescriptor
) -> None:
    token = await make_account(node, "root", admin=True)
    headers = {"Authorization": f"Bearer {token}"}
    async with http.post(path(method), json={}, headers=headers) as response:
        assert response.status == 404


@pytest.mark.parametrize("name", list(NOTHING_OF_USE))
async def test_no_websocket_is_let_in_without_a_credential_where_one_is_asked_for(
    start_node: StartNode, name: str
) -> None:
    node = await start_node(auth="registered")
    async with aiohttp.ClientSession(f"http://{node.endpoints['web']}") as http:
        told = await first_told(http, {"user": "bob"}, headers=dict(NOTHING_OF_USE[name]))
        assert told["error"]["code"] == "ERROR_CODE_UNAUTHENTICATED"


@pytest.mark.parametrize("origin", ["https://evil.example", "null", "http://127.0.0.1:1"])
async def test_anothers_page_can_do_nothing_though_it_knows_the_token(
    node: Node, http: Http, origin: str
) -> None:
    token = await make_account(node, "bob")
    headers = {"Authorization": f"Bearer {token}", "Origin": origin}
    for name in ("ListSessions", "Logout", "Login"):
        request = {"user": "bob", "password": PASSWORD} if name == "Login" else {}
        url = f"/{ACCOUNTS.full_name}/{name}"
        async with http.post(url, json=request, headers=headers) as response:
            assert response.status == 403
            assert "Access-Control-Allow-Origin" not in response.headers
    with pytest.raises(aiohttp.WSServerHandshakeError) as raised:
        await first_told(http, {"user": "bob", "token": token}, headers=headers)
    assert raised.value.status == 403


async def test_a_preflight_is_answered_with_nothing_that_would_let_it_go_on(http: Http) -> None:
    headers = {
        "Origin": "https://evil.example",
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "authorization, content-type",
    }
    async with http.options(f"/{ACCOUNTS.full_name}/Login", headers=headers) as response:
        assert response.status in (403, 405)
        assert not [it for it in response.headers if it.startswith("Access-Control")]
