"""The settings of a node that shares a log: what `--nats` takes, and what goes with it."""

import os
from pathlib import Path
from typing import Any

import pytest

from chat_service import cli, values
from chat_service.config import Config, InvalidSetting

URL = "nats://127.0.0.1:4222"


@pytest.fixture
def parse(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Parse a command line to the Config that it would serve."""
    for name in [it for it in os.environ if it.startswith("CHAT_")]:
        monkeypatch.delenv(name)
    served: list[Config] = []
    monkeypatch.setattr(cli, "serve", served.append)

    def parse_one(*arguments: str) -> Config:
        with pytest.raises(SystemExit) as exited:
            cli.main(arguments)
        assert not exited.value.code
        return served.pop()

    return parse_one


def test_a_server_has_a_log_of_its_own_by_default(parse: Any) -> None:
    config = parse()
    assert (config.nats, config.nats_stream, config.nats_replicas) == (None, "chat", None)


def test_all_of_it_is_set_by_flags(parse: Any) -> None:
    config = parse(
        *("--nats", f"{URL},tls://nats-2:4222, nats-3", "--nats-stream", "talk"),
        *("--nats-replicas", "1", "--nats-creds", "c", "--nats-ca", "a", "--nats-cert", "b"),
        *("--nats-key", "k"),
    )
    assert config.nats == (URL, "tls://nats-2:4222", "nats-3")
    assert (config.nats_stream, config.nats_replicas) == ("talk", 1)
    files = (config.nats_creds, config.nats_ca, config.nats_cert, config.nats_key)
    assert files == tuple(map(Path, "cabk"))


def test_a_password_comes_best_by_the_environment(
    parse: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CHAT_NATS", "nats://chat:s3cret@nats-1:4222")
    assert parse().nats == ("nats://chat:s3cret@nats-1:4222",)


@pytest.mark.parametrize("text", ["", ",", f"{URL},", "http://nats:80", "nats://a/b", "nats: //a"])
def test_what_is_no_url_of_nats_is_refused_without_repeating_it(text: str) -> None:
    with pytest.raises(ValueError, match=r"^not URLs of NATS servers such as nats://127\.0\.0\.1"):
        values.servers(text)


@pytest.mark.parametrize(
    ("settings", "fields", "reason"),
    [
        ({"nats_creds": Path("c")}, ("nats_creds",), "with --nats only"),
        ({"nats_ca": Path("c")}, ("nats_ca",), "with --nats only"),
        ({"nats": (URL,), "nats_cert": Path("c")}, ("nats_cert", "nats_key"), "go together"),
        ({"nats": (URL,), "nats_key": Path("c")}, ("nats_cert", "nats_key"), "go together"),
        ({"nats_stream": "my.chat"}, ("nats_stream",), "letters, digits, dashes and underscores"),
        ({"nats_stream": ""}, ("nats_stream",), "letters, digits, dashes and underscores"),
        ({"nats_replicas": 0}, ("nats_replicas",), "between 1 and 5"),
        ({"nats_replicas": 6}, ("nats_replicas",), "between 1 and 5"),
        ({"workers": 2}, ("workers",), "--nats"),
    ],
)
def test_what_is_at_odds_is_said_with_its_names(
    settings: dict[str, Any], fields: tuple[str, ...], reason: str
) -> None:
    with pytest.raises(InvalidSetting, match=reason) as refused:
        Config(**settings)
    assert refused.value.fields == fields
