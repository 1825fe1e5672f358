"""The gRPC channel to a server, and what it means that there is none."""

import re
from ipaddress import ip_address
from typing import Final
from urllib.parse import urlsplit

import grpc
import grpc.aio

from chat_client import tls
from chat_client.errors import TlsError, Unavailable

_OPTIONS: Final = (
    # Twice as patient as the server demands; it notices a dead peer within half a minute.
    ("grpc.keepalive_time_ms", 20_000),
    ("grpc.keepalive_timeout_ms", 10_000),
    ("grpc.http2.ping_timeout_ms", 10_000),  # else a minute, which decides
    ("grpc.keepalive_permit_without_calls", 0),
    ("grpc.http2.max_pings_without_data", 0),
    ("grpc.max_receive_message_length", 8 * 1024 * 1024),
    # Shared subchannels would share gRPC's own backoff, and our next try fail without trying.
    ("grpc.use_local_subchannel_pool", 1),
    ("grpc.enable_retries", 0),
)

# The schemes of gRPC's targets that name hosts, with a server to ask about names perhaps.
_SCHEME: Final = re.compile(r"(?:dns|ipv4|ipv6):(?://[^/]*/)?")


def check_secrecy(
    server: str, credentials: grpc.ChannelCredentials | None, *, insecure: bool
) -> None:
    """Raise TlsError where others could read a password or token on its way to a server.

    `insecure` lets it go there all the same.
    """
    if credentials is None and not insecure and not _is_local(server):
        raise TlsError(
            f"no password or token goes to {server} without TLS: connect by --tls or --ca FILE;"
            " --insecure sends it for everybody on the way to read"
        )


def _is_local(server: str) -> bool:
    """Tell whether a target is on this machine for sure."""
    if server.startswith(("unix:", "unix-abstract:")):
        return True
    return all(map(_is_loopback, _SCHEME.sub("", server, count=1).split(",")))


def _is_loopback(address: str) -> bool:
    try:
        host = urlsplit(f"//{address}").hostname or ""
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False


def open_channel(server: str, credentials: grpc.ChannelCredentials | None) -> grpc.aio.Channel:
    """Return a channel, which connects at the first call; plaintext without credentials."""
    if credentials:
        return grpc.aio.secure_channel(server, credentials, options=_OPTIONS)
    return grpc.aio.insecure_channel(server, options=_OPTIONS)


def unreachable(
    server: str, error: grpc.aio.AioRpcError, credentials: grpc.ChannelCredentials | None
) -> Unavailable:
    """Return what to raise of a call that no server has answered: one sentence for people."""
    details = error.details() or error.code().name.lower().replace("_", " ")
    if fault := tls.fault(server, details):
        return fault
    never_connected = details.startswith("failed to connect")
    reason = tls.hint(details, credentials) if never_connected else ""
    # Of a refused connection, gRPC tells every address and layer that it went through.
    reason = reason or details.rpartition("Failed to connect to remote host: ")[2]
    return Unavailable(f"cannot reach {server}: {reason}")
