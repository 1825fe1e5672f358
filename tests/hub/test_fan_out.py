"""A batch on its way out: who sees which part of it, and what of it is shared."""

from collections.abc import Sequence

import apsw
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chat_service.core.address import LOBBY
from chat_service.core.commands import Enter, Entry, Join, Leave, Send
from chat_service.core.events import Joined, Left, Message
from chat_service.core.outcome import Applied, Durable, Entered, Topic
from chat_service.hub.fan_out import BLOB_BYTES, FanOut
from chat_service.hub.hub import Hub
from chat_service.hub.registry import Registry, Subscriber
from chat_service.state import schema
from chat_service.state.machine import StateMachine
from tests.hub.members import Codec, Member


class House:
    """A registry and rooms, by hand."""

    def __init__(self) -> None:
        self.registry = Registry()
        self.rooms: dict[str, set[Subscriber]] = {}

    def member(self, identity: int, *rooms: str, codec: Codec | None = None) -> Member:
        member = Member(f"s{len(self.registry)}", codec=codec)
        it = member.subscriber
        it.identity, it.user, it.live = identity, f"u{identity}", True
        self.registry.open(it)
        self.registry.add(it)
        for room in rooms:
            self.rooms.setdefault(room, set()).add(it)
        return member

    def fan_out(self, *events: Durable, author: Member | None = None) -> FanOut:
        fan_out = FanOut(self.registry, self.rooms)
        for event in events:
            fan_out.add(event, author.subscriber if author else None)
        return fan_out


def said(seq: int, topic: Topic = LOBBY, size: int = 10) -> Durable:
    return Durable(seq, topic, 1, Message("", "", 0, "", 0), b"x" * size)


# --- sharing ---


@pytest.fixture
def house() -> House:
    return House()


def test_readers_with_one_encoding_and_the_same_part_share_one_object(house: House) -> None:
    readers = [house.member(n, LOBBY) for n in (1, 2, 3)]
    house.fan_out(said(1), said(2)).deliver()
    blobs = [reader.outbox.take() for reader in readers]
    assert blobs[0] == b"<1><2>"
    assert all(blob is blobs[0] for blob in blobs)


def test_an_encoding_is_made_once_and_only_if_someone_wants_it(house: House) -> None:
    codecs = [Codec("a"), Codec("a"), Codec("b")]
    readers = [house.member(n, LOBBY, codec=codec) for n, codec in enumerate(codecs)]
    elsewhere = house.member(9, "#other", codec=Codec("c"))
    house.fan_out(said(1)).deliver()
    assert sum(codec.joins for codec in codecs[:2]) == codecs[2].joins == 1
    assert elsewhere.outbox.take() == b""
    assert [reader.seqs() for reader in readers] == [[1]] * 3


def test_readers_of_the_same_rooms_share_and_readers_of_others_do_not(house: House) -> None:
    both = [house.member(n, LOBBY, "#dev") for n in (1, 2)]
    one = house.member(3, LOBBY)
    house.fan_out(said(1), said(2, "#dev"), said(3)).deliver()
    blobs = [reader.outbox.take() for reader in both]
    assert blobs[0] is blobs[1]
    assert blobs[0] == b"<1><2><3>"
    assert one.outbox.take() == b"<1><3>"


def test_who_is_not_told_of_what_it_did_still_leaves_the_shared_bytes_to_others(
    house: House,
) -> None:
    author = house.member(1, LOBBY, codec=Codec(echoes=False))
    others = [house.member(n, LOBBY, codec=Codec(echoes=False)) for n in (2, 3)]
    fan_out = house.fan_out(said(1), author=author)
    fan_out.add(said(2), None)
    fan_out.deliver()
    assert author.outbox.take() == b"<2>"
    assert others[0].outbox.take() is others[1].outbox.take()


def test_what_one_says_in_private_comes_back_whatever_the_transport(house: House) -> None:
    author = house.member(1, LOBBY, codec=Codec(echoes=False))
    house.fan_out(said(1, (1, 2)), author=author).deliver()
    assert author.seqs() == [1]


def test_events_of_many_topics_come_in_the_one_order(house: House) -> None:
    reader = house.member(1, LOBBY, "#dev", "#art")
    topics: list[Topic] = ["#dev", LOBBY, (1, 2), "#art", LOBBY, "#dev", (1, 1), (1, 2)]
    house.fan_out(*(said(seq, topic) for seq, topic in enumerate(topics, 1))).deliver()
    assert reader.seqs() == list(range(1, len(topics) + 1))


@pytest.mark.parametrize("size", [40, 4_200, BLOB_BYTES // 2, BLOB_BYTES, BLOB_BYTES + 1])
def test_no_blob_is_larger_than_the_bound_unless_a_single_event_is(house: House, size: int) -> None:
    count = 2 * BLOB_BYTES // size + 3
    reader = house.member(1, LOBBY, codec=Whole())
    house.fan_out(*(said(seq, size=size) for seq in range(1, count + 1))).deliver()
    blobs = [blob for blob, _ in reader.outbox._blobs]
    assert sum(map(len, blobs)) == count * size
    assert max(map(len, blobs)) <= max(BLOB_BYTES, size)
    assert len(reader.outbox) >= count


class Whole(Codec):
    """Events at the size that they have in the state."""

    def join(self, events: Sequence[Durable]) -> bytes:
        return b"".join(event.frame for event in events)


def test_one_full_outbox_is_told_and_the_others_get_everything(house: House) -> None:
    slow, quick = house.member(1, LOBBY), house.member(2, LOBBY)
    slow.outbox._max_events = 1
    slow.outbox.put(b"<0>")
    assert house.fan_out(said(1), said(2)).deliver() == [slow.subscriber]
    assert quick.seqs() == [1, 2]


# --- windows, against one event at a time ---


class Session:
    """What one session is to see, reckoned event by event."""

    def __init__(self, member: Member, identity: int, rooms: Sequence[str]) -> None:
        self.member = member
        self.identity = identity
        self.rooms = set(rooms)
        self.expected: list[int] = []

    def follow(self, event: Durable, author: str) -> None:
        body, own = event.body, event.identity == self.identity
        if own and isinstance(body, Joined):
            self.rooms.add(body.room)
        in_room = isinstance(event.topic, str)
        concerned = event.topic in self.rooms if in_room else self.identity in event.topic
        it = self.member.subscriber
        silent = in_room and author == it.id and not it.codec.echoes
        if concerned and self.member.live and not silent:
            self.expected.append(event.seq)
        if own and isinstance(body, Left):
            self.rooms.discard(body.room)


class Chat:
    """The real state and the real hub, next to a model that knows no batches."""

    def __init__(self) -> None:
        self.db = apsw.Connection(":memory:")
        schema.migrate(self.db)
        self.machine = StateMachine(self.db)
        self.pending: list[Entry] = []
        self.hub = Hub(self.pending.append, lambda: 1, presence_limit=0)
        self.entered: list[tuple[Member, str, bytes]] = []
        self.sessions: dict[str, Session] = {}

    def enter(self, user: str, client: bytes | None, encoding: str, *, live: bool) -> None:
        """Connect; who is not `live` reads from the state and gets nothing of the fan-out."""
        id_ = f"s{len(self.entered)}"
        secret = client or id_.encode()
        codec = Codec(encoding, echoes=encoding == "a")
        self.entered.append((Member(id_, self.hub, codec, live=live), user, secret))
        self.pending.append(Entry(id_, 0, user, secret, 1, Enter(transient=client is None)))

    def ask(self, who: int, body: Send | Join | Leave) -> None:
        member, user, client = self.entered[who % len(self.entered)]
        self.pending.append(Entry(member.subscriber.id, 0, user, client, 1, body))

    def depart(self, who: int) -> None:
        self.cut()
        member = self.entered[who % len(self.entered)][0]
        self.hub.leave(member.subscriber, hold=False)
        member.outbox.close()
        self.sessions.pop(member.subscriber.id, None)

    def cut(self) -> None:
        """End a batch: apply it, fan it out, and see that everyone got what the model says."""
        batch, self.pending[:] = list(self.pending), []
        applied = self.machine.apply(batch)
        self.hub.fan_out(applied)
        for it in applied:
            self._reckon(it)
        for session in self.sessions.values():
            assert session.member.seqs() == session.expected
            session.expected.clear()
        for member, _, _ in self.entered:
            assert member.seqs() == []  # neither who has gone nor who reads from the state

    def _reckon(self, applied: Applied) -> None:
        entry, reply = applied.entry, applied.reply
        for event in applied.events:
            for session in self.sessions.values():
                session.follow(event, entry.session)
        if isinstance(reply, Entered):
            for id_, session in list(self.sessions.items()):
                if session.member.subscriber.user == entry.user:
                    del self.sessions[id_]  # superseded
            member = next(m for m, _, _ in self.entered if m.subscriber.id == entry.session)
            if not member.outbox.closed:
                self.sessions[entry.session] = Session(member, reply.identity, reply.rooms)


WHO = st.integers(0, 4)
USER = st.sampled_from(["ann", "bob", "cyd"])
ROOM = st.sampled_from(["#dev", "#art", LOBBY])
CLIENT = st.sampled_from([b"one", b"two", None])
STEPS = st.one_of(
    st.tuples(st.just("enter"), USER, CLIENT, st.sampled_from("ab")),
    st.tuples(st.just("enter to read"), USER, CLIENT, st.sampled_from("ab")),
    st.tuples(st.just("say"), WHO, ROOM),
    st.tuples(st.just("whisper"), WHO, USER),
    st.tuples(st.just("join"), WHO, ROOM),
    st.tuples(st.just("leave"), WHO, ROOM),
    st.tuples(st.just("depart"), WHO),
    st.tuples(st.just("cut")),
)


@settings(max_examples=100)
@given(st.lists(STEPS, min_size=5, max_size=40))
async def test_a_batch_shows_everyone_just_what_one_event_at_a_time_would(
    steps: list[tuple[str, ...]],
) -> None:
    chat = Chat()
    chat.enter("ann", b"one", live=True, encoding="a")
    chat.enter("bob", b"one", live=True, encoding="b")
    chat.enter("cyd", b"one", live=False, encoding="a")
    actions = {
        "enter": lambda *who: chat.enter(*who, live=True),
        "enter to read": lambda *who: chat.enter(*who, live=False),
        "say": lambda who, room: chat.ask(who, Send(room, "hi")),
        "whisper": lambda who, user: chat.ask(who, Send(f"@{user}", "psst")),
        "join": lambda who, room: chat.ask(who, Join(room)),
        "leave": lambda who, room: chat.ask(who, Leave(room)),
        "depart": chat.depart,
        "cut": chat.cut,
    }
    for name, *arguments in steps:
        actions[name](*arguments)  # type: ignore[operator]
    chat.cut()
    chat.hub.close()
    chat.db.close()
