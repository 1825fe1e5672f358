"""Signing in over gRPC by a password: what is answered, what is slowed down, and who is not."""

import asyncio
from typing import Any

import grpc
import pytest
from structlog.testing import capture_logs

from chat.v1 import events_pb2
from chat.v1.accounts_pb2 import ChangePasswordRequest, LoginRequest, RegisterRequest
from chat_service.auth.passwords import MAX_OF_NETWORK, Passwords
from chat_service.node import Node
from tests.accounts import PASSWORD, Call, failure, make_account
from tests.transports.conftest import Enter, OpenStream
from tests.waiting import until

OTHER_PASSWORD = "battery staple"

STATUS = grpc.StatusCode


async def test_a_wrong_password_and_an_unknown_name_get_the_same_answer(
    node: Node, call: Call
) -> None:
    await make_account(node, "bob")
    wrong = await failure(call(node, LoginRequest(user="bob", password=OTHER_PASSWORD)))
    unknown = await failure(call(node, LoginRequest(user="nobody", password=OTHER_PASSWORD)))
    assert wrong == unknown
    assert (wrong.code, wrong.words) == (STATUS.UNAUTHENTICATED, "wrong name or password")


async def test_a_stream_gets_the_same_answer_for_both_as_well(
    node: Node, open_stream: OpenStream
) -> None:
    await make_account(node, "bob")
    told = []
    for name in ("bob", "nobody"):
        stream = open_stream(node)
        reply = await stream.hello(name, password=OTHER_PASSWORD)
        assert await stream.ended() is STATUS.UNAUTHENTICATED
        told.append((reply.error, stream.events[-1].goodbye, stream.details))
    assert told[0] == told[1]


async def test_guessing_is_slowed_down_and_does_not_lock_the_owner_out(
    node: Node, call: Call, enter: Enter, open_stream: OpenStream
) -> None:
    await make_account(node, "bob")
    await (await enter(node, "bob", "bob's own", password=PASSWORD)).leave()
    for _ in range(3):
        guess = LoginRequest(user="bob", password=OTHER_PASSWORD)
        assert (await failure(call(node, guess))).code is STATUS.UNAUTHENTICATED
    refused = await failure(call(node, LoginRequest(user="bob", password=PASSWORD)))
    assert (refused.code, refused.reason) == (STATUS.RESOURCE_EXHAUSTED, "RATE_LIMITED")
    assert refused.retry_after
    assert 0 < refused.retry_after <= 1
    stranger = open_stream(node)
    reply = await stranger.hello("bob", "not bob's", password=PASSWORD)
    assert reply.error.code == events_pb2.ERROR_CODE_RATE_LIMITED
    await enter(node, "bob", "bob's own", password=PASSWORD)
    await call(node, LoginRequest(user="bob", password=PASSWORD, client_id="bob's own"))


async def test_a_neighbour_who_guesses_holds_up_no_call_of_a_client_that_was_let_in_before(
    node: Node, call: Call
) -> None:
    await make_account(node, "bob")
    own = {"client_id": "bob's own"}
    token = (await call(node, LoginRequest(user="bob", password=PASSWORD, **own))).session.token
    for number in range(5):
        guess = LoginRequest(user="bob", password=OTHER_PASSWORD, client_id=f"guess {number}")
        assert (await failure(call(node, guess))).reason in ("UNAUTHENTICATED", "RATE_LIMITED")
    change = ChangePasswordRequest(old_password=PASSWORD, new_password=OTHER_PASSWORD)
    assert (await failure(call(node, change, token))).reason == "RATE_LIMITED"
    change.client_id = own["client_id"]
    await call(node, change, token)
    await call(node, LoginRequest(user="bob", password=OTHER_PASSWORD, **own))


async def test_a_client_id_of_a_call_is_as_long_as_any_other(node: Node, call: Call) -> None:
    token = await make_account(node, "bob")
    for request in (
        LoginRequest(user="bob", password=PASSWORD, client_id="x" * 129),
        ChangePasswordRequest(
            old_password=PASSWORD, new_password=OTHER_PASSWORD, client_id="x" * 129
        ),
    ):
        assert (await failure(call(node, request, token))).code is STATUS.INVALID_ARGUMENT


async def test_many_right_passwords_at_once_are_no_guesses(
    node: Node, call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    all_here, verify = asyncio.Barrier(MAX_OF_NETWORK), Passwords.verify

    async def verify_when_all_are_here(*about: Any) -> bool:
        await all_here.wait()
        return await verify(*about)

    monkeypatch.setattr(Passwords, "verify", verify_when_all_are_here)
    names = [f"user{number}" for number in range(MAX_OF_NETWORK)]
    for name in names:
        await make_account(node, name)
    signing_in = [call(node, LoginRequest(user=name, password=PASSWORD)) for name in names]
    assert len(await asyncio.gather(*signing_in)) == MAX_OF_NETWORK


async def test_who_goes_away_while_a_password_is_looked_at_leaves_nothing_under_way(
    node: Node, call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    await make_account(node, "bob")
    looking, looked = asyncio.Event(), asyncio.Event()

    async def look(*_: object) -> bool:
        looking.set()
        return await looked.wait()

    with monkeypatch.context() as slow:
        slow.setattr(Passwords, "verify", look)
        for _ in range(3):
            looking.clear()
            going = asyncio.ensure_future(call(node, LoginRequest(user="bob", password=PASSWORD)))
            await asyncio.wait_for(looking.wait(), 10)
            going.cancel()
            await asyncio.gather(going, return_exceptions=True)
    await until(lambda: not looked._waiters, what="the server to see that they have gone")
    request = LoginRequest(user="bob", password=PASSWORD)
    refused = await failure(call(node, request))
    assert "wrong passwords" in refused.words  # as tries that had failed
    await asyncio.sleep(refused.retry_after or 0.0)
    await call(node, request)


async def test_failed_sign_ins_are_logged_without_the_password(
    node: Node, call: Call, open_stream: OpenStream
) -> None:
    await make_account(node, "bob")
    with capture_logs() as logs:
        await failure(call(node, LoginRequest(user="bob", password=OTHER_PASSWORD)))
        await open_stream(node).hello("Nobody", password=OTHER_PASSWORD)
        await call(node, LoginRequest(user="bob", password=PASSWORD))
    failed = [it for it in logs if it["event"] == "sign-in failed"]
    assert [(it["user"], it["address"], it["log_level"]) for it in failed] == [
        ("bob", "127.0.0.1", "info"),
        ("nobody", "127.0.0.1", "info"),
    ]
    assert OTHER_PASSWORD not in str(logs)


async def test_guesses_at_an_unknown_name_are_slowed_down_alike(node: Node, call: Call) -> None:
    await make_account(node, "bob")
    told: list[list[tuple[object, ...]]] = []
    for name in ("bob", "nobody"):
        guess = LoginRequest(user=name, password=OTHER_PASSWORD)
        told.append([(await failure(call(node, guess)))[:3] for _ in range(4)])
    assert told[0] == told[1]
    assert [reason for _, reason, _ in told[0]] == [*["UNAUTHENTICATED"] * 3, "RATE_LIMITED"]


async def test_the_right_password_is_taken_however_its_accents_are_composed(
    node: Node, call: Call
) -> None:
    one, two = "caf\N{LATIN SMALL LETTER E WITH ACUTE}", "cafe\N{COMBINING ACUTE ACCENT}"
    await call(node, RegisterRequest(user="bob", password=f"{one} au lait"))
    await call(node, LoginRequest(user="bob", password=f"{two} au lait"))
