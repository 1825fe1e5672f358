"""Lines out of the bytes that scripts, terminals and telnet clients send.

A line ends in LF, CR LF or CR NUL (RFC 1123, section 3.3.1); a CR anywhere else is a character of
its text, any other NUL is dropped. Telnet's own sequences (RFC 854 and 855) are dropped as well:
whoever asks for an option and hears nothing has to do without it. The one option that the server
uses is ECHO, while a password is typed; what the other side says to that makes no difference.
"""

import re
from collections.abc import Iterator
from typing import Final

from chat_service.core.errors import InvalidText, Refusal, TooLarge
from chat_service.core.limits import MAX_TEXT_BYTES

MAX_LINE_BYTES: Final = MAX_TEXT_BYTES + 256
"""The longest line, without its end: room for the longest text behind a `/msg NAME`."""

ECHO_OFF: Final = b"\xff\xfb\x01"
"""IAC WILL ECHO (RFC 857): the terminal leaves it to the server to show what is typed."""
ECHO_ON: Final = b"\xff\xfc\x01"
"""IAC WONT ECHO: the terminal shows it itself."""

Line = str | Refusal
"""A line's text, or why it cannot be had."""

_IAC: Final = b"\xff"
_SB: Final = b"\xff\xfa"
_SE: Final = b"\xff\xf0"
_WILL_WONT_DO_DONT: Final = rb"[\xfb-\xfe]"
# Data, a request with its option, a command of two bytes, or what has only begun.
_TOKEN: Final = re.compile(
    rb"[^\xff]+|\xff%b.|\xff[^\xfb-\xfe]|\xff%b?" % (_WILL_WONT_DO_DONT, _WILL_WONT_DO_DONT),
    re.DOTALL,
)
_UNFINISHED: Final = frozenset((_IAC, *(_IAC + bytes((verb,)) for verb in range(0xFB, 0xFF))))


class LineReader:
    """Cuts a stream of bytes into lines, and holds no more of it than one line may have."""

    def __init__(self) -> None:
        self._telnet = TelnetFilter()
        self._rest = b""
        self._skipping = False

    def feed(self, data: bytes) -> list[Line]:
        """Return the lines that these bytes complete, and those that have become too long."""
        text = self._rest + self._telnet.strip(data)
        *ended, rest = text.replace(b"\r\0", b"\n").replace(b"\0", b"").split(b"\n")
        if self._skipping and ended:
            del ended[0]
            self._skipping = False
        lines = [_read(line) for line in ended]
        if not self._skipping and _is_too_long(rest):
            lines.append(_too_large())
            self._skipping = True
        # Of a line that is skipped its last byte is kept, as it may be half of CR NUL.
        self._rest = rest[-1:] if self._skipping else rest
        return lines

    def end(self) -> list[Line]:
        """Return the line that the end of input has cut short, if any."""
        rest, self._rest = self._rest, b""
        return [_read(rest)] if rest and not self._skipping else []


class TelnetFilter:
    """Takes telnet's sequences out of a stream, wherever it is cut, and holds two bytes at most."""

    def __init__(self) -> None:
        self._begun = b""
        self._in_subnegotiation = False

    def strip(self, data: bytes) -> bytes:
        """Return the data that is for the application."""
        if not (self._begun or self._in_subnegotiation or _IAC in data):
            return data
        tokens = _TOKEN.findall(self._begun + data)
        self._begun = tokens.pop() if tokens and tokens[-1] in _UNFINISHED else b""
        return b"".join(self._data(tokens))

    def _data(self, tokens: list[bytes]) -> Iterator[bytes]:
        for token in tokens:
            if token == _SB:
                self._in_subnegotiation = True
            elif token == _SE:
                self._in_subnegotiation = False
            elif self._in_subnegotiation:
                continue
            elif token == _IAC + _IAC:
                yield _IAC
            elif not token.startswith(_IAC):
                yield token


def _read(line: bytes) -> Line:
    if _is_too_long(line):
        return _too_large()
    try:
        return line.removesuffix(b"\r").decode()
    except UnicodeDecodeError:
        return InvalidText("not valid UTF-8")


def _is_too_long(line: bytes) -> bool:
    return len(line.removesuffix(b"\r")) > MAX_LINE_BYTES


def _too_large() -> TooLarge:
    return TooLarge(f"a line has at most {MAX_LINE_BYTES} bytes")
