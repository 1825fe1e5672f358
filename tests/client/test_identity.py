import stat
from pathlib import Path

import pytest

from chat_client.identity import client_id_for_calls, kept_client_id


@pytest.fixture(autouse=True)
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    return tmp_path


def kept(server: str = "here:1", user: str = "bob") -> str:
    with kept_client_id(server, user) as client_id:
        return client_id


def test_an_id_is_random_and_kept() -> None:
    assert kept() == kept()
    assert len(kept()) == 32


def test_each_user_of_each_server_has_an_own_one() -> None:
    assert len({kept(), kept(user="ann"), kept(server="there:1")}) == 3


def test_two_spellings_of_a_name_share_it() -> None:
    assert kept(user="Bob") == kept(user="bob")


def test_only_its_owner_can_read_it(state: Path) -> None:
    kept()
    (file,) = state.rglob("*.id")
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700


def test_while_it_is_held_others_get_fresh_ones() -> None:
    with kept_client_id("here:1", "bob") as first:
        others = {kept(), kept()}
    assert len({first} | others) == 3
    assert kept() == first


def test_calls_share_it_with_who_holds_it() -> None:
    made = client_id_for_calls("here:1", "bob")
    with kept_client_id("here:1", "bob") as held:
        assert {client_id_for_calls("here:1", "bob"), made} == {held}


def test_what_is_no_id_is_replaced(state: Path) -> None:
    kept()
    (file,) = state.rglob("*.id")
    file.write_text("cut sho")
    again = kept()
    assert len(again) == 32
    assert kept() == again


def test_where_nothing_can_be_kept_it_is_fresh(
    state: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (state / "file").touch()
    monkeypatch.setenv("XDG_STATE_HOME", str(state / "file"))
    assert len({kept(), kept()}) == 2
    assert client_id_for_calls("here:1", "bob") != client_id_for_calls("here:1", "bob")


def test_a_planted_link_is_not_followed(state: Path) -> None:
    kept()
    (file,) = state.rglob("*.id")
    file.unlink()
    victim = state / "victim"
    victim.write_text("precious")
    file.symlink_to(victim)
    kept()
    assert victim.read_text() == "precious"
