"""The chat for scripts: lines in, lines out, an exit status."""

import asyncio
import os
import sys

from chat.v1 import events_pb2
from chat_client.client import ChatClient
from chat_client.conversation import Conversation
from chat_client.errors import ChatError
from chat_client.render import as_json, as_text, visible
from chat_client.stdio import Output, StreamError, lines


class PipeScreen:
    """Events on standard output, everything else where it cannot be taken for one."""

    def __init__(self, *, json: bool) -> None:
        self._json = json
        self._out = Output(sys.stdout.fileno())

    async def show(self, event: events_pb2.Event, room: str, user: str) -> None:
        """Write an event; one that tells of an error goes to standard error as well."""
        if event.HasField("error"):
            say(as_text(event, room, user))
        if self._json:
            await self._out.write(as_json(event))
        elif not event.HasField("error"):
            await self._out.write(as_text(event, room, user))

    async def note(self, line: str) -> None:
        """Write what the client says; what is no event has no place among JSON."""
        if self._json:
            say(line)
        else:
            await self._out.write(line)

    async def complain(self, line: str) -> None:
        """Write to standard error."""
        say(line)


def say(line: str) -> None:
    """Write a line to standard error."""
    sys.stderr.write(line)
    sys.stderr.flush()


async def run(chat: ChatClient, room: str, *, history: int, json: bool) -> int:
    """Send what comes in, print what happens, until the input ends; return the exit status."""
    status = 0
    try:
        async with asyncio.TaskGroup() as tasks:
            screen = PipeScreen(json=json)
            hidden = () if json else ("message", "joined", "left")
            talk = Conversation(chat, screen, tasks, room=room, hidden=hidden, unattended=True)
            await screen.show(events_pb2.Event(welcome=chat.welcome), room, chat.user)
            await talk.begin(history)
            tasks.create_task(talk.follow())
            async for line in lines(sys.stdin.fileno()):
                await talk.enter(line)
                if talk.over:
                    break
            await talk.settled()
            await chat.close()
        status = int(talk.failed)
    except* BrokenPipeError:
        _forget_stdout()
    except* (ChatError, StreamError) as errors:
        status = 1
        say(f"chat-client: {visible(str(errors.exceptions[0]))}\n")
    return status


def _forget_stdout() -> None:
    """Let the interpreter's last flush find somebody who reads."""
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, sys.stdout.fileno())
    os.close(null)
