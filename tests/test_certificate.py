"""What `chat-server cert` makes: a server that clients trust, and clients that it lets in."""

import asyncio
import os
import ssl
import stat
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509

from chat_service.tls import TlsFiles, load
from tests.processes import StartServer

LOCAL = "127.0.0.1"


@pytest.fixture(autouse=True)
def _elsewhere(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Leave this process's directory out of it."""
    monkeypatch.chdir(tmp_path)


def cert(*args: str, **env: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "chat_service", "cert", *args],
        env=os.environ | env,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def made(*args: str) -> str:
    """Make certificates and return what was said."""
    done = cert(*args)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


def complaint(*args: str) -> str:
    done = cert(*args)
    assert (done.returncode, done.stdout) == (1, "")
    return done.stderr.removeprefix("chat-server: ").removesuffix("\n")


def certificate(path: str) -> x509.Certificate:
    return x509.load_pem_x509_certificate(Path(path).read_bytes())


# --- what is made ---


def test_it_says_what_it_made_and_what_to_do_with_it() -> None:
    assert made().splitlines() == [
        "made chat-cert/ca.pem",
        "made chat-cert/ca.key",
        "made chat-cert/server.pem",
        "made chat-cert/server.key",
        "serve with:   chat-server --tls-cert chat-cert/server.pem --tls-key chat-cert/server.key",
        "connect with: chat-client --ca chat-cert/ca.pem",
    ]


def test_keys_are_for_their_owner_alone() -> None:
    made()
    made("--client", "ann")
    keys = sorted(Path("chat-cert").glob("*.key"))
    assert [it.name for it in keys] == ["ca.key", "client-ann.key", "server.key"]
    assert {stat.S_IMODE(it.stat().st_mode) for it in keys} == {0o600}


def test_the_server_can_use_it() -> None:
    made()
    directory = Path("chat-cert")
    load(TlsFiles(directory / "server.pem", directory / "server.key", directory / "ca.pem"))


def test_it_is_for_this_machine_by_default() -> None:
    made()
    names = certificate("chat-cert/server.pem").extensions.get_extension_for_class(
        x509.SubjectAlternativeName
    )
    assert names.value.get_values_for_type(x509.DNSName) == ["localhost"]
    addresses = names.value.get_values_for_type(x509.IPAddress)
    assert [str(it) for it in addresses] == [LOCAL, "::1"]


def test_it_is_for_the_hosts_and_days_that_were_asked_for() -> None:
    made("--dir", "elsewhere", "--host", "chat.example.org", "--host", "192.0.2.1", "--days", "3")
    server = certificate("elsewhere/server.pem")
    names = server.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == ["chat.example.org"]
    assert [str(it) for it in names.get_values_for_type(x509.IPAddress)] == ["192.0.2.1"]
    left = server.not_valid_after_utc - datetime.now(UTC)
    assert timedelta(days=2) < left <= timedelta(days=3)


def test_an_authority_that_is_there_signs_the_next_certificate() -> None:
    made()
    authority = Path("chat-cert/ca.pem").read_bytes()
    for name in ("server.pem", "server.key"):
        Path("chat-cert", name).unlink()
    assert made().startswith("made chat-cert/server.pem\nmade chat-cert/server.key\nserve with")
    assert Path("chat-cert/ca.pem").read_bytes() == authority


def test_settings_of_the_server_do_not_keep_it_from_being_made() -> None:
    done = cert(CHAT_TCP="0.0.0.0:7777")
    assert (done.returncode, done.stderr) == (0, "")


# --- what is refused ---


@pytest.mark.parametrize("name", ["server.pem", "server.key"])
def test_nothing_is_overwritten(name: str) -> None:
    made()
    kept = {path: path.read_bytes() for path in Path("chat-cert").iterdir() if path.name != name}
    Path("chat-cert", name).write_text("mine")
    other = {"server.pem": "server.key", "server.key": "server.pem"}[name]
    assert (
        complaint()
        == "chat-cert/server.pem is there already: move it away, or choose another --dir"
    )
    Path("chat-cert", other).unlink()
    assert complaint().startswith(f"chat-cert/{name} is there already: move it away")
    assert Path("chat-cert", name).read_text() == "mine"
    assert all(path.read_bytes() == it for path, it in kept.items() if path.name != other)


def test_half_an_authority_is_not_overwritten_either() -> None:
    made()
    Path("chat-cert/ca.key").unlink()
    assert complaint().startswith("chat-cert/ca.pem is there already: ")
    assert complaint("--client", "ann").startswith("no authority in chat-cert: make one first")


@pytest.mark.parametrize(
    ("args", "reason"),
    [
        (["--host", "ä.example"], "not a host name in ASCII or IP address: 'ä.example'"),
        (["--client", "a/b"], "not a valid name: 'a/b'"),
        (["--client", "ann"], "no authority in chat-cert: make one first, by the same command"),
        (["--dir", "/proc/nowhere"], "cannot write /proc/nowhere: "),
    ],
)
def test_what_cannot_be_made_is_said_in_one_line(args: list[str], reason: str) -> None:
    line = complaint(*args)
    assert line.startswith(reason)
    assert "\n" not in line


def test_a_name_too_long_for_a_certificate_is_refused() -> None:
    made()
    assert complaint("--client", "𐐨" * 32).startswith("too long for a certificate: ")


# --- what it is good for ---


async def test_a_server_and_its_clients_use_what_was_made(server_process: StartServer) -> None:
    made()
    made("--client", "Ann")
    server = server_process(
        *("--tls-cert", "chat-cert/server.pem", "--tls-key", "chat-cert/server.key"),
        *("--tls-client-ca", "chat-cert/ca.pem"),
    )
    context = ssl.create_default_context(cafile="chat-cert/ca.pem")
    context.load_cert_chain("chat-cert/client-ann.pem", "chat-cert/client-ann.key")
    host, _, port = server.endpoints["tcp"].rpartition(":")
    reader, writer = await asyncio.open_connection(host, int(port), ssl=context)
    writer.write(b"ann\n/quit\n")
    lines = (await asyncio.wait_for(reader.read(), 10)).decode().splitlines()
    writer.close()
    assert lines[1].startswith("* welcome, ann")
    await server.stop()
    assert "rror" not in server.log


@pytest.mark.parametrize("name", [LOCAL, "localhost"])
async def test_chat_client_trusts_it(server_process: StartServer, name: str) -> None:
    made()
    server = server_process(
        *("--tls-cert", "chat-cert/server.pem", "--tls-key", "chat-cert/server.key")
    )
    endpoint = server.endpoints["grpc"].replace(LOCAL, name)
    client = [sys.executable, "-m", "chat_client", "--ca", "chat-cert/ca.pem", "--user", "ann"]
    done = await asyncio.to_thread(
        subprocess.run,
        [*client, "--server", endpoint, "--give-up", "5"],
        env=os.environ | {"HOME": os.fspath(Path.cwd()), "XDG_STATE_HOME": os.fspath(Path.cwd())},
        input="hello\n",
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    await server.stop()
