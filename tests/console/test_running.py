"""What is asked of a running server, by its Admin service."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from chat_service.certificate import make_client_pair, make_server_pair
from tests.console.command import (
    ADMIN,
    ask,
    chat_server,
    complaint,
    guest,
    heard,
    order,
    rows,
    run,
    said,
)
from tests.processes import ServerProcess, StartServer


def test_the_first_admin_is_made_on_a_stopped_server_and_then_signs_in(
    server: ServerProcess,
) -> None:
    assert [row["user"] for row in rows(ask(server, "list", "--json"))] == ["root"]


def test_accounts_are_made_changed_and_removed_on_a_running_server(server: ServerProcess) -> None:
    assert said(ask(server, "add", "Ann")) == "added ann\n"
    assert said(ask(server, "admin", "ann")) == "ann is an admin now\n"
    assert said(ask(server, "password", "ann")) == "set the password of ann\n"
    assert {row["user"]: row["admin"] for row in rows(ask(server, "list", "--json"))} == {
        "ann": True,
        "root": True,
    }
    assert said(ask(server, "remove", "ann")) == "removed ann\n"
    assert [row["user"] for row in rows(ask(server, "list", "--json"))] == ["root"]


def test_a_ban_ends_the_connections_of_who_is_there(server: ServerProcess) -> None:
    with guest(server, "mallory") as lines:
        done = ask(server, "ban", "mallory", "--for", "2h", "--reason", "spam")
        assert said(done) == "banned mallory, and ended 1 connection\n"
        assert heard(lines, "you are banned from this server: spam")
    (row,) = rows(ask(server, "bans", "--json"))
    assert (row["subject"], row["by"], row["reason"]) == ("mallory", "root", "spam")
    assert said(ask(server, "unban", "mallory")) == "unbanned mallory\n"
    assert rows(ask(server, "bans", "--json")) == []
    again = complaint(ask(server, "unban", "mallory"))
    assert again == "there is no ban of mallory: chat-server user bans lists them"


def test_connections_are_listed_and_ended(server: ServerProcess) -> None:
    with guest(server, "ann") as ann, guest(server, "bob"):
        listed = rows(ask(server, "sessions", "--json"))
        assert [row["user"] for row in listed] == ["ann", "bob"]
        assert listed[0]["address"] == "127.0.0.1"
        (row,) = rows(ask(server, "sessions", "ann", "--json"))
        ended = ask(server, "end", "ann", "--session", row["session"], "--reason", "go home")
        assert said(ended) == "ended 1 connection of ann\n"
        assert heard(ann, "go home")
        assert [row["user"] for row in rows(ask(server, "sessions", "--json"))] == ["bob"]


def test_to_end_what_is_not_there_fails(server: ServerProcess) -> None:
    assert complaint(ask(server, "end", "nosuch")) == "nosuch has no connection"
    with guest(server, "ann"):
        done = ask(server, "end", "ann", "--session", "nosuch")
        assert complaint(done) == "ann has no such connection"


@pytest.mark.parametrize(
    "args", [("user", "sessions"), ("user", "end", "ann"), ("drain",), ("statistics",)]
)
def test_what_is_about_connections_takes_no_data_of_a_stopped_server(
    data: Path, args: tuple[str, ...]
) -> None:
    done = chat_server(*args, "--data", str(data))
    assert complaint(done) == "that takes a running server: --server HOST:PORT"
    assert "--data" not in said(chat_server(*args, "--help"))


def test_an_announcement_is_heard_by_everyone(server: ServerProcess) -> None:
    with guest(server, "ann") as lines:
        assert said(order(server, "announce", "maintenance at noon")) == "announced\n"
        assert heard(lines, "maintenance at noon")


def test_statistics_are_told(server: ServerProcess) -> None:
    (told,) = rows(order(server, "statistics", "--json"))
    assert (told["accounts"], told["users"]) == ("1", 0)
    shown = said(order(server, "statistics"))
    assert "version" in shown
    assert "nodes" not in shown  # of which there is one


async def test_draining_ends_the_server_as_sigterm_does(server: ServerProcess) -> None:
    assert said(order(server, "drain")) == f"{server.endpoints['grpc']} is shutting down\n"
    assert await server.exit_status() == 0


def test_each_command_signs_out_again(data: Path, server: ServerProcess) -> None:
    for _ in range(3):
        ask(server, "list")
    server.kill()
    with closing(sqlite3.connect(data / "chat.db")) as db:
        assert db.execute("SELECT count(*) FROM tokens").fetchone() == (0,)


def test_a_wrong_password_and_a_plain_account_are_refused(server: ServerProcess) -> None:
    said(ask(server, "add", "ann"))
    wrong = ask(server, "list", CHAT_ADMIN_PASSWORD="a wrong one")
    assert complaint(wrong) == "wrong name or password"
    plain = chat_server(
        "user", "list", "--server", server.endpoints["grpc"], "--as", "ann", **ADMIN
    )
    assert complaint(plain) == "only an admin of this server may do that"


def test_a_running_server_wants_to_know_who_asks(server: ServerProcess) -> None:
    done = chat_server("user", "list", "--server", server.endpoints["grpc"])
    assert complaint(done) == "say who you are: by --as ADMIN, --token-file FILE or CHAT_TOKEN"
    bad = chat_server("user", "list", "--server", server.endpoints["grpc"], CHAT_TOKEN="cst_no")
    assert complaint(bad) == "the token is not good, or no longer"


def test_no_password_or_token_goes_elsewhere_without_tls(server: ServerProcess) -> None:
    there = server.endpoints["grpc"].replace("127.0.0.1", "0.0.0.0")  # which leads here
    options = ("--server", there, "--as", "root")
    refused = (
        f"no password or token goes to {there} without TLS: connect by --tls or --ca FILE;"
        " --insecure sends it for everybody on the way to read"
    )
    assert complaint(chat_server("user", "list", *options)) == refused  # and asks for none
    assert complaint(chat_server("user", "list", *options, **ADMIN)) == refused
    assert "root" in said(chat_server("user", "list", *options, "--insecure", **ADMIN))


@pytest.mark.parametrize("token", ["cst_a\n", "cst_\xe9", "cst_\udce9"])
def test_what_no_token_can_be_is_told_without_it(server: ServerProcess, token: str) -> None:
    done = chat_server("user", "list", "--server", server.endpoints["grpc"], CHAT_TOKEN=token)
    assert "CHAT_TOKEN" in complaint(done)
    assert "cst_" not in done.stderr


@pytest.mark.parametrize(
    ("args", "what"),
    [
        (["add", "\udce9"], "name"),
        (["sessions", "\udce9"], "name"),
        (["end", "ann", "--reason", "\udce9"], "--reason"),
        (["end", "ann", "--session", "\udce9"], "--session"),
        (["ban", "ann", "--reason", "\udce9"], "--reason"),
        (["list", "--as", "\udce9"], "--as"),
    ],
)
def test_what_is_not_utf8_is_wrong_usage(args: list[str], what: str) -> None:
    reason = f"{what} (on the command line): not UTF-8"
    assert complaint(chat_server("user", *args, "--server", "127.0.0.1:1"), 2) == reason


def test_a_password_in_the_environment_that_is_not_utf8_is_told() -> None:
    done = chat_server("user", "add", "ann", "--server", "127.0.0.1:1", CHAT_PASSWORD="\udce9")
    assert complaint(done) == "what is in CHAT_PASSWORD is not UTF-8"


def test_by_tls_with_the_authority_of_the_server(
    data: Path, tmp_path: Path, server_process: StartServer
) -> None:
    directory = tmp_path / "cert"
    made = {file.name: str(file) for file in make_server_pair(directory, ["127.0.0.1"], 1)}
    run("add", "root", "--admin", data=data)
    server = server_process("--tls-cert", made["server.pem"], "--tls-key", made["server.key"])
    assert "root" in said(ask(server, "list", "--ca", made["ca.pem"]))
    assert "not trusted" in complaint(ask(server, "list", "--tls"))
    assert complaint(ask(server, "list")).startswith("cannot reach ")


def test_what_is_missing_in_tls_is_told_by_what_was_given(
    tmp_path: Path, server_process: StartServer
) -> None:
    own, foreign = tmp_path / "own", tmp_path / "foreign"
    for directory in (own, foreign):
        make_server_pair(directory, ["127.0.0.1"], 1)
        make_client_pair(directory, "root", 1)
    pair = ("--tls-cert", f"{own / 'server.pem'}", "--tls-key", f"{own / 'server.key'}")
    server = server_process(*pair, "--tls-client-ca", f"{own / 'ca.pem'}")
    ca = ("--ca", f"{own / 'ca.pem'}")
    stranger = (
        *("--cert", f"{foreign / 'client-root.pem'}"),
        *("--key", f"{foreign / 'client-root.key'}"),
    )
    for options, words in (
        ((), "does it take TLS (--tls, --ca)?"),
        (ca, "does it want a client certificate (--cert, --key)?"),
        ((*ca, *stranger), "is the certificate (--cert) of an authority that its --tls-client-ca"),
    ):
        assert f"it has hung up; {words}" in complaint(ask(server, "list", *options))


def test_files_that_tls_cannot_use_are_told(tmp_path: Path, server: ServerProcess) -> None:
    directory = tmp_path / "cert"
    made = {file.name: str(file) for file in make_server_pair(directory, ["127.0.0.1"], 1)}
    none, ca = str(tmp_path / "none.pem"), made["ca.pem"]
    cert, key, other = made["server.pem"], made["server.key"], made["ca.key"]
    for options, words in (
        (("--ca", none), f"cannot read {none}: No such file or directory"),
        (("--ca", key), f"{key}: not a certificate in PEM"),
        (
            ("--ca", ca, "--cert", cert),
            "a client certificate takes both --cert FILE and --key FILE",
        ),
        (
            ("--ca", ca, "--cert", cert, "--key", other),
            f"{cert} and {other}: not a certificate and its key in PEM, not encrypted",
        ),
    ):
        assert complaint(ask(server, "list", *options)) == words
