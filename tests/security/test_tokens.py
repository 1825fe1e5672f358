"""Tokens that are not good: replayed, expired, forged, cut short, in every place that takes one."""

import base64
import hmac
import json
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Final

import aiohttp
import grpc
import pytest

from chat.v1 import events_pb2
from chat.v1.accounts_pb2 import (
    ChangePasswordRequest,
    ListSessionsRequest,
    LogoutRequest,
    RegisterRequest,
)
from chat.v1.admin_pb2 import DeleteAccountRequest, ListAccountsRequest, UpdateAccountRequest
from chat_service.auth.tokens import digest
from chat_service.node import Node
from tests.accounts import PASSWORD, Call, failure, make_account
from tests.auth.issuer import OTHER_RSA, RSA, claims, jwk, pem, sign, write
from tests.conftest import StartNode
from tests.security.test_web import first_told
from tests.transports.conftest import Enter, OpenStream

STATUS = grpc.StatusCode

IsWorthless = Callable[[Node, str], Awaitable[None]]


@pytest.fixture
def is_worthless(call: Call, open_stream: OpenStream) -> IsWorthless:
    """Return a function that shows a token wherever one is taken, and sees it refused."""

    async def check(node: Node, token: str) -> None:
        for name in ("bob", ""):
            in_hello = await open_stream(node).hello(name, "bob's", token=token)
            assert in_hello.error.code == events_pb2.ERROR_CODE_UNAUTHENTICATED, in_hello
            in_metadata = await open_stream(node, token=token).hello(name, "bob's")
            assert in_metadata.error.code == events_pb2.ERROR_CODE_UNAUTHENTICATED, in_metadata
        for request in (ListSessionsRequest(), ListAccountsRequest()):
            assert (await failure(call(node, request, token))).code is STATUS.UNAUTHENTICATED
        async with aiohttp.ClientSession(f"http://{node.endpoints['web']}") as http:
            await is_worthless_to_browsers(http, token)

    return check


async def is_worthless_to_browsers(http: aiohttp.ClientSession, token: str) -> None:
    headers = {"Authorization": f"Bearer {token}"}
    for hello, how in (
        ({"user": "bob", "token": token}, {}),
        ({"user": "bob"}, {"headers": headers}),
    ):
        told = await first_told(http, hello, **how)
        assert told["error"]["code"] == "ERROR_CODE_UNAUTHENTICATED", told
    async with http.post("/chat.v1.Accounts/ListSessions", json={}, headers=headers) as response:
        assert response.status == 401


# --- session tokens ---


async def test_a_session_token_is_good_whole_and_as_it_is(
    node: Node, is_worthless: IsWorthless
) -> None:
    token = await make_account(node, "bob", admin=True)
    prefix, secret = token[:4], token[4:]
    changed = "A" if secret[0] != "A" else "B"
    kept = digest(token)
    for wrong in (
        token[:-1], token[:20], prefix, secret, token + "A", token.upper(),
        prefix + changed + secret[1:],
        # What somebody finds who has stolen the database:
        kept.hex(), prefix + kept.hex(), prefix + base64.urlsafe_b64encode(kept).decode(),
    ):  # fmt: skip
        await is_worthless(node, wrong)


async def test_a_token_is_not_replayed_after_signing_out(
    node: Node, call: Call, is_worthless: IsWorthless
) -> None:
    token = await make_account(node, "bob")
    await call(node, LogoutRequest(), token)
    await is_worthless(node, token)


async def test_a_token_is_not_replayed_after_the_password_was_changed(
    node: Node, call: Call, is_worthless: IsWorthless
) -> None:
    old, root = await make_account(node, "bob"), await make_account(node, "root", admin=True)
    await call(node, UpdateAccountRequest(user="bob", password="another password"), root)
    await is_worthless(node, old)


async def test_a_token_of_an_account_is_not_replayed_on_the_next_of_that_name(
    node: Node, call: Call, is_worthless: IsWorthless
) -> None:
    old, root = await make_account(node, "bob"), await make_account(node, "root", admin=True)
    await call(node, DeleteAccountRequest(user="bob"), root)
    await is_worthless(node, old)
    token = (await call(node, RegisterRequest(user="bob", password=PASSWORD))).session.token
    await is_worthless(node, old)
    await call(node, ListSessionsRequest(), token)


async def test_a_token_is_not_replayed_on_another_server(
    node: Node, start_node: StartNode, is_worthless: IsWorthless
) -> None:
    token = await make_account(node, "bob")
    other = await start_node(data=None)
    await make_account(other, "bob")
    await is_worthless(other, token)


async def test_who_has_a_stolen_token_cannot_set_a_password(
    node: Node, call: Call, enter: Enter
) -> None:
    token = await make_account(node, "bob")
    request = ChangePasswordRequest(old_password="a guess", new_password="another password")
    assert (await failure(call(node, request, token))).code is STATUS.UNAUTHENTICATED
    await enter(node, "bob", password=PASSWORD)


# --- signed tokens ---


def part(content: object) -> str:
    """Return a part of a token as it is written."""
    octets = content if isinstance(content, bytes) else json.dumps(content).encode()
    return base64.urlsafe_b64encode(octets).decode().rstrip("=")


def unsigned(algorithm: str, signature: str = "") -> str:
    return f"{part({'alg': algorithm, 'typ': 'JWT'})}.{part(claims())}.{signature}"


def signed_with_the_public_key_as_a_secret() -> str:
    """Return the token of one who hopes that the server mistakes its key for a secret."""
    text = f"{part({'alg': 'HS256', 'typ': 'JWT'})}.{part(claims())}"
    return f"{text}.{part(hmac.digest(pem(RSA), text.encode(), 'sha256'))}"


def with_other_claims(token: str, **changes: object) -> str:
    head, _, signature = token.split(".")
    return f"{head}.{part(claims(**changes))}.{signature}"


GOOD: Final = sign(RSA, "RS256")
HOUR: Final = 3600
FORGED: Final[dict[str, str]] = {
    "expired": sign(RSA, "RS256", exp=int(time.time()) - HOUR),
    "without an end": sign(RSA, "RS256", exp=None),
    "not yet valid": sign(RSA, "RS256", nbf=int(time.time()) + HOUR),
    "signed by somebody else": sign(OTHER_RSA, "RS256"),
    "signed by a key that it brings along": sign(
        OTHER_RSA, "RS256", {"jwk": jwk(OTHER_RSA, "RS256"), "kid": "mine"}
    ),
    "alg none": unsigned("none"),
    "alg None": unsigned("None", part(b"signature")),
    "alg nOnE": unsigned("nOnE"),
    "no alg": f"{part({'typ': 'JWT'})}.{part(claims())}.",
    "the public key as a secret": signed_with_the_public_key_as_a_secret(),
    "an empty secret": sign(b"\0" * 32, "HS256"),
    "claims changed": with_other_claims(GOOD, sub="root"),
    "signature cut off": GOOD.rpartition(".")[0] + ".",
    "signature cut short": GOOD[:-4],
    "cut in the claims": GOOD[: len(GOOD) // 2],
    "one part": GOOD.split(".")[0],
    "four parts": GOOD + ".more",
    "no name": sign(RSA, "RS256", sub=None),
    "an empty name": sign(RSA, "RS256", sub=""),
    "for another service": sign(RSA, "RS256", aud="other"),
    "enormous": sign(RSA, "RS256", more="x" * 20_000),
}


@pytest.fixture
async def trusting_node(start_node: StartNode, tmp_path: Path) -> Node:
    """A node that trusts one public key."""
    return await start_node(auth="token", jwt_public_key=write(tmp_path / "key.pem", pem(RSA)))


@pytest.mark.parametrize("kind", [kind for kind in FORGED if kind != "enormous"])
async def test_a_forged_token_is_worthless(
    trusting_node: Node, is_worthless: IsWorthless, kind: str
) -> None:
    await is_worthless(trusting_node, FORGED[kind])


async def test_an_enormous_token_is_worthless(trusting_node: Node, open_stream: OpenStream) -> None:
    reply = await open_stream(trusting_node).hello("bob", token=FORGED["enormous"])
    assert reply.error.code == events_pb2.ERROR_CODE_UNAUTHENTICATED


async def test_the_token_that_the_forgeries_are_made_of_is_good(
    trusting_node: Node, enter: Enter, call: Call
) -> None:
    assert (await enter(trusting_node, "", token=GOOD)).welcome.user == "bob"
    await call(trusting_node, ListSessionsRequest(), GOOD)


async def test_no_refusal_shows_any_of_the_token(
    trusting_node: Node, open_stream: OpenStream
) -> None:
    for token in FORGED.values():
        told = str(await open_stream(trusting_node).hello("bob", token=token))
        assert not any(it in told for it in token.split(".") if it)
