"""Who calls over gRPC, as far as the connection and the metadata tell, and by which certificate."""

from collections.abc import Callable
from typing import Final, NamedTuple

import grpc

from chat_service.auth.doorman import Certified, Origin
from chat_service.core.commands import Secret
from chat_service.core.origin import parse_origin
from chat_service.tls import Credentials, Tls, holder
from chat_service.transports.status import Context

_BEARER: Final = "bearer "


class Visitor(NamedTuple):
    """What a call says of its caller; see `Origin` for `certified`."""

    address: str
    certified: Certified | None
    bearer: Secret | None

    @property
    def origin(self) -> Origin:
        """Where it comes from, for those who look at credentials."""
        return Origin(self.address, certified=self.certified)


def visitor(context: Context, tls: Tls | None) -> Visitor:
    """Read who calls: once and at the start, since asking after the end of a call is unsafe."""
    return Visitor(parse_origin(context.peer()), _certified(context, tls), _bearer(context))


def _certified(context: Context, tls: Tls | None) -> Certified | None:
    """Return what the client's certificate says; None if none was asked for."""
    if tls is None or tls.credentials.client_ca is None:
        return None
    (shown,) = context.auth_context()["x509_pem_cert"]
    return Certified(*holder(shown))


def _bearer(context: Context) -> Secret | None:
    for key, value in context.invocation_metadata() or ():
        is_bearer = key == "authorization" and value[: len(_BEARER)].lower() == _BEARER
        if is_bearer and isinstance(value, str):
            return Secret(value[len(_BEARER) :].strip())
    return None


def server_credentials(tls: Tls) -> grpc.ServerCredentials:
    """Return what each handshake of the server goes by, now and when the certificate has changed.

    Grpc's ciphers are modern by default: ECDHE with AEAD, and TLS 1.2 at least.
    """
    return grpc.dynamic_ssl_server_credentials(
        _configuration(tls.credentials),
        _changes(tls),  # type: ignore[arg-type]  # None is no change, says grpc's documentation
        require_client_authentication=tls.credentials.client_ca is not None,
    )


def _changes(tls: Tls) -> Callable[[], grpc.ServerCertificateConfiguration | None]:
    """Return a function that gives what was loaded since it was last asked, None if nothing was.

    A thread of grpc's core asks before every handshake, so it has to be quick.
    """
    used = tls.credentials

    def changed() -> grpc.ServerCertificateConfiguration | None:
        nonlocal used
        if used is (now := tls.credentials):
            return None
        used = now
        return _configuration(now)

    return changed


def _configuration(credentials: Credentials) -> grpc.ServerCertificateConfiguration:
    return grpc.ssl_server_certificate_configuration(
        [(credentials.key, credentials.certificate)], credentials.client_ca
    )
