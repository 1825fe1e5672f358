"""How far a log with positions was applied: what is written with the effects, and what repeats."""

from collections.abc import Iterator, Sequence

import apsw
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chat_service.core.commands import Entry
from chat_service.core.record import Record
from chat_service.state.machine import StateMachine
from chat_service.state.progress import DIGESTS_KEPT, OutOfOrder
from tests.state.batches import State, enter, join, leave_chat, say
from tests.state.entries import logs


def records(*batches_: Sequence[Entry], publisher: str = "p") -> list[Record]:
    return [Record(it, publisher, it, batch) for it, batch in enumerate(batches_, 1)]


STORY = records(
    [enter("ann"), enter("bob")],
    [say("ann", "hello", nonce=1), join("ann", "#dev"), join("bob", "#dev")],
    [say("bob", "hi", "#dev")],
    [leave_chat("bob", hold=True)],
)


@pytest.fixture
def twin() -> Iterator[State]:
    state = State()
    yield state
    state.close()


def test_position_and_digest_are_those_of_the_last_record(state: State) -> None:
    progress = state.machine.progress
    assert progress.mark() == (0, b"", "")
    state.machine.apply_records(STORY)
    position, digest, record = progress.mark()
    assert (position, len(digest), record) == (4, 16, STORY[-1].id)


def test_the_record_at_the_position_is_known_though_it_was_a_repeated_one(state: State) -> None:
    again = STORY[1].replace(position=5)
    state.machine.apply_records((*STORY, again))
    assert state.machine.progress.mark().record == STORY[1].id


def test_they_are_there_again_when_the_database_is_opened_again(state: State) -> None:
    state.machine.apply_records(STORY)
    assert StateMachine(state.db).progress.mark() == state.machine.progress.mark()


def test_how_records_are_put_together_in_batches_makes_no_difference(
    state: State, twin: State
) -> None:
    state.machine.apply_records(STORY)
    for record in STORY:
        twin.machine.apply_records((record,))
    assert state.machine.progress.mark() == twin.machine.progress.mark()
    assert state.dump() == twin.dump()


@settings(deadline=None)
@given(logs, st.integers(1, 12))
def test_the_same_log_gives_the_same_digests(log: list[Entry], size: int) -> None:
    them = records(*(log[i : i + size] for i in range(0, len(log), size)))
    marks = []
    for batch in (len(them), 1):
        state = State()
        for start in range(0, len(them), batch):
            state.machine.apply_records(them[start : start + batch])
        marks.append([state.machine.progress.digest_at(it.position) for it in them])
        state.close()
    assert marks[0] == marks[1]
    assert len(set(marks[0])) == len(them)


@pytest.mark.parametrize(
    "difference",
    [
        "DELETE FROM seats WHERE name = 'bob'",  # his message is refused, and so is his exit moot
        "UPDATE topics SET number = 7 WHERE name = '#dev'",
        "UPDATE identities SET away_since = 1 WHERE name = 'bob'",
    ],
)
def test_another_state_gives_other_digests_once_it_makes_a_difference(
    state: State, twin: State, difference: str
) -> None:
    for it in (state, twin):
        it.machine.apply_records(STORY[:2])
    twin.db.execute(difference)
    for it in (state, twin):
        again = Record(5, "p", 5, [enter("bob")])
        StateMachine(it.db).apply_records((*STORY[2:], again))
    ours, theirs = (StateMachine(it.db).progress.mark() for it in (state, twin))
    assert ours[0] == theirs[0]
    assert ours[1] != theirs[1]


def test_a_difference_stays_in_every_later_digest(state: State, twin: State) -> None:
    state.machine.apply_records((STORY[0], STORY[1].replace(entries=[say("ann", "hello")])))
    twin.machine.apply_records(STORY[:2])
    same = [Record(position, "p", position, [say("ann", "x")]) for position in range(3, 9)]
    for it in (state, twin):
        it.machine.apply_records(same)
    assert state.machine.progress.digest != twin.machine.progress.digest


def test_a_record_that_was_stored_twice_is_applied_once(state: State) -> None:
    again = STORY[1].replace(position=3)
    applied = state.machine.apply_records((*STORY[:2], again))
    assert [type(it.entry.body).__name__ for it in applied] == [
        "Enter",
        "Enter",
        "Send",
        "Join",
        "Join",
    ]
    assert state.machine.progress.position == 3


def test_so_is_one_that_comes_late_and_after_a_restart(state: State) -> None:
    state.machine.apply_records(STORY)
    late = STORY[1].replace(position=5)
    content = state.dump()
    assert StateMachine(state.db).apply_records((late,)) == []
    assert {**state.dump(), "meta": []} == {**content, "meta": []}


def test_each_publisher_counts_for_itself(state: State) -> None:
    first = Record(1, "p", 1, [enter("ann")])
    other = Record(2, "q", 1, [enter("bob")])
    assert len(state.machine.apply_records((first, other))) == 2


@pytest.mark.parametrize("position", [1, 2, 4])
def test_a_record_that_is_not_the_next_is_never_applied(state: State, position: int) -> None:
    state.machine.apply_records(STORY[:2])
    content = state.dump()
    with pytest.raises(OutOfOrder):
        state.machine.apply_records((Record(position, "p", 9, [say("ann", "x")]),))
    assert state.dump() == content
    state.machine.apply_records((STORY[2],))


def test_a_batch_that_fails_leaves_position_digest_and_numbers_as_they_were(state: State) -> None:
    state.machine.apply_records(STORY[:2])
    content, mark = state.dump(), state.machine.progress.mark()
    state.db.execute(
        "CREATE TEMP TRIGGER full BEFORE INSERT ON events BEGIN SELECT raise(FAIL, 'x'); END"
    )
    with pytest.raises(apsw.ConstraintError):
        state.machine.apply_records(STORY[2:])
    state.db.execute("DROP TRIGGER full")
    assert (state.dump(), state.machine.progress.mark()) == (content, mark)
    assert state.machine.progress.digest_at(3) is None
    assert len(state.machine.apply_records(STORY[2:])) == 2


def test_the_latest_digests_can_be_looked_up(state: State) -> None:
    count = DIGESTS_KEPT + 10
    entries = [enter("ann")], *([say("ann", "x")] for _ in range(count - 1))
    state.machine.apply_records(records(*entries))
    progress = state.machine.progress
    assert progress.digest_at(count) == progress.digest
    assert progress.digest_at(count - DIGESTS_KEPT + 1) is not None
    assert progress.digest_at(count - DIGESTS_KEPT) is None
    assert progress.digest_at(count + 1) is None


def test_entries_that_come_from_no_log_move_no_position(state: State) -> None:
    state.apply(enter("ann"), say("ann", "x"))
    assert state.machine.progress.mark() == (0, b"", "")
