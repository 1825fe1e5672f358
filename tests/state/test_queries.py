"""Reading the state: what one has missed, pages of the past, members."""

import apsw
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chat_service.core.commands import Entry
from chat_service.core.errors import NoSuchUser, NotAMember
from chat_service.core.events import HistoryPage
from chat_service.core.moderation import ModerationAction, Role
from chat_service.core.outcome import Entered
from chat_service.state import queries
from chat_service.state.queries import PAGE_BYTES, PAGE_EVENTS
from tests.state.batches import State, enter, join, leave, leave_chat, moderate, say, told


def missed(
    state: State, user: str | int, after: int = 0, rooms_after: int = 0, upto: int | None = None
) -> list[str]:
    """Return all that a user was to see, read page by page."""
    identity = user if isinstance(user, int) else state.identity(user)
    last = state.machine.seq if upto is None else upto
    frames: list[bytes] = []
    while after < last:
        page = queries.missed(state.db, identity, after, max(after, rooms_after), last)
        assert page.seq > after
        frames += page.frames
        after = page.seq
    return told(frames)


# --- what one has missed ---


def test_the_lobby_is_everyones(state: State) -> None:
    state.enter("ann", "bob")
    state.apply(say("ann", "1"), say("bob", "2"), say("ann", "3"))
    assert missed(state, "bob", after=1) == ["2", "3"]
    assert missed(state, "ann", after=1, upto=2) == ["2"]
    assert missed(state, "ann", after=3) == []


def test_of_a_room_one_sees_what_came_while_one_was_in_it(state: State) -> None:
    state.enter("ann", "bob")
    state.apply(
        join("bob", "#dev"),
        say("bob", "before", "#dev"),
        join("ann", "#dev"),
        say("bob", "during", "#dev"),
        leave("ann", "#dev"),
        say("bob", "between", "#dev"),
        join("ann", "#dev"),
        say("bob", "again", "#dev"),
    )
    stays = [
        "ann joined #dev", "during", "ann left #dev", "ann joined #dev", "again",
    ]  # fmt: skip
    assert missed(state, "ann") == stays
    for seq, rest in ((3, 1), (4, 2), (5, 3), (6, 3), (7, 4), (8, 5)):
        assert missed(state, "ann", after=seq) == stays[rest:]
        assert missed(state, "ann", upto=seq) == stays[:rest]


def test_a_conversation_is_seen_by_its_two_sides_alone(state: State) -> None:
    state.enter("ann", "bob", "cyd")
    state.apply(say("ann", "1", "@bob"), say("bob", "2", "@ann"), say("ann", "me", "@ann"))
    assert missed(state, "ann") == ["1", "2", "me"]
    assert missed(state, "bob") == ["1", "2"]
    assert missed(state, "cyd") == []


def test_rooms_and_conversations_may_be_read_from_different_points(state: State) -> None:
    state.enter("ann", "bob")
    state.apply(say("bob", "1"), say("bob", "2", "@ann"), say("bob", "3"), say("bob", "4", "@ann"))
    assert missed(state, "ann", after=1, rooms_after=3) == ["2", "4"]


def test_who_gets_a_name_after_another_sees_nothing_said_to_the_first(state: State) -> None:
    state.enter("ann", "bob")
    state.apply(say("bob", "for the first", "@ann"), leave_chat("ann"), enter("ann", "second"))
    state.apply(say("bob", "for the second", "@ann"))
    assert missed(state, "ann") == ["for the second"]
    page = queries.history(state.db, state.identity("bob"), "@ann", 0, 10)
    assert told(page.frames) == ["for the second"]


def test_a_page_is_bounded_in_events(state: State) -> None:
    state.enter("ann")
    state.apply(*(say("ann", str(number)) for number in range(PAGE_EVENTS + 1)))
    page = queries.missed(state.db, state.identity("ann"), 0, 0, PAGE_EVENTS + 1)
    assert (len(page.frames), page.seq) == (PAGE_EVENTS, PAGE_EVENTS)
    assert missed(state, "ann") == [str(number) for number in range(PAGE_EVENTS + 1)]


def test_a_page_is_bounded_in_bytes(state: State) -> None:
    state.enter("ann")
    state.apply(*(say("ann", "x" * 4000) for _ in range(200)))
    page = queries.missed(state.db, state.identity("ann"), 0, 0, 200)
    assert PAGE_BYTES <= sum(map(len, page.frames)) < PAGE_BYTES + 5000
    assert len(missed(state, "ann")) == 200


def test_a_page_looks_into_few_of_many_stays_and_conversations(state: State) -> None:
    """Which others make: anybody may write to a user, or come and go where the user is."""
    strangers = [f"stranger{number}" for number in range(PAGE_EVENTS)]
    state.enter("ann", *strangers)
    state.apply(*(it for _ in strangers for it in (join("ann", "#dev"), leave("ann", "#dev"))))
    state.apply(*(say(stranger, stranger, "@ann") for stranger in strangers))
    statements = count_statements(state.db)
    page = queries.missed(state.db, state.identity("ann"), 0, 0, state.machine.seq)
    assert len(page.frames) == PAGE_EVENTS
    assert len(statements) < PAGE_EVENTS + 10
    comings = ["ann joined #dev", "ann left #dev"] * PAGE_EVENTS
    assert missed(state, "ann") == comings + strangers


def count_statements(db: apsw.Connection) -> list[str]:
    """Return a list that grows by each statement that is executed from now on."""
    statements: list[str] = []

    def note(_cursor: object, sql: str, _bindings: object) -> bool:
        statements.append(sql)
        return True

    db.exec_trace = note
    return statements


def test_a_page_without_anything_tells_that_nothing_was_missed_at_all(state: State) -> None:
    state.enter("ann", "bob")
    state.apply(*(say("bob", "x", "@bob") for _ in range(10)))
    page = queries.missed(state.db, state.identity("ann"), 2, 2, 10)
    assert (page.frames, page.seq) == ((), 10)


ROOMS = ["#lobby", "#dev", "#art"]
USERS = ["ann", "bob"]
STEPS = st.one_of(
    st.builds(say, st.sampled_from(USERS), st.just("x"), st.sampled_from(ROOMS)),
    st.builds(say, st.sampled_from(USERS), st.just("y"), st.sampled_from(["@ann", "@bob"])),
    st.builds(join, st.sampled_from(USERS), st.sampled_from(ROOMS[1:])),
    st.builds(leave, st.sampled_from(USERS), st.sampled_from(ROOMS[1:])),
)


@settings(max_examples=75)
@given(st.lists(STEPS, max_size=50), st.integers(0, 50), st.integers(0, 50), st.integers(0, 50))
def test_what_is_missed_is_what_was_seen_by_who_was_there(
    entries: list[Entry], after: int, rooms_after: int, upto: int
) -> None:
    state = State()
    state.enter(*USERS)
    me = state.identity("ann")
    seen: list[int] = []
    rooms = {"#lobby"}
    rooms_after = max(after, rooms_after)
    for applied in state.apply(*entries):
        for event in applied.events:
            name, own = type(event.body).__name__, event.identity == me
            if own and name == "Joined":
                rooms.add(str(event.topic))
            to_room = isinstance(event.topic, str)
            concerned = event.topic in rooms if isinstance(event.topic, str) else me in event.topic
            if concerned and (rooms_after if to_room else after) < event.seq <= upto:
                seen.append(event.seq)
            if own and name == "Left":
                rooms.discard(str(event.topic))
    page = queries.missed(state.db, me, after, rooms_after, upto)
    frames = [state.db.execute("SELECT frame FROM events WHERE seq = ?", (s,)).get for s in seen]
    assert list(page.frames) == frames
    state.close()


# --- history ---


@pytest.fixture
def talk(state: State) -> State:
    """Ann and Bob in #dev, with ten messages between other events."""
    state.enter("ann", "bob", "cyd")
    state.apply(join("ann", "#dev"), join("bob", "#dev"))
    for number in range(10):
        state.apply(say("ann", f"{number}", "#dev"), say("cyd", "noise"))
    state.apply(leave("bob", "#dev"))
    return state


def test_history_gives_the_latest_messages_oldest_first(talk: State) -> None:
    page = queries.history(talk.db, talk.identity("ann"), "#dev", 0, 3)
    assert (told(page.frames), page.more, page.to) == (["7", "8", "9"], True, "#dev")


def test_history_goes_back_page_by_page_to_the_first_message(talk: State) -> None:
    ann = talk.identity("ann")
    pages: list[list[str]] = []
    before = 0
    more = True
    while more:
        page = queries.history(talk.db, ann, "#dev", before, 4)
        pages.insert(0, told(page.frames))
        more = page.more
        before = talk.db.execute("SELECT seq FROM events WHERE frame = ?", page.frames[:1]).get
    assert pages == [["0", "1"], ["2", "3", "4", "5"], ["6", "7", "8", "9"]]


def test_a_page_that_ends_just_at_the_first_message_has_no_more(talk: State) -> None:
    page = queries.history(talk.db, talk.identity("ann"), "#dev", 0, 10)
    assert (len(page.frames), page.more) == (10, False)


def test_there_is_nothing_before_the_first_message(talk: State) -> None:
    page = queries.history(talk.db, talk.identity("ann"), "#dev", 3, 10)
    assert page == HistoryPage("#dev", ())


@pytest.mark.parametrize("before_seq", [2**62, 2**63, 2**64 - 1])
def test_history_before_any_seq_of_the_contract_can_be_asked_for(
    talk: State, before_seq: int
) -> None:
    page = queries.history(talk.db, talk.identity("ann"), "#dev", before_seq, 1)
    assert told(page.frames) == ["9"]


def test_the_history_of_a_conversation_is_the_same_from_both_sides(state: State) -> None:
    state.enter("ann", "bob", "cyd")
    state.apply(say("ann", "1", "@bob"), say("bob", "2", "@ann"), say("ann", "3", "@cyd"))
    for me, other in (("ann", "@bob"), ("bob", "@ann")):
        page = queries.history(state.db, state.identity(me), other, 0, 10)
        assert (told(page.frames), page.to) == (["1", "2"], other)


def test_with_a_user_one_never_spoke_to_there_is_an_empty_history(state: State) -> None:
    state.enter("ann", "bob")
    assert queries.history(state.db, state.identity("ann"), "@bob", 0, 10).frames == ()


@pytest.mark.parametrize(
    ("user", "to", "refusal"),
    [("cyd", "#dev", NotAMember), ("bob", "#dev", NotAMember), ("ann", "#no", NotAMember),
     ("ann", "@zed", NoSuchUser)],
)  # fmt: skip
def test_what_one_may_not_read_is_refused(
    talk: State, user: str, to: str, refusal: type[Exception]
) -> None:
    with pytest.raises(refusal):
        queries.history(talk.db, talk.identity(user), to, 0, 10)


# --- members ---


@pytest.fixture
def crowd(state: State) -> State:
    """A room of five, of whom one is away, and two who are not in it."""
    state.enter(*"abcdefg")
    state.apply(*(join(user, "#dev") for user in "gfcba"), leave("g", "#dev"), leave_chat("f"))
    return state


def members(state: State, user: str, after: str = "", limit: int = 10) -> list[str]:
    page = queries.members(state.db, state.identity(user), "#dev", after, limit)
    return [name for name, _role in page]


def test_members_come_by_name_whether_here_or_away(crowd: State) -> None:
    assert members(crowd, "a") == ["a", "b", "c", "f"]


def test_members_come_with_their_roles(state: State) -> None:
    state.enter("ann", "bob", "cyd")
    state.apply(*(join(user, "#dev") for user in ("bob", "ann", "cyd")))
    state.apply(moderate("bob", "#dev", ModerationAction.APPOINT, "cyd"))
    assert queries.members(state.db, state.identity("ann"), "#dev", "", 10) == [
        ("ann", Role.MEMBER),
        ("bob", Role.OWNER),
        ("cyd", Role.MODERATOR),
    ]


def test_members_come_in_pages(crowd: State) -> None:
    assert members(crowd, "a", limit=2) == ["a", "b"]
    assert members(crowd, "a", "b", limit=2) == ["c", "f"]
    assert members(crowd, "a", "f", limit=2) == []


def test_members_are_told_to_members_alone(crowd: State) -> None:
    with pytest.raises(NotAMember):
        members(crowd, "g")


# --- names ---


def test_held_names_are_those_that_a_session_has_or_is_expected_to_want(state: State) -> None:
    state.enter("ann", "bob", "cyd")
    state.apply(leave_chat("bob", hold=True), leave_chat("cyd"))
    assert sorted(queries.held_names(state.db)) == [
        ("ann", b"ann", "ann/ann"),
        ("bob", b"bob", "bob/bob"),
    ]


def test_entering_shows_where_the_stream_begins(state: State) -> None:
    state.enter("bob")
    state.apply(say("bob", "1"), say("bob", "2"))
    entered = state.reply(enter("ann"))
    assert isinstance(entered, Entered)
    assert (entered.seq, entered.away_since, entered.last_nonce) == (2, None, 0)
