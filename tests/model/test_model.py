"""Whatever clients do, in whatever order and across restarts, state and model agree."""

import shutil
import tempfile
from pathlib import Path

import apsw
import hypothesis.strategies as st
from hypothesis import settings
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from chat_service.core.commands import Enter, Entry, EntryBody, Exit, Join, Leave, Send
from chat_service.core.errors import Refusal
from chat_service.core.events import Ack, DurableBody, Joined, Left, Message
from chat_service.core.outcome import Applied
from chat_service.state import queries, schema
from chat_service.state.machine import StateMachine
from chat_service.wire.events import decode_frame
from tests.model.model import Identity, Model
from tests.state.batches import TABLES

NAMES = st.sampled_from(["ann", "bob", "cyd"])
CLIENTS = st.sampled_from([b"1" * 16, b"2" * 16])
ROOMS = st.sampled_from(["#lobby", "#dev", "#ops"])
PLACES = st.one_of(ROOMS, NAMES.map(lambda name: f"@{name}"), st.just("@nobody"))
SESSIONS = st.integers(0, 1)  # of each client


class StateAgainstModel(RuleBasedStateMachine):
    """Three names, two clients of each, two sessions of each: few enough to collide."""

    @initialize()
    def start(self) -> None:
        self.directory = Path(tempfile.mkdtemp())
        self.path = self.directory / "chat.db"
        self.model = Model()
        self.entries: list[list[Entry]] = []
        self._open()

    def _open(self) -> None:
        self.db = apsw.Connection(str(self.path))
        schema.migrate(self.db)
        self.state = StateMachine(self.db)

    @rule()
    def restart(self) -> None:
        self.db.close()
        self._open()

    @rule(name=NAMES, client=CLIENTS, session=SESSIONS, transient=st.booleans())
    def enter(self, name: str, client: bytes, session: int, transient: bool) -> None:
        self._do(session, name, client, Enter(transient))

    @rule(name=NAMES, client=CLIENTS, session=SESSIONS, hold=st.booleans())
    def exit(self, name: str, client: bytes, session: int, hold: bool) -> None:
        self._do(session, name, client, Exit(hold))

    @rule(name=NAMES, client=CLIENTS, session=SESSIONS, to=PLACES, nonce=st.integers(0, 5))
    def send(self, name: str, client: bytes, session: int, to: str, nonce: int) -> None:
        self._do(session, name, client, Send(to, f"to {to}", nonce))

    @rule(name=NAMES, client=CLIENTS, session=SESSIONS, room=ROOMS)
    def join(self, name: str, client: bytes, session: int, room: str) -> None:
        self._do(session, name, client, Join(room))

    @rule(name=NAMES, client=CLIENTS, session=SESSIONS, room=ROOMS)
    def leave(self, name: str, client: bytes, session: int, room: str) -> None:
        self._do(session, name, client, Leave(room))

    @rule(
        sends=st.lists(st.tuples(NAMES, CLIENTS, PLACES, st.integers(0, 9)), min_size=2, max_size=8)
    )
    def send_in_one_batch(self, sends: list[tuple[str, bytes, str, int]]) -> None:
        batch = [
            self._entry(0, name, client, Send(to, f"to {to}", nonce))
            for name, client, to, nonce in sends
        ]
        self._apply(batch)

    @invariant()
    def everyone_sees_what_they_were_to_see(self) -> None:
        for identity, number in self._identities().items():
            for after in (0, len(self.model.events) // 2):
                page = queries.missed(self.db, number, after, after, self.state.seq)
                seqs = [event.seq for frame in page.frames for event in decode_frame(frame)]
                assert seqs == self.model.seen_by(identity, after)

    @invariant()
    def numbers_have_no_holes(self) -> None:
        rows = self.db.execute("SELECT topic, number FROM events WHERE number > 0 ORDER BY seq")
        last: dict[object, int] = {}
        for topic, number in rows:
            assert number == last.get(topic, 0) + 1
            last[topic] = number

    @invariant()
    def the_lobby_has_its_history(self) -> None:
        for number in list(self._identities().values())[:1]:
            page = queries.history(self.db, number, "#lobby", 0, 200)
            seqs = [event.seq for frame in page.frames for event in decode_frame(frame)]
            assert seqs == self.model.said_in("#lobby")

    def teardown(self) -> None:
        if not hasattr(self, "db"):
            return
        again = apsw.Connection(":memory:")
        schema.migrate(again)
        machine = StateMachine(again)
        everything = [entry for batch in self.entries for entry in batch]
        machine.apply(everything)
        for table in TABLES:
            dump = f"SELECT * FROM {table} ORDER BY 1, 2"
            assert again.execute(dump).fetchall() == self.db.execute(dump).fetchall()
        again.close()
        self.db.close()
        shutil.rmtree(self.directory)

    def _identities(self) -> dict[Identity, int]:
        rows = self.db.execute("SELECT id, name, client FROM identities")
        return {(name, client): number for number, name, client in rows}

    def _entry(self, session: int, name: str, client: bytes, body: EntryBody) -> Entry:
        return Entry(f"{name}-{client[0]}-{session}", 0, name, client, 1_000_000, body)

    def _do(self, session: int, name: str, client: bytes, body: EntryBody) -> None:
        self._apply([self._entry(session, name, client, body)])

    def _apply(self, batch: list[Entry]) -> None:
        self.entries.append(batch)
        for applied in self.state.apply(batch):
            before = len(self.model.events)
            expected = self.model.do(applied.entry)
            assert _outcome(applied) == expected, applied
            happened = [(it.seq, it.what) for it in self.model.events[before:]]
            assert [(it.seq, _what(it.body)) for it in applied.events] == happened


def _outcome(applied: Applied) -> object:
    if isinstance(applied.reply, Refusal):
        return applied.reply.code
    if isinstance(applied.reply, Ack) and applied.reply.duplicate:
        return "duplicate"
    return "ok"


def _what(body: DurableBody) -> tuple[object, ...]:
    if isinstance(body, Message):
        return ("message", body.sender, body.text)
    assert isinstance(body, Joined | Left)
    return ("joined" if isinstance(body, Joined) else "left", body.user)


TestStateAgainstModel = StateAgainstModel.TestCase
TestStateAgainstModel.settings = settings(max_examples=60, stateful_step_count=40)
