"""The calls about accounts: who they are made as, and what comes of them."""

import secrets
import traceback
from pathlib import Path
from typing import Any

import grpc
import pytest

from chat.v1 import events_pb2
from chat_client import AccountError, Accounts, Unavailable

from .program import Start
from .scripted import serving
from .scripted_accounts import ScriptedAccounts, refuse


async def test_registering_signs_in_and_later_calls_are_made_as_the_account() -> None:
    desk = ScriptedAccounts()
    async with serving(accounts=desk) as server, Accounts(server.address) as accounts:
        session = await accounts.register("bob", "correct horse", "a test")
        assert (session.user, session.expires_at.seconds) == ("bob", 2_000_000_000)
        (listed,) = await accounts.list_sessions()
        assert (listed.label, listed.current) == ("a test", True)
        await accounts.change_password("correct horse", "battery staple")
    assert desk.bearers == ["", session.token, session.token]
    assert desk.passwords == {"bob": "battery staple"}


async def test_passwords_are_sent_along_with_the_clients_secret() -> None:
    desk = ScriptedAccounts(bob="correct horse")
    async with (
        serving(accounts=desk) as server,
        Accounts(server.address, client_id="bob's own") as accounts,
    ):
        await accounts.login("bob", "correct horse")
        await accounts.change_password("correct horse", "battery staple")
    assert desk.client_ids == ["bob's own", "bob's own"]


async def test_a_guest_takes_what_is_theirs_along() -> None:
    desk = ScriptedAccounts()
    async with (
        serving(accounts=desk) as server,
        Accounts(server.address, token="guest-token") as accounts,
    ):
        await accounts.register("bob", "correct horse")
    assert desk.bearers == ["guest-token"]


async def test_logging_out_forgets_the_token() -> None:
    desk = ScriptedAccounts(bob="correct horse")
    async with serving(accounts=desk) as server, Accounts(server.address) as accounts:
        await accounts.login("bob", "correct horse")
        await accounts.logout()
        with pytest.raises(AccountError):
            await accounts.list_sessions()
    assert not desk.tokens
    assert desk.bearers[-1] == ""


async def test_another_sign_in_can_be_revoked() -> None:
    desk = ScriptedAccounts(bob="correct horse")
    async with serving(accounts=desk) as server, Accounts(server.address) as accounts:
        await accounts.login("bob", "correct horse", "old")
        await accounts.login("bob", "correct horse", "new")
        old, new = await accounts.list_sessions()
        assert (old.current, new.current) == (False, True)
        await accounts.revoke_session(old.id)
        assert [it.label for it in await accounts.list_sessions()] == ["new"]


async def test_a_wrong_password_shows_neither_itself_nor_the_token() -> None:
    desk = ScriptedAccounts(bob="correct horse")
    token, guess = secrets.token_hex(8), secrets.token_hex(8)
    async with serving(accounts=desk) as server, Accounts(server.address, token=token) as accounts:
        with pytest.raises(AccountError, match="wrong name or password") as refusal:
            await accounts.login("bob", guess)
    assert refusal.value.code == events_pb2.ERROR_CODE_UNAUTHENTICATED
    shown = "".join(traceback.format_exception(refusal.value))
    assert token not in shown
    assert guess not in shown


class Refusing(ScriptedAccounts):
    def __init__(self, code: grpc.StatusCode, reason: str, retry_after: float = 0.0) -> None:
        super().__init__()
        self.how = (code, reason, "no", retry_after)

    async def Login(self, request: Any, context: Any) -> Any:  # noqa: N802
        await refuse(context, *self.how)


Status, Code = grpc.StatusCode, events_pb2.ErrorCode


@pytest.mark.parametrize(
    ("status", "reason", "code"),
    [
        (Status.UNAUTHENTICATED, "UNAUTHENTICATED", "UNAUTHENTICATED"),
        (Status.ALREADY_EXISTS, "NAME_TAKEN", "NAME_TAKEN"),
        (Status.INVALID_ARGUMENT, "INVALID_ADDRESS", "INVALID_ADDRESS"),
        (Status.RESOURCE_EXHAUSTED, "LIMIT_REACHED", "LIMIT_REACHED"),
        (Status.PERMISSION_DENIED, "BANNED", "BANNED"),
        (Status.UNAVAILABLE, "UNAVAILABLE", "UNAVAILABLE"),
        (Status.ALREADY_EXISTS, "of a later version", "NAME_TAKEN"),
        (Status.INVALID_ARGUMENT, "of a later version", "INVALID_COMMAND"),
        (Status.RESOURCE_EXHAUSTED, "of a later version", "RATE_LIMITED"),
    ],
)
async def test_a_refusal_has_the_servers_code(
    status: grpc.StatusCode, reason: str, code: str
) -> None:
    async with (
        serving(accounts=Refusing(status, reason)) as server,
        Accounts(server.address) as accounts,
    ):
        with pytest.raises(AccountError) as refusal:
            await accounts.login("bob", "correct horse")
    assert Code.Name(refusal.value.code) == f"ERROR_CODE_{code}"
    assert refusal.value.retry_after is None


async def test_too_many_tries_tell_how_long_to_wait() -> None:
    desk = Refusing(Status.RESOURCE_EXHAUSTED, "RATE_LIMITED", retry_after=1.5)
    async with serving(accounts=desk) as server, Accounts(server.address) as accounts:
        with pytest.raises(AccountError) as refusal:
            await accounts.login("bob", "correct horse")
    assert refusal.value.retry_after == 1.5


async def test_the_command_tells_how_long_to_wait(start: Start, tmp_path: Path) -> None:
    password = tmp_path / "password"
    password.write_text("correct horse\n")
    desk = Refusing(Status.RESOURCE_EXHAUSTED, "RATE_LIMITED", retry_after=1.5)
    async with serving(accounts=desk) as server:
        login = start(server.address, "bob", "login", "--password-file", password)
        assert await login.ended() == (1, "", "chat-client: no (try again in 2 s)\n")


async def test_a_server_without_accounts_says_so() -> None:
    async with serving() as server, Accounts(server.address) as accounts:
        with pytest.raises(Unavailable, match="has no accounts"):
            await accounts.login("bob", "correct horse")


async def test_a_server_that_is_away_is_unavailable() -> None:
    async with serving() as server:
        pass
    async with Accounts(server.address) as accounts:
        with pytest.raises(Unavailable, match=f"cannot reach {server.address}"):
            await accounts.login("bob", "correct horse")
