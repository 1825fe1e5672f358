"""Passwords and tokens: where the commands take them from, and that they show none."""

import os
import pty
import subprocess
import sys
from pathlib import Path
from typing import Any

from tests.console.command import (
    AS_ROOT,
    PASSWORD,
    ask,
    chat_server,
    complaint,
    environment,
    run,
    said,
)
from tests.processes import COMMAND, ServerProcess


def test_no_option_takes_a_secret_itself(data: Path) -> None:
    for command in ("add", "password"):
        done = run(command, "ann", "--password", "hunter2hunter2", data=data)
        assert done.returncode == 2
        assert "hunter2" not in done.stderr
    for name in ("--password ", "--token "):
        assert name not in said(chat_server("user", "add", "--help"))


def test_a_password_comes_from_a_file(data: Path, tmp_path: Path, server_process: Any) -> None:
    file = tmp_path / "password"
    file.write_text("another horse\n")
    run("add", "root", "--admin", "--password-file", str(file), data=data, CHAT_PASSWORD="")
    address = server_process().endpoints["grpc"]
    args = ("user", "list", "--server", address, *AS_ROOT, "--admin-password-file", str(file))
    assert "root" in said(chat_server(*args))


def test_a_file_without_a_password_is_one_line(data: Path, tmp_path: Path) -> None:
    missing, empty = tmp_path / "missing", tmp_path / "empty"
    empty.touch()
    for file, reason in (
        (missing, f"cannot read {missing}: No such file or directory"),
        (empty, f"the first line of {empty} is empty"),
    ):
        assert complaint(run("add", "ann", "--password-file", str(file), data=data)) == reason


def test_without_a_terminal_it_is_said_what_else_there_is(data: Path) -> None:
    assert complaint(run("add", "ann", data=data, CHAT_PASSWORD="")) == (
        "no terminal to ask for a password on: use --password-file or CHAT_PASSWORD"
    )


# Runs a command on a terminal of its own, which is the way that getpass asks.
ON_TERMINAL = """
import fcntl, os, sys, termios
os.setsid()
fcntl.ioctl(0, termios.TIOCSCTTY, 0)
os.execv(sys.argv[1], sys.argv[1:])
"""


def typed(*answers: str, data: Path) -> tuple[int, str]:
    """Add ann, answer each question, and return the status and what the terminal showed."""
    master, slave = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-c", ON_TERMINAL, *COMMAND, "user", "add", "ann", "--data", str(data)],
        env=environment(CHAT_PASSWORD=""),
        stdin=slave,
        stdout=slave,
        stderr=slave,
    )
    os.close(slave)
    shown = ""
    try:
        for answer in answers:
            while not shown.endswith(": "):
                shown += os.read(master, 1024).decode()
            os.write(master, f"{answer}\n".encode(errors="surrogateescape"))
            shown += "\n"
        while data_ := read(master):
            shown += data_
        return process.wait(30), shown
    finally:
        process.kill()
        process.wait()
        os.close(master)


def read(master: int) -> str:
    try:
        return os.read(master, 1024).decode()
    except OSError:  # the other side has closed
        return ""


def test_a_password_is_asked_for_twice_without_echo(data: Path) -> None:
    status, shown = typed(PASSWORD, PASSWORD, data=data)
    assert status == 0, shown
    assert "New password for ann, once more: " in shown
    assert "added ann" in shown
    assert PASSWORD not in shown


def test_a_slip_changes_nothing(data: Path) -> None:
    status, shown = typed(PASSWORD, "another horse", data=data)
    assert status == 1
    assert "the two are not the same" in shown
    assert not data.exists()


def test_one_that_is_typed_in_another_encoding_is_told(data: Path) -> None:
    status, shown = typed("pass\udce9", data=data)
    assert status == 1
    assert shown.endswith("chat-server: what was typed is not UTF-8\r\n")


def test_no_secret_is_in_the_log_of_the_server(server: ServerProcess) -> None:
    ask(server, "add", "ann")
    ask(server, "password", "ann", CHAT_PASSWORD="battery staple")
    assert PASSWORD not in server.log
    assert "battery staple" not in server.log
    assert "cst_" not in server.log
    assert "$argon2" not in server.log
