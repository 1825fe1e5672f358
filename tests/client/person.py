"""A chat-client with a person in front of it, at a real terminal: a pty."""

import asyncio
import fcntl
import os
import pty
import re
import struct
import termios
from collections.abc import Callable
from typing import Final

from .program import Program
from .scripted import eventually

Open = Callable[..., "Terminal"]

_ESCAPES: Final = re.compile(r"\x1b(\[[0-9;?]*[A-Za-z]|[=>78])")

# Makes the pty the terminal of the program, as a login does: /dev/tty is to be this one, and Ctrl-C
# counts, though the tests may run in the background, where it is ignored.
_AT_ITS_TERMINAL: Final = """
import fcntl, runpy, signal, termios
signal.signal(signal.SIGINT, signal.default_int_handler)
fcntl.ioctl(0, termios.TIOCSCTTY, 0)
runpy.run_module("chat_client", run_name="__main__", alter_sys=True)
"""


class Terminal:
    """What the person sees, and types."""

    def __init__(self, *arguments: str) -> None:
        self.master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
        streams = {"stdin": slave, "stdout": slave, "stderr": slave}
        self.program = Program(
            "-c", _AT_ITS_TERMINAL, *arguments, start_new_session=True, **streams
        )
        os.close(slave)
        self.raw = ""
        os.set_blocking(self.master, False)
        asyncio.get_running_loop().add_reader(self.master, self._read)

    @property
    def shown(self) -> str:
        return _ESCAPES.sub("", self.raw).replace("\r", "")

    async def shows(self, text: str) -> None:
        try:
            await eventually(lambda: text in self.shown)
        except AssertionError:
            raise AssertionError(f"no {text!r} in {self.shown!r}") from None

    def ends_in(self, text: str) -> bool:
        return self.shown.endswith(text)

    def type(self, text: str) -> None:
        os.write(self.master, text.encode(errors="surrogateescape"))

    def stop(self) -> None:
        self.program.stop()
        asyncio.get_running_loop().remove_reader(self.master)
        os.close(self.master)

    def _read(self) -> None:
        try:
            self.raw += os.read(self.master, 65536).decode(errors="replace")
        except OSError:  # the other side is closed
            asyncio.get_running_loop().remove_reader(self.master)
