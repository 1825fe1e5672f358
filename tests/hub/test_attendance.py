"""Attendance: the seats of the state, followed from the log, and the nodes that are away."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from operator import attrgetter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chat_service.core.address import LOBBY
from chat_service.core.commands import (
    BanSubject,
    EndSessions,
    Enter,
    Entry,
    EntryBody,
    Exit,
    Join,
    Leave,
    Register,
    UnbanSubject,
    Vouched,
)
from chat_service.core.outcome import Applied, Entered, Seat
from chat_service.hub.attendance import Attendance, node_of
from chat_service.hub.hub import Hub
from chat_service.hub.presence import PresenceBook
from chat_service.state import directory
from tests.hub.members import enter
from tests.state.batches import State


class Told(PresenceBook):
    """A book that keeps what it is told, with its rooms."""

    def __init__(self) -> None:
        super().__init__(60, lambda: None)

    def news(self) -> list[str]:
        return [("+" if it.online else "-") + it.user for it, _ in self.due()]


@pytest.fixture
def book() -> Iterator[Told]:
    book = Told()
    yield book
    book.close()


def arrive(
    attendance: Attendance, session: str, user: str, *rooms: str, client: bytes = b""
) -> None:
    entered = Entered(sum(map(ord, user)), 0, None, 0, (LOBBY, *rooms))
    attendance.entered(enter(session, user, client or session.encode()), entered)


def test_a_session_names_the_node_that_it_is_on() -> None:
    assert node_of("a1b2-00ff") == "a1b2"


async def test_who_is_on_a_node_that_is_away_is_gone_and_comes_back_with_it(book: Told) -> None:
    attendance = Attendance(book)
    for session, user in (("a-1", "ann"), ("b-1", "bob"), ("b-2", "cyd")):
        arrive(attendance, session, user)
    assert book.news() == ["+ann", "+bob", "+cyd"]
    attendance.away("b")
    assert attendance.online == {"ann"}
    assert sorted(book.news()) == ["-bob", "-cyd"]
    attendance.back("b")
    assert sorted(book.news()) == ["+bob", "+cyd"]


async def test_who_is_on_two_nodes_is_online_while_one_of_them_is(book: Told) -> None:
    attendance = Attendance(book)
    arrive(attendance, "a-1", "ann")
    arrive(attendance, "b-1", "ann")
    attendance.away("b")
    assert book.news() == ["+ann"]
    attendance.away("a")
    assert book.news() == ["-ann"]


async def test_who_comes_to_a_node_that_is_away_is_told_when_it_is_back(book: Told) -> None:
    attendance = Attendance(book)
    attendance.away("b")
    arrive(attendance, "b-1", "bob")
    assert book.news() == []
    attendance.back("b")
    assert book.news() == ["+bob"]


async def test_a_lost_session_is_no_longer_online_and_keeps_its_seat(book: Told) -> None:
    attendance = Attendance(book)
    arrive(attendance, "a-1", "ann")
    attendance.exited("a-1", "ann", hold=True)
    assert attendance.online == set()
    assert [seat.lost for seat in attendance.seats_of("a")] == [True]
    attendance.exited("a-1", "ann", hold=False)
    assert (attendance.seats_of("a"), attendance.nodes) == ([], set())


async def test_the_end_of_a_session_that_was_superseded_ends_nothing(book: Told) -> None:
    attendance = Attendance(book)
    arrive(attendance, "a-1", "ann", client=b"same")
    arrive(attendance, "b-1", "ann", client=b"same")
    attendance.exited("a-1", "ann", hold=False)
    attendance.ended("a-1")
    assert attendance.online == {"ann"}
    assert attendance.nodes == {"b"}


async def test_a_room_counts_those_who_are_online_in_it_on_every_node(book: Told) -> None:
    attendance = Attendance(book)
    arrive(attendance, "a-1", "ann", "#dev")
    arrive(attendance, "b-1", "ann", "#dev")
    arrive(attendance, "b-2", "bob")
    assert (attendance.crowd("#dev"), attendance.crowd(LOBBY)) == (1, 2)
    attendance.joined(sum(map(ord, "bob")), "#dev")
    assert attendance.crowd("#dev") == 2
    attendance.away("b")
    assert (attendance.crowd("#dev"), attendance.crowd(LOBBY)) == (1, 1)
    attendance.left(sum(map(ord, "ann")), "#dev")
    assert attendance.crowd("#dev") == 0


async def test_presence_is_told_to_the_rooms_of_who_comes_and_goes(book: Told) -> None:
    attendance = Attendance(book)
    arrive(attendance, "a-1", "ann", "#dev")
    attendance.joined(sum(map(ord, "ann")), "#ops")
    attendance.exited("a-1", "ann", hold=False)
    assert book.due() == []  # who came and went before anyone was told
    arrive(attendance, "a-2", "ann", "#dev", "#ops")
    attendance.left(sum(map(ord, "ann")), "#dev")
    book.due()
    attendance.exited("a-2", "ann", hold=False)
    assert [rooms for _, rooms in book.due()] == [frozenset({LOBBY, "#ops"})]


# --- whatever happens, it is what the state says ---

NODES = ("n1", "n2")
NAMES = st.sampled_from(["ann", "bob"])
CLIENTS = st.sampled_from([b"1" * 16, b"2" * 16])
ROOM = st.sampled_from(["#dev", "#ops"])
BODY: st.SearchStrategy[EntryBody] = st.one_of(
    st.sampled_from([Enter(), Enter(transient=True), Enter(proof=Vouched())]),
    st.sampled_from([Exit(), Exit(hold=True)]),
    ROOM.map(Join),
    ROOM.map(Leave),
    NAMES.map(lambda name: EndSessions(name, None)),
    NAMES.map(lambda name: BanSubject(name, None)),
    NAMES.map(lambda name: UnbanSubject(name, None)),
    NAMES.map(lambda name: Register("hash", name, proof=None, by="root")),
)
ENTRY = st.builds(
    lambda node, tab, user, client, body: Entry(
        f"{node}-{user}{client[:1].decode()}{tab}", 0, user, client, 1_000_000, body
    ),
    st.sampled_from(NODES), st.integers(0, 1), NAMES, CLIENTS, BODY,
)  # fmt: skip


def followed(batches: Sequence[Sequence[Entry]], state: State) -> tuple[Hub, list[Applied]]:
    """Return a hub without a session that has followed what the state did."""
    hub = Hub(lambda entry: None, lambda: 1, presence_limit=500, instance="n0")
    applied: list[Applied] = []
    for batch in batches:
        applied += state.apply(*batch)
        hub.fan_out(applied[-len(batch) :])
    return hub, applied


def seats(hub: Hub) -> list[Seat]:
    return in_order(seat for node in NODES for seat in hub.attendance.seats_of(node))


def in_order(seats: Iterable[Seat]) -> list[Seat]:
    return sorted(
        (seat.replace(rooms=tuple(sorted(seat.rooms))) for seat in seats), key=attrgetter("session")
    )


@settings(max_examples=75, deadline=None)
@given(st.lists(st.lists(ENTRY, min_size=1, max_size=4), min_size=1, max_size=15))
async def test_who_is_where_is_what_the_state_says(batches: list[list[Entry]]) -> None:
    with closing(State()) as state:
        hub, _ = followed(batches, state)
        stored = directory.seats(state.db)
        assert seats(hub) == in_order(stored)
        online = {seat.user for seat in stored if not seat.lost}
        assert hub.attendance.online == online
        rooms = {seat.user: seat.rooms for seat in stored if seat.user in online}
        for room in (LOBBY, "#dev", "#ops"):
            assert hub.attendance.crowd(room) == sum(room in it for it in rooms.values())
        hub.close()


@settings(max_examples=60, deadline=None)
@given(st.lists(ENTRY, min_size=1, max_size=30), st.integers(0, 30))
async def test_a_node_that_starts_later_knows_the_same(entries: list[Entry], cut: int) -> None:
    with closing(State()) as state:
        state.apply(*entries[:cut])
        late = Hub(lambda entry: None, lambda: 1, presence_limit=500, instance="n0")
        late.attendance.load(directory.seats(state.db))
        late.fan_out(state.apply(*entries[cut:]))
    with closing(State()) as state:
        early, _ = followed([entries], state)
    assert seats(late) == seats(early)
    assert late.attendance.online == early.attendance.online
    for hub in (late, early):
        hub.close()
