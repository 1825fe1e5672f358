"""Tells a room what a log file says, line by line, across rotations.

python examples/log_bridge.py /var/log/app.log '#app' [--server HOST:PORT] [--user NAME]

It begins at the file's end. What was written while the server was away is told afterwards.
"""

import argparse
import asyncio
import os
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import BinaryIO

from chat_client import ChatClient, ChatError, CommandError

POLL = 0.5  # seconds
MAX_LINE = 4000  # bytes; what the server takes as one message is a little more


class Tail:
    """Reads what is appended to a file, and goes on with the file that takes its place."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file: BinaryIO | None = None
        self._rest = b""
        self._open(os.SEEK_END)

    def lines(self) -> list[str]:
        """Return the lines that were completed since the last call, at most some of them."""
        # Whether the file is another now has to be asked before its end is read.
        rotated = self._rotated()
        data = self._file.readlines(1 << 16) if self._file else []
        if not data and rotated:
            self._open(os.SEEK_SET)
            return []
        return [line for line in map(self._completed, data) if line.strip()]

    def _completed(self, piece: bytes) -> str:
        self._rest += piece
        if not self._rest.endswith(b"\n"):
            return ""
        line, self._rest = self._rest, b""
        return line[:MAX_LINE].decode(errors="replace").rstrip()

    def _rotated(self) -> bool:
        try:
            now = self._path.stat()
        except FileNotFoundError:
            return False  # moved away, and the next one is not there yet
        if self._file is None:
            return True
        ours = os.fstat(self._file.fileno())
        truncated = now.st_size < self._file.tell()
        return truncated or (now.st_dev, now.st_ino) != (ours.st_dev, ours.st_ino)

    def _open(self, whence: int) -> None:
        if self._file:
            self._file.close()
        self._rest = b""
        try:
            self._file = self._path.open("rb")
        except FileNotFoundError:
            self._file = None
        else:
            self._file.seek(0, whence)


async def follow(tail: Tail) -> AsyncIterator[str]:
    """Yield what is appended to a file, line by line, for ever."""
    while True:
        lines = await asyncio.to_thread(tail.lines)
        for line in lines:
            yield line
        if not lines:
            await asyncio.sleep(POLL)


async def run(server: str, user: str, path: Path, room: str) -> None:
    """Tell until the session ends; raises ChatError."""
    tail = await asyncio.to_thread(Tail, path)
    async with ChatClient(server, user, rooms=[room], listen=False, connect_timeout=None) as chat:
        print(f"{chat.user} tells {room} of {path}", flush=True)
        async for line in follow(tail):
            await tell(chat, room, line)


async def tell(chat: ChatClient, room: str, line: str) -> None:
    """Send one line, as often as the server asks for another try."""
    while True:
        try:
            await chat.send(room, line)
        except CommandError as error:
            if error.retry_after is None:
                print(f"not told: {error}", file=sys.stderr)
                return
            await asyncio.sleep(error.retry_after)
        else:
            return


def main() -> None:
    """Run it from the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("path", type=Path)
    parser.add_argument("room")
    parser.add_argument("--server", default="127.0.0.1:50051")
    parser.add_argument("--user", default="log-bridge")
    options = parser.parse_args()
    try:
        asyncio.run(run(options.server, options.user, options.path, options.room))
    except ChatError as error:
        sys.exit(f"log_bridge: {error}")
    except KeyboardInterrupt:
        sys.exit(130)


if __name__ == "__main__":
    main()
