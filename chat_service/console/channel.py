"""The gRPC channel to a running server: whom it trusts, and what it means that there is none."""

import ssl
from pathlib import Path
from typing import Final, NamedTuple

import grpc
import grpc.aio

from chat_service.console.port import NotDone

_REFUSED: Final = "Failed to connect to remote host: "

# What gRPC tells of a handshake (BoringSSL's names among much else), and what to do.
_FAULTS: Final = (
    ("WRONG_VERSION_NUMBER", "it does not speak TLS; leave out --tls and --ca"),
    ("is not in peer certificate", "its certificate is for another name; use that in --server"),
    ("certificate has expired", "its certificate has expired; set a new one by --tls-cert"),
    (
        "CERTIFICATE_VERIFY_FAILED",
        "its certificate is not trusted; give who signed it by --ca",
    ),
    ("CERTIFICATE_REQUIRED", "it wants a client certificate; give one by --cert and --key"),
    ("Socket closed", "it has hung up; does it take TLS (--tls, --ca)?"),
)


class Trust(NamedTuple):
    """What TLS goes by, in PEM files: authorities to trust, and what proves the caller."""

    tls: bool = False
    ca: Path | None = None
    cert: Path | None = None
    key: Path | None = None


def open_channel(address: str, trust: Trust) -> grpc.aio.Channel:
    """Return a channel, by TLS if anything asks for it; raises NotDone for unfit files."""
    if not any(trust):
        return grpc.aio.insecure_channel(address)
    return grpc.aio.secure_channel(address, _credentials(trust))


def meaning(address: str, error: grpc.aio.AioRpcError) -> str:
    """Return what to say of a call that failed."""
    details = error.details() or error.code().name.lower().replace("_", " ")
    for sign, advice in _FAULTS:
        if sign in details:
            return f"cannot reach {address}: {advice}"
    match error.code():
        case grpc.StatusCode.UNIMPLEMENTED:
            return f"{address} takes no orders: is it a chat-server of this version?"
        case grpc.StatusCode.DEADLINE_EXCEEDED:
            return f"no answer from {address}"
        case grpc.StatusCode.UNAVAILABLE if "connect" in details:
            return f"cannot reach {address}: {details.rpartition(_REFUSED)[2]}"
        case _:
            return details


def _credentials(trust: Trust) -> grpc.ChannelCredentials:
    # Python's OpenSSL looks first: gRPC would only fail to connect, and not say why.
    context = ssl.create_default_context()
    roots = _system_roots(context)
    if trust.ca is not None:
        roots = _read(trust.ca)
        _check_authorities(trust.ca)
    if trust.cert is None and trust.key is None:
        return grpc.ssl_channel_credentials(roots)
    if trust.cert is None or trust.key is None:
        raise NotDone("a client certificate takes both --cert FILE and --key FILE")
    chain, private = _read(trust.cert), _read(trust.key)
    _check_pair(trust.cert, trust.key)
    return grpc.ssl_channel_credentials(roots, private, chain)


def _check_authorities(file: Path) -> None:
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(file)
    except ssl.SSLError:
        raise NotDone(f"{file} holds no certificate in PEM form") from None


def _check_pair(cert: Path, key: Path) -> None:
    def locked() -> str:
        raise NotDone(f"{key} is encrypted: give the key without its passphrase")

    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_cert_chain(cert, key, password=locked)
    except ssl.SSLError:
        raise NotDone(f"{cert} and {key} are no pair of certificate and key") from None


def _system_roots(context: ssl.SSLContext) -> bytes | None:
    """Return what the system trusts; gRPC by itself would take the list that it came with."""
    roots = context.get_ca_certs(binary_form=True)
    return "".join(map(ssl.DER_cert_to_PEM_cert, roots)).encode() or None


def _read(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        raise NotDone(f"cannot read {file}: {error.strerror}") from None
