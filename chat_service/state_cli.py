"""`chat-server backup` and its like: what the operator does with a server's data as a whole."""

from collections.abc import Callable, Sequence
from functools import wraps
from pathlib import Path
from typing import Any, Final, cast

import click
from click.core import ParameterSource

from chat_service import logs, values
from chat_service.console import data as use
from chat_service.console import moving
from chat_service.console.destination import Destination
from chat_service.console.listing import Row, lines
from chat_service.console.place import FILE, NATS, Place, at_data_or_server, destination, option
from chat_service.console.port import NotDone
from chat_service.logs import printable
from chat_service.startup import StartupError

_FILE: Final = click.argument("file", type=FILE)
_DIRECTORY: Final = values.Parsed(values.directory)
_COLUMNS: Final = ("data", "sound", "epoch", "seq", "position", "digest", "content")
_NODE_COLUMNS: Final = (
    *("node", "live", "agrees", "agreed", "position", "connections", "version", "instance"),
)


def _at_data(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command the directory of the data, by its option or by the setting."""

    @option("--data", type=_DIRECTORY, metavar="DIR", help="The data.  [default: the setting]")
    @click.help_option(allow_from_autoenv=False)
    @wraps(command)
    @click.pass_context
    def placed(context: click.Context, /, data: Path | None, **given: Any) -> None:
        if context.get_parameter_source("data") is not ParameterSource.COMMANDLINE:
            data = context.find_root().params.get("data")
        _in_one_line(lambda: command(_kept(data), **given))

    return cast("Callable[..., None]", placed)


def _at_cluster(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command a cluster whose NATS servers are told by its options or by the settings."""

    @wraps(command)
    @click.pass_context
    def placed(context: click.Context, /, file: Path, **given: Any) -> None:
        cluster = destination(context, given)
        if cluster is None:
            raise click.ClickException("say where NATS is: --nats URL")
        _in_one_line(lambda: command(cluster, file))

    for declare in (click.help_option(allow_from_autoenv=False), *reversed(NATS)):
        placed = declare(placed)
    return cast("Callable[..., None]", placed)


@click.command()
@_FILE
@_at_data
def backup(data: Path, file: Path) -> None:
    """Copy a server's data to FILE, whether it runs or not."""
    seq = use.backup(data, file)
    _say(f"backed up {data} to {file}, up to seq {seq}")


@click.command()
@_FILE
@option(
    "--same-log",
    is_flag=True,
    help="Keep the epoch: for a node of a cluster, which then takes the rest from its log.",
)
@_at_data
def restore(data: Path, file: Path, *, same_log: bool) -> None:
    """Make the data of a server from the backup FILE.

    There must be none yet. Clients that have seen more than the backup holds are told of the gap
    when they come back, unless --same-log says that the rest is still there, in a cluster's log.
    """
    use.restore(file, data, same_log=same_log)
    _say(f"restored {data} from {file}")


@click.command()
@click.argument("places", metavar="[DIR|FILE]...", nargs=-1, type=FILE)
@option("--json", "as_json", is_flag=True, help="One JSON object a line.")
@at_data_or_server
def check(place: Place, places: Sequence[Path], *, as_json: bool) -> None:
    """Look servers' data or backups over, and hold them against each other.

    Tells whether each file is sound, how far in which log it is, the digest of what the log's
    records did and that of everything it holds. Nodes of a cluster that stand at the same position
    hold the same; if any two do not, or a file is damaged, the exit status is 1.

    With --server it tells of the nodes of a running cluster, which compare those digests all the
    time: whether each agrees with the one that is asked, and up to which position that was seen.
    Nodes of different versions are not compared.
    """
    if place.server is not None:
        told = place.ask_running(lambda it: it.statistics())
        _show(_NODE_COLUMNS, *use.check_nodes(told), as_json=as_json)
    else:
        checked, wrong = use.check(places or (_kept(place.data),))
        _show(_COLUMNS, [_row(it) for it in checked], wrong, as_json=as_json)


@click.command()
@_FILE
@_at_data
def export(data: Path, file: Path) -> None:
    """Take a stopped server's data to FILE, for a cluster to begin with.

    Epoch, seqs and all else stay as they are, so clients go on where they were. From then on the
    cluster has the history: start the old server on its data no more.
    """
    seq = use.export(data, file)
    _say(f"exported {data} to {file}, up to seq {seq}; now: chat-server import {file} --nats URL")


@click.command("import")
@_FILE
@_at_cluster
def import_(destination: Destination, file: Path) -> None:
    """Begin a cluster's log with the history in FILE, as chat-server export makes it.

    Its stream must not be there yet. Then start every node with the same --nats, on no data: each
    takes the history from there.
    """
    logs.configure("warning", "human")
    seq = moving.import_(file, destination)
    _say(f"the log in the stream {destination.stream} goes on from seq {seq}")


COMMANDS: Final = {it.name: it for it in (backup, check, export, import_, restore)}


def _row(checked: use.Checked) -> Row:
    findings = checked.findings
    return {"data": str(checked.path), "sound": not findings.faults, **findings._asdict()}


def _show(
    columns: Sequence[str], rows: Sequence[Row], wrong: Sequence[str], *, as_json: bool
) -> None:
    """Print what was found; raises NotDone with what is wrong."""
    for line in lines(columns, rows, as_json=as_json):
        click.echo(line)
    if wrong:
        raise NotDone("; ".join(wrong))


def _kept(data: Path | None) -> Path:
    if data is None:
        raise NotDone("--data :memory: keeps nothing to work on")
    return data


def _in_one_line(act: Callable[[], None]) -> None:
    try:
        act()
    except (NotDone, StartupError) as error:
        raise click.ClickException(str(error)) from None


def _say(text: str) -> None:
    click.echo(printable(text))
