"""TLS for every listener: one certificate, checked when it is loaded and loaded anew on change.

A listener takes `Tls.credentials` at each handshake, so a new certificate is shown to whoever
connects next, and the connections that exist live on.
"""

import asyncio
import math
import ssl
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from cryptography.x509.oid import NameOID

from chat_service.file_stamp import FileStamp, stamp
from chat_service.logs import get
from chat_service.startup import StartupError

_log = get("tls")

HANDSHAKE_TIMEOUT: Final = 10.0
"""Seconds that a client has to finish its handshake."""

POLL: Final = 1.0
"""Seconds between two looks at the files."""

MIN_RSA_BITS: Final = 2048

# For TLS 1.2: forward secrecy and authenticated encryption only, which is also what grpc takes by
# default (RFC 9325, section 4.2). What TLS 1.3 has is modern as it is.
CIPHERS: Final = "ECDHE+AESGCM:ECDHE+CHACHA20"


@dataclass(frozen=True, slots=True)
class TlsFiles:
    """Where the PEM files are: the server's certificate, its key, and who signs clients'."""

    certificate: Path
    key: Path
    client_ca: Path | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Credentials:
    """What the files held, checked: PEM as it is, and made up for the listeners of the loop."""

    certificate: bytes
    key: bytes
    client_ca: bytes | None
    """The authorities of which every client has to show a certificate; None asks for none."""
    context: ssl.SSLContext
    until: datetime
    """When the certificate expires."""


class Tls:
    """The credentials in use, and the files that they come from.

    Reads the files; raises StartupError, with what to do, if they cannot be used.
    """

    def __init__(self, files: TlsFiles) -> None:
        self._files = files
        # Looked at before the files are read: a change in between is found by the next look.
        self._loaded = _stamps(files)
        self.credentials = load(files)

    async def run(self) -> None:
        """Load the files again whenever they have changed, until cancelled."""
        stamps = self._loaded
        while True:
            await asyncio.sleep(POLL)
            last, stamps = stamps, await asyncio.to_thread(_stamps, self._files)
            # While they are still changing, certificate and key may not belong together.
            if stamps == last != self._loaded:
                self._loaded = stamps
                await self._reload()

    async def _reload(self) -> None:
        try:
            self.credentials = await asyncio.to_thread(load, self._files)
        except StartupError as error:
            _log.error("certificate refused, the old one stays", reason=str(error))
        else:
            _log.info("certificate loaded", until=self.credentials.until.isoformat())


def load(files: TlsFiles) -> Credentials:
    """Read and check the files; raises StartupError."""
    certificate, key = pair = _read_pair(files)
    client_ca = None if files.client_ca is None else _read(files.client_ca, "--tls-client-ca")
    own = _check_certificate(certificate, files.certificate)
    _check_key(_private_key(key, files.key), own, files)
    if client_ca is not None:
        _check_authorities(client_ca, files.client_ca)
    context = _context(files, client_ca)
    # OpenSSL has read the pair by itself: what it has is to be what was looked at here.
    if _read_pair(files) != pair:
        raise StartupError(f"{files.certificate} or {files.key} was replaced meanwhile: try again")
    return Credentials(certificate, key, client_ca, context, own.not_valid_after_utc)


def holder(certificate: bytes) -> tuple[str, float]:
    """Return the one common name in a certificate, PEM or DER, and when the certificate expires.

    The name is empty if there is none, or several; the time is in seconds since 1970.
    """
    pem = certificate.startswith(b"-----BEGIN")
    load_one = x509.load_pem_x509_certificate if pem else x509.load_der_x509_certificate
    with suppress(ValueError):  # a certificate may be verified and odd all the same
        shown = load_one(certificate)
        names = shown.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
        if len(names) == 1 and isinstance(names[0].value, str):
            return names[0].value, shown.not_valid_after_utc.timestamp()
    return "", math.inf


# --- what is wrong, in one sentence ---


def _read_pair(files: TlsFiles) -> tuple[bytes, bytes]:
    return _read(files.certificate, "--tls-cert"), _read(files.key, "--tls-key")


def _read(path: Path, flag: str) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise StartupError(
            f"cannot read {path}: {error.strerror}; {flag} names a PEM file that this user may read"
        ) from None


def _certificates(pem: bytes) -> list[x509.Certificate]:
    with suppress(ValueError):
        return x509.load_pem_x509_certificates(pem)
    return []


def _check_certificate(pem: bytes, path: Path) -> x509.Certificate:
    """Return the server's own certificate, if it is one for today."""
    if not (chain := _certificates(pem)):
        raise StartupError(
            f"no certificate in {path}: --tls-cert takes PEM, the server's own certificate first,"
            " then those that lead to its authority"
        )
    own, now = chain[0], datetime.now(UTC)
    if own.not_valid_after_utc < now:
        raise StartupError(
            f"the certificate in {path} expired on {own.not_valid_after_utc:%Y-%m-%d}: renew it"
        )
    if own.not_valid_before_utc > now:
        raise StartupError(
            f"the certificate in {path} is not valid before {own.not_valid_before_utc:%Y-%m-%d}:"
            " set this machine's clock, or wait"
        )
    return own


def _private_key(pem: bytes, path: Path) -> PrivateKeyTypes:
    try:
        return load_pem_private_key(pem, None)
    except TypeError:
        raise StartupError(
            f"the key in {path} is encrypted, and a server cannot be asked for its passphrase:"
            f" decrypt it, as in `openssl pkey -in {path} -out plain.key`"
        ) from None
    except (ValueError, UnsupportedAlgorithm):
        raise StartupError(
            f"no private key in {path}: --tls-key takes the PEM of the certificate's key"
        ) from None


def _check_key(key: PrivateKeyTypes, own: x509.Certificate, files: TlsFiles) -> None:
    if key.public_key() != own.public_key():
        raise StartupError(
            f"the key in {files.key} is not that of the certificate in {files.certificate}:"
            " pass the two that were made together (the server's own certificate comes first)"
        )
    if not _is_usual(key):
        raise StartupError(
            f"the key in {files.key} is of a kind that not every client takes:"
            f" make one on the curve P-256 or P-384, or RSA with {MIN_RSA_BITS} bits or more"
        )


def _is_usual(key: PrivateKeyTypes) -> bool:
    """Whether the TLS of Python and that of grpc both take it."""
    if isinstance(key, rsa.RSAPrivateKey):
        return key.key_size >= MIN_RSA_BITS
    return isinstance(key, ec.EllipticCurvePrivateKey) and isinstance(
        key.curve, ec.SECP256R1 | ec.SECP384R1
    )


def _check_authorities(pem: bytes, path: Path | None) -> None:
    authorities = _certificates(pem)
    if not authorities:
        raise StartupError(
            f"no certificate in {path}: --tls-client-ca takes the PEM of those who sign clients'"
            " certificates"
        )
    if all(it.not_valid_after_utc < datetime.now(UTC) for it in authorities):
        raise StartupError(f"all certificates in {path} have expired: renew them")


def _context(files: TlsFiles, client_ca: bytes | None) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers(CIPHERS)
    context.options |= ssl.OP_NO_RENEGOTIATION
    try:
        context.load_cert_chain(files.certificate, files.key)
        if client_ca is not None:
            context.load_verify_locations(cadata=client_ca.decode("ascii", "ignore"))
            context.verify_mode = ssl.CERT_REQUIRED
    except (ssl.SSLError, OSError) as error:
        raise StartupError(
            f"TLS takes no such certificate as in {files.certificate}: {error}; make a new one"
        ) from None
    return context


def _stamps(files: TlsFiles) -> tuple[FileStamp, ...]:
    paths = (files.certificate, files.key, files.client_ca)
    return tuple(stamp(path) for path in paths if path is not None)
