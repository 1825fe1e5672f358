"""Says one thing and leaves: for cron jobs and build scripts.

python examples/notify.py '#lobby' 'the backup is done' [--server HOST:PORT] [--timeout SECONDS]

The exit status is 0 once the message is acknowledged, which means that it is on the server's disk.
"""

import argparse
import asyncio
import sys

from chat_client import ChatClient, ChatError


async def notify(server: str, user: str, to: str, text: str, seconds: float) -> int:
    """Return the seq of the message; raises ChatError or TimeoutError."""
    async with (
        asyncio.timeout(seconds),
        ChatClient(server, user, listen=False, connect_timeout=seconds) as chat,
    ):
        if to.startswith("#"):
            await chat.join(to)
        return (await chat.send(to, text)).seq


def main() -> None:
    """Run it from the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("to", help="#room or @user")
    parser.add_argument("text")
    parser.add_argument("--server", default="127.0.0.1:50051")
    parser.add_argument("--user", default="notify")
    parser.add_argument("--timeout", type=float, default=30.0, help="in seconds")
    options = parser.parse_args()
    try:
        asyncio.run(notify(options.server, options.user, options.to, options.text, options.timeout))
    except TimeoutError:
        sys.exit(f"notify: not acknowledged within {options.timeout:g} s")
    except ChatError as error:
        sys.exit(f"notify: {error}")


if __name__ == "__main__":
    main()
