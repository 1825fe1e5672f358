"""Certificates of every kind, made as a test wants them."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Any, Final, Self

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from chat_service.tls import TlsFiles

LOCAL: Final = "127.0.0.1"


class Identity:
    """A certificate and its key. Signed by an authority, or by itself, and then one too."""

    def __init__(
        self,
        *names: str,
        by: "Identity | None" = None,
        days: tuple[float, float] = (-1, 30),
        key: Callable[[], Any] = lambda: ec.generate_private_key(ec.SECP256R1()),
        purpose: x509.ObjectIdentifier = ExtendedKeyUsageOID.SERVER_AUTH,
    ) -> None:
        self.key = key()
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name) for name in names])
        begin, end = (datetime.now(UTC) + timedelta(days=it) for it in days)
        builder = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(subject if by is None else by.certificate.subject)
            .public_key(self.key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(begin)
            .not_valid_after(end)
            .add_extension(x509.BasicConstraints(ca=by is None, path_length=None), critical=True)
        )
        if by is not None:
            address = x509.SubjectAlternativeName([x509.IPAddress(ip_address(LOCAL))])
            builder = builder.add_extension(address, critical=False)
            builder = builder.add_extension(x509.ExtendedKeyUsage([purpose]), critical=False)
        self.certificate: x509.Certificate = builder.sign((by or self).key, hashes.SHA256())

    @classmethod
    def client(cls, *names: str, by: "Identity", days: tuple[float, float] = (-1, 30)) -> Self:
        """Make one for a user."""
        return cls(*names, by=by, days=days, purpose=ExtendedKeyUsageOID.CLIENT_AUTH)

    @property
    def pem(self) -> bytes:
        """The certificate."""
        return self.certificate.public_bytes(Encoding.PEM)

    @property
    def key_pem(self) -> bytes:
        """The key."""
        pem: bytes = self.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        return pem

    def write(self, directory: Path, name: str) -> TlsFiles:
        """Write both as NAME.pem and NAME.key; replaces what is there, one after the other."""
        directory.mkdir(exist_ok=True)
        files = TlsFiles(directory / f"{name}.pem", directory / f"{name}.key")
        replace(files.certificate, self.pem)
        replace(files.key, self.key_pem)
        return files


def replace(path: Path, content: bytes) -> None:
    """Put a file in a file's place at once, as what renews certificates does."""
    new = path.with_name(f"{path.name}.new")
    new.write_bytes(content)
    new.replace(path)
