"""Passwords and tokens in `chat-client`: where they come from, and that nobody else sees them."""

import json
from pathlib import Path

import click
import pytest

from chat.v1 import events_pb2
from chat_client.cli import main
from chat_client.identity import client_id_for_calls
from chat_client.token_store import TokenStore

from .person import Open
from .program import Start
from .scripted import Peer, goodbye, serving
from .scripted_accounts import ScriptedAccounts

PASSWORD = "correct horse"


@pytest.fixture
def password_file(tmp_path: Path) -> str:
    file = tmp_path / "password"
    file.write_text(f"{PASSWORD}\nand what is none\n")
    return str(file)


@pytest.fixture
def desk() -> ScriptedAccounts:
    return ScriptedAccounts(bob=PASSWORD)


def kept(server: str, user: str = "bob") -> str | None:
    return TokenStore(server, user, secure=False).get()


def arguments_of(pid: int) -> str:
    return Path(f"/proc/{pid}/cmdline").read_text()


async def test_a_password_comes_from_a_file(
    start: Start, desk: ScriptedAccounts, password_file: str
) -> None:
    async with serving(desk.doorman) as server:
        program = start(server.address, "bob", "--password-file", password_file)
        program.type("hi\n")
        assert PASSWORD not in arguments_of(program.process.pid)
        assert await program.ended() == (0, "", "")


async def test_a_password_comes_from_the_environment(
    start: Start, desk: ScriptedAccounts, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CHAT_PASSWORD", PASSWORD)
    async with serving(desk.doorman) as server:
        assert await start(server.address, "bob").ended("hi\n") == (0, "", "")


async def test_a_token_of_somebody_elses_comes_from_a_file(
    start: Start, desk: ScriptedAccounts, tmp_path: Path
) -> None:
    (tmp_path / "token").write_text("signed.by.others\n")
    desk.tokens["signed.by.others"] = "bob"
    async with serving(desk.doorman) as server:
        program = start(server.address, "bob", "--token-file", str(tmp_path / "token"))
        assert await program.ended("hi\n") == (0, "", "")


async def test_the_file_goes_before_the_environment(
    start: Start, desk: ScriptedAccounts, password_file: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CHAT_PASSWORD", "a wrong one")
    async with serving(desk.doorman) as server:
        program = start(server.address, "bob", "--password-file", password_file)
        assert await program.ended("hi\n") == (0, "", "")


async def test_a_wrong_password_is_told_in_one_line(
    start: Start, desk: ScriptedAccounts, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CHAT_PASSWORD", "a guess")
    async with serving(desk.doorman) as server:
        assert await start(server.address, "bob").ended() == (
            *(1, ""),
            "chat-client: wrong name or password\n",
        )


async def test_without_one_a_pipe_is_told_how_to_sign_in(
    start: Start, desk: ScriptedAccounts
) -> None:
    async with serving(desk.doorman) as server:
        status, out, err = await start(server.address, "bob").ended()
    assert (status, out) == (1, "")
    assert err == (
        "chat-client: wrong name or password; to sign in: chat-client login --user bob,"
        " --password-file or CHAT_PASSWORD\n"
    )


async def test_a_password_in_the_environment_that_is_not_utf8_is_told(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CHAT_PASSWORD", "pass\udce9")
    assert await start("127.0.0.1:1", "bob").ended() == (
        *(1, ""),
        "chat-client: what is in CHAT_PASSWORD is not UTF-8\n",
    )


async def test_a_password_that_is_typed_in_another_encoding_is_told(terminal: Open) -> None:
    person = terminal("127.0.0.1:1", "bob", "login")
    await person.shows("Password of bob: ")
    person.type("pass\udce9\r")
    await person.shows("chat-client: what was typed is not UTF-8\n")
    assert await person.program.status() == 1


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (None, "cannot read {}: No such file or directory"),
        (b"\nsecond line", "the first line of {} is empty: the secret belongs there"),
        (b"\xff", "what is in {} is not UTF-8"),
    ],
)
async def test_a_file_that_holds_none_is_told(
    start: Start, tmp_path: Path, content: bytes | None, complaint: str
) -> None:
    file = tmp_path / "none"
    if content is not None:
        file.write_bytes(content)
    program = start("127.0.0.1:1", "bob", "--password-file", str(file))
    assert await program.ended() == (1, "", f"chat-client: {complaint.format(file)}\n")


async def test_a_prompt_needs_a_terminal(start: Start) -> None:
    program = start("127.0.0.1:1", "bob", "--ask-password", start_new_session=True)
    status, out, err = await program.ended("typed\n")
    assert (status, out) == (1, "")
    assert err.startswith("chat-client: no terminal to ask for a password on")


def test_no_option_takes_a_password() -> None:
    commands: list[click.Command] = [main, *main.commands.values()]
    options = [param for command in commands for param in command.params]
    secret = [it for it in options if "password" in str(it.name) or "token" in str(it.name)]
    assert {it.name for it in secret} == {
        "ask_password",
        "password_file",
        "new_password_file",
        "token_file",
    }
    assert all(it.type.name in ("path", "boolean") for it in secret)


async def test_a_person_is_asked_without_echo_when_the_name_takes_a_password(
    terminal: Open, desk: ScriptedAccounts
) -> None:
    async with serving(desk.doorman, desk.doorman) as server:
        person = terminal(server.address, "bob")
        await person.shows("Password of bob: ")
        person.type(PASSWORD + "\r")
        await person.shows("#lobby> ")
        person.type("\x04")
        assert await person.program.status() == 0
    assert PASSWORD not in person.raw


async def test_a_guest_is_not_asked(terminal: Open, desk: ScriptedAccounts) -> None:
    async with serving(desk.doorman) as server:
        person = terminal(server.address, "ann")
        await person.shows("#lobby> ")
        person.type("\x04")
        assert await person.program.status() == 0
    assert "Password" not in person.shown


async def test_a_person_who_asks_for_it_is_asked_first(
    terminal: Open, desk: ScriptedAccounts
) -> None:
    async with serving(desk.doorman) as server:
        person = terminal(server.address, "bob", "--ask-password")
        await person.shows("Password of bob: ")
        assert not server.peers
        person.type("a wrong one\r")
        await person.shows("chat-client: wrong name or password\n")
        assert await person.program.status() == 1


async def test_ctrl_c_at_the_prompt_ends_it(terminal: Open) -> None:
    person = terminal("127.0.0.1:1", "bob", "--ask-password")
    await person.shows("Password of bob: ")
    person.type("half\x03")
    assert await person.program.status() == 1
    await person.shows("Aborted!")


async def test_who_has_signed_in_is_known_the_next_time(
    start: Start, desk: ScriptedAccounts, password_file: str
) -> None:
    async with serving(desk.doorman, accounts=desk) as server:
        login = start(server.address, "bob", "login", "--password-file", password_file)
        status, told, err = await login.ended()
        assert (status, err) == (0, "")
        assert told.startswith("* bob is signed in until 2033-05-18 ")
        (token,) = desk.tokens
        assert kept(server.address) == token
        assert desk.client_ids == [client_id_for_calls(server.address, "bob")]
        assert next(iter(desk.labels.values())).startswith("chat-client on ")
        status, printed, err = await start(server.address, "bob", "--json").ended("hi\n")
    assert (status, err) == (0, "")
    assert not any(secret in told + printed for secret in (token, PASSWORD))


async def test_it_is_kept_in_the_keyring(
    start: Start, desk: ScriptedAccounts, password_file: str, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setenv("PYTHON_KEYRING_BACKEND", "tests.client.fake_keyring.FakeKeyring")
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[2]))
    monkeypatch.setenv("FAKE_KEYRING", str(tmp_path / "keyring"))
    (tmp_path / "keyring").write_text("{}")
    async with serving(desk.doorman, accounts=desk) as server:
        login = start(server.address, "bob", "login", "--password-file", password_file)
        status, told, _ = await login.ended()
        assert (status, told.strip()[-29:]) == (0, "; your keyring keeps the token"[-29:])
        assert list(json.loads((tmp_path / "keyring").read_text()).values()) == list(desk.tokens)
        assert (await start(server.address, "bob").ended("hi\n"))[0] == 0
        assert (await start(server.address, "bob", "logout").ended())[0] == 0
        assert (tmp_path / "keyring").read_text() == "{}"


async def test_a_token_that_is_no_longer_good_is_forgotten(
    terminal: Open, desk: ScriptedAccounts
) -> None:
    async with serving(desk.doorman, desk.doorman) as server:
        TokenStore(server.address, "bob", secure=False).put("revoked")
        person = terminal(server.address, "bob")
        await person.shows("Password of bob: ")
        assert kept(server.address) is None
        person.type(PASSWORD + "\r")
        await person.shows("#lobby> ")
        person.type("\x04")
        assert await person.program.status() == 0


async def test_who_is_signed_out_while_connected_is_told_and_not_brought_back(
    start: Start,
) -> None:
    async def script(peer: Peer) -> None:
        assert (await peer.welcome()).token == "good"
        event = goodbye(events_pb2.GOODBYE_REASON_REVOKED, reconnect=True)
        event.goodbye.message = "signed out by \x1b[2Jan admin"
        await peer.say(event)

    async with serving(script) as server:
        TokenStore(server.address, "bob", secure=False).put("good")
        program = start(server.address, "bob")
        assert await program.line() == "* signed out by ␛[2Jan admin"
        assert await program.error_line() == "chat-client: signed out by ␛[2Jan admin"
        assert await program.status() == 1


async def test_registering_asks_twice_and_keeps_the_token(
    terminal: Open, desk: ScriptedAccounts
) -> None:
    async with serving(accounts=desk) as server:
        for once_more, told in (("slip", "not the same"), ("battery", "is signed in until")):
            person = terminal(server.address, "ann", "register")
            await person.shows("New password for ann: ")
            person.type("battery\r")
            await person.shows("once more: ")
            person.type(once_more + "\r")
            await person.shows(told)
            await person.program.status()
            assert "battery" not in person.raw
        assert desk.passwords["ann"] == "battery"
        assert kept(server.address, "ann") in desk.tokens


async def test_a_name_that_is_taken_cannot_be_registered(
    start: Start, desk: ScriptedAccounts, password_file: str
) -> None:
    async with serving(accounts=desk) as server:
        program = start(server.address, "bob", "register", "--password-file", password_file)
        assert await program.ended() == (1, "", "chat-client: bob is taken\n")


async def signed_in(start: Start, server: str, password_file: str) -> str:
    await start(server, "bob", "login", "--password-file", password_file).ended()
    token = kept(server)
    assert token
    return token


async def test_sessions_are_listed_and_revoked(
    start: Start, desk: ScriptedAccounts, password_file: str
) -> None:
    async with serving(accounts=desk) as server:
        old = await signed_in(start, server.address, password_file)
        desk.labels[old] = "evil\x1b[2J\nlabel"
        new = await signed_in(start, server.address, password_file)
        status, out, _ = await start(server.address, "bob", "sessions").ended()
        assert status == 0
        first, second = out.splitlines()
        assert first.startswith(old[:4])
        assert "evil␛[2J␊label" in first
        assert second.startswith(new[:4])
        assert second.endswith("(0 connected, this one)")
        assert old not in out
        assert new not in out
        revoke = start(server.address, "bob", "sessions", "--revoke", old[:4])
        assert await revoke.ended() == (0, f"* {old[:4]} is signed out\n", "")
    assert list(desk.tokens) == [new]


async def test_signing_out_makes_the_token_worthless_and_forgets_it(
    start: Start, desk: ScriptedAccounts, password_file: str
) -> None:
    async with serving(accounts=desk) as server:
        for worthless in (False, True):
            await signed_in(start, server.address, password_file)
            if worthless:
                desk.tokens.clear()
            logout = await start(server.address, "bob", "logout").ended()
            assert logout == (0, "* bob is signed out\n", "")
            assert kept(server.address) is None
    assert not desk.tokens


@pytest.mark.parametrize("command", ["logout", "sessions", "password"])
async def test_what_needs_a_sign_in_says_so(start: Start, command: str) -> None:
    assert await start("127.0.0.1:1", "bob", command).ended() == (
        *(1, ""),
        "chat-client: you are not signed in at 127.0.0.1:1: chat-client login --user bob\n",
    )


async def test_another_password_is_set(
    start: Start, desk: ScriptedAccounts, password_file: str, tmp_path: Path
) -> None:
    new = tmp_path / "new"
    new.write_text("battery staple")
    async with serving(accounts=desk) as server:
        await signed_in(start, server.address, password_file)
        files = ("--password-file", password_file, "--new-password-file", str(new))
        program = start(server.address, "bob", "password", *files)
        assert await program.ended() == (0, "* the password of bob is another one now\n", "")
    assert desk.passwords["bob"] == "battery staple"


async def test_where_a_token_cannot_be_kept_it_is_given_back(
    start: Start, desk: ScriptedAccounts, password_file: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", password_file)
    async with serving(accounts=desk) as server:
        login = start(server.address, "bob", "login", "--password-file", password_file)
        status, _, err = await login.ended()
    assert (status, err) == (1, "chat-client: cannot keep the session token: Not a directory\n")
    assert not desk.tokens


async def test_options_may_stand_on_either_side_of_the_command(
    start: Start, desk: ScriptedAccounts, password_file: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with serving(accounts=desk) as server:
        last = ("--server", server.address, "--user", "bob", "--password-file", password_file)
        assert (await start("127.0.0.1:1", "nobody", "login", *last).ended())[0] == 0
        monkeypatch.setenv("CHAT_PASSWORD_FILE", password_file)
        assert (await start(server.address, "bob", "login").ended())[0] == 0
    assert len(desk.tokens) == 2


async def test_a_name_is_asked_for_in_every_form(start: Start) -> None:
    for command in ((), ("login",)):
        status, _, err = await start("127.0.0.1:1", "", *command).ended()
        assert status == 2
        assert "Missing option '--user'" in err
