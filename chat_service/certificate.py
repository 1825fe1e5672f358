"""Certificates to develop and try with: an authority of one's own, and what it signs.

Whoever has the authority's key can pose as the server before all that trust it, so it stays on the
machine where it was made.
"""

import os
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from chat_service.core.address import parse_name
from chat_service.core.errors import InvalidAddress

AUTHORITY_DAYS: Final = 3650
"""How long the authority is good for; nothing that it signs is so for longer."""

MAX_COMMON_NAME_BYTES: Final = 64
"""RFC 5280, appendix A.1 (ub-common-name), as the libraries count it."""

_SKEW: Final = timedelta(hours=1)
"""How far the clocks of others may be behind."""


class NotMade(Exception):
    """A certificate was not made; `str()` of it is one line that says why."""


@dataclass(frozen=True, slots=True)
class Pair:
    """The files of a certificate and of its key."""

    certificate: Path
    key: Path

    @classmethod
    def named(cls, directory: Path, name: str) -> "Pair":
        """Return the pair of that name in a directory."""
        return cls(directory / f"{name}.pem", directory / f"{name}.key")

    @property
    def exists(self) -> bool:
        """Whether both files are there."""
        return self.certificate.exists() and self.key.exists()


def make_server_pair(directory: Path, hosts: Sequence[str], days: int) -> list[Path]:
    """Make `server.pem` and `server.key`, and before them the authority if there is none.

    Returns the files made. Raises NotMade, before anything is written, if one is there already.
    """
    ca, server = Pair.named(directory, "ca"), Pair.named(directory, "server")
    names = [_alternative_name(host) for host in hosts]
    if ca.exists:
        _refuse_to_overwrite(server)
        return _make(server, ca, "chat-server", days, ExtendedKeyUsageOID.SERVER_AUTH, names)
    _refuse_to_overwrite(ca, server)
    made = _make_authority(ca)
    return made + _make(server, ca, "chat-server", days, ExtendedKeyUsageOID.SERVER_AUTH, names)


def make_client_pair(directory: Path, user: str, days: int) -> list[Path]:
    """Make `client-USER.pem` and `client-USER.key`, signed by the authority in the directory.

    Returns the files made. Raises NotMade.
    """
    ca, client = Pair.named(directory, "ca"), Pair.named(directory, f"client-{_normal(user)}")
    if not ca.exists:
        raise NotMade(
            f"no authority in {directory}: make one first, by the same command without --client"
        )
    _refuse_to_overwrite(client)
    return _make(client, ca, _normal(user), days, ExtendedKeyUsageOID.CLIENT_AUTH, [])


def usage(directory: Path, client: str | None = None) -> str:
    """Say what to pass to the server and to the client."""
    ca, server = Pair.named(directory, "ca"), Pair.named(directory, "server")
    serve = f"chat-server --tls-cert {server.certificate} --tls-key {server.key}"
    connect = f"chat-client --ca {ca.certificate}"
    if client is not None:
        name = _normal(client)
        own = Pair.named(directory, f"client-{name}")
        serve += f" --tls-client-ca {ca.certificate}"
        connect += f" --cert {own.certificate} --key {own.key} --user {name}"
    return f"serve with:   {serve}\nconnect with: {connect}"


def _normal(user: str) -> str:
    """Return the normal form of a user's name, if a certificate can hold it."""
    try:
        name = parse_name(user)
    except InvalidAddress as error:
        raise NotMade(str(error)) from None
    if len(name.encode()) > MAX_COMMON_NAME_BYTES:
        raise NotMade(f"too long for a certificate: {name!r}")
    return name


def _refuse_to_overwrite(*pairs: Pair) -> None:
    for pair in pairs:
        for path in (pair.certificate, pair.key):
            if path.exists():
                raise NotMade(f"{path} is there already: move it away, or choose another --dir")


def _alternative_name(host: str) -> x509.GeneralName:
    with suppress(ValueError):
        return x509.IPAddress(ip_address(host))
    try:
        return x509.DNSName(host)
    except ValueError:
        raise NotMade(f"not a host name in ASCII or IP address: {host!r}") from None


def _make_authority(ca: Pair) -> list[Path]:
    key = ec.generate_private_key(ec.SECP256R1())
    name = _named("chat-service development authority")
    usage = _key_usage(key_cert_sign=True, crl_sign=True)
    builder = (
        _builder(name, key.public_key(), datetime.now(UTC) + timedelta(days=AUTHORITY_DAYS))
        .issuer_name(name)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(usage, critical=True)
    )
    return _write(ca, builder.sign(key, hashes.SHA256()), key)


def _make(
    pair: Pair,
    ca: Pair,
    name: str,
    days: int,
    purpose: x509.ObjectIdentifier,
    alternative_names: list[x509.GeneralName],
) -> list[Path]:
    """Make a certificate for a purpose, signed by the authority."""
    authority, authority_key = _read(ca)
    key = ec.generate_private_key(ec.SECP256R1())
    until = min(datetime.now(UTC) + timedelta(days=days), authority.not_valid_after_utc)
    issuer = x509.AuthorityKeyIdentifier.from_issuer_public_key(authority_key.public_key())
    builder = (
        _builder(_named(name), key.public_key(), until)
        .issuer_name(authority.subject)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_key_usage(digital_signature=True), critical=True)
        .add_extension(x509.ExtendedKeyUsage([purpose]), critical=False)
        .add_extension(issuer, critical=False)
    )
    if alternative_names:
        names = x509.SubjectAlternativeName(alternative_names)
        builder = builder.add_extension(names, critical=False)
    return _write(pair, builder.sign(authority_key, hashes.SHA256()), key)


def _builder(
    subject: x509.Name, key: ec.EllipticCurvePublicKey, until: datetime
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(datetime.now(UTC) - _SKEW)
        .not_valid_after(until)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
    )


def _named(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


def _key_usage(
    *, digital_signature: bool = False, key_cert_sign: bool = False, crl_sign: bool = False
) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=digital_signature,
        key_cert_sign=key_cert_sign,
        crl_sign=crl_sign,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _read(ca: Pair) -> tuple[x509.Certificate, ec.EllipticCurvePrivateKey]:
    """Return the authority; raises NotMade if it is none of ours."""
    try:
        certificate = x509.load_pem_x509_certificate(ca.certificate.read_bytes())
        key = load_pem_private_key(ca.key.read_bytes(), None)
    except OSError as error:
        raise NotMade(f"cannot read {error.filename}: {error.strerror}") from None
    except (TypeError, ValueError):
        raise NotMade(f"{ca.certificate} and {ca.key} are not what this command made") from None
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise NotMade(f"{ca.key} is not what this command made")
    return certificate, key


def _write(
    pair: Pair, certificate: x509.Certificate, key: ec.EllipticCurvePrivateKey
) -> list[Path]:
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    try:
        pair.key.parent.mkdir(parents=True, exist_ok=True)
        _create(pair.key, private, 0o600)
        _create(pair.certificate, certificate.public_bytes(Encoding.PEM), 0o644)
    except OSError as error:
        raise NotMade(f"cannot write {error.filename}: {error.strerror}") from None
    return [pair.certificate, pair.key]


def _create(path: Path, content: bytes, mode: int) -> None:
    """Write a file that was not there; raises FileExistsError if it was."""
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as file:
        file.write(content)
