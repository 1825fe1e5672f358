"""How the command fails: one sentence on standard error, and status 1."""

import sys
from typing import IO, Any

import click

from chat_client.render import visible


class Failure(click.ClickException):
    """Something that was asked of the command cannot be done."""

    def show(self, file: IO[Any] | None = None) -> None:
        """Write the sentence; a server may have written it."""
        click.echo(f"chat-client: {visible(self.message)}", file=file or sys.stderr)
