"""Sessions as the hub sees them, without a connection behind them."""

from collections.abc import Hashable, Sequence

from chat_service.core.commands import Command, Enter, Entry
from chat_service.core.errors import Refusal
from chat_service.core.events import Ack, Event, Goodbye, Joined, Left, Presence
from chat_service.core.outcome import Applied, Durable, Entered
from chat_service.hub.hub import Hub
from chat_service.hub.outbox import Outbox
from chat_service.hub.registry import Subscriber


class Codec:
    """An encoding that writes `<seq>` for an event, and presence as `+name` or `-name`."""

    user = ""

    def __init__(self, encoding: str = "a", *, echoes: bool = True) -> None:
        self.encoding = encoding
        self.echoes = echoes
        self.interactive = False
        self.joins = 0
        self.moves: list[Joined | Left] = []

    def sharing(self, *, private: bool) -> Hashable:
        return self.encoding

    def feed(self, data: bytes) -> list[Command | tuple[int, Refusal]]:
        return []

    def end_of_input(self) -> list[Command | tuple[int, Refusal]]:
        return []

    def encode(self, event: Event) -> bytes:
        if not isinstance(event.body, Presence):
            return b"?"
        return (b"+" if event.body.online else b"-") + event.body.user.encode()

    def encode_acks(self, acks: Sequence[tuple[int, Ack]]) -> tuple[bytes, int]:
        return b"".join(self.encode(Event(ack, ref=ref)) for ref, ack in acks), len(acks)

    def moved(self, body: Joined | Left) -> None:
        self.moves.append(body)

    def join(self, events: Sequence[Durable]) -> bytes:
        self.joins += 1
        return b"".join(b"<%d>" % event.seq for event in events)

    def recall(self, frames: Sequence[bytes]) -> bytes:
        return b"".join(frames)


class Member:
    """The session behind a subscriber: registers itself on its Entered, as a session does."""

    def __init__(
        self,
        id_: str,
        hub: Hub | None = None,
        codec: Codec | None = None,
        *,
        live: bool = True,
        events: int = 1_000_000,
    ) -> None:
        self.outbox = Outbox(events, 1 << 40)
        self.subscriber = Subscriber(id_, self, codec or Codec(), self.outbox)
        self.live = live
        self.replies: list[object] = []
        self.goodbye: Goodbye | None = None
        self._hub = hub
        if hub is not None:
            hub.open(self.subscriber)

    def answered(self, applied: Sequence[Applied]) -> None:
        for it in applied:
            self.replies.append(it.reply)
            if isinstance(it.reply, Entered) and self._hub is not None:
                self._hub.register(self.subscriber, it.reply, it.entry)
                self.subscriber.live = self.live

    def end(self, goodbye: Goodbye, *, drop: bool = False) -> None:
        self.goodbye = goodbye
        if drop:
            self.outbox.clear()
        self.subscriber.live = False
        self.outbox.close()

    def seqs(self) -> list[int]:
        """Take everything and return which durable events it was."""
        told = b""
        while len(self.outbox):
            told += self.outbox.take()
        return [int(it.partition(b">")[0]) for it in told.split(b"<")[1:]]


def enter(session: str, user: str, client: bytes) -> Entry:
    return Entry(session, 0, user, client, 1, Enter())
