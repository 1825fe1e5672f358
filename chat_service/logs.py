"""What the operator reads: one event a line on stderr, for people or as JSON.

A log tells names, numbers and reasons, never a text that somebody wrote nor a client's secret id:
`log.info("session opened", user=user, transport="tcp")`. So pass scalars, not commands or events,
whose `repr` holds their text. Tracebacks come without the values of variables for the same reason.

Names and reasons come from strangers. Whatever they hold, an event stays one line, and no
terminal is sent an escape sequence that is not the renderer's own. The lines of a traceback are
indented, which no event is.
"""

import logging
import os
import re
import select
import sys
import threading
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, suppress
from typing import Final, TextIO

import structlog
from structlog.processors import ExceptionRenderer, JSONRenderer, TimeStamper, add_log_level
from structlog.stdlib import add_logger_name
from structlog.tracebacks import ExceptionDictTransformer
from structlog.typing import EventDict, ExcInfo, FilteringBoundLogger, Processor

from chat_service.config import LogFormat

_PLAIN: Final = re.compile(r"[^\s=\"'\\]+")

# ConsoleRenderer takes fields of these names for its own, and begins new lines for them.
_RENAMED: Final = {"exception": "exception_", "stack": "stack_"}
_LEADING: Final = ("timestamp", "level", "event", "logger")

TELL_EVERY: Final = 10.0
"""Seconds between two lines about what goes on and on."""

_PATIENCE: Final = 0.1
"""Seconds that a reader who is behind is waited for, once: then lines are lost until he reads."""

_PIECE: Final = select.PIPE_BUF // 4
"""Characters that a pipe takes without blocking when it takes any (POSIX, PIPE_BUF, in bytes)."""

_loggers: dict[str, FilteringBoundLogger] = {}


def get(name: str) -> FilteringBoundLogger:
    """Return the logger of a module; it may be had before `configure`, and follows it."""
    if name not in _loggers:
        _loggers[name] = structlog.get_logger(name)
    return _loggers[name]


class Seldom:
    """Tells when something that goes on is worth a line: when it begins, and now and then."""

    def __init__(self) -> None:
        self._last = float("-inf")

    def due(self) -> bool:
        """Tell whether to say it now; who does so is not to again within TELL_EVERY."""
        now = time.monotonic()
        if now - self._last < TELL_EVERY:
            return False
        self._last = now
        return True

    def over(self) -> None:
        """Take note that it has ended: when it begins anew it is said at once."""
        self._last = float("-inf")


def configure(level: str, log_format: LogFormat, stream: TextIO | None = None) -> None:
    """Send every event of at least `level`, the libraries' too, to `stream` (default: stderr).

    `auto` is `human`. Colours are for terminals, unless NO_COLOR is set (https://no-color.org).
    """
    stream = stream or sys.stderr
    layout = _json() if log_format == "json" else _human(colors=_wants_colors(stream))
    structlog.configure(
        processors=[add_log_level, add_logger_name, TimeStamper(fmt="iso", utc=True), *layout],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=_sinks(stream),
        cache_logger_on_first_use=True,
    )
    _forget_cached()
    logging.captureWarnings(True)
    logging.getLogger().addHandler(_BRIDGE)
    logging.getLogger().setLevel(level.upper())


def printable(text: str) -> str:
    """Return the text with everything that could move a terminal's cursor as a visible escape."""
    if text.isprintable():
        return text
    return "".join(
        c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text
    )


def _forget_cached() -> None:
    """Let every logger ask again how it is configured: what it cached is `bind`, on itself."""
    for logger in _loggers.values():
        vars(logger).pop("bind", None)


def _wants_colors(stream: TextIO) -> bool:
    return stream.isatty() and not os.environ.get("NO_COLOR")


def _json() -> list[Processor]:
    tracebacks = ExceptionRenderer(ExceptionDictTransformer(show_locals=False))
    return [_put_in_order, tracebacks, JSONRenderer()]  # which escapes all but printable ASCII


def _put_in_order(_logger: object, _method: str, fields: EventDict) -> EventDict:
    return {key: fields.pop(key) for key in _LEADING} | dict(fields)


def _human(*, colors: bool) -> list[Processor]:
    renderer = structlog.dev.ConsoleRenderer(
        colors=colors, sort_keys=False, exception_formatter=_write_traceback
    )
    return [_make_harmless, renderer]


def _make_harmless(_logger: object, _method: str, fields: EventDict) -> EventDict:
    """Quote and escape what ConsoleRenderer would write as it is."""
    exc_info = fields.pop("exc_info", None)
    event = printable(str(fields.pop("event")))
    harmless = {_RENAMED.get(key, key): _shown(value) for key, value in fields.items()}
    return {**harmless, "event": event, "exc_info": exc_info}


class _Verbatim(str):
    """A text that ConsoleRenderer, which shows some by their `repr`, leaves as it is."""

    __slots__ = ()
    __repr__ = str.__str__


def _shown(value: object) -> _Verbatim:
    plain = isinstance(value, str) and value.isprintable() and _PLAIN.fullmatch(value)
    return _Verbatim(value if plain else printable(repr(value)))


def _write_traceback(out: TextIO, exc_info: ExcInfo) -> None:
    text = ExceptionRenderer()(None, "", {"exc_info": exc_info})["exception"]
    out.writelines(f"\n    {printable(line)}" for line in text.split("\n"))


class _Outlet:
    """A stream that may be a pipe or a terminal, whose reader may have stopped reading."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._lost = 0
        self._is_cut = False

    def write(self, line: str) -> None:
        """Write one line, or lose it; raises OSError, ValueError for a stream of no use."""
        if self._lost and _takes(self._stream, 0.0):
            self._resume()
        for start in range(0, len(line), _PIECE):
            if not _takes(self._stream, 0.0 if self._lost else _PATIENCE):
                self._lost += 1
                return
            self._stream.write(line[start : start + _PIECE])
            self._stream.flush()
            self._is_cut = start + _PIECE < len(line)

    def _resume(self) -> None:
        """End the line that was cut short, and tell how many there are no more."""
        lost, self._lost = self._lost, 0
        if self._is_cut:
            self._stream.write("\n")
        get("logs").warning("nobody has read this log: lines are missing", lines=lost)


def _takes(stream: TextIO, within: float) -> bool:
    """Tell whether a stream takes a piece without blocking, now or within some seconds."""
    try:
        descriptor = stream.fileno()
    except (OSError, ValueError):  # it has none: a StringIO, or a closed one
        return True
    ready = select.poll()
    ready.register(descriptor, select.POLLOUT)
    return bool(ready.poll(1000 * within))


class _Sink:
    """Where structlog sends the lines of one logger."""

    def __init__(self, outlet: _Outlet, lock: AbstractContextManager[bool], name: str) -> None:
        self.name = name
        self._outlet = outlet
        self._lock = lock

    def write(self, line: str) -> None:
        """Write one line, or lose it: a log that nobody takes must not stop the chat."""
        with self._lock, suppress(OSError, ValueError):
            self._outlet.write(line + "\n")

    debug = info = warning = error = critical = write


def _sinks(stream: TextIO) -> Callable[[str], _Sink]:
    # grpc logs from threads of its own, and a finalizer may log in the midst of a write.
    lock, outlet = threading.RLock(), _Outlet(stream)

    def sink(name: str = "") -> _Sink:
        return _Sink(outlet, lock, name)

    return sink


class _Bridge(logging.Handler):
    """Hands what libraries log with `logging` to the same renderer."""

    def emit(self, record: logging.LogRecord) -> None:
        """Log the record again, at the nearest level that structlog knows."""
        level = min(max(record.levelno // 10 * 10, logging.DEBUG), logging.CRITICAL)
        try:
            get(record.name).log(level, record.getMessage(), exc_info=record.exc_info)
        except Exception:
            self.handleError(record)


_BRIDGE: Final = _Bridge()
