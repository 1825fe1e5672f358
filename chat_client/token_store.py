"""The session token that `chat-client login` gets, kept from one run to the next.

The user's keyring keeps it if there is one that can be used, else a file that its owner alone can
read. In both cases a file tells where it is, so that who never signed in waits for no keyring.

A token that came over TLS is kept apart from one that did not: it never goes out in the clear.
"""

import hashlib
import os
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final

from chat_client.identity import state_directory

if TYPE_CHECKING:
    from keyring.backend import KeyringBackend

_SERVICE: Final = "chat-client"
_IN_KEYRING: Final = "keyring"
_HERE: Final = "token "


class TokenStore:
    """The token of one user at one server; `secure` if they talk by TLS."""

    def __init__(self, server: str, user: str, *, secure: bool) -> None:
        scheme = "tls" if secure else "plaintext"
        self._name = f"{user.casefold()}@{server} {scheme}"
        self._file = hashlib.sha256(self._name.encode()).hexdigest()[:32] + ".token"

    def get(self) -> str | None:
        """Return the token, if one is kept and can be had."""
        kept = self._read()
        if kept == _IN_KEYRING:
            return self._from_keyring()
        return kept.removeprefix(_HERE) if kept.startswith(_HERE) else None

    def put(self, token: str) -> str:
        """Keep a token instead of any other; return where, for people. Raises OSError."""
        path = state_directory() / self._file
        if self._to_keyring(token):
            _replace(path, _IN_KEYRING)
            return "your keyring"
        _replace(path, _HERE + token)
        return str(path)

    def forget(self) -> None:
        """Keep it no more."""
        if self._read() == _IN_KEYRING:
            self._out_of_keyring()
        with suppress(OSError):
            (state_directory() / self._file).unlink()

    def _read(self) -> str:
        try:
            return (state_directory() / self._file).read_text("ascii")
        except (OSError, UnicodeDecodeError):
            return ""

    # A backend of the keyring raises whatever its system's library does: a keyring that fails in
    # any way is one that cannot be used.

    def _from_keyring(self) -> str | None:
        with suppress(Exception):
            if keyring := _keyring():
                return keyring.get_password(_SERVICE, self._name)
        return None

    def _to_keyring(self, token: str) -> bool:
        with suppress(Exception):
            if keyring := _keyring():
                keyring.set_password(_SERVICE, self._name, token)
                return True
        return False

    def _out_of_keyring(self) -> None:
        with suppress(Exception):
            if keyring := _keyring():
                keyring.delete_password(_SERVICE, self._name)


def _keyring() -> "KeyringBackend | None":
    """Return the user's keyring, unless it is one that keeps nothing, or keeps it in the open."""
    from keyring.core import get_keyring, recommended  # noqa: PLC0415 - it is slow to import

    keyring = get_keyring()
    return keyring if recommended(keyring) else None


def _replace(path: Path, text: str) -> None:
    """Write a file that only its owner can read, all of it or nothing."""
    descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(descriptor, "w", encoding="ascii") as file:
            file.write(text)
            file.flush()
            os.fsync(descriptor)
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
