"""The options that the operator's commands share: which server, and as whom."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from functools import wraps
from pathlib import Path
from typing import Any, Final, TypeVar

import click
from click.core import ParameterSource

from chat_service import logs, values
from chat_service.console import passwords
from chat_service.console.channel import Trust, check_secrecy
from chat_service.console.cluster import cluster
from chat_service.console.destination import Destination
from chat_service.console.port import NotDone, Server
from chat_service.console.running import Credentials, RunningServer, running_server
from chat_service.console.stopped import stopped_server
from chat_service.core.errors import Refusal
from chat_service.nats_connection import NatsSettings
from chat_service.startup import StartupError

_Result = TypeVar("_Result")

ADMIN_PASSWORD: Final = "CHAT_ADMIN_PASSWORD"  # noqa: S105  (the name of a variable)
TOKEN: Final = "CHAT_TOKEN"  # noqa: S105
FILE: Final = values.Parsed(values.file)
TEXT: Final = values.Parsed(values.text)


def option(*names: str, **attributes: Any) -> Callable[[Any], Any]:
    """Declare an option that is no setting: no variable in the environment sets it by itself."""
    return click.option(*names, allow_from_autoenv=False, **attributes)


_DATA: Final = option(
    "--data",
    type=values.Parsed(values.directory),
    metavar="DIR",
    help="A stopped server's data.  [default: the setting]",
)
_NO_DATA: Final = option("--data", type=values.Parsed(values.directory), hidden=True)
"""Taken so that `ask_running` can say what it takes instead."""
_SERVER: Final = (
    option("--server", type=TEXT, metavar="HOST:PORT", help="Where a running server has gRPC."),
    option(
        "--as",
        "admin_name",
        type=TEXT,
        metavar="ADMIN",
        help="Sign in as this admin, by a password.",
    ),
    option(
        "--admin-password-file",
        type=FILE,
        metavar="FILE",
        help=f"Take that password from its first line. {ADMIN_PASSWORD} may hold it instead.",
    ),
    option(
        "--token-file",
        type=FILE,
        metavar="FILE",
        help=f"Take an admin's token from its first line. {TOKEN} may hold it instead.",
    ),
    option("--tls", is_flag=True, help="Talk by TLS, and trust whom the system trusts."),
    option("--ca", type=FILE, metavar="FILE", help="Talk by TLS, and trust these (PEM)."),
    option("--cert", type=FILE, metavar="FILE", help="Your own certificate (PEM), if asked."),
    option("--key", type=FILE, metavar="FILE", help="The certificate's key (PEM)."),
    option(
        "--insecure",
        is_flag=True,
        help="Send a password or token to another machine even without TLS.",
    ),
)
NATS: Final = (
    option(
        "--nats",
        type=values.Parsed(values.servers),
        metavar="URL[,URL…]",
        help="A cluster's NATS.",
    ),
    option("--nats-creds", type=FILE, metavar="FILE", help="Credentials for NATS."),
    option("--nats-ca", type=FILE, metavar="FILE", help="Who signs their certificates, PEM."),
    option("--nats-cert", type=FILE, metavar="FILE", help="A certificate for NATS, PEM."),
    option("--nats-key", type=FILE, metavar="FILE", help="Its key, PEM."),
    option("--nats-stream", metavar="NAME", help="The stream.  [default: the setting]"),
    option("--nats-replicas", type=click.IntRange(1, 5), help="Copies of the stream."),
)
_NATS_NAMES: Final = tuple(
    f"nats{it}" for it in ("", "_creds", "_ca", "_cert", "_key", "_stream", "_replicas")
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where the operator works, and as whom. Its fields are called as the options are."""

    data: Path | None
    server: str | None
    admin_name: str | None
    admin_password_file: Path | None
    token_file: Path | None
    tls: bool
    ca: Path | None
    cert: Path | None
    key: Path | None
    insecure: bool
    cluster: Destination | None = None

    def ask(self, act: Callable[[Server], Awaitable[_Result]], *, new: bool = False) -> _Result:
        """Ask the running server if one is named, or the cluster; else work on data.

        They may be `new`. Raises NotDone, Refusal, StartupError.
        """
        if self.server is not None:
            return self.ask_running(act)

        async def call() -> _Result:
            async with self._opened(new=new) as server:
                return await act(server)

        return asyncio.run(call())

    def _opened(self, *, new: bool) -> AbstractAsyncContextManager[Server]:
        if self.cluster is None:
            return stopped_server(self.data, new=new)
        logs.configure("warning", "human")
        return cluster(self.cluster)

    def ask_running(self, act: Callable[[RunningServer], Awaitable[_Result]]) -> _Result:
        """Ask the running server; raises NotDone."""
        address, trust = self.server, Trust(self.tls, self.ca, self.cert, self.key)
        if address is None:
            raise NotDone("that takes a running server: --server HOST:PORT")
        if not self.insecure:
            check_secrecy(address, trust)
        admin = self._credentials()

        async def call() -> _Result:
            async with running_server(address, trust, admin) as server:
                return await act(server)

        return asyncio.run(call())

    def _credentials(self) -> Credentials:
        """Return who the operator is to a running server; raises NotDone."""
        if self.admin_name:
            password = passwords.given(self.admin_password_file, ADMIN_PASSWORD) or passwords.ask(
                f"Password of {self.admin_name}", f"--admin-password-file or {ADMIN_PASSWORD}"
            )
            return Credentials(user=self.admin_name, password=password)
        token = passwords.given(self.token_file, TOKEN)
        if token is None and self.cert is None:
            raise NotDone(f"say who you are: by --as ADMIN, --token-file FILE or {TOKEN}")
        if token is not None and not (token.isascii() and token.isprintable()):
            raise NotDone(
                f"what --token-file or {TOKEN} holds is no token: it is not one ASCII word"
            )
        return Credentials(token)


_PLACE_OPTIONS: Final = Place.__dataclass_fields__.keys() - {"data", "cluster"}


def destination(context: click.Context, given: Mapping[str, Any]) -> Destination | None:
    """Return the cluster that is named by a command's own options or by the settings, if any is."""
    settings = context.find_root().params
    chosen = [settings[it] if given[it] is None else given[it] for it in _NATS_NAMES]
    servers, *files, stream, replicas = chosen
    if not servers:
        return None
    return Destination(NatsSettings(servers, "chat-server", *files), stream, replicas)


def at_place(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command a Place, with its options, as its first argument."""
    return _placed(command, (_DATA, *NATS, *_SERVER))


def at_data_or_server(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command a Place that is no cluster's log."""
    return _placed(command, (_DATA, *_SERVER))


def at_running(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command a Place that is always a running server."""
    return _placed(command, (_NO_DATA, *_SERVER))


def _placed(
    command: Callable[..., None], options: tuple[Callable[[Any], Any], ...]
) -> Callable[..., None]:
    @wraps(command)
    @click.pass_context
    def placed(context: click.Context, /, data: Path | None = None, **given: Any) -> None:
        fields = {it: given.pop(it) for it in _PLACE_OPTIONS}
        nats = {it: given.pop(it) for it in _NATS_NAMES if it in given}
        shared = None
        if context.get_parameter_source("data") is not ParameterSource.COMMANDLINE:
            data = context.find_root().params.get("data")
            shared = destination(context, nats) if nats else None
        elif nats.get("nats"):
            raise click.UsageError("--data and --nats are two places: leave out one of them")
        try:
            command(Place(data=data, cluster=shared, **fields), **given)
        except (NotDone, Refusal, StartupError) as error:
            raise click.ClickException(str(error)) from None

    for declare in (click.help_option(allow_from_autoenv=False), *reversed(options)):
        placed = declare(placed)
    return placed
