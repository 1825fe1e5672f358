"""The command `chat-server`: flags, environment and TOML file become a Config, which is served.

A flag wins over the environment, that over the file, that over the default. Whatever is wrong with
a value is said in one line that names it and where it came from.
"""

import difflib
import os
import re
import sys
import tomllib
from collections.abc import Callable, Coroutine, Sequence
from pathlib import Path
from typing import Any, Final, NoReturn, TypeVar

import click
from click.core import ParameterSource

from chat_service import __version__
from chat_service.config import LOG_FORMATS, LOG_LEVELS, MIB, Config, Endpoint, InvalidSetting, Keep
from chat_service.core.bucket import Rate
from chat_service.startup import StartupError

PROG: Final = "chat-server"

EPILOG: Final = """\
Each setting is also a key of the TOML file, without the leading dashes. A flag wins over the
environment, the environment over the file.

\b
Examples:
  chat-server --tcp 0.0.0.0:7777 --data /var/lib/chat
  chat-server --grpc off --data :memory: --log-level debug
  CHAT_LOG_FORMAT=json chat-server --config /etc/chat.toml
"""

_DEFAULTS: Final = Config()
_FILE: Final = "chat_service.cli.file"  # ctx.meta: the TOML file that default_map came from
_SIZE: Final = re.compile(r"([0-9]{1,15}) ?(B|KiB|MiB|GiB)?", re.IGNORECASE)
_RATE: Final = re.compile(r"([0-9]{1,12}(?:\.[0-9]{1,6})?):([0-9]{1,12})")
_UNITS: Final = {"": 1, "b": 1, "kib": 1024, "mib": MIB, "gib": 1024 * MIB}
_SOURCES: Final[list[ParameterSource | None]] = [  # the stronger first
    ParameterSource.COMMANDLINE,
    ParameterSource.ENVIRONMENT,
    ParameterSource.DEFAULT_MAP,
    ParameterSource.DEFAULT,
]

_Function = TypeVar("_Function", bound=Callable[..., Any])


def main(args: Sequence[str] | None = None) -> NoReturn:
    """Run the command line (default: of this process) and exit.

    Exit statuses: 0 after a clean shutdown, 1 if the node could not start, 2 for wrong usage.
    """
    try:
        sys.exit(cli.main(args, prog_name=PROG, standalone_mode=False))
    except click.ClickException as error:
        _give_up(_explain(error), error.exit_code)
    except StartupError as error:
        _give_up(str(error), 1)
    except click.Abort:  # interrupted before the node could take care of it
        sys.exit(130)


def serve(config: Config) -> None:
    """Serve until told to stop; raises StartupError."""
    # What grpc's core would write to stderr by itself is raised or logged as well, in our format.
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")
    # Imported late, so that --help is quick.
    from chat_service import logs  # noqa: PLC0415
    from chat_service.node import Node  # noqa: PLC0415

    logs.configure(config.log_level, config.log_format)
    _run(Node(config).run())


def _run(serving: Coroutine[Any, Any, None]) -> None:
    try:
        from uvloop import run  # noqa: PLC0415
    except ImportError:
        from asyncio import run  # noqa: PLC0415
    run(serving)


# --- what is wrong, in one line ---


def _give_up(reason: str, status: int) -> NoReturn:
    from chat_service.logs import printable  # noqa: PLC0415  (structlog is slow to import)

    click.echo(f"{PROG}: {printable(reason)}", err=True)
    sys.exit(status)


def _explain(error: click.ClickException) -> str:
    if isinstance(error, click.BadParameter) and error.param and error.ctx:
        return f"{_origin(error.ctx, error.param)}: {error.message}"
    return error.format_message()


def _origin(ctx: click.Context, param: click.Parameter) -> str:
    """Say which setting it is and who set it."""
    flag = max(param.opts, key=len)
    match ctx.get_parameter_source(param.name or ""):
        case ParameterSource.COMMANDLINE:
            return f"{flag} (on the command line)"
        case ParameterSource.ENVIRONMENT:
            return f"{flag} (from {ctx.auto_envvar_prefix}_{param.name.upper()} in the environment)"
        case ParameterSource.DEFAULT_MAP:
            return f"{param.name} (in {ctx.meta[_FILE]})"
        case _:
            return f"{flag} (by default)"


def _blame(ctx: click.Context, error: InvalidSetting) -> click.BadParameter:
    """Lay the error at the door of the setting that somebody set, not of a default."""
    params = [param for param in ctx.command.params if param.name in error.fields]
    chosen = min(params, key=lambda it: _SOURCES.index(ctx.get_parameter_source(it.name or "")))
    return click.BadParameter(error.reason, ctx, chosen)


# --- from text to value ---


class _Parsed(click.ParamType):  # type: ignore[type-arg]  # not generic before click 8.4
    """What a function makes of a text; its ValueError is the sentence that the user reads."""

    name = "text"

    def __init__(self, parse: Callable[[str], Any]) -> None:
        self._parse = parse

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> Any:
        """Parse text, or a number from a TOML file as if it were text."""
        try:
            return self._parse(_as_text(value))
        except ValueError as error:
            self.fail(str(error), param, ctx)


def _as_text(value: object) -> str:
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise ValueError(f"neither a string nor a number: {value!r}")  # noqa: TRY004  (as parsers)
    return str(value)


def _listener(text: str) -> Endpoint | None:
    return None if text == "off" else Endpoint.parse(text)


def _no_listener(text: str) -> None:
    if text != "off":
        raise ValueError(f"this version has no web listener, only off is possible: {text!r}")


def _directory(text: str) -> Path | None:
    if not text or "\0" in text:
        raise ValueError(f"not a directory: {text!r}")
    return None if text == ":memory:" else Path(text)


def _count(text: str) -> int:
    if not re.fullmatch(r"[0-9]{1,15}", text):
        raise ValueError(f"not a whole number: {text!r}")
    return int(text)


def _size(text: str) -> int:
    match = _SIZE.fullmatch(text)
    if match is None:
        raise ValueError(f"not a size such as 4MiB, 512KiB or 1048576: {text!r}")
    number, unit = match.groups(default="")
    return int(number) * _UNITS[unit.lower()]


def _rate(text: str) -> Rate | None:
    if text == "off":
        return None
    match = _RATE.fullmatch(text)
    if match is None:
        raise ValueError(f"not RATE:BURST such as 100:1000, or off: {text!r}")
    per_second, burst = match.groups()
    return Rate(float(per_second), float(burst))


def _seconds(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise ValueError(f"not a number of seconds: {text!r}") from None


# --- the TOML file ---


def _load(ctx: click.Context, _param: click.Parameter, path: Path | None) -> None:
    """Make what the file says the defaults of all other settings."""
    if path is not None:
        ctx.meta[_FILE] = path
        ctx.default_map = _by_name(ctx, path, _read(path))


def _read(path: Path) -> dict[str, Any]:
    try:
        content = path.read_bytes()
    except OSError as error:
        raise click.BadParameter(f"cannot read {path}: {error.strerror}") from None
    try:
        return tomllib.loads(content.decode())
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise click.BadParameter(f"{path} is not UTF-8 (at line {line})") from None
    except tomllib.TOMLDecodeError as error:
        raise click.BadParameter(f"{path} is not TOML: {error}") from None


def _by_name(ctx: click.Context, path: Path, table: dict[str, Any]) -> dict[str, Any]:
    # What is eager (--config itself, --version) is no setting.
    known = [param.name for param in ctx.command.params if param.name and not param.is_eager]
    settings: dict[str, Any] = {}
    for key, value in table.items():
        name = key.replace("-", "_")
        if name not in known:
            close = difflib.get_close_matches(name, known, n=1)
            hint = f"; did you mean {close[0]}?" if close else ""
            raise click.UsageError(f"{key} (in {path}): no such setting{hint}")
        if name in settings:
            raise click.UsageError(f"{key} (in {path}): set twice")
        settings[name] = value
    return settings


# --- the command itself ---


def _setting(
    name: str,
    type_: click.Choice[str] | Callable[[str], Any],
    metavar: str | None,
    text: str,
    *,
    default: str | None = None,
) -> Callable[[_Function], _Function]:
    """Declare a flag for the field of Config with that name."""
    return click.option(
        f"--{name.replace('_', '-')}",
        type=type_ if isinstance(type_, click.Choice) else _Parsed(type_),
        metavar=metavar,
        help=text,
        default=default or str(getattr(_DEFAULTS, name)),
        show_envvar=True,
    )


@click.group(
    invoke_without_command=True,
    subcommand_metavar="",
    epilog=EPILOG,
    context_settings={
        "auto_envvar_prefix": "CHAT",
        "show_default": True,
        "max_content_width": 100,
    },
)
@_setting("grpc", _listener, "HOST:PORT|off", "Where gRPC listens. Port 0 takes a free one.")
@_setting("tcp", _listener, "HOST:PORT|off", "Where the line protocol listens, for nc and telnet.")
@click.option(
    "--web",
    type=_Parsed(_no_listener),
    metavar="off",
    help="This version has no web listener.",
    default="off",
    show_envvar=True,
    expose_value=False,
)
@_setting(
    "data",
    _directory,
    "DIR|:memory:",
    "Where messages are kept. :memory: forgets them at the end.",
    default=f"./{_DEFAULTS.data}",
)
@_setting(
    "presence_limit",
    _count,
    "MEMBERS",
    "In a room with more members online, nobody is told who comes and goes.",
)
@_setting("outbox_events", _count, "EVENTS", "How far a slow client may fall behind, in events.")
@_setting(
    "outbox_bytes",
    _size,
    "SIZE",
    "How far a slow client may fall behind, in bytes.",
    default=f"{_DEFAULTS.outbox_bytes // MIB}MiB",
)
@_setting("max_sessions", _count, "SESSIONS", "How many sessions there may be at a time.")
@_setting(
    "keep",
    Keep.parse,
    "AGE,MESSAGES|all",
    "What is kept: an age (90d), so many messages a room (10000), or both (90d,10000).",
    default="all",
)
@_setting(
    "rate_connects",
    _rate,
    "RATE:BURST|off",
    "Connects of one address: a second for good, and at once.",
)
@_setting(
    "rate_commands",
    _rate,
    "RATE:BURST|off",
    "Commands of one session. Its user may send twice, its address ten times as many.",
)
@_setting("rate_bytes", _rate, "RATE:BURST|off", "Bytes of one session, likewise.")
@_setting(
    "keepalive",
    _seconds,
    "SECONDS",
    "A connection silent for so long is probed. It has half as long to answer.",
)
@_setting(
    "shutdown_deadline", _seconds, "SECONDS", "How long clients have to take the last events."
)
@_setting(
    "log_level", click.Choice(LOG_LEVELS, case_sensitive=False), None, "The least that is logged."
)
@_setting(
    "log_format",
    click.Choice(LOG_FORMATS, case_sensitive=False),
    None,
    "How it is logged, on stderr. auto is human, with colours on a terminal.",
)
@click.option(
    "--config",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Read settings from this TOML file.",
    is_eager=True,
    expose_value=False,
    callback=_load,
    show_envvar=True,
)
# CHAT_VERSION and CHAT_HELP are names that others give meanings of their own.
@click.version_option(__version__, message="%(prog)s %(version)s", allow_from_autoenv=False)
@click.help_option(allow_from_autoenv=False)
@click.pass_context
def cli(ctx: click.Context, /, **settings: Any) -> None:
    """Serve the chat until interrupted.

    When every listener accepts, one line on stdout says so with the real ports, as in
    "ready grpc=127.0.0.1:50051 tcp=127.0.0.1:7777". Logs go to stderr.
    """
    try:
        ctx.obj = Config(**settings)
    except InvalidSetting as error:
        raise _blame(ctx, error) from None
    if ctx.invoked_subcommand is None:
        serve(ctx.obj)
