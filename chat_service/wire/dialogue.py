"""Questions for passwords, one line each, on a connection where somebody types.

A dialogue is a generator: it yields a question, is sent the password that was typed, and returns
the command that comes of it, or raises why none does.

A terminal must not show a password. Telnet is told behind the question that the server echoes (RFC
857), which it then does not, and once the answer has been looked at that it does no longer; an end
of line comes with that, since the one that was typed did not show either. A script behind `nc` sees
these bytes: they are six together, and the question's line is not touched. So the script finds one
odd line behind the question, unless somebody says something just then.
"""

from collections.abc import Generator
from typing import Final

from chat_service.core.commands import ChangePassword, CommandBody, Hello, Secret, SignUp
from chat_service.core.errors import InvalidCommand
from chat_service.core.events import Event, Goodbye
from chat_service.wire.telnet import ECHO_OFF, ECHO_ON
from chat_service.wire.terminal import neutralised

Dialogue = Generator[str, Secret, CommandBody]

_NOTHING_CHANGED: Final = "nothing was changed"


def log_in(name: str) -> Dialogue:
    """Ask for the password of a name, of which it tells nothing else."""
    return Hello(name, password=(yield f"password for {neutralised(name)}"))


def sign_up() -> Dialogue:
    """Ask for the password of a new account."""
    return SignUp((yield from _new_password()))


def change_password() -> Dialogue:
    """Ask for the password that is, and the one that is to be."""
    old = yield "old password"
    return ChangePassword(old, (yield from _new_password()))


def _new_password() -> Generator[str, Secret, Secret]:
    password = yield "new password"
    if (yield "new password, once more") != password:
        raise InvalidCommand(f"the two are not the same: {_NOTHING_CHANGED}")
    return password


class Interview:
    """The dialogue of one connection, if there is one, and whether the terminal shows typing."""

    def __init__(self) -> None:
        self._dialogue: Dialogue | None = None
        self._words = ""
        self._questions: dict[int, str] = {}
        self._hidden_by = 0
        """The ref of the question that the terminal hides the answer to; 0 if it shows all."""

    @property
    def hides(self) -> bool:
        """Whether the terminal hides what is typed."""
        return self._hidden_by > 0

    @property
    def awaits_answer(self) -> bool:
        """Whether the next line is a password."""
        return self._dialogue is not None

    def begin(self, ref: int, dialogue: Dialogue) -> None:
        """Ask the first question of a dialogue in the reply to `ref`."""
        self._dialogue = dialogue
        self._ask(ref, next(dialogue))

    def answer(self, ref: int, line: str) -> CommandBody | None:
        """Take a password; returns what comes of the dialogue, or None if it asks on.

        Raises InvalidCommand where nothing comes of it; so it does after an empty line.
        """
        dialogue, self._dialogue = self._dialogue, None
        if dialogue is None or not line:
            raise InvalidCommand("no password was given")
        try:
            question = dialogue.send(Secret(line))
        except StopIteration as end:
            outcome: CommandBody = end.value
            return outcome
        self._dialogue = dialogue
        self._ask(ref, question)
        return None

    def ask_again(self, ref: int) -> None:
        """Repeat the question in the reply to `ref`, the answer being unreadable."""
        self._ask(ref, self._words)

    def question(self, ref: int) -> bytes:
        """Return the question that belongs into the reply to `ref`; empty if there is none."""
        words = self._questions.pop(ref, None)
        if words is None:
            return b""
        self._hidden_by = ref
        return f"* {words}?\n".encode(errors="replace") + ECHO_OFF

    def reveal(self, event: Event) -> bytes:
        """Return what lets the terminal show typing again, if an event comes behind the answer."""
        answered = event.ref > self._hidden_by or isinstance(event.body, Goodbye)
        if not (self.hides and answered):
            return b""
        self._hidden_by = 0
        return ECHO_ON + b"\n"

    def _ask(self, ref: int, words: str) -> None:
        self._words = self._questions[ref] = words
