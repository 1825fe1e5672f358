"""Accounts, rights and TLS kept together with the real server."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from chat.v1 import events_pb2, moderation_pb2
from chat_client import (
    AccountError,
    Accounts,
    ChatClient,
    Closed,
    CommandError,
    Refused,
    TlsError,
    Unavailable,
    channel_credentials,
)
from chat_client.render import as_text
from chat_service.certificate import make_client_pair, make_server_pair
from tests.auth.issuer import SECRET, sign

from .conftest import RealServer
from .person import Open
from .program import Start
from .scripted import PATIENCE

PASSWORD = "correct horse battery"


@asynccontextmanager
async def account(server: str, user: str) -> AsyncIterator[tuple[Accounts, str]]:
    """An account made for a test, and its token."""
    async with Accounts(server) as accounts:
        yield accounts, (await accounts.register(user, PASSWORD)).token


async def ending(chat: ChatClient) -> Closed:
    async with asyncio.timeout(PATIENCE):
        with pytest.raises(Closed) as closed:
            async for _ in chat:
                pass
    return closed.value


async def test_a_registered_name_takes_its_password_or_a_token(real_server: str) -> None:
    async with account(real_server, "owned") as (_, token):
        for how in ({"password": PASSWORD}, {"token": token}):
            async with ChatClient(real_server, "Owned", **how) as chat:  # type: ignore[arg-type]
                assert chat.user == "owned"
                assert chat.welcome.token == ""
        for wrong in ({}, {"password": "a guess"}, {"token": "x" * 43}):
            with pytest.raises(Refused) as refusal:
                await ChatClient(real_server, "owned", **wrong).__aenter__()  # type: ignore[arg-type]
            assert refusal.value.code == events_pb2.ERROR_CODE_UNAUTHENTICATED


async def test_a_wrong_password_and_an_unknown_name_are_the_same(real_server: str) -> None:
    async with account(real_server, "known") as (accounts, _):
        told = []
        for user in ("known", "unknown"):
            with pytest.raises(AccountError) as refusal:
                await accounts.login(user, "a guess")
            told.append((refusal.value.code, str(refusal.value)))
    assert told[0] == told[1]


async def test_a_signed_in_client_comes_back_to_a_server_that_died(
    mortal_server: RealServer,
) -> None:
    async with (
        account(mortal_server.address, "steady") as (_, token),
        ChatClient(mortal_server.address, "steady", token=token) as chat,
    ):
        await chat.send("#lobby", "before")
        await asyncio.to_thread(mortal_server.stop, kill=True)
        await asyncio.to_thread(mortal_server.start)
        async with asyncio.timeout(PATIENCE):
            await chat.send("#lobby", "after")
            texts = [(await anext(chat)).message.text for _ in range(2)]
    assert texts == ["before", "after"]


async def test_who_is_signed_out_elsewhere_is_told_at_once(real_server: str) -> None:
    async with account(real_server, "leaver") as (accounts, token):
        async with ChatClient(real_server, "leaver", token=token) as chat:
            await accounts.logout()
            assert (await ending(chat)).reason == events_pb2.GOODBYE_REASON_REVOKED
        with pytest.raises(Refused):
            await ChatClient(real_server, "leaver", token=token).__aenter__()


async def test_another_password_ends_the_other_sign_ins(real_server: str) -> None:
    async with account(real_server, "changer") as (accounts, _):
        other = (await accounts.login("changer", PASSWORD, "laptop")).token
        mine = (await accounts.login("changer", PASSWORD, "phone")).token
        assert [it.label for it in await accounts.list_sessions()][1:] == ["laptop", "phone"]
        async with (
            ChatClient(real_server, "changer", token=other) as away,
            ChatClient(real_server, "changer", token=mine) as here,
        ):
            await accounts.change_password(PASSWORD, "battery staple")
            assert (await ending(away)).reason == events_pb2.GOODBYE_REASON_REVOKED
            assert await here.ping() > 0
        assert [it.current for it in await accounts.list_sessions()] == [True]


async def test_a_guest_may_come_by_a_second_client(real_server: str) -> None:
    async with (
        ChatClient(real_server, "twotabs") as first,
        ChatClient(real_server, "twotabs", token=first.welcome.token) as second,
    ):
        ack = await first.send("@twotabs", "note")
        async for event in second:
            if event.HasField("message"):
                assert event.seq == ack.seq
                break


async def test_a_guest_who_registers_keeps_their_rooms(real_server: str) -> None:
    async with ChatClient(real_server, "settler", rooms=["#settled"]) as guest:
        token = guest.welcome.token
        async with Accounts(real_server, token=token) as accounts:
            session = await accounts.register("settler", PASSWORD)
    async with ChatClient(real_server, "settler", token=session.token) as chat:
        assert "#settled" in chat.welcome.rooms


async def lines_until(chat: ChatClient, room: str, last: str) -> list[str]:
    """Return what a person is told of rights, up to a line."""
    told: list[str] = []
    async with asyncio.timeout(PATIENCE):
        async for event in chat:
            if event.WhichOneof("kind") in ("moderated", "left"):
                told.append(as_text(event, room, chat.user).rstrip())
                if told[-1].startswith(last):
                    return told
    raise AssertionError(told)


async def test_rights_over_a_room_are_used_and_told(real_server: str) -> None:
    async with (
        account(real_server, "chief") as (_, token),
        ChatClient(real_server, "chief", token=token, rooms=["#rights"]) as chief,
        ChatClient(real_server, "rascal", rooms=["#rights"]) as rascal,
    ):
        with pytest.raises(CommandError) as refusal:
            await rascal.kick("#rights", "chief")
        assert refusal.value.code == events_pb2.ERROR_CODE_PERMISSION_DENIED
        assert (await chief.mute("#rights", "rascal", "noise", duration=3600)).seq
        with pytest.raises(CommandError):
            await rascal.send("#rights", "noise")
        await chief.unmute("#rights", "rascal")
        await chief.kick("#rights", "rascal")
        await chief.make_private("#rights")
        with pytest.raises(CommandError):
            await rascal.join("#rights")
        await chief.invite("#rights", "rascal")
        await rascal.join("#rights")
        await chief.appoint("#rights", "rascal")
        members = {it.user: it.role for it in await chief.who("#rights")}
        assert members["rascal"] == moderation_pb2.ROLE_MODERATOR
        await chief.ban("#rights", "rascal", "enough")
        assert (await chief.unmute("#rights", "rascal")).seq == 0, "it changes nothing"
        told = await lines_until(rascal, "#rights", "* chief has banned")
    assert told[0].startswith("* chief has muted rascal in #rights until 20")
    assert told[0].endswith(" UTC (noise)")
    assert told[1:] == [
        "* chief has unmuted rascal in #rights",
        "* chief has kicked rascal from #rights",
        "* rascal left",
        "* chief invites you to #rights (/join #rights)",
        "* chief has made rascal a moderator of #rights",
        "* chief has banned rascal from #rights (enough)",
    ]


async def test_rights_are_used_from_typed_lines(start: Start, real_server: str) -> None:
    async with ChatClient(real_server, "typed-at", rooms=["#typed"]):
        status, out, err = await start(real_server, "typist", "--room", "#typed2").ended(
            "/kick typed-at\n/private\n/public\n/invite typed-at\n/ban typed-at 10x\n/help\n"
        )
    assert status == 1
    assert "* you have invited typed-at to #typed2" in out.splitlines()
    assert "* nothing to change" in out.splitlines()
    assert "* /ban NAME [DURATION] [reason]" in out
    complaints = err.splitlines()
    assert len(complaints) == 3
    assert "! 10x is no duration: say 10m, 2h or 7d" in complaints


@pytest.fixture(scope="module")
def pki(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("pki")
    make_server_pair(directory, ["127.0.0.1"], 1)
    make_client_pair(directory, "bob", 1)
    return directory


def pair(pki: Path) -> tuple[str, ...]:
    return ("--tls-cert", str(pki / "server.pem"), "--tls-key", str(pki / "server.key"))


@pytest.fixture(scope="module")
def tls_server(pki: Path) -> Iterator[str]:
    server = RealServer(":memory:", *pair(pki))
    server.start()
    yield server.address
    server.stop()


@pytest.fixture(scope="module")
def mutual_server(pki: Path) -> Iterator[str]:
    server = RealServer(":memory:", *pair(pki), "--tls-client-ca", str(pki / "ca.pem"))
    server.start()
    yield server.address
    server.stop()


async def test_passwords_travel_by_tls(tls_server: str, pki: Path) -> None:
    credentials = channel_credentials(pki / "ca.pem")
    async with Accounts(tls_server, credentials=credentials) as accounts:
        token = (await accounts.register("bob", PASSWORD)).token
    async with ChatClient(tls_server, "bob", token=token, credentials=credentials) as chat:
        assert await chat.ping() > 0


async def test_the_command_tells_what_is_wrong_with_tls(
    start: Start, tls_server: str, mutual_server: str, pki: Path
) -> None:
    ca = ("--ca", str(pki / "ca.pem"))
    cases = [
        (tls_server, (), "if it speaks TLS, connect by --tls or --ca FILE"),
        (tls_server, ("--tls",), "give the authority that signed it by --ca FILE"),
        (tls_server.replace("127.0.0.1", "localhost"), ca, "its certificate is for another name"),
        (mutual_server, ca, "if it wants a client certificate, give one by --cert"),
    ]
    for server, options, advice in cases:
        status, out, err = await start(server, "bob", *options).ended()
        assert (status, out) == (1, ""), err
        assert advice in err
        assert err.count("\n") == 1


async def test_a_certificate_is_who_one_is(mutual_server: str, pki: Path) -> None:
    own = channel_credentials(pki / "ca.pem", pki / "client-bob.pem", pki / "client-bob.key")
    async with ChatClient(mutual_server, "bob", credentials=own) as chat:
        assert chat.user == "bob"
    with pytest.raises(Refused):
        await ChatClient(mutual_server, "alice", credentials=own).__aenter__()


async def test_who_comes_by_anothers_certificate_is_told_what_to_do(
    start: Start, terminal: Open, mutual_server: str, pki: Path
) -> None:
    own = [
        *("--ca", str(pki / "ca.pem")),
        *("--cert", str(pki / "client-bob.pem")),
        *("--key", str(pki / "client-bob.key")),
    ]
    told = "chat-client: your certificate is for bob: come as bob, or by another certificate\n"
    assert await start(mutual_server, "carol", *own).ended() == (1, "", told)
    person = terminal(mutual_server, "carol", *own)
    await person.shows(told)
    assert await person.program.status() == 1
    assert "Password" not in person.shown


async def test_where_others_sign_tokens_a_token_is_asked_for(
    start: Start, terminal: Open, tmp_path: Path
) -> None:
    (tmp_path / "secret").write_bytes(SECRET)
    server = RealServer(":memory:", "--auth", "token", "--jwt-secret", str(tmp_path / "secret"))
    server.start()
    try:
        told = "chat-client: a signed token is needed: give it by --token-file FILE\n"
        assert await start(server.address, "ann").ended() == (1, "", told)
        person = terminal(server.address, "ann")
        await person.shows(told)
        assert await person.program.status() == 1
        (tmp_path / "token").write_text(sign(SECRET, "HS256", sub="ann"))
        by_token = start(server.address, "ann", "--token-file", str(tmp_path / "token"))
        assert (await by_token.ended("hi\n"))[0] == 0
    finally:
        server.stop()


async def test_a_server_without_tls_is_told(real_server: str, pki: Path) -> None:
    with pytest.raises(TlsError, match="it speaks without"):
        await ChatClient(
            real_server, "bob", credentials=channel_credentials(pki / "ca.pem")
        ).__aenter__()
    with pytest.raises(Unavailable):
        async with Accounts(real_server, credentials=channel_credentials()) as accounts:
            await accounts.login("bob", PASSWORD)
