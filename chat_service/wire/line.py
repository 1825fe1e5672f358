"""The line protocol: what `nc` and `telnet` speak.

The first line is a name. Every further one is a message to the current room, or a command, which
begins with a slash (`//` at its start sends a line that begins with one), or a password where one
was asked for. See `vocabulary` for the commands, `dialogue` for the passwords, `terminal` for what
comes back, and `telnet` for what counts as a line.
"""

from collections.abc import Hashable, Sequence
from typing import Final

from chat_service.core.address import parse_name
from chat_service.core.commands import (
    Command,
    CommandBody,
    Hello,
    MayChangePassword,
    MaySignUp,
    Quit,
    Send,
    SignUp,
)
from chat_service.core.errors import ErrorCode, Refusal, Unauthenticated
from chat_service.core.events import (
    Error,
    Event,
    EventBody,
    Goodbye,
    GoodbyeReason,
    Joined,
    Left,
    Welcome,
)
from chat_service.core.limits import PASSWORDS_TYPED
from chat_service.core.outcome import Durable
from chat_service.wire.dialogue import Dialogue, Interview, log_in
from chat_service.wire.events import decode_frame
from chat_service.wire.port import Acked, Received, Terms
from chat_service.wire.telnet import Line, LineReader
from chat_service.wire.terminal import neutralised, render
from chat_service.wire.verbs import Answer, unknown
from chat_service.wire.vocabulary import VERBS
from chat_service.wire.whereabouts import Whereabouts

_DECISIVE: Final = frozenset((Hello, Quit, MaySignUp, SignUp, MayChangePassword))
"""What is behind these waits for the answer."""

_BEFORE_NAME: Final = frozenset(("/login", "/register"))
"""What may stand in the place of a name."""

_LATER: Final = frozenset((ErrorCode.RATE_LIMITED, ErrorCode.UNAVAILABLE))
"""Why a question is refused that is asked all the same: its answers may find it otherwise."""

_OWN_KEPT: Final = 4_096
"""Events of its own that a connection knows again: more than it can have under way."""


_USUAL: Final = Terms()


class LineCodec:
    """A connection that speaks lines of text.

    What a line means may depend on the answer to one before it, to a Hello for example: behind
    such a one, lines wait until that has come (see `waiting`), and `feed` goes on with them.
    """

    echoes = False
    interactive = True

    def __init__(self, terms: Terms = _USUAL) -> None:
        self.terms = terms
        self.user = ""
        self.ref = 0
        """The ref of the last line that was read."""
        self.places = Whereabouts()
        self.successor: LineCodec | None = None
        """The codec of the session that follows on this one by `/login`, once this one is over."""
        self._reader = LineReader()
        # Lists, since these are empty as a rule: an empty deque takes 700 bytes.
        self._lines: list[Line | Hello | Quit] = []
        self._named = False
        self._interview = Interview()
        self._answers: dict[int, Answer] = {}
        self._awaited = 0
        """The ref of the command whose answer the next line waits for; 0 if there is none."""
        self._name = ""
        """Who the Hello said that this is."""
        self._challenges = 0
        self._next: Hello | None = None
        """What the next session is to begin with."""
        self._notice = ""
        """What this connection is still to be told by itself."""
        self._own: list[int] = []
        """The seqs of what it has said and done itself lately."""

    @property
    def waiting(self) -> bool:
        """Whether there are lines for `feed` to go on with, even without new bytes."""
        return bool(self._lines) and not self._awaited

    def greeting(self) -> bytes:
        """Return the line that a connection begins with: it asks for a name."""
        return b"* what is your name?\n"

    def sharing(self, *, private: bool) -> Hashable:
        """Return the current room, which decides what is labelled; if `private`, the user too."""
        if self._notice or self._interview.hides:
            return self  # it is told something, or in a way, that no other is
        room = self.places.current
        return ("line", room, self.user) if private else ("line", room)

    # From lines to commands.

    def feed(self, data: bytes) -> list[Received]:
        """Take bytes as they came. Nothing that a line holds is fatal, so this never raises."""
        self._lines += self._reader.feed(data)
        return self._receive()

    def end_of_input(self) -> list[Received]:
        """Take the last line, if the end has cut it short."""
        self._lines += self._reader.end()
        return self._receive()

    def _receive(self) -> list[Received]:
        received: list[Received] = []
        taken = 0
        while taken < len(self._lines) and not self._awaited:
            line = self._lines[taken]
            taken += 1
            if not isinstance(line, str) or line.strip() or self._interview.awaits_answer:
                received.append(self._received(line))
        del self._lines[:taken]
        return received

    def _received(self, line: Line | Hello | Quit) -> Received:
        self.ref += 1
        if isinstance(line, Refusal):
            if self._interview.awaits_answer:
                self._interview.ask_again(self.ref)
            return self.ref, line
        try:
            body = self._parsed(line) if isinstance(line, str) else line
        except Refusal as refusal:
            return self.ref, refusal
        if type(body) in _DECISIVE:
            self._awaited = self.ref
            self._name = body.user if isinstance(body, Hello) else self._name
        return Command(self.ref, body)

    def _parsed(self, line: str) -> CommandBody:
        if self._interview.awaits_answer:
            return self._answer_question(line)
        if not self._named:
            return self._first(line.strip())
        if line.startswith("//"):
            return Send(self.places.current, line[1:])
        return self._command(line) if line.startswith("/") else Send(self.places.current, line)

    def _first(self, line: str) -> CommandBody:
        if line.split(maxsplit=1)[0].lower() in _BEFORE_NAME:
            return self._command(line)
        return Hello(line)

    def _command(self, line: str) -> CommandBody:
        word = line.split(maxsplit=1)[0]
        verb = VERBS.get(word.lower())
        if verb is None:
            raise unknown(word)
        return verb.command(self, line)

    def answer_with(self, answer: Answer) -> None:
        """Let the reply to the line at hand be told in this way."""
        self._answers[self.ref] = answer

    def hold(self, dialogue: Dialogue, *check: CommandBody) -> CommandBody:
        """Begin a dialogue; returns the command whose reply asks the first question.

        `check` asks whether the dialogue can come to anything.
        """
        self._interview.begin(self.ref, dialogue, *check)
        return self._elicit()

    def _elicit(self) -> CommandBody:
        """Return what has a reply once everything before it does, and does nothing else."""
        if not self._named and not isinstance(self._interview.check, MaySignUp):
            self._challenges += 1  # as the session does
            raise Unauthenticated  # there is no reply to any other before Welcome
        return self._interview.check

    def _answer_question(self, line: str) -> CommandBody:
        asked = self._interview.answer(self.ref, line)
        if asked is None:
            return self._elicit()
        if isinstance(asked, Hello):
            return self._leave_for(asked) if self._named else asked
        self.answer_with(lambda _: self._done(asked))
        return asked

    def _done(self, asked: CommandBody) -> str:
        if not isinstance(asked, SignUp):
            return "* your password is changed\n"
        if not self._named:
            self._lines.insert(0, Hello(asked.user, password=asked.password))
        return f"* {asked.user} is registered now: the name takes your password from here on\n"

    def _leave_for(self, hello: Hello) -> Quit:
        """Leave, for a session that begins with this Hello; raises InvalidAddress."""
        parse_name(hello.user)
        self._next = hello
        return Quit()

    # From events to lines.

    def encode(self, event: Event) -> bytes:
        """Render an event that is this connection's alone, and follow where it leads."""
        revealing = self._interview.reveal(event)
        told = self._told(event)
        return revealing + told + self._take_notice()

    def encode_acks(self, acks: Sequence[Acked]) -> tuple[bytes, int]:
        """Render Acks, most of which are not shown."""
        self._own += [ack.seq for _, ack in acks]
        if len(self._own) > 2 * _OWN_KEPT:
            del self._own[:-_OWN_KEPT]
        if not (self._answers or self._notice or self._interview.hides):
            return b"", 0
        shown = [line for ref, ack in acks if (line := self.encode(Event(ack, ref=ref)))]
        return b"".join(shown), len(shown)

    def moved(self, body: Joined | Left) -> None:
        """Follow where the user is; what was asked for here is told by its reply."""
        if isinstance(body, Joined):
            self.places.joined(body.room)
        else:
            self._notice += self.places.left(body.room)

    def join(self, events: Sequence[Durable]) -> bytes:
        """Render committed events, for all connections that share a key with this one."""
        room, user = self.places.current, self.user
        lines = "".join([render(event.body, room, user) for event in events])
        return self._encoded(lines) + self._take_notice()

    def recall(self, frames: Sequence[bytes]) -> bytes:
        """Render committed events that the state has stored, but for its own.

        Who speaks while catching up has heard of it already; the Ack comes before the event does.
        """
        room, user, own = self.places.current, self.user, set(self._own)
        events = [it for frame in frames for it in decode_frame(frame) if it.seq not in own]
        return self._encoded("".join([render(event.body, room, user) for event in events]))

    def _told(self, event: Event) -> bytes:
        body, ref = event.body, event.ref
        if isinstance(body, Error):
            return self._refused(ref, body)
        if isinstance(body, Welcome):
            self._let_in(body)
        elif isinstance(body, Goodbye) and self._next and body.reason is GoodbyeReason.LEFT:
            self.successor = self._followed_by(self._next)
            return b""
        if ref and ref == self._awaited:
            self._awaited = 0
        if question := self._interview.question(ref):
            return question
        answer = self._answers.pop(ref, None)
        return self._encoded(answer(body) if answer is not None else self._rendered(body))

    def _rendered(self, body: EventBody) -> str:
        return render(body, self.places.current, self.user)

    def _let_in(self, welcome: Welcome) -> None:
        self._named = True
        self._awaited = 0
        self.user = welcome.user
        self.places.begin(welcome.rooms)

    def _refused(self, ref: int, error: Error) -> bytes:
        self._answers.pop(ref, None)
        said = self._encoded(self._rendered(error) + self.places.refused(ref))
        decides = ref > 0 and ref == self._awaited
        if decides:
            self._awaited = 0
        if decides and self._interview.awaits_answer and error.code not in _LATER:
            self._end_dialogue()
            return said
        if question := self._interview.question(ref):
            # This is how a question is asked before Welcome, or else why it is asked again.
            return question if error.code is ErrorCode.UNAUTHENTICATED else said + question
        if decides:
            return said + self._challenge(ref, error)
        return said + self.greeting() if ref and not self._named else said

    def _end_dialogue(self) -> None:
        """Ask nothing: what has come as an answer already is taken for nothing else."""
        del self._lines[: self._interview.give_up(self._lines)]
        if not self._named:
            self._lines = [Quit()]  # for the reason that `_challenge` has

    def _challenge(self, ref: int, error: Error) -> bytes:
        """Return the question for the password, if a Hello was refused for want of it.

        If it was for another reason, that was that: the next line could be a password, and must be
        taken neither for a name nor for a message.
        """
        self._next = None
        if self._named:
            return b""  # it was a Quit, or an account that was not made
        self._challenges += error.code is ErrorCode.UNAUTHENTICATED
        asks = error.code is ErrorCode.UNAUTHENTICATED and bool(self.terms.proof)
        if not asks or self._challenges > PASSWORDS_TYPED:
            self._lines = [Quit()]
            return b""
        invitation = self._invitation() if self._challenges == 1 else b""
        self._interview.begin(ref, log_in(self._name, self.terms.proof))
        return invitation + self._interview.question(ref)

    def _invitation(self) -> bytes:
        """Return how to come in without an account, where only those who have one do."""
        if not self.terms.newcomers:
            return b""
        name = neutralised(self._name)
        text = f"* no account yet? answer with an empty line, then make one by /register {name}\n"
        return self._encoded(text)

    def _followed_by(self, hello: Hello) -> "LineCodec":
        """Return the codec of another session on this connection, which goes on with its lines."""
        codec = LineCodec(self.terms)
        codec._reader = self._reader
        codec._lines = [hello, *self._lines]
        return codec

    def _take_notice(self) -> bytes:
        notice, self._notice = self._notice, ""
        return self._encoded(notice)

    def _encoded(self, text: str) -> bytes:
        if self._interview.hides:
            # Telnet does nothing for the terminal now, which takes LF alone as "one line down".
            text = text.replace("\n", "\r\n")
        return text.encode(errors="replace")
