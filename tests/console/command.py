"""`chat-server user` and its like, as processes of their own."""

import json
import os
import socket
import subprocess
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, Final

from tests.processes import COMMAND, ServerProcess

PASSWORD: Final = "correct horse"
ADMIN: Final = {"CHAT_ADMIN_PASSWORD": PASSWORD}
AS_ROOT: Final = ("--as", "root")

Done = subprocess.CompletedProcess[str]


def environment(**env: str) -> dict[str, str]:
    ours = {name: value for name, value in os.environ.items() if not name.startswith("CHAT_")}
    return ours | {"CHAT_PASSWORD": PASSWORD} | env


def chat_server(*args: str, **env: str) -> Done:
    done = subprocess.run(
        [*COMMAND, *args],
        env=environment(**env),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        start_new_session=True,  # no terminal to ask for a password on
    )
    assert PASSWORD not in done.stdout + done.stderr
    return done


def run(*args: str, data: Path, **env: str) -> Done:
    """Run a command of `chat-server user` on a stopped server's data."""
    return chat_server("user", *args, "--data", str(data), **env)


def ask(server: ServerProcess, *args: str, **env: str) -> Done:
    """Run a command of `chat-server user` on a running server, as its admin."""
    return chat_server("user", *args, "--server", server.endpoints["grpc"], *AS_ROOT, **ADMIN | env)


def order(server: ServerProcess, *args: str) -> Done:
    return chat_server(*args, "--server", server.endpoints["grpc"], *AS_ROOT, **ADMIN)


def said(done: Done) -> str:
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


def rows(done: Done) -> list[dict[str, Any]]:
    """Return what was listed with --json."""
    return [json.loads(line) for line in said(done).splitlines()]


def complaint(done: Done, status: int = 1) -> str:
    """Return the one line that a failure leaves on stderr."""
    assert (done.returncode, done.stdout) == (status, ""), done
    (line,) = done.stderr.splitlines()
    return line.removeprefix("chat-server: ")


def admins(data: Path) -> dict[str, bool]:
    return {row["user"]: row["admin"] for row in rows(run("list", "--json", data=data))}


@contextmanager
def guest(server: ServerProcess, name: str) -> Iterator[Any]:
    """Return what a guest hears over TCP, from behind the welcome on."""
    host, port = server.endpoints["tcp"].rsplit(":", 1)
    with socket.create_connection((host, int(port)), timeout=10) as connection:
        connection.sendall(f"{name}\n".encode())
        with closing(connection.makefile("r", encoding="utf-8")) as lines:
            while not lines.readline().startswith("* welcome"):
                pass
            yield lines


def heard(lines: Any, words: str) -> bool:
    return any(words in line for line in lines)
