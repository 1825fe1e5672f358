"""Questions for passwords, one line each, on a connection where somebody types.

A dialogue is a generator: it yields a question, is sent the password that was typed, and returns
the command that comes of it, or raises why none does.

A terminal must not show a password. Telnet is told behind the question that the server echoes (RFC
857), which it then does not, and once the answer has been looked at that it does no longer; an end
of line comes with that, since the one that was typed did not show either. A script behind `nc` sees
these bytes: they are six together, and the question's line is not touched. So the script finds one
odd line behind the question, unless somebody says something just then.
"""

from collections.abc import Generator, Sequence
from contextlib import suppress
from typing import Final

from chat_service.core.commands import ChangePassword, CommandBody, Hello, Ping, Secret, SignUp
from chat_service.core.errors import InvalidCommand
from chat_service.core.events import Event, Goodbye
from chat_service.wire.telnet import ECHO_OFF, ECHO_ON
from chat_service.wire.terminal import neutralised

Dialogue = Generator[str, Secret, CommandBody]

_NOTHING_CHANGED: Final = "nothing was changed"
_ALWAYS: Final = Ping()


def log_in(name: str, proof: str) -> Dialogue:
    """Ask for the password of a name, or what else is its proof; it tells nothing else of it."""
    return Hello(name, password=(yield f"{proof} for {neutralised(name)}"))


def sign_up(name: str) -> Dialogue:
    """Ask for the password of a new account."""
    return SignUp(name, (yield from _new_password()))


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
        self.check: CommandBody = _ALWAYS
        """The command whose reply asks a question: whether the dialogue can come to anything."""
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

    def begin(self, ref: int, dialogue: Dialogue, check: CommandBody = _ALWAYS) -> None:
        """Ask the first question of a dialogue in the reply to `ref`."""
        self._dialogue, self.check = dialogue, check
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

    def give_up(self, lines: Sequence[object]) -> int:
        """End a dialogue that comes to nothing.

        Returns how many of the lines, which have come already, were to answer it: a password is
        among them, which nobody else is to see.
        """
        dialogue, self._dialogue = self._dialogue, None
        self._questions.clear()
        taken = 0
        with suppress(StopIteration, InvalidCommand):
            while dialogue is not None and taken < len(lines):
                line = lines[taken]
                taken += 1
                if line == "":
                    break
                if isinstance(line, str):  # else it is unreadable, and would be asked for again
                    dialogue.send(Secret(line))
        return taken

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
