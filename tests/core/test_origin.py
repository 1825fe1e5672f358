"""Where a connection comes from, in every spelling that a transport has for it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chat_service.core.errors import InvalidAddress
from chat_service.core.origin import network_of, parse_network, parse_origin


@pytest.mark.parametrize(
    ("peer", "origin"),
    [
        ("127.0.0.1", "127.0.0.1"),
        ("127.0.0.1:7777", "127.0.0.1"),
        ("ipv4:127.0.0.1", "127.0.0.1"),
        ("ipv4:127.0.0.1:41946", "127.0.0.1"),
        ("::1", "::1"),
        ("[::1]:7777", "::1"),
        ("ipv6:%5B::1%5D", "::1"),
        ("ipv6:%5B::1%5D:41946", "::1"),
        ("ipv6:[::1]:41946", "::1"),
        ("2001:DB8:0::1", "2001:db8::1"),
        ("fe80::1%eth0", "fe80::1"),
        ("ipv6:%5Bfe80::1%25eth0%5D:41946", "fe80::1"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("ipv6:%5B::ffff:192.0.2.7%5D:41946", "192.0.2.7"),
    ],
)
def test_an_origin_is_the_plain_address_however_it_is_written(peer: str, origin: str) -> None:
    assert parse_origin(peer) == origin


@pytest.mark.parametrize(
    "peer", ["", "unix:", "unix:/run/chat.sock", "unknown", "ipv4:", "ipv6:[]", "1.2.3", "a\nb"]
)
def test_what_has_no_ip_address_has_no_origin(peer: str) -> None:
    assert parse_origin(peer) == ""


@pytest.mark.parametrize(
    ("text", "network"),
    [
        ("192.0.2.7", "192.0.2.7/32"),
        ("192.0.2.7/24", "192.0.2.0/24"),
        (" 2001:DB8::1/64 ", "2001:db8::/64"),
        ("::ffff:192.0.2.7", "192.0.2.7/32"),
        ("::ffff:10.0.0.0/104", "10.0.0.0/8"),
        ("::ffff:10.1.2.3/128", "10.1.2.3/32"),
        ("::ffff:0:0/96", "0.0.0.0/0"),
        ("::/0", "::/0"),  # which is all of IPv6 alone
    ],
)
def test_a_network_has_one_normal_form(text: str, network: str) -> None:
    assert parse_network(text) == network
    assert parse_network(network) == network


@pytest.mark.parametrize("text", ["", "ann", "10", "192.0.2.0/33", "::1/129", "1.2.3.4/a", "/"])
def test_what_is_no_network_is_refused(text: str) -> None:
    with pytest.raises(InvalidAddress, match="not an address or a network"):
        parse_network(text)


@given(st.text() | st.from_regex(r"(ipv[46]:)?[\[\]%0-9a-f:.]*"))
def test_whatever_a_peer_is_called_its_origin_is_an_origin_of_its_own(peer: str) -> None:
    origin = parse_origin(peer)
    assert parse_origin(origin) == origin
    network_of(origin)


@given(st.ip_addresses(), st.integers(0, 65_535))
def test_an_address_is_the_same_with_a_port_and_as_grpc_writes_it(address, port) -> None:  # type: ignore[no-untyped-def]
    host = f"[{address}]" if address.version == 6 else str(address)
    quoted = host.replace("[", "%5B").replace("]", "%5D")
    origin = parse_origin(str(address))
    assert origin == parse_origin(f"{host}:{port}")
    assert origin == parse_origin(f"ipv{address.version}:{quoted}:{port}")


@pytest.mark.parametrize(
    ("address", "network"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2::", "2001:db8:1:2::/64"),
        ("", ""),
    ],
)
def test_of_ipv6_a_whole_site_is_counted(address: str, network: str) -> None:
    assert network_of(address) == network
