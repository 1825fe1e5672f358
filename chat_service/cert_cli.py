"""`chat-server cert`: certificates to develop and try with."""

from collections.abc import Sequence
from pathlib import Path
from typing import Final

import click

from chat_service import certificate, values


@click.command("cert")
@click.option(
    "--dir",
    "directory",
    type=values.Parsed(values.file),
    metavar="DIR",
    default="chat-cert",
    help="Where the files are made.",
    allow_from_autoenv=False,
)
@click.option(
    "--host",
    "hosts",
    metavar="NAME",
    multiple=True,
    default=("localhost", "127.0.0.1", "::1"),
    help="A name or an address that clients know the server by; may be repeated.",
    allow_from_autoenv=False,
)
@click.option(
    "--days",
    type=click.IntRange(1, 3650),
    default=365,
    help="How long the certificate is good for.",
    allow_from_autoenv=False,
)
@click.option(
    "--client",
    metavar="NAME",
    help="Make a certificate for this user instead, by the authority in DIR.",
    allow_from_autoenv=False,
)
@click.help_option(allow_from_autoenv=False)
def cert(directory: Path, hosts: Sequence[str], days: int, client: str | None) -> None:
    """Make certificates to develop and try with.

    An authority of your own, ca.pem, and a certificate of the server that it signs. Nothing is
    ever overwritten.
    """
    try:
        if client is None:
            made = certificate.make_server_pair(directory, hosts, days)
        else:
            made = certificate.make_client_pair(directory, client, days)
    except certificate.NotMade as error:
        raise click.ClickException(str(error)) from None
    for path in made:
        click.echo(f"made {path}")
    click.echo(certificate.usage(directory, client))


COMMANDS: Final = {"cert": cert}
