"""`chat-server user` and its like: what the operator does about accounts and about a server.

Accounts and bans are changed in the data of a stopped server, with --server by the Admin service of
a running one, or with --nats in the log of a cluster; what is about who is connected takes a
running server.
"""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Final

import click

from chat_service import values
from chat_service.console.listing import lines, moment
from chat_service.console.passwords import new_password
from chat_service.console.place import FILE, TEXT, Place, at_place, at_running, option
from chat_service.console.port import NotDone, Server
from chat_service.core.rules.admin import parse_subject
from chat_service.logs import printable

PASSWORD: Final = "CHAT_PASSWORD"  # noqa: S105  (the name of a variable)

_PASSWORD_FILE: Final = option(
    "--password-file",
    type=FILE,
    metavar="FILE",
    help=f"Take the password from its first line. {PASSWORD} may hold it instead.",
)
_JSON: Final = option("--json", "as_json", is_flag=True, help="One JSON object a line.")
_REASON: Final = option(
    "--reason", type=TEXT, default="", metavar="TEXT", help="What they are told."
)


@click.group("user", no_args_is_help=False)  # which would be help in the place of a sentence
@click.help_option(allow_from_autoenv=False)
def user() -> None:
    """Manage accounts, bans and connections.

    Works on the data of a stopped server, on a running one with --server, or on a cluster through
    its log with --nats, whether its nodes run or not. Only --server takes an admin: make the first
    one in one of the other ways, by `chat-server user add NAME --admin`.
    """


@user.command("list")
@_JSON
@at_place
def list_(place: Place, *, as_json: bool) -> None:
    """List the accounts."""
    rows = place.ask(lambda it: it.accounts())
    _show(
        ("user", "admin", "password", "created"),
        [
            {
                "user": row.name,
                "admin": row.admin,
                "password": row.has_password,
                "created": moment(row.created),
            }
            for row in rows
        ],
        as_json=as_json,
    )


@user.command()
@click.argument("name", type=TEXT)
@option("--admin", is_flag=True, help="Make it an admin's.")
@_PASSWORD_FILE
@at_place
def add(place: Place, name: str, *, admin: bool, password_file: Path | None) -> None:
    """Make an account."""
    password = new_password(name, password_file, PASSWORD)
    made = place.ask(lambda it: it.add(name, password, admin=admin), new=True)
    _say(f"added {made}" + (", an admin" if admin else ""))


@user.command()
@click.argument("name", type=TEXT)
@_PASSWORD_FILE
@at_place
def password(place: Place, name: str, password_file: Path | None) -> None:
    """Set an account's password, and sign it out everywhere."""
    new = new_password(name, password_file, PASSWORD)
    place.ask(lambda it: it.set_password(name, new))
    _say(f"set the password of {name}")


@user.command()
@click.argument("name", type=TEXT)
@option("--revoke", is_flag=True, help="Make it a plain account again.")
@at_place
def admin(place: Place, name: str, *, revoke: bool) -> None:
    """Make an account an admin's."""
    place.ask(lambda it: it.set_admin(name, admin=not revoke))
    _say(f"{name} is {'no admin' if revoke else 'an admin'} now")


@user.command()
@click.argument("name", type=TEXT)
@at_place
def remove(place: Place, name: str) -> None:
    """Take an account away."""
    place.ask(lambda it: it.remove(name))
    _say(f"removed {name}")


@user.command()
@click.argument("subject", type=TEXT, metavar="NAME|ADDRESS")
@option(
    "--for",
    "duration",
    type=values.Parsed(values.age),
    metavar="TIME",
    help="How long: 2h, 7d, or seconds.  [default: for good]",
)
@_REASON
@at_place
def ban(place: Place, subject: str, duration: float | None, reason: str) -> None:
    """Let a name, an address or a network in no more."""
    ended = place.ask(lambda it: it.ban(subject, reason, duration))
    _say(f"banned {subject}" + (f", and ended {_connections(ended)}" if ended else ""))


@user.command()
@click.argument("subject", type=TEXT, metavar="NAME|ADDRESS")
@at_place
def unban(place: Place, subject: str) -> None:
    """Take a ban back."""
    place.ask(lambda it: _lift_ban(it, subject))
    _say(f"unbanned {subject}")


@user.command()
@_JSON
@at_place
def bans(place: Place, *, as_json: bool) -> None:
    """List the bans in force."""
    rows = place.ask(lambda it: it.bans())
    _show(
        ("subject", "until", "by", "reason"),
        [
            {
                "subject": row.subject,
                "until": moment(row.until) if row.until else None,
                "by": row.by or None,
                "reason": row.reason,
            }
            for row in rows
        ],
        as_json=as_json,
    )


@user.command()
@click.argument("name", type=TEXT, default="")
@_JSON
@at_running
def sessions(place: Place, name: str, *, as_json: bool) -> None:
    """List who is connected to a running server."""
    rows = place.ask_running(lambda it: it.connections(name))
    _show(
        ("user", "session", "address", "entered", "lost"),
        [
            {
                "user": row.user,
                "session": row.session,
                "address": row.address or None,
                "entered": moment(row.entered),
                "lost": row.lost,
            }
            for row in rows
        ],
        as_json=as_json,
    )


@user.command()
@click.argument("name", type=TEXT)
@option(
    "--session",
    type=TEXT,
    default="",
    metavar="ID",
    help="Only this one, as `user sessions` has it.",
)
@_REASON
@at_running
def end(place: Place, name: str, session: str, reason: str) -> None:
    """End connections to a running server; they may come back."""
    ended = place.ask_running(lambda it: it.end(name, session, reason))
    if not ended:
        raise NotDone(f"{name} has no {'such ' if session else ''}connection")
    _say(f"ended {_connections(ended)} of {name}")


@click.command()
@click.argument("text", type=TEXT)
@at_running
def announce(place: Place, text: str) -> None:
    """Say something to everyone on a running server."""
    place.ask_running(lambda it: it.announce(text))
    _say("announced")


@click.command()
@at_running
def drain(place: Place) -> None:
    """Shut a running server down gracefully."""
    place.ask_running(lambda it: it.drain())
    _say(f"{place.server} is shutting down")


@click.command()
@_JSON
@at_running
def statistics(place: Place, *, as_json: bool) -> None:
    """Tell how a running server is doing."""
    told = dict(place.ask_running(lambda it: it.statistics()))
    if as_json:
        _show((), [told], as_json=True)
        return
    nodes = told.pop("nodes")
    _show(("what", "value"), [{"what": k, "value": v} for k, v in told.items()], as_json=False)
    if len(nodes) > 1:
        click.echo()
        _show(_NODE, nodes, as_json=False)


_NODE: Final = (
    *("name", "version", "position", "connections", "live", "diverged", "agreed_position"),
)

COMMANDS: Final = {it.name: it for it in (announce, drain, statistics, user)}


# --- what they have in common ---


async def _lift_ban(server: Server, subject: str) -> None:
    """Take a ban back; raises NotDone where there is none, which a typo may be the reason of."""
    if parse_subject(subject) not in [row.subject for row in await server.bans()]:
        raise NotDone(f"there is no ban of {subject}: chat-server user bans lists them")
    await server.unban(subject)


def _show(columns: Sequence[str], rows: Iterable[Any], *, as_json: bool) -> None:
    for line in lines(columns, list(rows), as_json=as_json):
        click.echo(line)


def _say(text: str) -> None:
    click.echo(printable(text))


def _connections(count: int) -> str:
    return f"{count} connection{'' if count == 1 else 's'}"
