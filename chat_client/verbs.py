"""What a line that begins with a slash may be: a verb, and so many arguments."""

from collections.abc import Awaitable, Callable
from typing import NamedTuple


class UsageError(Exception):
    """A line that begins with a slash makes no sense."""


class Verb(NamedTuple):
    """What a slash and a word stand for, with the least and the most arguments.

    The last argument is the rest of the line.
    """

    do: Callable[..., Awaitable[None]]
    least: int
    most: int
    usage: str
    meaning: str

    def arguments(self, line: str) -> list[str]:
        """Return the arguments in a line; raises UsageError if there are too few or too many."""
        _, *arguments = line.split(maxsplit=max(self.most, 1))
        if not self.least <= len(arguments) <= self.most:
            raise UsageError(f"usage: {self.usage}")
        return arguments

    @property
    def wants_name(self) -> bool:
        """Whether its first argument is a user's name."""
        return self.usage.split()[1:2] == ["NAME"]
