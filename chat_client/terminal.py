"""The chat for people: a line being typed below, what happens above it."""

import asyncio
import os
from collections.abc import Awaitable, Callable, Iterable
from contextlib import suppress
from typing import Final

from prompt_toolkit import PromptSession
from prompt_toolkit.buffer import Buffer
from prompt_toolkit.completion import CompleteEvent, Completer, Completion
from prompt_toolkit.document import Document
from prompt_toolkit.formatted_text import FormattedText, StyleAndTextTuples
from prompt_toolkit.history import FileHistory, History, InMemoryHistory
from prompt_toolkit.key_binding import KeyBindings, KeyPressEvent
from prompt_toolkit.patch_stdout import patch_stdout
from prompt_toolkit.renderer import print_formatted_text
from prompt_toolkit.styles import Style

from chat.v1 import events_pb2
from chat_client.client import ChatClient
from chat_client.conversation import Conversation
from chat_client.errors import ChatError
from chat_client.failure import Failure
from chat_client.identity import state_directory
from chat_client.render import as_text, visible
from chat_client.stdio import utf8
from chat_client.verbs import Verb

_STYLE = Style.from_dict(
    {
        "info": "ansibrightblack",
        "error": "ansired",
        "private": "ansimagenta",
        "sender": "ansicyan",
        "prompt": "ansigreen",
    }
)

# Lines that may wait for the server. Many terminals say what is pasted, which is one text then;
# others type it, faster than anybody can, and what finds no room runs into the line before.
_MAX_PASTED: Final = 10_000


class TerminalScreen:
    """Prints above the line that is being typed. NO_COLOR and TERM=dumb leave it plain."""

    def __init__(self, session: PromptSession[str]) -> None:
        self._app = session.app

    async def show(self, event: events_pb2.Event, room: str, user: str) -> None:
        """Print an event's lines, if it has any."""
        if text := as_text(event, room, user):
            self.print(text)

    async def note(self, line: str) -> None:
        """Print what the client says."""
        self.print(line)

    async def complain(self, line: str) -> None:
        """Print what went wrong."""
        self.print(line)

    def print(self, text: str) -> None:
        """Print lines.

        The terminal stays in raw mode meanwhile, unlike with `run_in_terminal`: a key pressed at
        that moment would be echoed into the text, or lost.
        """
        typing = self._app.is_running
        if typing:
            self._app.renderer.erase()
        print_formatted_text(self._app.output, styled(text), _STYLE)
        if typing:
            self._app.renderer.request_absolute_cursor_position()
            self._app.invalidate()


def styled(text: str) -> FormattedText:
    """Give lines the colours of what they are, which is what they begin with."""
    fragments: StyleAndTextTuples = []
    for line in text.splitlines(keepends=True):
        fragments += _styled_line(line)
    return FormattedText(fragments)


def _styled_line(line: str) -> StyleAndTextTuples:
    if line.startswith("  "):
        return [("", line)]
    if line.startswith("! "):
        return [("class:error", line)]
    label, bracket, rest = line.partition("] ") if line.startswith("[") else ("", "", line)
    if bracket and not label.startswith("[#"):
        return [("class:private", label + bracket), ("", rest)]
    if rest.startswith("* "):
        return [("class:info", line)]
    sender, colon, said = rest.partition(": ")
    return [("class:info", label + bracket), ("class:sender", sender + colon), ("", said)]


class ChatCompleter(Completer):
    """Completes commands, and the names of rooms and users heard of."""

    def __init__(self, talk: Conversation) -> None:
        self._talk = talk

    def get_completions(
        self, document: Document, _complete_event: CompleteEvent
    ) -> Iterable[Completion]:
        """Yield what the word before the cursor may become."""
        typed = document.text_before_cursor
        word = typed.rpartition(" ")[2]
        for candidate in self._candidates(typed, word):
            if candidate.startswith(word) and candidate != word:
                yield Completion(candidate, start_position=-len(word))

    def _candidates(self, typed: str, word: str) -> Iterable[str]:
        if typed == word and word.startswith("/"):
            return self._talk.verbs
        if word.startswith("#") or typed.startswith(("/join ", "/leave ")):
            return self._talk.rooms
        verb = self._talk.verbs.get(typed.partition(" ")[0])
        return sorted(self._talk.names) if word or (verb and verb.wants_name) else ()


class SecretPrompt:
    """A question in the place of the prompt. Its answer is neither shown nor kept."""

    def __init__(self, session: PromptSession[str]) -> None:
        self._session = session
        self._answer: asyncio.Future[str] | None = None
        self.words = ""
        """The question; empty if there is none."""

    async def ask(self, words: str) -> str:
        """Return what is typed: nothing, if the user would rather go."""
        self._answer = asyncio.get_running_loop().create_future()
        self._show(f"{words}: ")
        try:
            return await self._answer
        finally:
            self._show("")

    def answer(self, text: str) -> None:
        """Take what was typed, if there is a question."""
        if self._answer is not None and not self._answer.done():
            self._answer.set_result(text)

    def _show(self, words: str) -> None:
        self.words = words
        self._session.is_password = bool(words)
        self._session.app.invalidate()


Register = Callable[[Callable[[str], Awaitable[str]]], Awaitable[str]]
"""Makes an account of the user's name by what it asks; returns what to say.

Raises ChatError, Failure.
"""


def _registering(register: Register, secret: SecretPrompt, screen: TerminalScreen) -> Verb:
    async def do(_: Conversation) -> None:
        try:
            await screen.note(f"{await register(secret.ask)}\n")
        except (ChatError, Failure) as error:
            await screen.complain(f"! {visible(str(error))}\n")

    return Verb(do, 0, 0, "/register", "makes your name yours, with a password")


async def run(
    chat: ChatClient, room: str, session: PromptSession[str], register: Register, *, history: int
) -> int:
    """Talk until the user has had enough; return the exit status."""
    status = 0
    screen, secret = TerminalScreen(session), SecretPrompt(session)
    verbs = {"/register": _registering(register, secret, screen)}
    try:
        async with asyncio.TaskGroup() as tasks:
            talk = Conversation(
                chat, screen, tasks, room=room, hidden=("joined", "left"), verbs=verbs
            )
            await screen.note(f"* welcome, {chat.user}: /help lists the commands\n")
            await talk.begin(history)
            tasks.create_task(talk.follow())
            with patch_stdout():
                await _type(session, talk, secret, tasks)
            await chat.close()
            await talk.settled()
    except* ChatError as errors:
        status = 1
        await screen.complain(f"! {visible(str(errors.exceptions[0]))}\n")
    return status


async def _type(
    session: PromptSession[str], talk: Conversation, secret: SecretPrompt, tasks: asyncio.TaskGroup
) -> None:
    """Have one prompt up all the time, and do what is entered there in order."""
    entered: asyncio.Queue[str | None] = asyncio.Queue(_MAX_PASTED)

    def accept(buffer: Buffer) -> bool:
        buffer.text = utf8(buffer.text)  # for the history's file as well
        if secret.words:
            secret.answer(buffer.text)
            buffer.text = ""  # the history takes what is left here
            return False
        if not entered.full():
            entered.put_nowait(buffer.text)
            return False
        return True  # the line stays until there is room

    session.default_buffer.accept_handler = accept
    doing = tasks.create_task(_do(entered, talk, session))
    with suppress(EOFError):
        await session.prompt_async(
            lambda: [("class:prompt", secret.words or f"{talk.room}> ")],
            completer=ChatCompleter(talk),
            handle_sigint=False,
        )
    secret.answer("")
    await entered.put(None)
    await doing


async def _do(
    entered: asyncio.Queue[str | None], talk: Conversation, session: PromptSession[str]
) -> None:
    while (line := await entered.get()) is not None:
        await talk.enter(line)
        if talk.over and session.app.is_running:
            session.app.exit(exception=EOFError)
        session.app.invalidate()  # the prompt shows the room


def prompt_session() -> PromptSession[str]:
    """Return a prompt with a history, which leaves nothing behind of a line that is entered.

    What was said comes back in its place among what others say.
    """
    return PromptSession(
        history=_history(),
        key_bindings=_keys(),
        style=_STYLE,
        complete_while_typing=False,
        erase_when_done=True,
    )


def _history() -> History:
    try:
        path = state_directory() / "history"
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, mode=0o600))
    except OSError:
        return InMemoryHistory()
    return FileHistory(path)


def _keys() -> KeyBindings:
    keys = KeyBindings()

    @keys.add("c-c")
    def _(event: KeyPressEvent) -> None:
        """Clear the line, or quit if there is none."""
        if event.current_buffer.text:
            event.current_buffer.reset()
        else:
            event.app.exit(exception=EOFError)

    return keys
