"""The `chat-client` command: a chat in the terminal, or in a pipe."""

import asyncio
import signal
import sys
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Final

import click

from chat.v1 import events_pb2
from chat_client import account_commands, passwords, pipe
from chat_client.client import ChatClient
from chat_client.connection import State
from chat_client.conversation import LOBBY, WINDOW, narrator, normal_room
from chat_client.errors import Refused
from chat_client.failure import Failure
from chat_client.identity import kept_client_id
from chat_client.place import FILE, TEXT, Place, at_place

_SIGNED: Final = "a signed token is needed"
"""What a server says that takes tokens of others' alone."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What the command line asks for."""

    place: Place
    room: str
    history: int
    json: bool
    give_up: float | None
    interactive: bool


@dataclass(frozen=True, slots=True)
class Proof:
    """What proves the name, if anything does."""

    password: str | None = field(default=None, repr=False)
    token: str | None = field(default=None, repr=False)


@click.group(
    invoke_without_command=True,
    context_settings={"auto_envvar_prefix": "CHAT", "show_default": True},
)
@at_place
@account_commands.PASSWORD_FILE
@click.option(
    "--token-file",
    type=FILE,
    metavar="FILE",
    help="Take a token from its first line, where others sign them (JWT).",
)
@click.option("--ask-password", is_flag=True, help="Ask for your password first.")
@click.option("--room", type=TEXT, default=LOBBY, metavar="#ROOM", help="The room to begin in.")
@click.option("--json", is_flag=True, help="Print every event as a line of JSON.")
@click.option(
    "--history",
    type=click.IntRange(0, 2**32 - 1),
    default=0,
    metavar="N",
    help="Show the latest N messages of each room first.",
)
@click.option(
    "--give-up",
    type=click.FloatRange(min=0),
    metavar="SECONDS",
    help="End when a lost connection is not back in this time. [default: never]",
)
# CHAT_VERSION and CHAT_HELP are names that others give meanings of their own.
@click.version_option(
    package_name="chat-service",
    prog_name="chat-client",
    message="%(prog)s %(version)s",
    allow_from_autoenv=False,
)
@click.help_option(allow_from_autoenv=False)
def main(
    place: Place,
    password_file: Path | None,
    token_file: Path | None,
    ask_password: bool,
    room: str,
    history: int,
    json: bool,
    give_up: float | None,
) -> None:
    """Take part in a chat.

    On a terminal, type to talk; /help lists the commands. In a pipe, every line of standard input
    is sent and every event printed as a line; at the end of input it waits for what it sent to be
    acknowledged, and leaves.

    A name with an account takes its password: from a file, from CHAT_PASSWORD, or at a prompt; or
    sign in once with `chat-client login`, which is remembered.

    Each option can be set in the environment too: CHAT_USER, CHAT_SERVER, CHAT_ROOM ...

    The exit status is 0 if all was done, 1 if something was refused or the server is away.
    """
    options = Options(
        place=place,
        room=normal_room(room),
        history=history,
        json=json,
        give_up=give_up,
        interactive=sys.stdin.isatty() and sys.stdout.isatty() and not json,
    )
    if ask_password:
        given = Proof(password=_ask(place))
    elif token_file:
        given = Proof(token=passwords.first_line(token_file))
    else:
        given = Proof(password=passwords.given(password_file))
    sys.exit(_sign_in(options) if given == Proof() else _converse(options, given))


for _command in account_commands.COMMANDS:
    main.add_command(_command)


def _sign_in(options: Options) -> int:
    """Talk by the token that is kept, or as a guest; ask a person if that is not enough."""
    place = options.place
    token = place.tokens.get()
    try:
        return _converse(options, Proof(token=token))
    except Refused as refused:
        if refused.code != events_pb2.ERROR_CODE_UNAUTHENTICATED:
            raise
        if token:
            place.tokens.forget()  # each use of a worthless one would count as a guess
        if place.cert:
            raise  # which says what there is to do: no password would help
        if _SIGNED in str(refused):
            raise Failure(f"{refused}: give it by --token-file FILE") from None
        if not options.interactive:
            hint = f"chat-client login --user {place.user}, --password-file or {passwords.VARIABLE}"
            raise Failure(f"{refused}; to sign in: {hint}") from None
    return _converse(options, Proof(_ask(place)))


def _ask(place: Place) -> str:
    place.check_secrecy()
    return passwords.ask(f"Password of {place.user}")


def _converse(options: Options, proof: Proof) -> int:
    """Talk; return the exit status. Raises the ChatError of a session that there never was."""
    return asyncio.run(_until_signalled(_talk if options.interactive else _pipe, options, proof))


async def _until_signalled(
    talk: Callable[[Options, Proof], Awaitable[int]], options: Options, proof: Proof
) -> int:
    """Talk; return the exit status. A signal means to leave, a second one to do so at once."""
    loop = asyncio.get_running_loop()
    task = asyncio.ensure_future(talk(options, proof))
    caught: list[int] = []

    def stop(number: int, status: int) -> None:
        caught.append(status)
        loop.remove_signal_handler(number)
        signal.signal(number, signal.SIG_DFL)
        task.cancel()

    for number, status in ((signal.SIGTERM, 0), (signal.SIGINT, 128 + signal.SIGINT)):
        loop.add_signal_handler(number, stop, number, status)
    try:
        return await task
    except asyncio.CancelledError:
        if not caught:
            raise
        return caught[0]


async def _pipe(options: Options, proof: Proof) -> int:
    place = options.place
    with kept_client_id(place.server, place.user) as client_id:
        async with _client(options, proof, client_id, narrator(pipe.say)) as chat:
            return await pipe.run(chat, options.room, history=options.history, json=options.json)


async def _talk(options: Options, proof: Proof) -> int:
    from chat_client import terminal  # noqa: PLC0415 - a script need not wait for it

    session = terminal.prompt_session()
    place = options.place
    with kept_client_id(place.server, place.user) as client_id:
        screen = terminal.TerminalScreen(session)
        async with _client(options, proof, client_id, narrator(screen.print)) as chat:
            register = partial(account_commands.register_guest, place, chat)
            return await terminal.run(
                chat, options.room, session, register, history=options.history
            )


def _client(
    options: Options, proof: Proof, client_id: str, on_state: Callable[[State], None]
) -> ChatClient:
    place = options.place
    return ChatClient(
        place.server,
        place.user,
        client_id=client_id,
        backlog=options.history,
        on_state=on_state,
        password=proof.password,
        token=proof.token,
        credentials=place.credentials,
        insecure=place.insecure,
        max_reconnect_time=options.give_up,
        max_in_flight=WINDOW,
    )
