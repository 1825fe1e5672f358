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
    assert str(config.web) == "127.0.0.1:8080"
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
        ("workers", 1),
        ("keepalive", 0.01),
        ("shutdown_deadline", 0.0),
        ("token_lifetime", 60.0),
        ("jwt_leeway", 0.0),
    ],
)
def test_a_number_has_a_least_value(field: str, least: float) -> None:
    fields: dict[str, Any] = {field: least}
    assert getattr(Config(**fields), field) == least
    fields[field] = least - 1
    with pytest.raises(InvalidSetting, match=f"^{field}: must be ") as refused:
        Config(**fields)
    assert refused.value.fields == (field,)


@pytest.mark.parametrize("name", ["n1", "chat-0.chat.svc", "a_b", "x" * 63])
def test_a_node_may_be_called_as_hosts_are(name: str) -> None:
    assert Config(node=name).node == name


@pytest.mark.parametrize("name", ["", "-n", "a b", "a/b", "n\n", "x" * 64])
def test_a_node_s_name_is_short_and_plain(name: str) -> None:
    with pytest.raises(InvalidSetting, match=r"^node: not a name of up to 63 letters"):
        Config(node=name)


@pytest.mark.parametrize(
    ("host", "name"), [("web-1.example", "web-1.example"), ("my host", "my-host"), ("", "node")]
)
def test_a_node_is_called_like_its_host(
    host: str, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("platform.node", lambda: host)
    assert Config().node == name


def test_several_workers_take_a_log_that_they_share() -> None:
    with pytest.raises(InvalidSetting, match="--nats") as refused:
        Config(workers=2)
    assert refused.value.fields == ("workers",)
    assert Config(workers=2, nats=("nats://127.0.0.1",)).workers == 2


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
    ("field", "value"),
    [
        ("log_level", "loud"),
        ("log_level", "INFO"),
        ("log_format", "xml"),
        ("auth", "ldap"),
        ("registration", "maybe"),
    ],
)
def test_a_choice_is_one_of_its_names(field: str, value: str) -> None:
    fields: dict[str, Any] = {field: value}
    with pytest.raises(InvalidSetting, match=f"^{field}: must be one of .*, not '{value}'$"):
        Config(**fields)


def test_at_least_one_listener_is_on() -> None:
    with pytest.raises(InvalidSetting, match=r"^grpc, tcp, web: at least one listener has to be"):
        Config(grpc=None, tcp=None, web=None)


def test_two_listeners_cannot_share_a_port() -> None:
    with pytest.raises(InvalidSetting, match=r"^grpc, tcp: grpc and tcp cannot share port 7777$"):
        Config(grpc=Endpoint("0.0.0.0", 7777))
    with pytest.raises(InvalidSetting, match=r"^tcp, web: tcp and web cannot share port 7777$"):
        Config(web=Endpoint("127.0.0.1", 7777))


# --- who can reach it ---

PAIR: dict[str, Any] = {"tls_cert": Path("server.pem"), "tls_key": Path("server.key")}


@pytest.mark.parametrize("field", ["tls_cert", "tls_key"])
def test_a_certificate_and_its_key_go_together(field: str) -> None:
    fields: dict[str, Any] = {field: Path("one")}
    with pytest.raises(InvalidSetting, match=r"set both --tls-cert and --tls-key$"):
        Config(**fields)
    assert Config(**PAIR).tls_key == Path("server.key")


def test_client_certificates_take_tls() -> None:
    with pytest.raises(InvalidSetting, match=r"^tls_client_ca: clients show certificates"):
        Config(tls_client_ca=Path("ca.pem"))
    Config(**PAIR, tls_client_ca=Path("ca.pem"))


@pytest.mark.parametrize(
    "host", ["localhost", "LOCALHOST", "127.0.0.1", "127.255.1.2", "::1", "::1%lo"]
)
def test_this_machine_alone_is_served_as_it_comes(host: str) -> None:
    assert Endpoint(host, 7777).is_local
    Config(tcp=Endpoint(host, 7777))


@pytest.mark.parametrize(
    "host",
    "0.0.0.0 :: 192.0.2.1 126.0.0.1 fe80::1%eth0 chat.example.org localhost.org 127.1 0".split(),
)
@pytest.mark.parametrize("field", ["grpc", "tcp"])
def test_what_other_machines_can_reach_takes_tls_and_accounts(field: str, host: str) -> None:
    fields: dict[str, Any] = {field: Endpoint(host, 1)}
    with pytest.raises(InvalidSetting, match=r"takes TLS .* and accounts .*--insecure") as no:
        Config(**fields)
    assert no.value.fields == (field,)
    with pytest.raises(InvalidSetting, match=r"which takes accounts \(--auth registered or token"):
        Config(**fields, **PAIR)
    with pytest.raises(InvalidSetting, match=r"which takes TLS \([^()]*\); --insecure"):
        Config(**fields, auth="registered")
    assert Config(**fields, **PAIR, auth="registered")
    assert Config(**fields, insecure=True)


def test_two_listeners_may_each_take_a_free_port() -> None:
    config = Config(grpc=Endpoint("127.0.0.1", 0), tcp=Endpoint("127.0.0.1", 0))
    assert config.grpc == config.tcp


# --- who may come in ---

KEYS = ["jwt_secret", "jwt_public_key", "jwt_jwks"]


@pytest.mark.parametrize("field", KEYS)
def test_signed_tokens_take_exactly_one_key(field: str) -> None:
    fields: dict[str, Any] = {"auth": "token", field: Path("key")}
    assert getattr(Config(**fields), field) == Path("key")
    for other in set(KEYS) - {field}:
        with pytest.raises(InvalidSetting, match="one key is enough: set only one of") as refused:
            Config(**{**fields, other: Path("other")})
        assert set(refused.value.fields) == {field, other}


def test_without_a_key_there_are_no_signed_tokens() -> None:
    with pytest.raises(InvalidSetting, match=r"^auth: signed tokens take a key .*: set one of --"):
        Config(auth="token")


@pytest.mark.parametrize("auth", ["open", "registered"])
@pytest.mark.parametrize("field", [*KEYS, "jwt_issuer", "jwt_audience", "jwt_max_age"])
def test_where_signed_tokens_are_not_asked_for_nothing_about_them_is_set(
    auth: str, field: str
) -> None:
    fields: dict[str, Any] = {"auth": auth, field: Path("key") if field in KEYS else "name"}
    with pytest.raises(InvalidSetting, match=f"^{field}: .* set --auth token as well$"):
        Config(**fields)


def test_a_signed_token_may_be_a_second_old_at_least() -> None:
    fields: dict[str, Any] = {"auth": "token", "jwt_secret": Path("secret")}
    assert Config(jwt_max_age=1.0, **fields).jwt_max_age == 1.0
    with pytest.raises(InvalidSetting, match=r"^jwt_max_age: must be between 1 and"):
        Config(jwt_max_age=0.0, **fields)


@pytest.mark.parametrize("field", ["jwt_issuer", "jwt_audience", "jwt_name_claim"])
def test_what_a_signed_token_must_say_is_not_nothing(field: str) -> None:
    fields: dict[str, Any] = {field: ""}
    with pytest.raises(InvalidSetting, match=f"^{field}: cannot be empty$"):
        Config(auth="token", jwt_secret=Path("secret"), **fields)


def test_a_login_is_good_for_a_month_by_default() -> None:
    assert Config().token_lifetime == 30 * 86_400
