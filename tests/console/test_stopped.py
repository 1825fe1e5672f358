"""Accounts and bans in the data of a stopped server."""

import socket
from contextlib import closing
from pathlib import Path

import pytest

from tests.console.command import admins, chat_server, complaint, guest, heard, rows, run, said
from tests.processes import ServerProcess, StartServer


def test_accounts_are_made_changed_and_removed_on_a_stopped_server(data: Path) -> None:
    assert said(run("add", "Ann", data=data)) == "added ann\n"
    assert said(run("add", "root", "--admin", data=data)) == "added root, an admin\n"
    assert admins(data) == {"ann": False, "root": True}
    assert said(run("admin", "ann", data=data)) == "ann is an admin now\n"
    assert said(run("admin", "root", "--revoke", data=data)) == "root is no admin now\n"
    assert admins(data) == {"ann": True, "root": False}
    assert said(run("password", "ann", data=data)) == "set the password of ann\n"
    assert said(run("remove", "root", data=data)) == "removed root\n"
    assert admins(data) == {"ann": True}


def test_a_list_is_columns_under_a_heading(data: Path) -> None:
    run("add", "ann", data=data)
    run("add", "bartholomew", "--admin", data=data)
    heading, *lines = [line.split() for line in said(run("list", data=data)).splitlines()]
    assert heading == ["USER", "ADMIN", "PASSWORD", "CREATED"]
    assert [line[:3] for line in lines] == [["ann", "no", "yes"], ["bartholomew", "yes", "yes"]]


def test_bans_are_set_listed_and_taken_back_on_a_stopped_server(data: Path) -> None:
    run("add", "ann", data=data)
    assert said(run("ban", "Mallory", "--reason", "spam\x1b[2J", data=data)) == "banned Mallory\n"
    run("ban", "192.0.2.7", "--for", "2h", data=data)
    run("ban", "2001:db8::1/32", data=data)
    listed = rows(run("bans", "--json", data=data))
    assert [row["subject"] for row in listed] == ["192.0.2.7/32", "2001:db8::/32", "mallory"]
    assert [row["until"] is None for row in listed] == [False, True, True]
    shown = said(run("bans", data=data))
    assert r"spam\x1b[2J" in shown
    missing = complaint(run("unban", "mallroy", data=data))
    assert missing == "there is no ban of mallroy: chat-server user bans lists them"
    for subject in ("MALLORY", "192.0.2.7", "2001:db8::/32"):
        assert said(run("unban", subject, data=data)) == f"unbanned {subject}\n"
    assert rows(run("bans", "--json", data=data)) == []


def test_who_was_banned_on_a_stopped_server_is_not_let_in_later(
    data: Path, server_process: StartServer
) -> None:
    run("add", "root", "--admin", data=data)
    run("ban", "mallory", "--reason", "spam", data=data)
    host, port = server_process().endpoints["tcp"].rsplit(":", 1)
    with socket.create_connection((host, int(port)), timeout=10) as connection:
        connection.sendall(b"mallory\n")
        with closing(connection.makefile("r")) as lines:
            assert heard(lines, "you are banned from this server: spam")


def test_the_setting_of_the_server_says_where_its_data_is(data: Path, tmp_path: Path) -> None:
    run("add", "ann", data=data)
    settings = tmp_path / "chat.toml"
    settings.write_text(f'data = "{data}"\n')
    for done in (
        chat_server("--data", str(data), "user", "list"),
        chat_server("--config", str(settings), "user", "list"),
        chat_server("user", "list", CHAT_DATA=str(data)),
    ):
        assert "ann" in said(done)


def test_what_the_first_account_makes_is_for_its_owner_alone(data: Path) -> None:
    data.mkdir(mode=0o755)  # as whoever installs a service may have made it
    run("add", "ann", data=data)
    assert (data / "chat.db").stat().st_mode & 0o777 == 0o600


def test_a_name_that_a_guest_had_when_the_server_was_killed_can_be_given_away(
    data: Path, server_process: StartServer
) -> None:
    server = server_process()
    with guest(server, "ann"):
        server.kill()
    assert said(run("add", "ann", data=data)) == "added ann\n"


# --- what cannot be done, in one line ---


@pytest.fixture(scope="module")
def two_accounts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Data with the accounts of ann, and of root, who is an admin. Nothing is to change it."""
    data = tmp_path_factory.mktemp("two") / "data"
    run("add", "ann", data=data)
    run("add", "root", "--admin", data=data)
    return data


@pytest.mark.parametrize(
    ("args", "reason"),
    [
        (["add", "a b"], "not a valid name"),
        (["add", "ANN"], "the name ann is registered"),
        (["add", "\u0430nn"], "looks like ann"),  # with a Cyrillic a
        (["password", "nobody"], "there is no account nobody"),
        (["admin", "nobody"], "there is no account nobody"),
        (["remove", "nobody"], "there is no account nobody"),
        (["ban", "root"], "an admin cannot be banned"),
        (["ban", "bob", "--for", "0"], "a duration is above 0"),
        (["ban", "bob", "--reason", "x" * 300], "a reason has at most 256 bytes"),
    ],
)
def test_what_the_rules_refuse_is_one_line_and_status_1(
    two_accounts: Path, args: list[str], reason: str
) -> None:
    assert reason in complaint(run(*args, data=two_accounts))


def test_a_short_password_is_refused(data: Path) -> None:
    done = run("add", "ann", data=data, CHAT_PASSWORD="short")
    assert complaint(done) == "a password has at least 8 characters"


def test_data_of_a_running_server_is_left_alone(data: Path, server: ServerProcess) -> None:
    reason = f"a server is running on {data}: use --server HOST:PORT"
    assert complaint(run("add", "ann", data=data)) == reason


def test_where_no_server_has_been_nothing_is_made(data: Path) -> None:
    assert complaint(run("list", data=data)) == f"there is no server's data in {data}"
    assert not data.exists()


def test_memory_keeps_nothing_to_work_on() -> None:
    assert "keeps nothing" in complaint(chat_server("user", "list", "--data", ":memory:"))


@pytest.mark.parametrize(
    "args",
    [
        ("user", "sessions"),
        ("user", "end", "ann"),
        ("announce", "hello"),
        ("drain",),
        ("statistics",),
    ],
)
def test_what_is_about_who_is_connected_takes_a_running_server(args: tuple[str, ...]) -> None:
    assert complaint(chat_server(*args)) == "that takes a running server: --server HOST:PORT"


def test_a_server_that_is_away_is_one_line() -> None:
    done = chat_server("user", "list", "--server", "127.0.0.1:1", CHAT_TOKEN="cst_x")
    assert complaint(done).startswith("cannot reach 127.0.0.1:1: ")
