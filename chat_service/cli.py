"""The command `chat-server`: flags, environment and TOML file become a Config, which is served.

A flag wins over the environment, that over the file, that over the default. Whatever is wrong with
a value is said in one line that names it and where it came from.
"""

import os
import sys
from collections.abc import Callable, Coroutine, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any, Final, NoReturn, TypeVar

import click
from click.core import ParameterSource

from chat_service import __version__, settings_file, values
from chat_service.config import (
    AUTHS,
    LOG_FORMATS,
    LOG_LEVELS,
    MIB,
    REGISTRATIONS,
    Config,
    InvalidSetting,
    Keep,
)
from chat_service.interpreter import open_standard_streams
from chat_service.startup import StartupError

PROG: Final = "chat-server"

EPILOG: Final = """\
Each setting is also a key of the TOML file, without the leading dashes. A flag wins over the
environment, the environment over the file.

\b
Examples:
  chat-server --tcp 0.0.0.0:7777 --tls-cert chat.pem --tls-key chat.key --auth registered
  chat-server --grpc off --data :memory: --log-level debug
  CHAT_LOG_FORMAT=json chat-server --config /etc/chat.toml
"""

_DEFAULTS: Final = Config()
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
    open_standard_streams()
    try:
        given = sys.argv[1:] if args is None else list(args)
        sys.exit(cli.main(given, prog_name=PROG, standalone_mode=False, obj=given))
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
    from chat_service import logs, workers  # noqa: PLC0415
    from chat_service.node import Node  # noqa: PLC0415

    logs.configure(config.log_level, config.log_format)
    if config.worker:
        workers.end_with_parent()
    _run(Node(config).run())


def supervise(config: Config, arguments: Sequence[str]) -> None:
    """Serve by several processes until told to stop; raises StartupError."""
    from chat_service import logs, workers  # noqa: PLC0415

    logs.configure(config.log_level, config.log_format)
    workers.supervise(config, arguments)


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
    if isinstance(error, click.BadParameter) and error.param and error.ctx and error.message:
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
            return f"{param.name} (in {ctx.meta[settings_file.FILE]})"
        case _:
            return f"{flag} (by default)"


def _blame(ctx: click.Context, error: InvalidSetting) -> click.BadParameter:
    """Lay the error at the door of the setting that somebody set, not of a default."""
    params = [param for param in ctx.command.params if param.name in error.fields]
    chosen = min(params, key=lambda it: _SOURCES.index(ctx.get_parameter_source(it.name or "")))
    return click.BadParameter(error.reason, ctx, chosen)


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
    preset = getattr(_DEFAULTS, name)
    return click.option(
        f"--{name.replace('_', '-')}",
        type=type_ if isinstance(type_, click.Choice) else values.Parsed(type_),
        metavar=metavar,
        help=text,
        default=(None if preset is None else str(preset)) if default is None else default,
        show_envvar=True,
    )


class _Commands(click.Group):
    """The commands, some of which are in a module that is slow to import."""

    _ELSEWHERE: Final = {
        "cert": "chat_service.cert_cli",
        **dict.fromkeys(("announce", "drain", "statistics", "user"), "chat_service.user_cli"),
        **dict.fromkeys(
            ("backup", "check", "export", "import", "restore"), "chat_service.state_cli"
        ),
    }

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names of all commands."""
        return sorted((*super().list_commands(ctx), *self._ELSEWHERE))

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Return a command by its name."""
        module = self._ELSEWHERE.get(cmd_name)
        if module is None:
            return super().get_command(ctx, cmd_name)
        os.environ.setdefault("GRPC_VERBOSITY", "NONE")
        commands: dict[str, click.Command] = import_module(module).COMMANDS
        return commands[cmd_name]


@click.group(
    cls=_Commands,
    invoke_without_command=True,
    subcommand_metavar="[COMMAND]",
    epilog=EPILOG,
    context_settings={
        "auto_envvar_prefix": "CHAT",
        "show_default": True,
        "max_content_width": 100,
    },
)
@_setting("grpc", values.listener, "HOST:PORT|off", "Where gRPC listens. Port 0 takes a free one.")
@_setting(
    "tcp", values.listener, "HOST:PORT|off", "Where the line protocol listens, for nc and telnet."
)
@_setting("web", values.listener, "HOST:PORT|off", "Where the web page is, for browsers.")
@_setting(
    "web_origin",
    values.origins,
    "ORIGIN,…",
    "Other sites whose pages may use this server, as in https://chat.example. Name your own"
    " here where a proxy stands before it.",
    default="",
)
@_setting(
    "data",
    values.directory,
    "DIR|:memory:",
    "Where messages are kept. :memory: forgets them at the end.",
    default=f"./{_DEFAULTS.data}",
)
@_setting(
    "nats",
    values.servers,
    "URL[,URL…]",
    "Be one of many nodes that share a log: the NATS servers that keep it, with JetStream.",
)
@_setting("nats_creds", values.file, "FILE", "Credentials for NATS, as it gives them to users.")
@_setting("nats_ca", values.file, "FILE", "Who signs the NATS servers' certificates, PEM.")
@_setting("nats_cert", values.file, "FILE", "This node's certificate for NATS, PEM.")
@_setting("nats_key", values.file, "FILE", "The key of that certificate, PEM.")
@_setting("nats_stream", values.text, "NAME", "The stream that is the log. Made if missing.")
@_setting(
    "nats_replicas",
    values.count,
    "COPIES",
    "Copies of the stream when it is made.  [default: 3 in a NATS cluster, else 1]",
)
@_setting("node", values.text, "NAME", "What this node is called.")
@_setting(
    "workers",
    values.count,
    "PROCESSES",
    "Serve by so many processes on the same ports, each a node: NAME-1, NAME-2 …",
)
@click.option("--worker", is_flag=True, hidden=True, allow_from_autoenv=False)
@_setting(
    "presence_limit",
    values.count,
    "MEMBERS",
    "In a room with more members online, nobody is told who comes and goes.",
)
@_setting(
    "outbox_events", values.count, "EVENTS", "How far a slow client may fall behind, in events."
)
@_setting(
    "outbox_bytes",
    values.size,
    "SIZE",
    "How far a slow client may fall behind, in bytes.",
    default=f"{_DEFAULTS.outbox_bytes // MIB}MiB",
)
@_setting("max_sessions", values.count, "SESSIONS", "How many sessions there may be at a time.")
@_setting(
    "keep",
    Keep.parse,
    "AGE,MESSAGES|all",
    "What is kept: an age (90d), so many messages a room (10000), or both (90d,10000).",
    default="all",
)
@_setting(
    "rate_connects",
    values.rate,
    "RATE:BURST|off",
    "Connects of one address: a second for good, and at once.",
)
@_setting(
    "rate_commands",
    values.rate,
    "RATE:BURST|off",
    "Commands of one session. Its user may send twice, its address ten times as many.",
)
@_setting("rate_bytes", values.rate, "RATE:BURST|off", "Bytes of one session, likewise.")
@_setting(
    "rate_registrations",
    values.rate,
    "RATE:BURST|off",
    "Accounts that are made from one address: a second for good, and at once.",
)
@_setting(
    "keepalive",
    values.seconds,
    "SECONDS",
    "A connection silent for so long is probed. It has half as long to answer.",
)
@_setting(
    "shutdown_deadline", values.seconds, "SECONDS", "How long clients have to take the last events."
)
@_setting(
    "auth",
    click.Choice(AUTHS, case_sensitive=False),
    None,
    "Who may come in: anybody by a free name, who has an account, or who has a signed token (JWT).",
)
@_setting(
    "registration",
    click.Choice(REGISTRATIONS, case_sensitive=False),
    None,
    "Whether users may register accounts themselves.",
)
@_setting(
    "token_lifetime",
    values.age,
    "AGE",
    "How long a login is good for without the password: 30d, 12h, or seconds.",
    default="30d",
)
@_setting("jwt_secret", values.file, "FILE", "The secret that signs tokens, 32 bytes or more.")
@_setting("jwt_public_key", values.file, "FILE", "The public key of who signs tokens, PEM.")
@_setting("jwt_jwks", values.file, "FILE", "The public keys of who signs tokens, a JWK Set.")
@_setting("jwt_issuer", values.text, "TEXT", "Who must have issued a signed token (iss).")
@_setting("jwt_audience", values.text, "TEXT", "Whom a signed token must be meant for (aud).")
@_setting("jwt_name_claim", values.text, "CLAIM", "What holds the user's name in a signed token.")
@_setting(
    "jwt_leeway",
    values.seconds,
    "SECONDS",
    "How far the clock of who signs tokens may be from this one.",
)
@_setting(
    "jwt_max_age",
    values.age,
    "AGE",
    "How long after it was issued (iat) a signed token is good at most: 12h, or seconds."
    "  [default: as long as it says]",
)
@_setting(
    "tls_cert", values.file, "FILE", "The certificate of every listener, PEM. Loaded on change."
)
@_setting("tls_key", values.file, "FILE", "The key of the certificate, PEM, not encrypted.")
@_setting(
    "tls_client_ca",
    values.file,
    "FILE",
    "Who signs clients' certificates, PEM. Each client has to show one, and is whom it names.",
)
@click.option(
    "--insecure",
    is_flag=True,
    help="Let other machines connect without TLS, or without an account.",
    show_envvar=True,
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
    callback=settings_file.load,
    show_envvar=True,
)
# CHAT_VERSION and CHAT_HELP are names that others give meanings of their own.
@click.version_option(__version__, message="%(prog)s %(version)s", allow_from_autoenv=False)
@click.help_option(allow_from_autoenv=False)
@click.pass_context
def cli(ctx: click.Context, /, **settings: Any) -> None:
    """Serve the chat until interrupted, or run a COMMAND.

    When every listener accepts, one line on stdout says so with the real ports, as in
    "ready grpc=127.0.0.1:50051 tcp=127.0.0.1:7777 web=127.0.0.1:8080". Logs go to stderr.
    """
    # A command may be what makes the settings hold, as `cert` does, so not all commands check them.
    if ctx.invoked_subcommand is not None:
        return
    config = _checked(ctx, settings)
    if config.workers > 1:
        supervise(config, ctx.obj)
    else:
        serve(config)


def _checked(ctx: click.Context, settings: dict[str, Any]) -> Config:
    try:
        return Config(**settings)
    except InvalidSetting as error:
        raise _blame(ctx, error) from None
