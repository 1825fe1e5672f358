"""The gRPC channel to a running server: whom it trusts, and what it means that there is none.

`chat_client.tls` does the like for users, at more length. Neither may import the other: the client
is to be had without the server, and there is nothing else that both lean on but the contract.
"""

import ssl
from collections.abc import Callable
from pathlib import Path
from typing import Final, NamedTuple

import grpc
import grpc.aio

from chat_service.config import Endpoint
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
)
# A server that will not go on after, or without, a handshake just hangs up.
_HUNG_UP: Final = ("Socket closed", "Connection reset", "Broken pipe")


class Trust(NamedTuple):
    """What TLS goes by, in PEM files: authorities to trust, and what proves the caller."""

    tls: bool = False
    ca: Path | None = None
    cert: Path | None = None
    key: Path | None = None


def check_secrecy(address: str, trust: Trust) -> None:
    """Raise NotDone where others could read what an admin shows, on its way to a server."""
    if any(trust):
        return
    try:
        local = Endpoint.parse(address).is_local
    except ValueError:
        local = False
    if not local:
        raise NotDone(
            f"no password or token goes to {address} without TLS: connect by --tls or --ca FILE;"
            " --insecure sends it for everybody on the way to read"
        )


def open_channel(address: str, trust: Trust) -> grpc.aio.Channel:
    """Return a channel, by TLS if anything asks for it; raises NotDone for unfit files."""
    if not any(trust):
        return grpc.aio.insecure_channel(address)
    return grpc.aio.secure_channel(address, _credentials(trust))


def meaning(address: str, trust: Trust, error: grpc.aio.AioRpcError) -> str:
    """Return what to say of a call that failed."""
    details = error.details() or error.code().name.lower().replace("_", " ")
    for sign, advice in _FAULTS:
        if sign in details:
            return f"cannot reach {address}: {advice}"
    if any(sign in details for sign in _HUNG_UP):
        return f"cannot reach {address}: it has hung up; {_likely_fault(trust)}"
    match error.code():
        case grpc.StatusCode.UNIMPLEMENTED:
            return f"{address} takes no orders: is it a chat-server of this version?"
        case grpc.StatusCode.DEADLINE_EXCEEDED:
            return f"no answer from {address}"
        case grpc.StatusCode.UNAVAILABLE if "connect" in details:
            return f"cannot reach {address}: {details.rpartition(_REFUSED)[2]}"
        case _:
            return details


def _likely_fault(trust: Trust) -> str:
    """Return what may be wrong with TLS where a server hangs up at once."""
    if not any(trust):
        return "does it take TLS (--tls, --ca)?"
    if trust.cert is None:
        return "does it want a client certificate (--cert, --key)?"
    return "is the certificate (--cert) of an authority that its --tls-client-ca names?"


def _credentials(trust: Trust) -> grpc.ChannelCredentials:
    context = ssl.create_default_context()
    if (ca := trust.ca) is not None:
        _check(lambda: context.load_verify_locations(ca), f"{ca}", "a certificate in PEM")
    roots = _system_roots(context) if ca is None else ca.read_bytes()
    cert, key = trust.cert, trust.key
    if (cert is None) is not (key is None):
        raise NotDone("a client certificate takes both --cert FILE and --key FILE")
    if cert is None or key is None:
        return grpc.ssl_channel_credentials(roots)
    pair = "a certificate and its key in PEM, not encrypted"
    _check(lambda: context.load_cert_chain(cert, key, password=""), f"{cert} and {key}", pair)
    return grpc.ssl_channel_credentials(roots, key.read_bytes(), cert.read_bytes())


def _check(load: Callable[[], None], files: str, wanted: str) -> None:
    """Have Python's OpenSSL look first: gRPC would only fail to connect, and not say why."""
    try:
        load()
    except ssl.SSLError:
        raise NotDone(f"{files}: not {wanted}") from None
    except OSError as error:
        raise NotDone(f"cannot read {files}: {error.strerror}") from None


def _system_roots(context: ssl.SSLContext) -> bytes | None:
    """Return what the system trusts; gRPC by itself would take the list that it came with."""
    roots = context.get_ca_certs(binary_form=True)
    return "".join(map(ssl.DER_cert_to_PEM_cert, roots)).encode() or None
