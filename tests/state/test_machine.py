"""Applying entries: deterministic, exactly once, all of a batch or nothing of it."""

from collections.abc import Sequence
from ipaddress import ip_network
from unittest.mock import Mock

import apsw
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chat_service.core.commands import BanSubject, Enter, Entry, Send, UnbanSubject
from chat_service.core.errors import Banned, NameTaken, NoSuchUser, NotAMember
from chat_service.core.events import Ack
from chat_service.core.outcome import Applied, Entered
from chat_service.core.rules import decide
from chat_service.state import machine as machine_module
from chat_service.state.machine import StateMachine
from tests.state.batches import State, by, enter, join, leave, leave_chat, say
from tests.state.entries import ENTRIES, OPENING, logs

# --- determinism ---


def cut(entries: Sequence[Entry], sizes: Sequence[int]) -> list[list[Entry]]:
    """Cut entries into batches, of the sizes given in turn."""
    batches, rest = [], list(entries)
    for size in sizes:
        batches.append(rest[:size])
        rest = rest[size:]
    return [*batches, rest]


@settings(max_examples=75)
@given(
    logs,
    st.lists(st.integers(1, 12), max_size=20),
    st.lists(st.integers(1, 12), max_size=20),
)
def test_however_a_log_is_cut_into_batches_the_state_is_the_same_to_the_byte(
    entries: list[Entry], sizes: list[int], others: list[int]
) -> None:
    outcomes, dumps = [], []
    for way in (sizes, others):
        state = State()
        outcomes.append([it for batch in cut(entries, way) for it in state.apply(*batch)])
        dumps.append(state.dump())
        state.close()
    assert dumps[0] == dumps[1]
    assert list(map(comparable, outcomes[0])) == list(map(comparable, outcomes[1]))


@st.composite
def talk(draw: st.DrawFn) -> list[Entry]:
    """Draw a log in which sessions go on saying things, and others happen in between."""
    nonces: dict[str, int] = {}
    entries, at = [*OPENING, by("bob", Enter(token=b"t2", skeleton="bob"), client="two")], 1_000
    for _ in range(draw(st.integers(5, 60))):
        at += draw(st.sampled_from([0, 0, 0, 0, 1]))
        if draw(st.integers(0, 9)) == 0:
            entries.append(draw(ENTRIES).replace(at=at))
            continue
        user, client = draw(st.sampled_from([("ann", "one"), ("bob", "one"), ("bob", "two")]))
        nonce = nonces.get(client, 0) + draw(st.sampled_from([1, 1, 1, 1, 1, 1, 0, 2]))
        nonces[client] = nonce
        to = draw(st.sampled_from(["#lobby", "#lobby", "#lobby", "#dev", "@bob", "#nowhere"]))
        for _ in range(draw(st.sampled_from([1, 1, 3]))):
            entries.append(by(user, Send(to, "hi", nonces[client]), client=client, at=at))
            nonces[client] += draw(st.sampled_from([1, 1, 1, 0]))
    return entries


@settings(max_examples=200)
@given(talk())
def test_what_goes_on_is_decided_as_if_all_was_looked_at_again(entries: list[Entry]) -> None:
    outcomes, dumps = [], []
    for never_goes_on in (False, True):
        state = State()
        with pytest.MonkeyPatch.context() as patched:
            if never_goes_on:
                patched.setattr(machine_module, "goes_on", lambda *_: False)
            outcomes.append(list(map(comparable, state.apply(*entries))))
        dumps.append(state.dump())
        state.close()
    assert outcomes[0] == outcomes[1]
    assert dumps[0] == dumps[1]


def test_who_goes_on_is_looked_at_once(state: State, monkeypatch: pytest.MonkeyPatch) -> None:
    state.enter("ann", "bob")
    looked = Mock(wraps=decide)
    monkeypatch.setattr(machine_module, "decide", looked)
    said = [say("ann", "x", nonce=n) for n in (1, 2, 3)]
    state.apply(*said, say("bob", "y", nonce=1), say("ann", "x", nonce=4), say("ann", "x", nonce=5))
    assert looked.call_count == 3
    state.apply(say("ann", "x", nonce=6))  # a new batch, in which nothing may be as it was
    assert looked.call_count == 4


def comparable(applied: Applied) -> tuple[object, ...]:
    return (applied.entry, repr(applied.reply), applied.events, applied.endings)


def test_what_is_cached_and_what_is_read_again_makes_no_difference(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    entries = [
        *map(enter, ("ann", "bob", "cyd")),
        *(join(user, room) for user in ("ann", "bob") for room in ("#dev", "#art")),
        *(say("ann", "hi", to, n) for n, to in enumerate(("#dev", "@bob", "#lobby", "@cyd"), 1)),
        leave("ann", "#dev"),
        leave_chat("ann"),
        enter("ann", "another"),
        say("bob", "again", "@ann", 1),
    ]
    cached, forgetful, reopened = State(), State(), State()
    for entry in entries:
        cached.apply(entry)
    monkeypatch.setattr(machine_module, "_CACHED", -1)
    for entry in entries:
        forgetful.apply(entry)
        reopened.machine = StateMachine(reopened.db)
        reopened.apply(entry)
    assert cached.dump() == forgetful.dump() == reopened.dump()
    for state in (cached, forgetful, reopened):
        state.close()


def test_banned_networks_are_read_once_and_not_at_every_entry(
    state: State, monkeypatch: pytest.MonkeyPatch
) -> None:
    read = Mock(wraps=ip_network)
    monkeypatch.setattr("chat_service.state.facts.ip_network", read)
    state.apply(*(by("", BanSubject(f"10.0.{n}.0/24", None)) for n in range(100)))
    read.reset_mock()
    for n in range(10):
        entering = by(f"user{n}", Enter(address="192.0.2.1"))
        assert isinstance(state.reply(entering), Entered)
        assert isinstance(state.reply(entering.replace(body=Enter(address="10.0.9.9"))), Banned)
    assert read.call_count == 100
    state.apply(by("", UnbanSubject("10.0.9.0/24", None)))
    assert isinstance(state.reply(by("user", Enter(address="10.0.9.9"))), Entered)


# --- numbers ---


def test_seqs_count_all_events_and_numbers_the_messages_of_each_room(state: State) -> None:
    state.enter("ann")
    entries = [
        join("ann", "#dev"),
        say("ann", "a"),
        say("ann", "b", "#dev"),
        say("ann", "c"),
        say("ann", "d", "#nowhere"),
        say("ann", "e", "#dev"),
        say("ann", "f", "@ann"),
    ]
    replies = [it.reply for it in state.apply(*entries)]
    acks = [(it.seq, it.number) for it in replies if isinstance(it, Ack)]
    assert acks == [(1, 0), (2, 1), (3, 1), (4, 2), (5, 2), (6, 1)]
    assert isinstance(replies[4], NotAMember)
    assert state.machine.seq == 6


# --- exactly once ---


def test_a_nonce_happens_once_in_one_batch_and_across_batches(state: State) -> None:
    state.enter("ann")
    first, again, older = (
        say("ann", "x", nonce=2),
        say("ann", "x", nonce=2),
        say("ann", "y", nonce=1),
    )
    replies = [it.reply for it in state.apply(first, again, older)]
    assert replies == [
        Ack(1, 1, 2, sent_at=1_000),
        Ack(1, 1, 2, duplicate=True, sent_at=1_000),
        Ack(nonce=1, duplicate=True),
    ]
    assert state.reply(again) == Ack(1, 1, 2, duplicate=True, sent_at=1_000)
    assert state.machine.seq == 1


def test_nonces_outlive_connections_and_restarts(state: State) -> None:
    state.enter("ann")
    state.apply(say("ann", "x", nonce=7), leave_chat("ann"))
    state.machine = StateMachine(state.db)
    entered = state.reply(enter("ann"))
    assert entered.last_nonce == 7
    assert state.reply(say("ann", "x", nonce=7)).duplicate
    assert not state.reply(say("ann", "y", nonce=8)).duplicate


def test_nonces_of_two_guests_under_one_name_do_not_mix(state: State) -> None:
    state.enter("ann")
    state.apply(say("ann", "x", nonce=7), leave_chat("ann"))
    assert state.reply(enter("ann", "another")).last_nonce == 0


def test_a_message_that_was_refused_may_be_sent_again_under_its_nonce(state: State) -> None:
    state.enter("ann")
    assert isinstance(state.reply(say("ann", "x", "@bob", nonce=1)), NoSuchUser)
    state.enter("bob")
    assert state.reply(say("ann", "x", "@bob", nonce=1)).seq == 1


@pytest.mark.parametrize("nonce", [2**63 - 1, 2**63, 2**64 - 1])
def test_every_nonce_of_the_contract_can_be_kept(state: State, nonce: int) -> None:
    state.enter("ann")
    assert state.reply(say("ann", "x", nonce=nonce)).nonce == nonce
    state.machine = StateMachine(state.db)
    assert state.reply(say("ann", "x", nonce=nonce)) == Ack(
        1, 1, nonce, duplicate=True, sent_at=1_000
    )
    assert state.reply(enter("ann")).last_nonce == nonce
    assert state.reply(say("ann", "y", nonce=nonce - 1)).duplicate


# --- names ---


def test_of_two_claims_in_one_batch_the_first_wins(state: State) -> None:
    replies = [it.reply for it in state.apply(enter("ann", "one"), enter("ann", "two"))]
    assert isinstance(replies[0], Entered)
    assert isinstance(replies[1], NameTaken)


def test_a_held_name_is_its_clients_until_the_hold_ends(state: State) -> None:
    first = state.reply(enter("ann", "one"))
    state.apply(leave_chat("ann", "one", hold=True))
    assert isinstance(state.reply(enter("ann", "two")), NameTaken)
    assert state.reply(enter("ann", "one")).identity == first.identity
    state.apply(leave_chat("ann", "one", hold=True), leave_chat("ann", "one"))
    assert state.reply(enter("ann", "two")).identity != first.identity


def test_a_hold_that_ends_after_its_client_came_back_frees_nothing(state: State) -> None:
    older = by("ann", enter("ann").body).replace(session="older")
    state.apply(older, by("ann", leave_chat("ann", hold=True).body).replace(session="older"))
    state.enter("ann")
    state.apply(leave_chat("ann").replace(session="older"))
    assert isinstance(state.reply(enter("ann", "thief")), NameTaken)


def test_away_since_is_when_nobody_was_there_any_more(state: State) -> None:
    state.enter("ann", "bob")
    state.apply(say("bob", "1"), leave_chat("ann", hold=True), say("bob", "2", "@ann"))
    state.apply(leave_chat("ann"))  # the hold ends: that moves nothing
    state.apply(say("bob", "3", "@ann"))
    assert state.reply(enter("ann")).away_since == 1
    assert state.reply(enter("ann")).away_since is None


def test_a_guest_who_comes_back_is_in_its_rooms_and_who_had_the_name_between_is_not(
    state: State,
) -> None:
    state.enter("ann")
    state.apply(join("ann", "#dev"), leave_chat("ann"))
    assert state.reply(enter("ann")).rooms == ("#lobby", "#dev")
    state.apply(leave_chat("ann"))
    assert state.reply(enter("ann", "another")).rooms == ("#lobby",)


# --- all or nothing ---


def fill(state: State) -> None:
    """Let the database grow by nothing more."""
    pages = state.db.pragma("page_count")
    assert state.db.pragma("max_page_count", pages) == pages


def test_a_batch_that_fails_leaves_nothing_and_the_next_one_finds_the_state_as_it_was(
    state: State,
) -> None:
    twin = State()
    before = [*map(enter, ("ann", "bob")), join("ann", "#dev"), say("ann", "x", "#dev", 1)]
    fatal = [
        enter("cyd"),
        leave("ann", "#dev"),
        leave_chat("bob"),
        *(say("ann", "y" * 4000, nonce=nonce) for nonce in range(2, 20)),
        say("ann", "z", "@bob", 20),
    ]
    after = [say("ann", "w", "#dev", 2), join("bob", "#dev"), say("bob", "v", "@ann", 1)]
    state.apply(*before)
    content, seq = state.dump(), state.machine.seq
    fill(state)
    with pytest.raises(apsw.FullError):
        state.apply(*fatal)
    assert (state.dump(), state.machine.seq) == (content, seq)
    state.db.pragma("max_page_count", 1_000_000)
    assert [it.reply for it in state.apply(*after)] == [
        it.reply for it in (twin.apply(*before), twin.apply(*after))[1]
    ]
    assert state.dump() == twin.dump()
    twin.close()


def test_storage_that_cannot_even_be_read_leaves_the_seq_as_it_was(state: State) -> None:
    state.enter("ann")
    state.apply(say("ann", "x"))
    fill(state)
    state.db.exec_trace = lambda _cursor, sql, _bindings: "meta" not in sql
    with pytest.raises(apsw.Error):
        state.apply(*(say("ann", "y" * 4000) for _ in range(20)))
    assert state.machine.seq == 1


def test_a_fault_in_the_midst_of_a_batch_leaves_nothing_either(
    state: State, monkeypatch: pytest.MonkeyPatch
) -> None:
    state.enter("ann")
    content = state.dump()
    with monkeypatch.context() as patch:
        patch.setattr(StateMachine, "_write", lambda self: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            state.apply(join("ann", "#dev"), say("ann", "x", "#dev", 1))
    assert state.dump() == content
    assert isinstance(state.reply(say("ann", "x", "#dev", 1)), NotAMember)


def test_an_empty_batch_changes_nothing(state: State) -> None:
    assert state.apply() == []
    assert state.machine.seq == 0
