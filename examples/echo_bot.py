"""A bot that says again what it is asked to: `!echo text`.

python examples/echo_bot.py --user echo --room '#lobby' [--server HOST:PORT]
"""

import argparse
import asyncio
import sys

from chat.v1 import events_pb2
from chat_client import ChatClient, ChatError, CommandError

COMMAND = "!echo "


async def run(server: str, user: str, room: str) -> None:
    """Answer until the session ends; raises ChatError."""
    async with ChatClient(server, user, rooms=[room]) as chat:
        print(f"{chat.user} is listening in {room}", flush=True)
        async for event in chat:
            if event.HasField("message") and event.message.text.startswith(COMMAND):
                await answer(chat, event)


async def answer(chat: ChatClient, event: events_pb2.Event) -> None:
    """Say what is behind the command, unless it was this bot that said it."""
    message = event.message
    # To whoever asked in private, in private; else in the room.
    to = message.to if message.to.startswith("#") else f"@{message.sender}"
    if message.sender == chat.user:
        return
    try:
        await chat.send(to, message.text.removeprefix(COMMAND), reply_to=event.seq)
    except CommandError as error:
        print(f"not echoed: {error}", file=sys.stderr)


def main() -> None:
    """Run it from the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--server", default="127.0.0.1:50051")
    parser.add_argument("--user", default="echo")
    parser.add_argument("--room", default="#lobby")
    options = parser.parse_args()
    try:
        asyncio.run(run(options.server, options.user, options.room))
    except ChatError as error:
        sys.exit(f"echo_bot: {error}")
    except KeyboardInterrupt:
        sys.exit(130)


if __name__ == "__main__":
    main()
