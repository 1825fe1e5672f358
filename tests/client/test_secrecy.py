"""Without TLS no password or token leaves this machine, unless that is asked for."""

from collections.abc import Awaitable, Callable
from pathlib import Path

import grpc
import pytest

from chat_client import Accounts, ChatClient, TlsError
from chat_client.channel import check_secrecy

from .person import Open
from .program import Start
from .scripted import ScriptedServer, polite, serving
from .scripted_accounts import ScriptedAccounts

PASSWORD = "correct horse"


def elsewhere(server: ScriptedServer) -> str:
    """Return an address of a server here that is not loopback: the system leads it here."""
    return server.address.replace("127.0.0.1", "0.0.0.0")


@pytest.mark.parametrize(
    "server",
    [
        *("127.0.0.1:50051", "127.8.9.1:1", "localhost:50051", "LOCALHOST:1", "[::1]:50051"),
        *("dns:///localhost:1", "ipv4:127.0.0.1:1", "ipv4:127.0.0.1:1,127.0.0.2:1"),
        *("ipv6:[::1]:1", "unix:/run/chat.sock", "unix:///run/chat.sock", "unix-abstract:chat"),
    ],
)
def test_what_is_here_may_be_told_a_secret(server: str) -> None:
    check_secrecy(server, None, insecure=False)


@pytest.mark.parametrize(
    "server",
    [
        *("chat.example:50051", "192.0.2.1:1", "10.0.0.1:1", "[2001:db8::1]:1", "0.0.0.0:1"),
        *("localhost.example:1", "127.0.0.1.example:1", "dns:///chat.example:1"),
        *("dns://127.0.0.1/chat.example:1", "ipv4:127.0.0.1:1,192.0.2.1:1", "xds:///localhost"),
        *("127.0.0.1@chat.example:1", "[::1", "", ":1"),
    ],
)
def test_what_may_be_elsewhere_is_told_none_without_tls(server: str) -> None:
    with pytest.raises(TlsError, match="without TLS: connect by --tls or --ca FILE; --insecure"):
        check_secrecy(server, None, insecure=False)
    check_secrecy(server, None, insecure=True)
    check_secrecy(server, grpc.ssl_channel_credentials(), insecure=False)


async def test_the_sdk_connects_no_secret_to_elsewhere_and_guests_all_the_same() -> None:
    desk = ScriptedAccounts(bob=PASSWORD)
    async with serving(polite, desk.doorman, accounts=desk) as server:
        there = elsewhere(server)
        for secret in ({"password": PASSWORD}, {"token": "t"}):
            with pytest.raises(TlsError):
                await ChatClient(there, "bob", connect_timeout=None, **secret).__aenter__()  # type: ignore[arg-type]
        assert not server.peers
        async with ChatClient(there, "ann") as guest:
            assert guest.user == "ann"
        async with ChatClient(there, "bob", password=PASSWORD, insecure=True) as bob:
            assert bob.user == "bob"


async def test_no_call_about_an_account_goes_elsewhere() -> None:
    desk = ScriptedAccounts(bob=PASSWORD)
    async with serving(accounts=desk) as server:
        async with Accounts(elsewhere(server), token="t") as accounts:
            calls: list[Callable[[], Awaitable[object]]] = [
                lambda: accounts.register("ann", PASSWORD),
                lambda: accounts.login("bob", PASSWORD),
                lambda: accounts.change_password(PASSWORD, "another"),
                accounts.list_sessions,
                lambda: accounts.revoke_session("id"),
                accounts.logout,
            ]
            for call in calls:
                with pytest.raises(TlsError):
                    await call()
        assert not desk.client_ids + desk.bearers
        async with Accounts(elsewhere(server), insecure=True) as accounts:
            assert (await accounts.login("bob", PASSWORD)).user == "bob"


async def test_the_command_sends_none_elsewhere_unless_told_to(
    start: Start, tmp_path: Path
) -> None:
    secret = tmp_path / "password"
    secret.write_text(PASSWORD)
    file = ("--password-file", str(secret))
    desk = ScriptedAccounts(bob=PASSWORD)
    async with serving(desk.doorman, accounts=desk) as server:
        there = elsewhere(server)
        for command in ((), ("login",), ("register",)):
            status, out, err = await start(there, "bob", *command, *file).ended()
            assert (status, out) == (1, "")
            assert err == (
                f"chat-client: no password or token goes to {there} without TLS: connect by --tls"
                " or --ca FILE; --insecure sends it for everybody on the way to read\n"
            )
        assert not server.peers
        assert (await start(there, "bob", *file, "--insecure").ended("hi\n"))[0] == 0


async def test_nobody_is_asked_for_a_password_that_may_not_be_sent(terminal: Open) -> None:
    desk = ScriptedAccounts(bob=PASSWORD)
    async with serving(desk.doorman) as server:
        for command in (("login",), ("register",), ("--ask-password",), ()):
            person = terminal(elsewhere(server), "bob", *command)
            await person.shows("--insecure sends it for everybody on the way to read")
            assert await person.program.status() == 1
            assert "assword of bob" not in person.shown
