"""TLS as clients have it: against real handshakes, and what each fault says."""

import shutil
from pathlib import Path
from typing import Any

import grpc
import pytest

from chat_client import Accounts, ChatClient, TlsError, Unavailable, channel_credentials
from chat_service.certificate import make_client_pair, make_server_pair

from .program import Start
from .scripted import Peer, serving
from .scripted_accounts import ScriptedAccounts


@pytest.fixture(scope="session")
def pki(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """ca.pem, server.pem and server.key for 127.0.0.1, client-bob.pem and client-bob.key."""
    directory = tmp_path_factory.mktemp("pki")
    make_server_pair(directory, ["127.0.0.1", "localhost"], 1)
    make_client_pair(directory, "bob", 1)
    return directory


@pytest.fixture(scope="session")
def foreign(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same of another authority, and for another host."""
    directory = tmp_path_factory.mktemp("foreign")
    make_server_pair(directory, ["chat.example.org"], 1)
    make_client_pair(directory, "bob", 1)
    return directory


def server_side(pki: Path, client_ca: Path | None = None) -> grpc.ServerCredentials:
    pair = ((pki / "server.key").read_bytes(), (pki / "server.pem").read_bytes())
    roots = client_ca.read_bytes() if client_ca else None
    return grpc.ssl_server_credentials([pair], roots, require_client_auth=client_ca is not None)


async def polite(peer: Peer) -> None:
    await peer.welcome()
    await peer.until_left()


async def fault_of(server: str, credentials: grpc.ChannelCredentials | None, **how: Any) -> str:
    """Return what entering says; it must say so at once, however patient the caller."""
    client = ChatClient(server, "bob", credentials=credentials, **how)
    with pytest.raises(TlsError) as error:
        await client.__aenter__()
    assert server in str(error.value)
    return str(error.value).replace(server, "SERVER")


async def test_a_server_that_the_authority_vouches_for_is_talked_to(pki: Path) -> None:
    credentials = channel_credentials(pki / "ca.pem")
    desk = ScriptedAccounts(bob="correct horse")
    async with serving(polite, credentials=server_side(pki), accounts=desk) as server:
        async with ChatClient(server.address, "bob", credentials=credentials) as chat:
            assert chat.user == "bob"
        async with Accounts(server.address, credentials=credentials) as accounts:
            assert (await accounts.login("bob", "correct horse")).user == "bob"


async def test_a_client_certificate_is_shown_to_who_asks(pki: Path) -> None:
    bob = channel_credentials(pki / "ca.pem", pki / "client-bob.pem", pki / "client-bob.key")
    how = server_side(pki, client_ca=pki / "ca.pem")
    async with (
        serving(polite, credentials=how) as server,
        ChatClient(server.address, "bob", credentials=bob) as chat,
    ):
        assert chat.user == "bob"


async def test_a_server_that_nobody_vouches_for_is_not_trusted(pki: Path, foreign: Path) -> None:
    async with serving(credentials=server_side(pki)) as server:
        for ours in (channel_credentials(foreign / "ca.pem"), channel_credentials()):
            assert await fault_of(server.address, ours, connect_timeout=None) == (
                "no TLS with SERVER: its certificate is not trusted here;"
                " give the authority that signed it by --ca FILE"
            )


async def test_a_certificate_for_another_name_is_not_taken(foreign: Path) -> None:
    async with serving(credentials=server_side(foreign)) as server:
        ours = channel_credentials(foreign / "ca.pem")
        assert await fault_of(server.address, ours, connect_timeout=None) == (
            "no TLS with SERVER: its certificate is for another name;"
            " give --server as the certificate has it"
        )


async def test_an_expired_certificate_is_not_taken(pki: Path, tmp_path: Path) -> None:
    for name in ("ca.pem", "ca.key"):
        shutil.copy(pki / name, tmp_path)
    make_server_pair(tmp_path, ["127.0.0.1"], 0)
    async with serving(credentials=server_side(tmp_path)) as server:
        ours = channel_credentials(pki / "ca.pem")
        assert await fault_of(server.address, ours, connect_timeout=None) == (
            "no TLS with SERVER: its certificate has expired; its operator has to renew it"
        )


async def test_a_plaintext_server_is_told_from_one_that_is_away(pki: Path) -> None:
    async with serving() as server:
        ours = channel_credentials(pki / "ca.pem")
        assert await fault_of(server.address, ours, connect_timeout=None) == (
            "no TLS with SERVER: it speaks without; leave out --tls and --ca, or ask its operator"
        )
    with pytest.raises(Unavailable, match="Connection refused") as away:
        await ChatClient(server.address, "bob", credentials=ours).__aenter__()
    assert not isinstance(away.value, TlsError)


async def test_a_missing_client_certificate_is_told(pki: Path) -> None:
    ours = channel_credentials(pki / "ca.pem")
    async with serving(credentials=server_side(pki, client_ca=pki / "ca.pem")) as server:
        with pytest.raises(Unavailable, match="if it wants a client certificate, give one"):
            await ChatClient(server.address, "bob", credentials=ours).__aenter__()


async def test_a_client_certificate_of_a_stranger_is_told_from_a_missing_one(
    pki: Path, foreign: Path
) -> None:
    own = (foreign / "client-bob.pem", foreign / "client-bob.key")
    ours = channel_credentials(pki / "ca.pem", *own)
    async with serving(credentials=server_side(pki, client_ca=pki / "ca.pem")) as server:
        with pytest.raises(Unavailable, match="it may not take your certificate: give one"):
            await ChatClient(server.address, "bob", credentials=ours).__aenter__()


async def test_a_plaintext_client_of_a_tls_server_gets_a_hint(pki: Path) -> None:
    async with serving(credentials=server_side(pki)) as server:
        with pytest.raises(Unavailable, match="if it speaks TLS, connect by --tls or --ca FILE"):
            await ChatClient(server.address, "bob").__aenter__()


def test_files_that_are_no_use_are_told_at_once(pki: Path, foreign: Path, tmp_path: Path) -> None:
    ca, bob, key = pki / "ca.pem", pki / "client-bob.pem", pki / "client-bob.key"
    none, empty = tmp_path / "none", tmp_path / "empty"
    empty.touch()
    cases: list[tuple[tuple[Path | None, ...], str]] = [
        ((none,), f"cannot read {none}: No such file or directory"),
        ((empty,), f"{empty} holds no certificate in PEM form"),
        ((key,), f"{key} holds no certificate in PEM form"),
        ((ca, bob), "a client certificate takes both --cert FILE and --key FILE"),
        ((ca, None, key), "a client certificate takes both --cert FILE and --key FILE"),
        ((ca, bob, none), f"cannot read {none}: No such file or directory"),
        (
            (ca, bob, foreign / "client-bob.key"),
            f"{bob} and {foreign / 'client-bob.key'} are no pair of certificate and key",
        ),
        ((ca, empty, key), f"{empty} and {key} are no pair of certificate and key"),
    ]
    for files, sentence in cases:
        with pytest.raises(TlsError) as error:
            channel_credentials(*files)
        assert str(error.value) == sentence


def test_a_key_with_a_passphrase_is_told_without_asking_for_it(pki: Path, tmp_path: Path) -> None:
    from cryptography.hazmat.primitives import serialization as pem  # noqa: PLC0415

    key = pem.load_pem_private_key((pki / "client-bob.key").read_bytes(), None)
    locked = tmp_path / "locked.key"
    locked.write_bytes(
        key.private_bytes(
            pem.Encoding.PEM, pem.PrivateFormat.PKCS8, pem.BestAvailableEncryption(b"secret")
        )
    )
    with pytest.raises(TlsError, match="is encrypted: give the key without its passphrase"):
        channel_credentials(pki / "ca.pem", pki / "client-bob.pem", locked)


async def test_the_command_takes_the_files(start: Start, pki: Path) -> None:
    how = server_side(pki, client_ca=pki / "ca.pem")
    files = [
        *("--ca", str(pki / "ca.pem")),
        *("--cert", str(pki / "client-bob.pem")),
        *("--key", str(pki / "client-bob.key")),
    ]
    async with serving(polite, credentials=how) as server:
        assert await start(server.address, "bob", *files).ended() == (0, "", "")


async def test_the_command_tells_a_fault_in_one_line(
    start: Start, pki: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("GRPC_VERBOSITY")  # as with a user, to whom the core is to say nothing
    none = tmp_path / "none"
    unreadable = await start("127.0.0.1:1", "bob", "--ca", str(none)).ended()
    assert unreadable == (1, "", f"chat-client: cannot read {none}: No such file or directory\n")
    async with serving(credentials=server_side(pki)) as server:
        status, out, err = await start(server.address, "bob", "--tls").ended()
    assert (status, out) == (1, "")
    assert err == (
        f"chat-client: no TLS with {server.address}: its certificate is not trusted here;"
        " give the authority that signed it by --ca FILE\n"
    )
