import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from chat_service import __version__, cli
from chat_service.config import MIB, Config, Endpoint

# A node that tells what it was given, for as long as it takes to run.
FAKE_NODE = """
import asyncio, sys, types
from chat_service import cli, logs
from chat_service.startup import StartupError

class Node:
    def __init__(self, config):
        self.config = config

    async def run(self):
        {body}

sys.modules["chat_service.node"] = types.ModuleType("chat_service.node")
sys.modules["chat_service.node"].Node = Node
cli.main()
"""


@pytest.fixture(autouse=True)
def _clean(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Leave this process's environment and directory out of it."""
    for name in [*os.environ]:
        if name.startswith("CHAT_"):
            monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def parse(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Parse a command line to the Config that it would serve."""
    served: list[Config] = []
    monkeypatch.setattr(cli, "serve", served.append)

    def run(*args: str) -> Config:
        with pytest.raises(SystemExit) as exited:
            cli.main(args)
        assert not exited.value.code
        return served.pop()

    return run


def run(*command: str, **env: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *command],
        env=os.environ | env,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def chat_server(*args: str, **env: str) -> subprocess.CompletedProcess[str]:
    return run("-m", "chat_service", *args, **env)


def with_node(body: str, *args: str) -> subprocess.CompletedProcess[str]:
    return run("-c", FAKE_NODE.format(body=body), *args)


def complaint(done: subprocess.CompletedProcess[str], status: int = 2) -> str:
    """Return the one line that a failure leaves on stderr."""
    assert done.returncode == status, done.stderr
    assert done.stdout == ""
    line, end, rest = done.stderr.partition("\n")
    assert (end, rest) == ("\n", "")
    return line.removeprefix("chat-server: ")


# --- what a setting can be ---


def test_without_arguments_the_defaults_are_served(parse: Any) -> None:
    assert parse() == Config()


@pytest.mark.parametrize(
    ("args", "field", "value"),
    [
        (["--grpc", "[::]:50051", "--insecure"], "grpc", Endpoint("::", 50051)),
        (["--grpc", "off"], "grpc", None),
        (["--tcp", "off", "--web", "off"], "tcp", None),
        (["--web", "127.0.0.1:80"], "web", Endpoint("127.0.0.1", 80)),
        (["--web-origin", "https://a.example"], "web_origin", ("https://a.example",)),
        (["--web-origin", "http://a:1, http://b"], "web_origin", ("http://a:1", "http://b")),
        (["--data", "/var/lib/chat"], "data", Path("/var/lib/chat")),
        (["--data", ":memory:"], "data", None),
        (["--presence-limit", "0"], "presence_limit", 0),
        (["--outbox-events", "64"], "outbox_events", 64),
        (["--outbox-bytes", "1048576"], "outbox_bytes", MIB),
        (["--outbox-bytes", "2048KiB"], "outbox_bytes", 2 * MIB),
        (["--outbox-bytes", "3 mib"], "outbox_bytes", 3 * MIB),
        (["--outbox-bytes", "1GiB"], "outbox_bytes", 1024 * MIB),
        (["--max-sessions", "1"], "max_sessions", 1),
        (["--node", "n1"], "node", "n1"),
        (["--workers", "1"], "workers", 1),
        (["--keepalive", "0.5"], "keepalive", 0.5),
        (["--insecure"], "insecure", True),
        (["--tls-cert", "a.pem", "--tls-key", "a.key"], "tls_key", Path("a.key")),
        (["--shutdown-deadline=0"], "shutdown_deadline", 0),
        (["--log-level", "DEBUG"], "log_level", "debug"),
        (["--log-format", "json"], "log_format", "json"),
        (["--auth", "registered"], "auth", "registered"),
        (["--registration", "closed"], "registration", "closed"),
        (["--token-lifetime", "12h"], "token_lifetime", 43_200.0),
        (["--token-lifetime", "3600"], "token_lifetime", 3_600.0),
        (["--auth", "token", "--jwt-jwks", "k.json"], "jwt_jwks", Path("k.json")),
        (["--auth", "token", "--jwt-secret", "k", "--jwt-issuer", "me"], "jwt_issuer", "me"),
        (["--auth=token", "--jwt-public-key=k", "--jwt-name-claim=n"], "jwt_name_claim", "n"),
        (["--auth=token", "--jwt-secret=k", "--jwt-max-age=12h"], "jwt_max_age", 43_200.0),
        (["--auth=token", "--jwt-secret=k"], "jwt_max_age", None),
        (["--auth=token", "--jwt-secret=k", "--jwt-leeway=2.5"], "jwt_leeway", 2.5),
    ],
)
def test_a_flag_sets_its_field(parse: Any, args: list[str], field: str, value: object) -> None:
    assert getattr(parse(*args), field) == value


def test_every_field_has_a_flag_and_a_variable() -> None:
    named = {param.name for param in cli.cli.params}
    assert named >= set(Config.__dataclass_fields__)


# --- where it comes from ---


def test_a_flag_wins_over_the_environment_over_the_file(
    parse: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    Path("chat.toml").write_text('tcp = "127.0.0.1:1"\ngrpc = "127.0.0.1:2"\noutbox-events = 100\n')
    monkeypatch.setenv("CHAT_CONFIG", "chat.toml")
    monkeypatch.setenv("CHAT_TCP", "127.0.0.1:3")
    monkeypatch.setenv("CHAT_GRPC", "127.0.0.1:4")
    assert parse("--grpc", "127.0.0.1:5") == Config(
        grpc=Endpoint("127.0.0.1", 5),
        tcp=Endpoint("127.0.0.1", 3),
        outbox_events=100,
    )


def test_the_file_of_a_flag_wins_over_that_of_the_environment(
    parse: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    Path("flag.toml").write_text("presence_limit = 1")
    Path("environment.toml").write_text("presence_limit = 2")
    monkeypatch.setenv("CHAT_CONFIG", "environment.toml")
    assert parse("--config", "flag.toml").presence_limit == 1


def test_an_empty_variable_is_as_good_as_none(parse: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CHAT_TCP", "")
    assert parse() == Config()


def test_variables_that_mean_something_to_others_are_left_alone(
    parse: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CHAT_VERSION", "1.2.3")
    monkeypatch.setenv("CHAT_HELP", "1")
    assert parse() == Config()


def test_a_file_takes_dashes_underscores_and_numbers(parse: Any) -> None:
    Path("chat.toml").write_text(
        'max-sessions = 7\nlog_level = "debug"\nkeepalive = 2\noutbox_bytes = "2MiB"\nweb = "off"\n'
    )
    assert parse("--config", "chat.toml") == Config(
        max_sessions=7, log_level="debug", keepalive=2.0, outbox_bytes=2 * MIB, web=None
    )


# --- what is refused ---


@pytest.mark.parametrize(
    ("args", "reason"),
    [
        (["--tcp", "nonsense"], "not HOST:PORT: 'nonsense'"),
        (["--tcp", "a\nb"], r"not HOST:PORT: 'a\nb'"),
        (
            ["--tcp", ":80"],
            "no host in ':80': write 127.0.0.1:80, or 0.0.0.0:80 for",
        ),
        (["--web", "8080"], "no host in '8080': write 127.0.0.1:8080, or 0.0.0.0:8080 for"),
        (["--web-origin", "chat.example"], "not an origin such as https://chat.example"),
        (["--data", ""], "not a directory: ''"),
        (["--presence-limit", "-1"], "not a whole number: '-1'"),
        (["--max-sessions", "many"], "not a whole number: 'many'"),
        (["--outbox-events", "1"], "must be at least 64 events, not 1"),
        (["--outbox-bytes", "4MB"], "not a size such as 4MiB, 512KiB or 1048576: '4MB'"),
        (["--outbox-bytes", "1KiB"], "must be at least 1048576 bytes, not 1024"),
        (["--keepalive", "soon"], "not a number of seconds: 'soon'"),
        (["--keepalive", "nan"], "must be between 0.01 and 86400 seconds, not nan"),
        (["--log-level", "loud"], "'loud' is not one of 'debug', 'info',"),
        (["--auth", "ldap"], "'ldap' is not one of 'open', 'registered', 'token'"),
        (["--auth", "token"], "signed tokens take a key to verify them with: set one of --jwt-"),
        (["--jwt-secret", "k"], "signed tokens are not what this server asks for: set --auth"),
        (["--jwt-max-age", "12h"], "signed tokens are not what this server asks for: set --auth"),
        (["--jwt-max-age", "soon"], "not a time such as 30d, 12h or 3600: 'soon'"),
        (["--jwt-leeway", "2h"], "not a number of seconds: '2h'"),
        (["--jwt-leeway", "3601"], "must be between 0 and 3600 seconds, not 3601.0"),
        (["--jwt-secret", "a", "--jwt-jwks", "b"], "one key is enough: set only one of --jwt-"),
        (["--token-lifetime", "soon"], "not a time such as 30d, 12h or 3600: 'soon'"),
        (["--token-lifetime", "1s"], "must be between 60 and 316224000 seconds, not 1.0"),
        (["--tls-cert", ""], "not a file: ''"),
        (["--tls-cert", "a.pem"], "a certificate and its key go together: set both --tls-cert and"),
        (["--tls-client-ca", "a.pem"], "clients show certificates over TLS only: set --tls-cert"),
        (["--config", "none.toml"], "cannot read none.toml: No such file or directory"),
        (["--config", "."], "cannot read .: Is a directory"),
    ],
)
def test_a_bad_flag_names_itself(args: list[str], reason: str) -> None:
    line = complaint(chat_server(*args))
    assert line.startswith(f"{args[0]} (on the command line): {reason}")


def test_a_bad_variable_names_itself() -> None:
    done = chat_server(CHAT_OUTBOX_BYTES="lots")
    assert complaint(done).startswith(
        "--outbox-bytes (from CHAT_OUTBOX_BYTES in the environment): not a size"
    )


@pytest.mark.parametrize(
    ("toml", "reason"),
    [
        ('tcp = "nonsense"', "tcp (in chat.toml): not HOST:PORT: 'nonsense'"),
        ("tcp = 7777", "tcp (in chat.toml): no host in '7777': write 127.0.0.1:7777,"),
        ("tcp = false", "tcp (in chat.toml): neither a string nor a number: False"),
        ("[tcp]\nport = 1", "tcp (in chat.toml): neither a string nor a number: {'port': 1}"),
        ("outbox-events = 70.5", "outbox_events (in chat.toml): not a whole number: '70.5'"),
        ("outbox-bytes = 1", "outbox_bytes (in chat.toml): must be at least 1048576 bytes, not 1"),
        ('data = "a\\u0000b"', r"data (in chat.toml): not a directory: 'a\x00b'"),
        ("log-level = [1]", "log_level (in chat.toml): [1] is not one of 'debug'"),
        ("tpc = 1", "tpc (in chat.toml): no such setting; did you mean tcp?"),
        ("log-lever = 1", "log-lever (in chat.toml): no such setting; did you mean log_level?"),
        ("zebra = 1", "zebra (in chat.toml): no such setting"),
        ('"a\\nb" = 1', r"a\nb (in chat.toml): no such setting"),
        ('config = "x"', "config (in chat.toml): no such setting"),
        ("version = true", "version (in chat.toml): no such setting"),
        ("worker = 4", "worker (in chat.toml): no such setting; did you mean workers?"),
        ("insecure = 1", "insecure (in chat.toml): neither true nor false: 1"),
        ("insecure = []", "insecure (in chat.toml): neither true nor false: []"),
        ("log-level = 1\nlog_level = 1", "log_level (in chat.toml): set twice"),
    ],
)
def test_a_bad_key_names_itself_and_its_file(toml: str, reason: str) -> None:
    Path("chat.toml").write_text(toml)
    assert complaint(chat_server("--config", "chat.toml")).startswith(reason)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"\n\ntcp = \n", r"chat.toml is not TOML: .* \(at line 3, column 7\)"),
        (b"tcp = 1\ntcp = 2\n", r"chat.toml is not TOML: .* \(at line 2, column 8\)"),
        (b"# fine\ndata = '\xff'\n", r"chat.toml is not UTF-8 \(at line 2\)"),
    ],
)
def test_a_broken_file_names_the_line(content: bytes, reason: str) -> None:
    Path("chat.toml").write_bytes(content)
    line = complaint(chat_server(CHAT_CONFIG="chat.toml"))
    source = re.escape("--config (from CHAT_CONFIG in the environment): ")
    assert re.fullmatch(source + reason, line)


def test_settings_at_odds_blame_the_one_that_was_chosen() -> None:
    done = chat_server("--grpc", "127.0.0.1:7777")
    assert complaint(done) == "--grpc (on the command line): grpc and tcp cannot share port 7777"


def test_without_any_listener_there_is_nothing_to_serve() -> None:
    done = chat_server("--tcp", "off", "--web", "off", CHAT_GRPC="off")
    assert complaint(done) == "--tcp (on the command line): at least one listener has to be on"


@pytest.mark.parametrize(
    ("args", "reason"),
    [
        (["--tcq", "off"], "No such option"),
        (["--tcp"], "Option '--tcp' requires an argument"),
        (["serve"], "No such command 'serve'"),
        (["a\nb"], r"No such command 'a\nb'"),
        (["user"], "Missing command."),
        (["user", "add"], "Missing argument 'NAME'."),
        (["backup"], "Missing argument 'FILE'."),
    ],
)
def test_what_is_no_setting_is_refused_in_one_line(args: list[str], reason: str) -> None:
    assert complaint(chat_server(*args)).startswith(reason)


@pytest.mark.parametrize("source", ["flag", "environment", "file"])
def test_beyond_this_machine_a_decision_is_asked_for(source: str) -> None:
    Path("chat.toml").write_text('tcp = "0.0.0.0:7777"')
    done = {
        "flag": lambda: chat_server("--tcp", "0.0.0.0:7777"),
        "environment": lambda: chat_server(CHAT_TCP="0.0.0.0:7777"),
        "file": lambda: chat_server("--config", "chat.toml"),
    }[source]()
    assert complaint(done).partition(": ")[2] == (
        "other machines can reach 0.0.0.0:7777, which takes TLS (--tls-cert, --tls-key;"
        " `chat-server cert` makes a pair) and accounts (--auth registered or token);"
        " --insecure serves them without"
    )


def test_a_file_may_decide_as_well(parse: Any) -> None:
    Path("chat.toml").write_text('tcp = "0.0.0.0:7777"\ninsecure = true')
    assert parse("--config", "chat.toml").insecure


# --- what is said ---


def test_the_version_is_told() -> None:
    done = chat_server("--version")
    assert (done.returncode, done.stdout) == (0, f"chat-server {__version__}\n")


def test_help_tells_each_flag_its_variable_and_default() -> None:
    done = chat_server("--help", COLUMNS="200")
    assert done.returncode == 0
    assert done.stderr == ""
    text = " ".join(done.stdout.split())
    assert text.startswith("Usage: chat-server [OPTIONS] [COMMAND] Serve the chat")
    assert "[env var: CHAT_TCP; default: 127.0.0.1:7777]" in text
    assert "[env var: CHAT_OUTBOX_BYTES; default: 4MiB]" in text
    assert "[env var: CHAT_DATA; default: ./chat-data]" in text
    assert "[env var: CHAT_CONFIG]" in text
    assert "CHAT_VERSION" not in text
    assert "Examples:" in text


def test_a_command_line_is_parsed_without_importing_the_server() -> None:
    heavy = "{'grpc', 'apsw', 'asyncio', 'cryptography', 'structlog', 'chat_service.node'}"
    done = run(
        "-c",
        "import sys\n"
        "from chat_service import cli\n"
        f"cli.serve = lambda _: print({heavy} & set(sys.modules))\n"
        "cli.main()",
    )
    assert (done.stdout, done.stderr) == ("set()\n", "")


# --- serving ---


def test_the_node_runs_with_the_config_on_uvloop() -> None:
    done = with_node("print(self.config.tcp, type(asyncio.get_running_loop()).__module__)")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == "127.0.0.1:7777 uvloop\n"


def test_without_uvloop_asyncio_does() -> None:
    script = "import sys\nsys.modules['uvloop'] = None\n" + FAKE_NODE.format(
        body="print(type(asyncio.get_running_loop()).__module__)"
    )
    done = run("-c", script)
    assert (done.returncode, done.stdout) == (0, "asyncio.unix_events\n")


def test_a_node_that_cannot_start_leaves_one_line_and_status_1() -> None:
    done = with_node("raise StartupError('port 7777 is\\nin use')")
    assert complaint(done, 1) == r"port 7777 is\nin use"


def test_logs_go_to_stderr_as_chosen() -> None:
    body = "logs.get('here').debug('begun', user='bob')"
    done = with_node(body, "--log-level", "debug", "--log-format", "json")
    assert done.stdout == ""
    assert '"event": "begun"' in done.stderr


def test_an_interrupt_before_the_node_takes_care_of_it_leaves_no_traceback() -> None:
    done = with_node("raise KeyboardInterrupt")
    assert done.returncode == 130
    assert "Traceback" not in done.stderr
