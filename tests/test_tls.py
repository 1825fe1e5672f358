"""What a certificate and its key have to be, and what happens when they change."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PrivateFormat,
)
from structlog.testing import capture_logs

from chat_service import tls
from chat_service.startup import StartupError
from chat_service.tls import Tls, TlsFiles, holder, load
from tests.certificates import Identity, replace
from tests.waiting import until

AUTHORITY = Identity("test authority")
SERVER = Identity("chat-server", by=AUTHORITY)

Break = Callable[[TlsFiles], object]


@pytest.fixture
def files(tmp_path: Path) -> TlsFiles:
    """A pair that is fine, and who signs clients'."""
    pair = SERVER.write(tmp_path, "server")
    authority = AUTHORITY.write(tmp_path, "ca")
    return TlsFiles(pair.certificate, pair.key, authority.certificate)


def write(identity: Identity) -> Break:
    return lambda files: identity.write(files.certificate.parent, "server")


def encrypt(files: TlsFiles) -> None:
    secret = BestAvailableEncryption(b"secret")
    replace(files.key, SERVER.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, secret))


def swap(files: TlsFiles) -> None:
    replace(files.certificate, SERVER.key_pem)
    replace(files.key, SERVER.pem)


# --- what can be used ---


@pytest.mark.parametrize(
    "key",
    [
        lambda: ec.generate_private_key(ec.SECP384R1()),
        lambda: rsa.generate_private_key(65537, 2048),
    ],
    ids=["P-384", "RSA"],
)
def test_the_usual_keys_can_be_used(files: TlsFiles, key: Callable[[], Any]) -> None:
    write(Identity("chat-server", by=AUTHORITY, key=key))(files)
    assert load(files).context.verify_mode is ssl.CERT_REQUIRED


def test_the_certificates_that_lead_to_the_authority_may_follow(files: TlsFiles) -> None:
    replace(files.certificate, SERVER.pem + AUTHORITY.pem)
    assert load(files).until == SERVER.certificate.not_valid_after_utc


def test_without_authorities_no_client_is_asked_for_a_certificate(files: TlsFiles) -> None:
    assert load(TlsFiles(files.certificate, files.key)).context.verify_mode is ssl.CERT_NONE


def test_one_authority_that_has_not_expired_is_enough(files: TlsFiles) -> None:
    assert files.client_ca is not None
    replace(files.client_ca, Identity("old", days=(-2, -1)).pem + AUTHORITY.pem)
    assert load(files).client_ca


# --- what is wrong, and what to do ---


@pytest.mark.parametrize(
    ("break_it", "sentence"),
    [
        (
            lambda it: it.certificate.unlink(),
            "cannot read {cert}: No such file or directory; --t",
        ),
        (
            lambda it: it.key.unlink(),
            "cannot read {key}: No such file or directory; --tls-key",
        ),
        (
            lambda it: it.client_ca.unlink(),
            "cannot read {ca}: No such file or directory; --tls-",
        ),
        (
            lambda it: replace(it.certificate, b""),
            "no certificate in {cert}: --tls-cert takes",
        ),
        (lambda it: replace(it.certificate, b"\xff\0"), "no certificate in {cert}: --tls-cert"),
        (lambda it: replace(it.certificate, SERVER.pem[:200]), "no certificate in {cert}: --tls-"),
        (lambda it: replace(it.key, b"key"), "no private key in {key}: --tls-key takes the PEM"),
        (swap, "no certificate in {cert}: --tls-cert takes PEM"),
        (encrypt, "the key in {key} is encrypted, and a server cannot be asked for its passphrase"),
        (lambda it: replace(it.key, AUTHORITY.key_pem), "the key in {key} is not that of the"),
        (
            lambda it: replace(it.certificate, AUTHORITY.pem + SERVER.pem),
            "the key in {key} is not that of the certificate in {cert}: pass the two that were",
        ),
        (
            write(Identity("chat-server", by=AUTHORITY, days=(-3, -1))),
            "the certificate in {cert} expired on 20",
        ),
        (
            write(Identity("chat-server", by=AUTHORITY, days=(1, 2))),
            "the certificate in {cert} is not valid before 20",
        ),
        (
            write(Identity("chat-server", by=AUTHORITY, key=ed25519.Ed25519PrivateKey.generate)),
            "the key in {key} is of a kind that not every client takes: make one on the curve",
        ),
        (
            write(
                Identity(
                    "chat-server", by=AUTHORITY, key=lambda: rsa.generate_private_key(65537, 1024)
                )
            ),
            "the key in {key} is of a kind that not every client takes: make one on the curve",
        ),
        (lambda it: replace(it.client_ca, b""), "no certificate in {ca}: --tls-client-ca takes"),
        (
            lambda it: replace(it.client_ca, Identity("old", days=(-2, -1)).pem),
            "all certificates in {ca} have expired: renew them",
        ),
    ],
)
def test_what_cannot_be_used_is_refused_with_a_sentence(
    files: TlsFiles, break_it: Break, sentence: str
) -> None:
    break_it(files)
    with pytest.raises(StartupError) as refused:
        load(files)
    expected = sentence.format(cert=files.certificate, key=files.key, ca=files.client_ca)
    assert str(refused.value).startswith(expected)
    assert "\n" not in str(refused.value)


def test_a_pair_that_is_replaced_while_it_is_read_is_not_half_taken(
    files: TlsFiles, monkeypatch: pytest.MonkeyPatch
) -> None:
    make = tls._context

    def replaced(files: TlsFiles, client_ca: bytes | None) -> ssl.SSLContext:
        Identity("chat-server", by=AUTHORITY).write(files.certificate.parent, "server")
        return make(files, client_ca)

    monkeypatch.setattr(tls, "_context", replaced)
    with pytest.raises(StartupError, match="was replaced meanwhile: try again"):
        load(files)


# --- whom it names ---


def test_a_certificates_holder_is_its_one_common_name_until_it_expires() -> None:
    ann = Identity.client("ann", by=AUTHORITY)
    until = ann.certificate.not_valid_after_utc.timestamp()
    assert holder(ann.pem) == ("ann", until)
    assert holder(ann.certificate.public_bytes(Encoding.DER)) == ("ann", until)


@pytest.mark.parametrize("names", [(), ("ann", "bob")])
def test_without_one_common_name_nobody_is_named(names: tuple[str, ...]) -> None:
    assert holder(Identity.client(*names, by=AUTHORITY).pem)[0] == ""


def test_what_is_no_certificate_names_nobody() -> None:
    assert holder(b"ann")[0] == ""


# --- when they change ---


@pytest.fixture
async def watched(files: TlsFiles, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Tls]:
    """Credentials whose files are looked at all the time."""
    monkeypatch.setattr(tls, "POLL", 0.02)
    made = Tls(files)
    task = asyncio.create_task(made.run())
    yield made
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_a_changed_pair_is_loaded(watched: Tls, files: TlsFiles) -> None:
    old, new = watched.credentials, Identity("chat-server", by=AUTHORITY)
    write(new)(files)
    await until(lambda: watched.credentials is not old, what="the new pair")
    assert watched.credentials.certificate == new.pem
    assert watched.credentials.context is not old.context


async def test_a_changed_client_authority_is_loaded(watched: Tls, files: TlsFiles) -> None:
    assert files.client_ca is not None
    other = Identity("another authority").pem
    replace(files.client_ca, other)
    await until(lambda: watched.credentials.client_ca == other, what="the new authority")


async def test_a_pair_that_cannot_be_used_is_refused_and_the_old_one_stays(
    watched: Tls, files: TlsFiles
) -> None:
    old = watched.credentials
    with capture_logs() as logs:
        files.certificate.unlink()
        await until(lambda: logs, what="a word about the missing file")
        replace(files.certificate, AUTHORITY.pem)
        await until(lambda: len(logs) > 1, what="a word about the wrong one")
        await asyncio.sleep(0.2)
    assert [it["log_level"] for it in logs] == ["error", "error"]  # once each
    assert logs[0]["reason"].startswith(f"cannot read {files.certificate}: No such file")
    assert logs[1]["reason"].startswith(f"the key in {files.key} is not that of the certificate")
    assert watched.credentials is old
    write(Identity("chat-server", by=AUTHORITY))(files)
    await until(lambda: watched.credentials is not old, what="the pair that is fine again")


async def test_a_pair_that_is_still_being_replaced_is_waited_for(
    watched: Tls, files: TlsFiles, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tls, "POLL", 0.2)
    await asyncio.sleep(0.05)
    old, new = watched.credentials, Identity("chat-server", by=AUTHORITY)
    with capture_logs() as logs:
        replace(files.certificate, new.pem)
        await asyncio.sleep(0.15)
        replace(files.key, new.key_pem)
        await until(lambda: watched.credentials is not old, what="the new pair")
    assert [it["log_level"] for it in logs] == ["info"]


async def test_files_that_do_not_change_are_not_loaded_again(watched: Tls) -> None:
    old = watched.credentials
    await asyncio.sleep(0.2)
    assert watched.credentials is old
