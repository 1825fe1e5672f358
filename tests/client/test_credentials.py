"""What a name is proved with, on the first stream and on every later one."""

from typing import Any

import grpc
import pytest

from chat.v1 import events_pb2
from chat_client import ChatClient, Closed, Refused

from .scripted import Peer, Script, goodbye, message, serving

REVOKED = events_pb2.GOODBYE_REASON_REVOKED
BANNED = events_pb2.GOODBYE_REASON_BANNED
ENDED = events_pb2.GOODBYE_REASON_ENDED


def credential_of(hellos: list[str]) -> Script:
    async def script(peer: Peer) -> None:
        hello = await peer.welcome()
        kind = hello.WhichOneof("credential") or "none"
        hellos.append(f"{kind} {getattr(hello, kind, '')}".strip())
        if len(hellos) < 3:
            await peer.drop()
        await peer.say(message(1))
        await peer.until_left()

    return script


@pytest.mark.parametrize(
    ("how", "said"),
    [
        ({"password": "s3cret"}, "password s3cret"),
        ({"token": "t0ken"}, "token t0ken"),
        ({}, "none"),
    ],
)
async def test_it_is_said_on_every_connection(how: dict[str, Any], said: str) -> None:
    hellos: list[str] = []
    script = credential_of(hellos)
    async with (
        serving(script, script, script) as server,
        ChatClient(server.address, "bob", **how) as chat,
    ):
        await anext(chat)
    assert hellos == [said] * 3


def test_one_proof_is_enough() -> None:
    with pytest.raises(ValueError, match="not both"):
        ChatClient("127.0.0.1:1", "bob", password="a", token="b")


def test_it_shows_in_no_description() -> None:
    chat = ChatClient("127.0.0.1:1", "bob", password="s3cret")
    assert "bob" in repr(chat._connection._settings)
    assert "s3cret" not in repr(chat._connection._settings)


def refusing(code: events_pb2.ErrorCode, retry_after: float, *, say_goodbye: bool) -> Script:
    async def script(peer: Peer) -> None:
        await peer.refuse(await peer.command(), code, "no", retry_after)
        if say_goodbye:
            reason = events_pb2.GOODBYE_REASON_REFUSED
            await peer.say(goodbye(reason, reconnect=bool(retry_after), retry_after=retry_after))
        await peer.drop(grpc.StatusCode.UNAUTHENTICATED)

    return script


@pytest.mark.parametrize("say_goodbye", [True, False])
@pytest.mark.parametrize(
    "code", [events_pb2.ERROR_CODE_UNAUTHENTICATED, events_pb2.ERROR_CODE_BANNED]
)
async def test_a_refused_one_is_not_tried_again_whatever_the_server_says(
    code: events_pb2.ErrorCode, say_goodbye: bool
) -> None:
    async def first(peer: Peer) -> None:
        await peer.welcome()
        await peer.drop()

    second = refusing(code, 0.01, say_goodbye=say_goodbye)
    async with (
        serving(first, second) as server,
        ChatClient(server.address, "bob", password="changed since") as chat,
    ):
        with pytest.raises(Refused) as refusal:
            await anext(chat)
    assert refusal.value.code == code


async def test_a_status_alone_says_as_much() -> None:
    async def script(peer: Peer) -> None:
        await peer.drop(grpc.StatusCode.UNAUTHENTICATED)

    async with serving(script) as server:
        with pytest.raises(Refused) as refusal:
            await ChatClient(server.address, "bob", connect_timeout=None).__aenter__()
    assert refusal.value.code == events_pb2.ERROR_CODE_UNAUTHENTICATED


@pytest.mark.parametrize(
    ("reason", "sentence"), [(REVOKED, "signed out"), (BANNED, "banned from this server")]
)
async def test_signed_out_or_banned_is_the_end(
    reason: events_pb2.GoodbyeReason, sentence: str
) -> None:
    async def script(peer: Peer) -> None:
        await peer.welcome()
        await peer.say(goodbye(reason, reconnect=True))
        await peer.until_left()

    async with serving(script) as server, ChatClient(server.address, "bob", token="t") as chat:
        assert (await anext(chat)).goodbye.reason == reason
        with pytest.raises(Closed, match=sentence) as closed:
            await anext(chat)
    assert closed.value.reason == reason


async def test_a_session_that_an_admin_ended_comes_back_if_it_may() -> None:
    async def first(peer: Peer) -> None:
        await peer.welcome()
        await peer.say(goodbye(ENDED, reconnect=True))

    async def second(peer: Peer) -> None:
        await peer.welcome()
        await peer.say(goodbye(ENDED))

    async with serving(first, second) as server, ChatClient(server.address, "bob") as chat:
        assert (await anext(chat)).goodbye.reason == ENDED
        with pytest.raises(Closed, match="admin"):
            await anext(chat)
        assert len(server.peers) == 2
