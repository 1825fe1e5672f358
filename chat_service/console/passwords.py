"""Where passwords and tokens come from: a file, the environment or a prompt, no command line."""

import getpass
import os
import warnings
from pathlib import Path

from chat_service.console.port import NotDone
from chat_service.core.commands import Secret


def given(file: Path | None, variable: str) -> Secret | None:
    """Return the first line of a file, else what a variable holds, if it holds anything.

    Raises NotDone.
    """
    if file is not None:
        return _first_line(file)
    value = os.environ.get(variable, "")
    try:
        value.encode()
    except UnicodeEncodeError:
        raise NotDone(f"what is in {variable} is not UTF-8") from None
    return Secret(value) if value else None


def new_password(user: str, file: Path | None, variable: str) -> Secret:
    """Return a password for an account, asked for twice where nothing holds it."""
    if password := given(file, variable):
        return password
    what = f"New password for {user}"
    password = ask(what, f"--password-file or {variable}")
    if ask(f"{what}, once more", "") != password:
        raise NotDone("the two are not the same: nothing was changed")
    return password


def ask(what: str, instead: str) -> Secret:
    """Ask on the terminal, without echo; `instead` is what there is where that cannot be."""
    try:
        with warnings.catch_warnings():
            # Without a terminal it would go on by reading standard input, in the clear.
            warnings.simplefilter("error", getpass.GetPassWarning)
            password = getpass.getpass(f"{what}: ")
    except (getpass.GetPassWarning, EOFError):
        raise NotDone(f"no terminal to ask for a password on: use {instead}") from None
    except UnicodeDecodeError:
        raise NotDone("what was typed is not UTF-8") from None
    if not password:
        raise NotDone("no password was given")
    return Secret(password)


def _first_line(file: Path) -> Secret:
    try:
        with file.open(encoding="utf-8") as lines:
            first = lines.readline().rstrip("\r\n")
    except OSError as error:
        raise NotDone(f"cannot read {file}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise NotDone(f"{file} is not UTF-8") from None
    if not first:
        raise NotDone(f"the first line of {file} is empty")
    return Secret(first)
