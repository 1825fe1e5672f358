"""Where a password comes from: a file, the environment or a prompt, and never the command line."""

import getpass
import os
import warnings
from pathlib import Path
from typing import Final

from chat_client.failure import Failure

VARIABLE: Final = "CHAT_PASSWORD"


def given(file: Path | None) -> str | None:
    """Return the first line of the file, else what the environment says, if it says anything.

    Raises Failure.
    """
    if file is not None:
        return first_line(file)
    return _utf8(os.environ.get(VARIABLE, ""), VARIABLE) or None


def first_line(file: Path) -> str:
    """Return the password or token that a file begins with; raises Failure."""
    try:
        with file.open(encoding="utf-8") as lines:
            secret = lines.readline().rstrip("\r\n")
    except OSError as error:
        raise Failure(f"cannot read {file}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise Failure(f"what is in {file} is not UTF-8") from None
    if not secret:
        raise Failure(f"the first line of {file} is empty: the secret belongs there")
    return secret


def ask(what: str) -> str:
    """Ask on the terminal, without echo; raises Failure where there is none, or no answer."""
    try:
        with warnings.catch_warnings():
            # Without a terminal it would go on by reading standard input, in the clear.
            warnings.simplefilter("error", getpass.GetPassWarning)
            password = getpass.getpass(f"{what}: ")
    except (getpass.GetPassWarning, EOFError):
        raise Failure(
            f"no terminal to ask for a password on: use --password-file or {VARIABLE}"
        ) from None
    except UnicodeDecodeError:
        raise Failure("what was typed is not UTF-8") from None
    if not password:
        raise Failure("no password was given")
    return password


def _utf8(secret: str, where: str) -> str:
    try:
        secret.encode()
    except UnicodeEncodeError:
        raise Failure(f"what is in {where} is not UTF-8") from None
    return secret


def ask_twice(what: str) -> str:
    """Ask for a new password, and once more in case of a slip; raises Failure."""
    password = ask(what)
    if ask(f"{what}, once more") != password:
        raise Failure("the two are not the same: nothing was changed")
    return password
