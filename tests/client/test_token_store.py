import os
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import keyring
import pytest
from keyring.backend import KeyringBackend
from keyring.backends.fail import Keyring as NoKeyring

from chat_client.token_store import TokenStore

from .fake_keyring import FakeKeyring, OpenKeyring

SECRET = "s3cret-token"


@pytest.fixture(autouse=True)
def kept_elsewhere(state: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("FAKE_KEYRING", str(tmp_path / "keyring"))
    use(NoKeyring())  # type: ignore[no-untyped-call]
    yield
    keyring.core._keyring_backend = None


def use(backend: KeyringBackend) -> None:
    keyring.set_keyring(backend)


@pytest.fixture
def unlocked(tmp_path: Path) -> Path:
    (tmp_path / "keyring").write_text("{}")
    use(FakeKeyring())
    return tmp_path / "keyring"


def store(server: str = "here:1", user: str = "bob", *, secure: bool = True) -> TokenStore:
    return TokenStore(server, user, secure=secure)


def test_there_is_none_at_first() -> None:
    assert store().get() is None
    store().forget()


def test_without_a_keyring_it_is_in_a_file_of_its_owners_alone(state: Path) -> None:
    where = Path(store().put(SECRET))
    assert where.parent.parent == state
    assert stat.S_IMODE(where.stat().st_mode) == 0o600
    assert SECRET in where.read_text()
    assert store().get() == SECRET


def test_with_a_keyring_it_is_nowhere_else(state: Path, unlocked: Path) -> None:
    assert store().put(SECRET) == "your keyring"
    assert SECRET in unlocked.read_text()
    assert not any(SECRET in path.read_text() for path in state.rglob("*") if path.is_file())
    assert store().get() == SECRET
    store().forget()
    assert SECRET not in unlocked.read_text()
    assert store().get() is None


@pytest.mark.parametrize("backend", [FakeKeyring(), OpenKeyring()], ids=["locked", "in the open"])
def test_a_keyring_that_is_of_no_use_is_not_used(backend: KeyringBackend) -> None:
    use(backend)
    assert Path(store().put(SECRET)).exists()
    assert store().get() == SECRET
    store().forget()
    assert store().get() is None


def test_a_keyring_that_is_locked_later_has_none(unlocked: Path) -> None:
    store().put(SECRET)
    unlocked.unlink()
    assert store().get() is None
    store().forget()


def test_a_token_is_replaced_and_forgotten() -> None:
    store().put("old")
    store().put(SECRET)
    assert store().get() == SECRET
    store().forget()
    assert store().get() is None


def test_each_user_of_each_server_has_an_own_one() -> None:
    store().put(SECRET)
    assert store(user="ann").get() is None
    assert store(server="there:1").get() is None
    assert store(user="Bob").get() == SECRET


def test_one_that_came_over_tls_never_goes_out_in_the_clear() -> None:
    store(secure=True).put(SECRET)
    assert store(secure=False).get() is None


def test_a_write_that_fails_leaves_the_old_one(
    state: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store().put("old")

    def full(_descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        store().put(SECRET)
    assert store().get() == "old"
    assert len([path for path in state.rglob("*") if path.is_file()]) == 1


def test_a_planted_link_is_replaced_not_followed(state: Path, tmp_path: Path) -> None:
    file = Path(store().put("old"))
    victim = tmp_path / "victim"
    victim.write_text("precious")
    file.unlink()
    file.symlink_to(victim)
    store().put(SECRET)
    assert victim.read_text() == "precious"
    assert not file.is_symlink()


@pytest.mark.parametrize("content", [b"", b"tok", b"\xff\xfe", b"{}"])
def test_what_is_no_token_is_none(content: bytes) -> None:
    Path(store().put("old")).write_bytes(content)
    assert store().get() is None


def test_where_nothing_can_be_kept_there_is_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "file"))
    assert store().get() is None
    store().forget()
    with pytest.raises(OSError, match="Not a directory"):
        store().put(SECRET)


def test_who_never_signed_in_waits_for_no_keyring() -> None:
    code = (
        "import sys; from chat_client.place import TokenStore\n"
        "assert TokenStore('here:1', 'bob', secure=True).get() is None\n"
        "sys.exit('keyring' in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=30)
