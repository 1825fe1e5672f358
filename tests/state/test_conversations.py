"""Whom one has written with: in which order, in which pages, and under whose name."""

from contextlib import closing

import apsw
import pytest
from hypothesis import given, settings

from chat_service.core.commands import DeleteAccount, Entry, Register, Trim
from chat_service.core.events import Conversation, ConversationsPage, Message
from chat_service.core.moderation import ModerationAction
from chat_service.core.rules.proofs import CONSOLE
from chat_service.state import queries, schema
from chat_service.wire.events import decode_frame
from tests.state.batches import State, by, enter, join, leave_chat, moderate, say
from tests.state.entries import logs

MANY = 10_000
STEPS_EACH = 30
"""Instructions of SQLite's machine that one conversation may cost which is not in the page."""


def page(state: State, user: str | int, before_seq: int = 0, limit: int = 100) -> ConversationsPage:
    identity = user if isinstance(user, int) else state.identity(user)
    return queries.conversations(state.db, identity, before_seq, limit)


def listed(state: State, user: str | int) -> list[str]:
    return [it.to for it in page(state, user).conversations]


# --- what there is ---


def test_conversations_come_from_the_latest_with_their_last_event_and_message(
    state: State,
) -> None:
    state.enter("ann", "bob", "cyd")
    state.apply(say("ann", "1", "@bob"), say("cyd", "1", "@ann"), say("bob", "2", "@ann"))
    assert page(state, "ann") == ConversationsPage(
        (Conversation("@bob", 3, 2), Conversation("@cyd", 2, 1))
    )
    assert page(state, "bob") == ConversationsPage((Conversation("@ann", 3, 2),))


def test_rooms_are_no_conversations_and_notes_to_oneself_are(state: State) -> None:
    state.enter("ann", "bob")
    state.apply(join("ann", "#dev"), say("ann", "hi", "#dev"), say("ann", "hi"))
    assert page(state, "ann") == ConversationsPage(())
    state.apply(say("ann", "a note", "@ann"))
    assert listed(state, "ann") == ["@ann"]
    assert listed(state, "bob") == []


def test_whom_one_has_only_invited_one_has_not_written_with(state: State) -> None:
    state.enter("bob", "cyd")
    state.apply(join("cyd", "#dev"), moderate("cyd", "#dev", ModerationAction.INVITE, "bob"))
    assert listed(state, "bob") == listed(state, "cyd") == []
    state.apply(say("bob", "thanks", "@cyd"))
    state.apply(moderate("cyd", "#dev", ModerationAction.INVITE, "bob"))
    (it,) = page(state, "bob").conversations
    assert (it.to, it.last_number) == ("@cyd", 1)


def test_of_what_retention_took_nothing_is_left(state: State) -> None:
    state.enter("ann", "bob", "cyd")
    state.apply(say("ann", "1", "@bob"), say("ann", "2", "@bob"), say("ann", "1", "@cyd"))
    state.apply(by("", Trim("", 1)))
    assert listed(state, "ann") == ["@cyd", "@bob"]
    state.apply(by("", Trim("", 2)))
    assert listed(state, "ann") == ["@cyd"]
    assert listed(state, "bob") == []


# --- pages ---


@pytest.fixture
def talk(state: State) -> State:
    """Ann, who has written to seven others."""
    others = [f"u{number}" for number in range(7)]
    state.enter("ann", *others)
    state.apply(*(say("ann", "hi", f"@{other}") for other in others))
    return state


def test_conversations_lead_back_page_by_page_to_the_first(talk: State) -> None:
    sizes: list[int] = []
    found: list[str] = []
    before, more = 0, True
    while more:
        it = page(talk, "ann", before, limit=3)
        sizes.append(len(it.conversations))
        found += [conversation.to for conversation in it.conversations]
        before, more = it.conversations[-1].last_seq, it.more
    assert found == [f"@u{number}" for number in reversed(range(7))]
    assert sizes == [3, 3, 1]


def test_a_page_that_ends_just_at_the_first_conversation_has_no_more(talk: State) -> None:
    it = page(talk, "ann", limit=7)
    assert (len(it.conversations), it.more) == (7, False)


@pytest.mark.parametrize("before_seq", [2**62, 2**63, 2**64 - 1])
def test_conversations_before_any_seq_of_the_contract_can_be_asked_for(
    talk: State, before_seq: int
) -> None:
    assert len(page(talk, "ann", before_seq).conversations) == 7


def test_of_many_conversations_those_cost_little_that_are_not_in_the_page() -> None:
    with closing(apsw.Connection(":memory:")) as db:
        schema.migrate(db)
        fill(db, MANY)
        steps = 0

        def count() -> bool:
            nonlocal steps
            steps += 1
            return False

        db.set_progress_handler(count, 1)
        found = queries.conversations(db, 1, 0, 1)
        assert (found.conversations[0].to, found.more) == (f"@u{MANY + 1}", True)
        assert steps < STEPS_EACH * MANY


def fill(db: apsw.Connection, count: int) -> None:
    """Let identity 1 have written with so many others."""
    others = [(number,) for number in range(2, count + 2)]
    with db:
        db.execute("INSERT INTO identities VALUES (1, 'ann', x'00', 0, NULL)")
        db.executemany("INSERT INTO identities VALUES (?1, 'u' || ?1, x'00', 0, NULL)", others)
        db.executemany("INSERT INTO names VALUES ('u' || ?1, ?1)", others)
        db.executemany(
            "INSERT INTO topics (id, name, number, seq) VALUES (?1, '1,' || ?1, 1, ?1)", others
        )
        db.executemany("INSERT INTO conversations VALUES (1, ?)", others)


# --- whose name it is ---


def test_the_next_guest_of_a_name_is_not_shown_over_what_was_said_to_the_first(
    state: State,
) -> None:
    state.enter("ann", "bob")
    state.apply(say("bob", "from the first", "@ann"), leave_chat("bob"))
    assert listed(state, "ann") == ["@bob"]
    first = state.identity("bob")
    state.apply(enter("bob", "second"))
    assert listed(state, "ann") == listed(state, "bob") == []
    assert listed(state, first) == ["@ann"]
    state.apply(say("ann", "for the second", "@bob"))
    assert page(state, "ann").conversations == (Conversation("@bob", 2, 1),)
    state.apply(leave_chat("bob", "second"), enter("bob"))
    assert page(state, "ann").conversations == (Conversation("@bob", 1, 1),)


@pytest.mark.parametrize("successor", ["a guest", "an account"])
def test_who_gets_the_name_of_a_deleted_account_is_not_shown_over_what_was_said_to_it(
    state: State, successor: str
) -> None:
    register = by("bob", Register("a hash", "bob", by=""))
    state.enter("ann")
    state.apply(register, say("ann", "for the first", "@bob"))
    assert listed(state, "ann") == ["@bob"]
    state.apply(by(CONSOLE, DeleteAccount("bob", None)))
    state.apply(enter("bob", "second") if successor == "a guest" else register)
    assert listed(state, "ann") == listed(state, "bob") == []


@settings(max_examples=100)
@given(logs)
def test_what_is_listed_is_what_history_shows_under_that_name(entries: list[Entry]) -> None:
    with closing(State()) as state:
        state.apply(*entries)
        names = [f"@{name}" for (name,) in state.db.execute("SELECT name FROM names")]
        for (identity,) in list[tuple[int]](state.db.execute("SELECT id FROM identities")):
            latest = {name: last_message(state, identity, name) for name in names}
            conversations = page(state, identity).conversations
            assert {it.to: it.last_number for it in conversations} == {
                name: message.number for name, message in latest.items() if message is not None
            }
            seqs = [it.last_seq for it in conversations]
            assert seqs == sorted(seqs, reverse=True)


def last_message(state: State, identity: int, name: str) -> Message | None:
    """Return the latest message that history shows of a conversation."""
    frames = queries.history(state.db, identity, name, 0, 1).frames
    bodies = [event.body for frame in frames for event in decode_frame(frame)]
    return next((it for it in bodies if isinstance(it, Message)), None)
