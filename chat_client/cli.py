"""The `chat-client` command: a chat in the terminal, or in a pipe."""

import asyncio
import signal
import sys
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import click

from chat_client import pipe
from chat_client.client import ChatClient
from chat_client.connection import State
from chat_client.conversation import LOBBY, WINDOW, narrator, normal_room
from chat_client.errors import ChatError
from chat_client.identity import kept_client_id


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What the command line asks for."""

    user: str
    server: str
    room: str
    history: int
    json: bool
    give_up: float | None


@click.command(context_settings={"auto_envvar_prefix": "CHAT", "show_default": True})
@click.option("--user", required=True, metavar="NAME", help="Your name in the chat.")
@click.option(
    "--server", default="127.0.0.1:50051", metavar="HOST:PORT", help="Where the server listens."
)
@click.option("--room", default=LOBBY, metavar="#ROOM", help="The room to begin in.")
@click.option("--json", is_flag=True, help="Print every event as a line of JSON.")
@click.option(
    "--history",
    type=click.IntRange(min=0),
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
@click.version_option(
    package_name="chat-service", prog_name="chat-client", message="%(prog)s %(version)s"
)
def main(
    user: str, server: str, room: str, history: int, json: bool, give_up: float | None
) -> None:
    """Take part in a chat.

    On a terminal, type to talk; /help lists the commands. In a pipe, every line of standard input
    is sent and every event printed as a line; at the end of input it waits for what it sent to be
    acknowledged, and leaves.

    Each option can be set in the environment too: CHAT_USER, CHAT_SERVER, CHAT_ROOM ...

    The exit status is 0 if all was done, 1 if something was refused or the server is away.
    """
    options = Options(
        user=user,
        server=server,
        room=normal_room(room),
        history=history,
        json=json,
        give_up=give_up,
    )
    interactive = sys.stdin.isatty() and sys.stdout.isatty() and not json
    sys.exit(asyncio.run(_until_signalled(_talk if interactive else _pipe, options)))


async def _until_signalled(talk: Callable[[Options], Awaitable[int]], options: Options) -> int:
    """Talk; return the exit status. A signal means to leave, a second one to do so at once."""
    loop = asyncio.get_running_loop()
    task = asyncio.ensure_future(talk(options))
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
    except ChatError as error:
        pipe.say(f"chat-client: {error}\n")
        return 1


async def _pipe(options: Options) -> int:
    with kept_client_id(options.server, options.user) as client_id:
        async with _client(options, client_id, narrator(pipe.say)) as chat:
            return await pipe.run(chat, options.room, json=options.json)


async def _talk(options: Options) -> int:
    from chat_client import terminal  # noqa: PLC0415 - a script need not wait for it

    session = terminal.prompt_session()
    with kept_client_id(options.server, options.user) as client_id:
        async with _client(
            options, client_id, narrator(terminal.TerminalScreen(session).print)
        ) as chat:
            return await terminal.run(chat, options.room, session)


def _client(options: Options, client_id: str, on_state: Callable[[State], None]) -> ChatClient:
    return ChatClient(
        options.server,
        options.user,
        client_id=client_id,
        backlog=options.history,
        rooms=() if options.room == LOBBY else (options.room,),
        on_state=on_state,
        max_reconnect_time=options.give_up,
        max_in_flight=WINDOW,
    )
