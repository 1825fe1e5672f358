"""Who a person's client is to the server: a secret that is kept from one run to the next.

With it a guest who comes back is the same guest. It is kept per server and user, readable by its
owner alone. Nothing else needs keeping: the server tells which nonce was the last.
"""

import fcntl
import hashlib
import os
import re
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from platformdirs import user_state_path

_ID = re.compile(rb"[0-9a-f]{32}")


def state_directory() -> Path:
    """Return the directory of what `chat-client` keeps; raises OSError if it cannot be made."""
    directory = user_state_path("chat-client")
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    return directory


def fresh_client_id() -> str:
    """Return a client_id that nobody ever had."""
    return secrets.token_hex(16)


@contextmanager
def kept_client_id(server: str, user: str) -> Iterator[str]:
    """Hold the client_id of a user at a server, for this process alone while it is held.

    The server lets a second connection with the same id take over from the first. So while another
    process holds it, this one gets a fresh id, and with it the server's word that the name is
    taken. It gets a fresh one too where nothing can be kept.
    """
    try:
        lock = _open(server, user)
    except OSError:
        yield fresh_client_id()
        return
    try:
        yield _held(lock)
    finally:
        os.close(lock)


def is_held(server: str, user: str) -> bool:
    """Tell whether a process of this person's is the user of a server now."""
    try:
        lock = _open(server, user)
    except OSError:
        return False
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    finally:
        os.close(lock)
    return False


def client_id_for_calls(server: str, user: str) -> str:
    """Return the client_id of a user at a server, whether or not another process holds it.

    A call takes over from nobody. It is a fresh one where nothing can be kept.
    """
    try:
        file = _open(server, user)
    except OSError:
        return fresh_client_id()
    try:
        return _kept(file) or _held(file)
    except OSError:
        return fresh_client_id()
    finally:
        os.close(file)


def _open(server: str, user: str) -> int:
    key = hashlib.sha256(f"{server}\n{user.casefold()}".encode()).hexdigest()[:32]
    flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
    return os.open(state_directory() / f"{key}.id", flags, mode=0o600)


def _held(lock: int) -> str:
    """Return the id in an open file, which stays locked until it is closed."""
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        os.fchmod(lock, 0o600)
        if kept := _kept(lock):
            return kept
        made = fresh_client_id()
        os.ftruncate(lock, 0)
        os.pwrite(lock, made.encode(), 0)
    except OSError:
        return fresh_client_id()
    return made


def _kept(file: int) -> str:
    """Return the id in an open file; "" if it is new, or was cut short by a crash."""
    kept = os.pread(file, 64, 0)
    return kept.decode() if _ID.fullmatch(kept) else ""
