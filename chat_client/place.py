"""The options that every form of the command has: which user of which server, and how."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import wraps
from pathlib import Path
from typing import Any, Final

import click
import grpc

from chat_client import stdio, tls
from chat_client.channel import check_secrecy
from chat_client.errors import ChatError, Rejected
from chat_client.failure import Failure
from chat_client.render import again
from chat_client.token_store import TokenStore

FILE: Final = click.Path(path_type=Path)


class _Text(click.ParamType):  # type: ignore[type-arg]  # not generic before click 8.4
    """A text for the server, which takes UTF-8."""

    name = "text"

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Return it as it is."""
        try:
            value.encode()
        except UnicodeEncodeError:
            self.fail("not UTF-8", param, ctx)
        return value


TEXT: Final = _Text()

_OPTIONS: Final = (
    click.option("--user", type=TEXT, metavar="NAME", help="Your name in the chat.  [required]"),
    click.option(
        "--server",
        type=TEXT,
        default="127.0.0.1:50051",
        metavar="HOST:PORT",
        help="Where the server listens.",
    ),
    click.option("--tls", is_flag=True, help="Talk by TLS, and trust whom the system trusts."),
    click.option("--ca", type=FILE, metavar="FILE", help="Talk by TLS, and trust these (PEM)."),
    click.option("--cert", type=FILE, metavar="FILE", help="Your own certificate (PEM), if asked."),
    click.option("--key", type=FILE, metavar="FILE", help="The certificate's key (PEM)."),
    click.option(
        "--insecure",
        is_flag=True,
        help="Send your password or token to another machine even without TLS.",
    ),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """A user of a server, and how to get there."""

    user: str
    server: str
    tls: bool
    ca: Path | None
    cert: Path | None
    key: Path | None
    insecure: bool

    @property
    def secure(self) -> bool:
        """Whether to talk by TLS."""
        return self.tls or any((self.ca, self.cert, self.key))

    @property
    def credentials(self) -> grpc.ChannelCredentials | None:
        """What a channel there takes; raises TlsError."""
        return tls.channel_credentials(self.ca, self.cert, self.key) if self.secure else None

    def check_secrecy(self) -> None:
        """Raise TlsError where a password or token may not be sent: ask for none in vain."""
        check_secrecy(self.server, self.credentials, insecure=self.insecure)

    @property
    def tokens(self) -> TokenStore:
        """Where the session token of this user is kept."""
        return TokenStore(self.server, self.user, secure=self.secure)


def at_place(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command the options of a Place, as its first argument, and its errors one form."""

    @wraps(command)
    def placed(*, user: str | None, **given: Any) -> Any:
        stdio.open_missing()
        context = click.get_current_context()
        if context.invoked_subcommand:
            _pass_on(context)
            return None
        if not user:
            raise click.MissingParameter(ctx=context, param_hint="'--user'", param_type="option")
        fields = {it: given.pop(it) for it in Place.__dataclass_fields__ if it != "user"}
        try:
            return command(Place(user=user, **fields), **given)
        except ChatError as error:
            wait = error.retry_after if isinstance(error, Rejected) else None
            raise Failure(f"{error}{again(wait)}") from error

    for option in reversed(_OPTIONS):
        placed = option(placed)
    return placed


def _pass_on(context: click.Context) -> None:
    """Let a command take the options that were given before its name."""
    given = {name: value for name, value in context.params.items() if value is not None}
    context.default_map = {str(context.invoked_subcommand): given}
