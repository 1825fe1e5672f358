import dataclasses
import math
from pathlib import Path
from typing import Any

import pytest

from chat_service.config import MIB, Config, Endpoint, InvalidSetting


@pytest.mark.parametrize(
    ("text", "endpoint"),
    [
        ("127.0.0.1:50051", Endpoint("127.0.0.1", 50051)),
        ("localhost:0", Endpoint("localhost", 0)),
        ("chat-1.example.org:65535", Endpoint("chat-1.example.org", 65535)),
        ("[::1]:7777", Endpoint("::1", 7777)),
        ("[fe80::1%eth0]:7777", Endpoint("fe80::1%eth0", 7777)),
    ],
)
def test_an_endpoint_is_read_and_written_alike(text: str, endpoint: Endpoint) -> None:
    assert Endpoint.parse(text) == endpoint
    assert str(endpoint) == text


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (":8080", "no host in ':8080': write 127.0.0.1:8080, or 0.0.0.0:8080"),
        ("8080", "no host in '8080': write 127.0.0.1:8080, or 0.0.0.0:8080"),
        ("nonsense", "not HOST:PORT: 'nonsense'"),
        ("", "not HOST:PORT: ''"),
        (":", "not HOST:PORT: ':'"),
        ("host:", "not HOST:PORT: 'host:'"),
        ("host:http", "not HOST:PORT: 'host:http'"),
        ("host:-1", "not HOST:PORT: 'host:-1'"),
        ("host: 80", "not HOST:PORT: 'host: 80'"),
        ("host:٨٠", "not HOST:PORT: 'host:٨٠'"),
        ("http://host:80", "not HOST:PORT: 'http://host:80'"),
        ("[127.0.0.1]:80", r"not HOST:PORT: '\[127.0.0.1\]:80'"),
        ("::1:80", r"an IPv6 address needs brackets, as in \[::1\]:7777: '::1:80'"),
        ("::1", r"an IPv6 address needs brackets, as in \[::1\]:7777: '::1'"),
        ("[::g]:80", "host: not a host name or IP address: '::g'"),
        ("[fe80::1%a b]:80", "host: not a host name or IP address: 'fe80::1%a b'"),
        ("a b:80", "host: not a host name or IP address: 'a b'"),
        ("a\nb:80", r"host: not a host name or IP address: 'a\\nb'"),
        ("host:80\n", r"not HOST:PORT: 'host:80\\n'"),
        ("host:65536", "port: not between 0 and 65535: 65536"),
    ],
)
def test_what_is_no_endpoint_is_refused_with_a_sentence(text: str, reason: str) -> None:
    with pytest.raises(ValueError, match=f"^{reason}"):
        Endpoint.parse(text)


@pytest.mark.parametrize(("host", "port"), [("", 80), ("a b", 80), ("host", -1), ("host", 65536)])
def test_an_endpoint_that_could_not_listen_cannot_be_made(host: str, port: int) -> None:
    with pytest.raises(InvalidSetting):
        Endpoint(host, port)


def test_the_defaults_are_local_and_on_disk() -> None:
    config = Config()
    assert str(config.grpc) == "127.0.0.1:50051"
    assert str(config.tcp) == "127.0.0.1:7777"
    assert config.data == Path("chat-data")


def test_a_config_cannot_be_changed() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        Config().data = None  # type: ignore[misc]


@pytest.mark.parametrize(
    ("field", "least"),
    [
        ("outbox_events", 64),
        ("outbox_bytes", MIB),
        ("presence_limit", 0),
        ("max_sessions", 1),
        ("keepalive", 0.01),
        ("shutdown_deadline", 0.0),
    ],
)
def test_a_number_has_a_least_value(field: str, least: float) -> None:
    fields: dict[str, Any] = {field: least}
    assert getattr(Config(**fields), field) == least
    fields[field] = least - 1
    with pytest.raises(InvalidSetting, match=f"^{field}: must be ") as refused:
        Config(**fields)
    assert refused.value.fields == (field,)


@pytest.mark.parametrize("field", ["keepalive", "shutdown_deadline"])
@pytest.mark.parametrize("seconds", [math.nan, math.inf, 86_401.0])
def test_a_duration_is_at_most_a_day(field: str, seconds: float) -> None:
    fields: dict[str, Any] = {field: seconds}
    with pytest.raises(InvalidSetting, match=f"^{field}: must be between .* and 86400 seconds"):
        Config(**fields)


def test_a_presence_limit_fits_the_contract() -> None:
    with pytest.raises(InvalidSetting, match=r"^presence_limit: must be between 0 and 4294967295"):
        Config(presence_limit=2**32)


@pytest.mark.parametrize(
    ("field", "value"), [("log_level", "loud"), ("log_level", "INFO"), ("log_format", "xml")]
)
def test_a_choice_is_one_of_its_names(field: str, value: str) -> None:
    fields: dict[str, Any] = {field: value}
    with pytest.raises(InvalidSetting, match=f"^{field}: must be one of .*, not '{value}'$"):
        Config(**fields)


def test_at_least_one_listener_is_on() -> None:
    with pytest.raises(InvalidSetting, match=r"^grpc, tcp: at least one listener has to be on$"):
        Config(grpc=None, tcp=None)


def test_two_listeners_cannot_share_a_port() -> None:
    with pytest.raises(InvalidSetting, match=r"^grpc, tcp: grpc and tcp cannot share port 7777$"):
        Config(grpc=Endpoint("0.0.0.0", 7777))


def test_two_listeners_may_each_take_a_free_port() -> None:
    config = Config(grpc=Endpoint("127.0.0.1", 0), tcp=Endpoint("127.0.0.1", 0))
    assert config.grpc == config.tcp
