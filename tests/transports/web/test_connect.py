"""`chat.v1.Accounts` as POST of JSON: the same calls as over gRPC, for browsers."""

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, NamedTuple

import aiohttp
import pytest

from chat_service.node import Node
from tests.accounts import PASSWORD
from tests.conftest import StartNode


class Answer(NamedTuple):
    status: int
    body: dict[str, Any]
    headers: Any


Post = Callable[..., Awaitable[Answer]]


@pytest.fixture
async def post(start_node: StartNode) -> AsyncIterator[Post]:
    """Return a function that calls a method of a node, with a token if there is one."""

    async def post_one(
        to: Node, method: str, request: Any = None, token: str = "", **how: Any
    ) -> Answer:
        url = f"http://{to.endpoints['web']}/chat.v1.Accounts/{method}"
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        headers |= how.pop("headers", {})
        sent = how or {"json": request or {}}
        async with session.post(url, headers=headers, **sent) as response:
            is_json = response.content_type == "application/json"
            return Answer(
                response.status, await response.json() if is_json else {}, response.headers
            )

    async with aiohttp.ClientSession() as session:
        yield post_one


async def register(post: Post, node: Node, user: str = "ann") -> str:
    answer = await post(node, "Register", {"user": user, "password": PASSWORD, "label": "tab"})
    assert answer.status == 200
    token: str = answer.body["session"]["token"]
    return token


async def test_an_account_is_made_and_used(node: Node, post: Post) -> None:
    first = await register(post, node)
    login = await post(node, "Login", {"user": "ann", "password": PASSWORD})
    assert login.body["session"].keys() == {"user", "token", "expiresAt"}
    second = login.body["session"]["token"]
    listed = (await post(node, "ListSessions", token=second)).body["sessions"]
    assert [(it.get("label"), it.get("current")) for it in listed] == [("tab", None), (None, True)]
    assert (await post(node, "RevokeSession", {"id": listed[0]["id"]}, second)).body == {}
    assert (await post(node, "ListSessions", token=first)).status == 401
    change = {"oldPassword": PASSWORD, "newPassword": PASSWORD + "!"}
    assert (await post(node, "ChangePassword", change, second)).body == {}
    assert (await post(node, "Logout", token=second)).body == {}
    assert (await post(node, "ListSessions", token=second)).status == 401


async def test_what_is_answered_is_kept_nowhere(node: Node, post: Post) -> None:
    login = await post(node, "Register", {"user": "ann", "password": PASSWORD})
    assert login.headers["Cache-Control"] == "no-store"
    assert login.headers["Content-Type"].startswith("application/json")


async def test_a_wrong_password_says_nothing_of_the_name(node: Node, post: Post) -> None:
    await register(post, node)
    known = await post(node, "Login", {"user": "ann", "password": "not the password"})
    unknown = await post(node, "Login", {"user": "nobody", "password": "not the password"})
    assert known.status == unknown.status == 401
    assert known.body == unknown.body
    assert known.body == {"code": "unauthenticated", "message": "wrong name or password"}
    assert known.headers["WWW-Authenticate"] == "Bearer"


async def test_a_taken_name_is_a_conflict(node: Node, post: Post) -> None:
    await register(post, node)
    again = await post(node, "Register", {"user": "ANN", "password": PASSWORD})
    assert (again.status, again.body["code"]) == (409, "already_exists")


async def test_too_many_tries_are_told_when_to_come_again(node: Node, post: Post) -> None:
    await register(post, node)
    wrong = {"user": "ann", "password": "not the password"}
    for _ in range(30):
        answer = await post(node, "Login", wrong)
        if answer.status != 401:
            break
    assert (answer.status, answer.body["code"]) == (429, "resource_exhausted")
    assert int(answer.headers["Retry-After"]) >= 1


@pytest.mark.parametrize(
    "body",
    [b"", b"[]", b"null", b'{"user": 5}', b'{"colour": "red"}', b"\xff", b'{"user": "a"',
     b'{"user": "a", "user": "b"}', b"[" * 10_000, b'{"user": "\\ud800"}'],
)  # fmt: skip
async def test_what_is_no_request_is_an_invalid_argument(
    node: Node, post: Post, body: bytes
) -> None:
    answer = await post(node, "Login", headers={"Content-Type": "application/json"}, data=body)
    assert (answer.status, answer.body["code"]) == (400, "invalid_argument")


async def test_a_name_that_breaks_the_grammar_is_an_invalid_argument(
    node: Node, post: Post
) -> None:
    answer = await post(node, "Register", {"user": "a b", "password": PASSWORD})
    assert (answer.status, answer.body["code"]) == (400, "invalid_argument")


@pytest.mark.parametrize(
    "content_type", ["text/plain", "application/x-www-form-urlencoded", "application/proto"]
)
async def test_only_json_is_taken(node: Node, post: Post, content_type: str) -> None:
    """A page elsewhere may send the first two without asking first."""
    answer = await post(node, "Login", headers={"Content-Type": content_type}, data=b"{}")
    assert answer.status == 415


async def test_a_method_that_is_not_there_is_not_found(node: Node, post: Post) -> None:
    assert (await post(node, "Nothing")).status == 404
    assert (await post(node, "__init__")).status == 404


async def test_a_body_that_is_too_large_is_not_read(node: Node, post: Post) -> None:
    large = {"user": "ann", "password": "x" * 70_000}
    assert (await post(node, "Login", large)).status == 413


@pytest.mark.parametrize(
    ("origin", "status"),
    [("http://{own}", 200), ("https://evil.example", 403), ("null", 403), ("{own}", 403)],
)
async def test_pages_of_other_sites_are_kept_out(
    node: Node, post: Post, origin: str, status: int
) -> None:
    headers = {"Origin": origin.format(own=node.endpoints["web"])}
    account = {"user": "ann", "password": PASSWORD}
    assert (await post(node, "Register", account, headers=headers)).status == status


async def test_a_mistake_of_the_server_is_told_without_details(
    node: Node, post: Post, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def break_down(*_: object) -> None:
        raise RuntimeError("secret")

    monkeypatch.setattr("chat_service.accounts.Accounts.login", break_down)
    answer = await post(node, "Login", {"user": "ann", "password": PASSWORD})
    assert answer.status == 500
    assert answer.body == {"code": "internal", "message": "the server made a mistake"}
