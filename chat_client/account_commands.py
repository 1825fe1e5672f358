"""The commands about one's account: `chat-client login` and its like."""

import asyncio
import socket
from collections.abc import Awaitable, Callable
from datetime import UTC
from pathlib import Path
from typing import Final, TypeVar

import click
from google.protobuf.timestamp_pb2 import Timestamp

from chat.v1 import accounts_pb2, events_pb2
from chat_client import passwords
from chat_client.accounts import Accounts
from chat_client.client import ChatClient
from chat_client.errors import AccountError
from chat_client.failure import Failure
from chat_client.identity import client_id_for_calls, is_held
from chat_client.place import FILE, TEXT, Place, at_place
from chat_client.render import one_line

_Result = TypeVar("_Result")

PASSWORD_FILE: Final = click.option(
    "--password-file",
    type=FILE,
    metavar="FILE",
    help="Take your password from its first line. CHAT_PASSWORD may hold it instead.",
)


@click.command()
@at_place
@PASSWORD_FILE
def login(place: Place, password_file: Path | None) -> None:
    """Sign in, and keep the session token for the next time.

    It goes into your keyring, or into a file that only you can read.
    """
    place.check_secrecy()
    password = passwords.given(password_file) or passwords.ask(f"Password of {place.user}")
    _, told = asyncio.run(_sign_in(place, lambda it: it.login(place.user, password, _label())))
    click.echo(told)


@click.command()
@at_place
@PASSWORD_FILE
def register(place: Place, password_file: Path | None) -> None:
    """Make an account, so that the name is yours, and sign in."""
    place.check_secrecy()
    password = passwords.given(password_file) or passwords.ask_twice(
        f"New password for {place.user}"
    )
    try:
        _, told = asyncio.run(
            _sign_in(place, lambda it: it.register(place.user, password, _label()))
        )
    except AccountError as error:
        taken = error.code == events_pb2.ERROR_CODE_NAME_TAKEN
        if taken and place.tokens.get() is None and is_held(place.server, place.user):
            hint = "your own chat-client has it: type /register there, or end it first"
            raise Failure(f"{error}; {hint}") from None
        raise
    click.echo(told)


@click.command()
@at_place
def logout(place: Place) -> None:
    """Sign out here: the token is worthless from now on."""
    token = _kept_token(place)
    try:
        _call(place, Accounts.logout, token)
    except AccountError as error:
        if error.code != events_pb2.ERROR_CODE_UNAUTHENTICATED:  # else it is worthless already
            raise
    place.tokens.forget()
    click.echo(f"* {place.user} is signed out")


@click.command()
@at_place
@click.option("--revoke", type=TEXT, metavar="ID", help="Sign out where ID is, instead of listing.")
def sessions(place: Place, revoke: str | None) -> None:
    """List your session tokens: one for each place where you have signed in.

    Who is connected by the password itself has none, and is not listed.
    """
    token = _kept_token(place)
    if revoke:
        _call(place, lambda it: it.revoke_session(revoke), token)
        click.echo(f"* {one_line(revoke)} is signed out")
        return
    for session in _call(place, Accounts.list_sessions, token):
        click.echo(_described(session))


@click.command()
@at_place
@PASSWORD_FILE
@click.option(
    "--new-password-file", type=FILE, metavar="FILE", help="Take the new one from its first line."
)
def password(place: Place, password_file: Path | None, new_password_file: Path | None) -> None:
    """Set another password. You are signed out everywhere else."""
    token = _kept_token(place)
    old = passwords.given(password_file) or passwords.ask(f"Present password of {place.user}")
    new = (
        passwords.first_line(new_password_file)
        if new_password_file
        else passwords.ask_twice("New password")
    )
    _call(place, lambda it: it.change_password(old, new), token)
    click.echo(f"* the password of {place.user} is another one now")


COMMANDS: Final = (login, register, logout, sessions, password)


async def register_guest(
    place: Place, chat: ChatClient, ask: Callable[[str], Awaitable[str]]
) -> str:
    """Make an account of a guest's name, who stays connected and keeps all there is.

    `ask` gets a password from whoever is asked. Returns what to say; raises ChatError, Failure.
    """
    if not chat.welcome.token:
        raise Failure(f"{chat.user} is registered already")
    place.check_secrecy()
    what = f"New password for {chat.user}"
    password = await ask(what)
    if not password:
        raise Failure("no password was given: nothing was changed")
    if await ask(f"{what}, once more") != password:
        raise Failure("the two are not the same: nothing was changed")
    token, told = await _sign_in(
        place, lambda it: it.register(chat.user, password, _label()), chat.welcome.token
    )
    chat.use_token(token)
    return told


def _call(
    place: Place, do: Callable[[Accounts], Awaitable[_Result]], token: str | None = None
) -> _Result:
    return asyncio.run(_ask(place, do, token))


async def _ask(
    place: Place, do: Callable[[Accounts], Awaitable[_Result]], token: str | None = None
) -> _Result:
    async with Accounts(
        place.server,
        token=token,
        client_id=client_id_for_calls(place.server, place.user),
        credentials=place.credentials,
        insecure=place.insecure,
    ) as accounts:
        return await do(accounts)


def _kept_token(place: Place) -> str:
    place.check_secrecy()
    if token := place.tokens.get():
        return token
    raise Failure(f"you are not signed in at {place.server}: chat-client login --user {place.user}")


async def _sign_in(
    place: Place,
    sign_in: Callable[[Accounts], Awaitable[accounts_pb2.SessionToken]],
    token: str | None = None,
) -> tuple[str, str]:
    """Sign in and keep the session token; returns it, and what to say."""
    session = await _ask(place, sign_in, token)
    try:
        where = place.tokens.put(session.token)
    except OSError as error:
        await _ask(place, Accounts.logout, session.token)  # nobody has it: it is of no use
        raise Failure(f"cannot keep the session token: {error.strerror}") from None
    until = _minute(session.expires_at)
    told = f"* {one_line(session.user)} is signed in until {until}; {where} keeps the token"
    return session.token, told


def _described(it: accounts_pb2.SignIn) -> str:
    use = f"{it.streams} connected" + (", this one" if it.current else "")
    life = f"{_minute(it.created_at)} to {_minute(it.expires_at)}"
    return f"{one_line(it.id)}  {life}  {one_line(it.label) or '-'}  ({use})"


def _minute(moment: Timestamp) -> str:
    return f"{moment.ToDatetime(UTC).astimezone():%Y-%m-%d %H:%M}"


def _label() -> str:
    """Return what the list of sessions is to call this one, in at most 64 bytes."""
    return f"chat-client on {socket.gethostname()}".encode()[:64].decode(errors="ignore")
