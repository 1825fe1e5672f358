"""TLS as a client has it: whom it trusts, who it is itself, and what has gone wrong."""

import ssl
from pathlib import Path
from typing import Final
from weakref import WeakSet

import grpc

from chat_client.errors import TlsError

# What gRPC says of a failed handshake (in BoringSSL's words, among much else), and what to do. The
# first that fits counts.
_FAULTS: Final = (
    ("WRONG_VERSION_NUMBER", "it speaks without; leave out --tls and --ca, or ask its operator"),
    (
        "Hostname Verification Check failed",
        "its certificate is for another name; give --server as the certificate has it",
    ),
    ("certificate has expired", "its certificate has expired; its operator has to renew it"),
    (
        "certificate is not yet valid",
        "its certificate is not valid yet; check the clock of this machine",
    ),
    (
        "CERTIFICATE_VERIFY_FAILED",
        "its certificate is not trusted here; give the authority that signed it by --ca FILE",
    ),
    ("OPENSSL_internal", "there is no version or cipher that both sides take; ask its operator"),
)
# A server that will not go on after, or without, a handshake just hangs up.
_HUNG_UP: Final = ("Socket closed", "Connection reset", "Broken pipe")
_certified: Final[WeakSet[grpc.ChannelCredentials]] = WeakSet()
"""Those made here that prove the client: by themselves they do not tell."""


def channel_credentials(
    ca: Path | None = None, certificate: Path | None = None, key: Path | None = None
) -> grpc.ChannelCredentials:
    """Return credentials for TLS, from PEM files; raises TlsError for what is not fit for it.

    `ca`: the authorities to trust, those of the system without. `certificate` and `key`: what
    proves the client to a server that asks for it.
    """
    if (certificate is None) is not (key is None):
        raise TlsError("a client certificate takes both --cert FILE and --key FILE")
    roots = _read(ca) if ca else _system_roots()
    if ca:
        _check_authorities(ca)
    if certificate is None or key is None:
        return grpc.ssl_channel_credentials(roots)
    chain, private = _read(certificate), _read(key)
    _check_pair(certificate, key)
    credentials = grpc.ssl_channel_credentials(roots, private, chain)
    _certified.add(credentials)
    return credentials


def fault(server: str, details: str) -> TlsError | None:
    """Return what the details of a failed connection have to do with TLS, if they have for sure."""
    for sign, advice in _FAULTS:
        if sign in details:
            return TlsError(f"no TLS with {server}: {advice}")
    return None


def hint(details: str, credentials: grpc.ChannelCredentials | None) -> str:
    """Return what may be wrong with TLS where a server hangs up at once; empty where it did not."""
    if not any(sign in details for sign in _HUNG_UP):
        return ""
    if credentials is None:
        return "it hangs up; if it speaks TLS, connect by --tls or --ca FILE"
    if credentials in _certified:
        return (
            "it hangs up; it may not take your certificate:"
            " give one by --cert that an authority of its own has signed"
        )
    return "it hangs up; if it wants a client certificate, give one by --cert FILE --key FILE"


def _read(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        raise TlsError(f"cannot read {file}: {error.strerror}") from None


def _check_authorities(file: Path) -> None:
    """Have Python's OpenSSL look at it: gRPC would only fail to connect, and not say why."""
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(file)
    except ssl.SSLError:
        raise TlsError(f"{file} holds no certificate in PEM form") from None


def _check_pair(certificate: Path, key: Path) -> None:
    def locked() -> str:
        raise TlsError(f"{key} is encrypted: give the key without its passphrase")

    try:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.load_cert_chain(certificate, key, password=locked)
    except ssl.SSLError:
        raise TlsError(f"{certificate} and {key} are no pair of certificate and key") from None


def _system_roots() -> bytes | None:
    """Return what the system trusts; gRPC by itself would take the list that it came with."""
    roots = ssl.create_default_context().get_ca_certs(binary_form=True)
    return "".join(map(ssl.DER_cert_to_PEM_cert, roots)).encode() or None
