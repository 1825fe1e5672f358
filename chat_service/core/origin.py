"""Where a connection comes from: the address of its far end, and the network that is counted."""

import re
from ipaddress import (
    IPv4Address,
    IPv4Network,
    IPv6Address,
    IPv6Network,
    ip_address,
    ip_network,
)
from typing import Final
from urllib.parse import unquote

from chat_service.core.errors import InvalidAddress

_SCHEMES: Final = ("ipv4", "ipv6")
_PEER: Final = re.compile(r"\[(?P<ipv6>[^\[\]]+)\](:\d+)?|(?P<ipv4>[\d.]+)(:\d+)?|(?P<plain>.*)")
_SITE_BITS: Final = 64
"""Of an IPv6 address: what one site has, which is free to choose the rest (RFC 6177)."""

_MAPPED: Final = IPv6Network("::ffff:0:0/96")
"""The addresses of IPv4, as IPv6 writes them (RFC 4291, section 2.5.5.2)."""


def parse_origin(peer: str) -> str:
    """Return the plain IP address of a peer, or "" where there is none, as of a Unix socket.

    Takes an address as a socket gives it and as gRPC does (`ipv4:127.0.0.1:41946`,
    `ipv6:%5B::1%5D:41946`), with or without a port. A port and a scope are left out, and an IPv4
    address in the clothes of IPv6 is one of IPv4.
    """
    scheme, colon, rest = peer.partition(":")
    match = _PEER.fullmatch(unquote(rest) if colon and scheme in _SCHEMES else peer)
    host = "" if match is None else match["ipv6"] or match["ipv4"] or match["plain"]
    try:
        return str(_plain(ip_address(host.partition("%")[0])))
    except ValueError:
        return ""


def parse_network(text: str) -> str:
    """Return the normal form of an address or a network; raises InvalidAddress.

    A network of IPv4 in the clothes of IPv6 is one of IPv4, as addresses are.
    """
    plain = text if "/" in text else parse_origin(text)
    try:
        return str(_plain_network(ip_network(plain.strip(), strict=False)))
    except ValueError:
        raise InvalidAddress(f"not an address or a network: {text[:64]!a}") from None


def is_address(text: str) -> bool:
    """Tell whether a text is an address or a network, and no port behind it."""
    try:
        ip_network(text, strict=False)
    except ValueError:
        return False
    return True


def network_of(address: str) -> str:
    """Return whom an address is counted for: itself, or of IPv6 its /64.

    `address` is as `parse_origin` returns it.
    """
    return str(ip_network((address, _SITE_BITS), strict=False)) if ":" in address else address


def _plain_network(network: IPv4Network | IPv6Network) -> IPv4Network | IPv6Network:
    if not isinstance(network, IPv6Network) or not network.subnet_of(_MAPPED):
        return network
    first = int(network.network_address) - int(_MAPPED.network_address)
    return IPv4Network((first, network.prefixlen - _MAPPED.prefixlen))


def _plain(address: IPv4Address | IPv6Address) -> IPv4Address | IPv6Address:
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return mapped or address
