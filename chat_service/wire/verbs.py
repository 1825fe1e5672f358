"""What a line that begins with a slash may be: a verb, and so many arguments."""

from collections.abc import Callable
from typing import Final, NamedTuple, Protocol

from chat_service.core.commands import CommandBody
from chat_service.core.errors import InvalidCommand
from chat_service.core.events import EventBody
from chat_service.wire.dialogue import Dialogue
from chat_service.wire.port import Terms
from chat_service.wire.whereabouts import Whereabouts

_SHOWN_WORD_CHARS: Final = 32

Answer = Callable[[EventBody], str]
"""Makes the lines that tell a reply which is no error."""


class Talk(Protocol):
    """The connection on which it is typed."""

    terms: Terms
    user: str
    """Whose it is; empty before a name is said."""
    ref: int
    """The ref of the line at hand."""
    places: Whereabouts

    def answer_with(self, answer: Answer) -> None:
        """Let the reply to the line at hand be told in this way."""

    def hold(self, dialogue: Dialogue, *check: CommandBody) -> CommandBody:
        """Begin a dialogue; returns the command whose reply asks the first question.

        `check` asks whether the dialogue can come to anything.
        """


class Verb(NamedTuple):
    """What a slash and a word stand for, with the least and the most arguments.

    The last argument is the rest of the line.
    """

    parse: Callable[..., CommandBody]
    least: int
    most: int
    usage: str
    meaning: str

    def command(self, talk: Talk, line: str) -> CommandBody:
        """Return what a line asks; raises a Refusal if it makes no sense."""
        _, *arguments = line.split(maxsplit=max(self.most, 1))
        if not self.least <= len(arguments) <= self.most:
            raise InvalidCommand(f"usage: {self.usage}")
        return self.parse(talk, *arguments)


def unknown(word: str) -> InvalidCommand:
    """Return what to say of a word that is no verb."""
    return InvalidCommand(f"no such command: {word[:_SHOWN_WORD_CHARS]} (/help lists them)")
