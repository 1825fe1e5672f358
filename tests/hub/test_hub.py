"""The hub: who is told of whom, and what it asks of the log on behalf of those who have gone."""

import asyncio
from collections.abc import Iterator
from contextlib import closing

import pytest

from chat_service.core.address import LOBBY
from chat_service.core.commands import EndSessions, Enter, Entry, Exit, Send
from chat_service.core.errors import Unavailable
from chat_service.core.events import (
    NAME_PASSED,
    REVOKED,
    SUPERSEDED,
    Ack,
    Announcement,
    DurableBody,
    GoodbyeReason,
    Joined,
    Left,
    Message,
)
from chat_service.core.outcome import Applied, Durable, Ending, Entered, Topic
from chat_service.hub import hub as hub_module
from chat_service.hub.hub import Hub
from tests.hub.members import Codec, Member, enter
from tests.state.batches import State, by
from tests.state.batches import enter as enter_state
from tests.waiting import until


class Seated(Hub):
    """A hub whose log is a list, and which lets people in at once."""

    def __init__(self, presence_limit: int = 500) -> None:
        self.appended: list[Entry] = []
        super().__init__(self.appended.append, lambda: 1, presence_limit)

    def seat(
        self,
        user: str,
        *rooms: str,
        client: bytes = b"c",
        events: int = 1000,
        identity: int | None = None,
    ) -> Member:
        member = Member(f"{user}-{len(self.registry)}", self, events=events)
        identity = identity or sum(map(ord, user))
        entered = Entered(identity, self.seq, None, 0, (LOBBY, *rooms))
        self.fan_out([Applied(enter(member.subscriber.id, user, client), entered)])
        return member

    def comes_true(self) -> None:
        """Let what was asked of the log happen."""
        asked, self.appended[:] = list(self.appended), []
        self.fan_out([Applied(entry, Ack()) for entry in asked])

    def say(self, text: str = "hi") -> list[Member]:
        return self.happens(Message(LOBBY, "x", self.seq + 1, text, 0))

    def happens(
        self, body: DurableBody, *, by: Member | None = None, topic: Topic | None = None
    ) -> list[Member]:
        """Let an event happen, in its room unless a topic is given."""
        self.seq += 1
        if topic is None:
            assert not isinstance(body, Announcement)
            topic = body.to if isinstance(body, Message) else body.room
        session, identity = (by.subscriber.id, by.subscriber.identity) if by else ("gone", 0)
        entry = Entry(session, 0, "x", b"", 0, Send(LOBBY, ""))
        event = Durable(self.seq, topic, identity, body, b"frame")
        told = self.fan_out([Applied(entry, Ack(self.seq), (event,))])
        return [it.owner for it in told if isinstance(it.owner, Member)]


def presence(member: Member) -> bytes:
    """Take everything and return what of it is presence."""
    told = b""
    while len(member.outbox):
        told += member.outbox.take()
    return told.replace(b"?", b"")


@pytest.fixture
def hub() -> Iterator[Seated]:
    hub = Seated()
    yield hub
    hub.close()


async def test_a_newcomer_is_told_to_the_others_and_not_to_itself(hub: Seated) -> None:
    ann, bob = hub.seat("ann"), hub.seat("bob")
    assert ann.outbox.take() == b"+bob"
    assert bob.outbox.take() == b""


async def test_in_a_room_above_the_limit_nobody_is_told_who_comes() -> None:
    hub = Seated(presence_limit=2)
    crowd = [hub.seat(f"u{number}") for number in range(4)]
    assert crowd[0].outbox.take() == b"+u1"
    hub.close()


async def test_presence_is_shed_for_who_is_behind_and_messages_are_not(hub: Seated) -> None:
    ann = hub.seat("ann", events=4)
    for _ in range(3):
        hub.say()
    assert ann.outbox.past_half
    hub.seat("bob")
    hub.say()
    assert ann.outbox.take() == b"<1><2><3><4>"


async def test_a_full_outbox_ends_its_session_and_no_other(hub: Seated) -> None:
    slow, quick = hub.seat("slow", events=2), hub.seat("quick")
    quick.outbox.clear()
    for _ in range(5):
        hub.say()
    assert slow.goodbye is not None
    assert slow.goodbye.reason is GoodbyeReason.SLOW_CONSUMER
    assert slow.goodbye.reconnect
    assert len(slow.outbox) == 0  # its share of memory is given back at once
    assert quick.seqs() == [1, 2, 3, 4, 5]


async def test_the_same_client_takes_its_session_over(hub: Seated) -> None:
    older, newer = hub.seat("ann"), hub.seat("ann")
    assert older.goodbye is not None
    assert older.goodbye.reason is GoodbyeReason.SUPERSEDED
    assert list(hub.registry.of_user("ann")) == [newer.subscriber]
    hub.leave(older.subscriber, hold=True)
    assert hub.appended == []  # the name is not its own any more


async def test_another_client_of_the_user_supersedes_nobody(hub: Seated) -> None:
    desktop, phone = hub.seat("ann"), hub.seat("ann", client=b"phone")
    assert (desktop.goodbye, phone.goodbye) == (None, None)
    newer = hub.seat("ann", client=b"phone")
    assert phone.goodbye == SUPERSEDED
    assert set(hub.registry.of_user("ann")) == {desktop.subscriber, newer.subscriber}


async def test_a_name_that_has_passed_to_another_ends_the_sessions_of_who_had_it(
    hub: Seated,
) -> None:
    guest, tab = hub.seat("ann"), hub.seat("ann", client=b"tab")
    hub.seat("ann", client=b"account", identity=99)
    assert (guest.goodbye, tab.goodbye) == (NAME_PASSED, NAME_PASSED)


async def test_every_session_of_a_user_gets_everything(hub: Seated) -> None:
    desktop, phone = hub.seat("ann"), hub.seat("ann", client=b"phone")
    hub.say()
    hub.happens(Joined("#dev", "ann"), by=desktop)
    hub.happens(Message("#dev", "bob", 1, "hi", 0))
    hub.happens(Message("@ann", "bob", 1, "psst", 0), topic=(7, desktop.subscriber.identity))
    assert desktop.seqs() == phone.seqs() == [1, 2, 3, 4]


async def test_what_one_session_leaves_the_others_leave(hub: Seated) -> None:
    desktop, phone = hub.seat("ann", "#dev"), hub.seat("ann", "#dev", client=b"phone")
    hub.happens(Left("#dev", "ann"), by=phone)
    hub.happens(Message("#dev", "bob", 1, "hi", 0))
    assert desktop.seqs() == phone.seqs() == [1]
    assert isinstance(desktop.subscriber.codec, Codec)
    assert desktop.subscriber.codec.moves == [Left("#dev", "ann")]


async def test_presence_is_told_once_a_user_however_many_sessions_there_are(hub: Seated) -> None:
    bob = hub.seat("bob")
    sessions = [hub.seat("ann", client=client) for client in (b"1", b"2", b"3")]
    for it in sessions[:2]:
        hub.leave(it.subscriber, hold=False)
    hub.comes_true()
    assert presence(bob) == b"+ann"
    hub.leave(sessions[2].subscriber, hold=False)
    hub.comes_true()
    assert presence(bob) == b"-ann"


async def test_each_session_lets_go_of_its_own_seat(hub: Seated) -> None:
    sessions = [hub.seat("ann", client=client) for client in (b"1", b"2")]
    for it in sessions:
        hub.leave(it.subscriber, hold=False)
    assert [(it.session, it.client) for it in hub.appended] == [("ann-0", b"1"), ("ann-1", b"2")]


async def test_who_leaves_lets_go_of_the_name_at_once(hub: Seated) -> None:
    ann = hub.seat("ann")
    hub.leave(ann.subscriber, hold=False)
    assert [it.body for it in hub.appended] == [Exit()]
    assert (len(hub.registry), hub._rooms) == (0, {})


async def test_who_is_lost_lets_go_of_the_name_after_a_while(
    hub: Seated, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hub_module, "NAME_HOLD", 0.02)
    hub.leave(hub.seat("ann").subscriber, hold=True)
    assert [it.body for it in hub.appended] == [Exit(hold=True)]
    await until(lambda: len(hub.appended) == 2)
    assert hub.appended[1].body == Exit()
    assert not hub._exits


async def test_the_name_of_a_session_that_went_while_it_entered_is_let_go(hub: Seated) -> None:
    entry = Entry("gone", 0, "ann", b"c", 1, Enter())
    hub.fan_out([Applied(entry, Entered(1, 0, None, 0, (LOBBY,)))])
    assert [(it.session, it.user, it.body) for it in hub.appended] == [("gone", "ann", Exit())]


async def test_a_refused_batch_is_answered_to_each_who_asked(hub: Seated) -> None:
    ann = hub.seat("ann")
    ann.replies.clear()
    refusal = Unavailable("full", retry_after=1.0)
    entry = Entry(ann.subscriber.id, 3, "ann", b"c", 1, Send(LOBBY, "hi"))
    hub.refuse([entry, entry, entry.replace(session="gone")], refusal)
    assert ann.replies == [refusal, refusal]


@pytest.mark.parametrize("hold", [True, False])
async def test_an_exit_that_the_storage_refused_is_asked_for_again_as_it_was(
    hub: Seated, monkeypatch: pytest.MonkeyPatch, hold: bool
) -> None:
    monkeypatch.setattr(hub_module, "_EXIT_AGAIN_AFTER", 0.01)
    refused = Entry("s", 0, "ann", b"c", 1, Exit(hold=hold))
    hub.refuse([refused], Unavailable("full"))
    await until(lambda: hub.appended)
    assert hub.appended == [refused]


async def test_a_closed_hub_asks_nothing_more_of_the_log(hub: Seated) -> None:
    ann, bob = hub.seat("ann"), hub.seat("bob")
    hub.leave(ann.subscriber, hold=True)
    hub.close()
    hub.leave(bob.subscriber, hold=False)
    assert [it.body for it in hub.appended] == [Exit(hold=True)]
    assert all(timer.cancelled() for timer in hub._exits)


# --- what happens on other nodes ---


def there(user: str, client: bytes = b"c", session: str = "far-1") -> Entry:
    return enter(session, user, client)


def enters(user: str, client: bytes = b"c", *, identity: int | None = None) -> Applied:
    """Return what comes of somebody's entry on another node."""
    identity = identity or sum(map(ord, user))
    return Applied(there(user, client), Entered(identity, 0, None, 0, (LOBBY,)))


async def test_who_comes_and_goes_on_another_node_is_told_here(hub: Seated) -> None:
    ann = hub.seat("ann")
    hub.fan_out([enters("bob")])
    assert presence(ann) == b"+bob"
    assert hub.attendance.online == {"ann", "bob"}
    hub.fan_out([Applied(there("bob").replace(body=Exit()), Ack())])
    assert presence(ann) == b"-bob"
    assert hub.appended == []  # the name is the other node's to let go of


async def test_a_client_that_comes_again_on_another_node_ends_its_session_here(
    hub: Seated,
) -> None:
    ann, phone = hub.seat("ann"), hub.seat("ann", client=b"phone")
    hub.fan_out([enters("ann")])
    assert (ann.goodbye, phone.goodbye) == (SUPERSEDED, None)
    hub.leave(ann.subscriber, hold=True)
    assert hub.appended == []


async def test_a_name_that_passes_to_another_on_another_node_ends_the_sessions_here(
    hub: Seated,
) -> None:
    ann = hub.seat("ann")
    hub.fan_out([enters("ann", b"other", identity=99)])
    assert ann.goodbye == NAME_PASSED


async def test_a_node_that_was_taken_for_dead_sends_its_clients_to_connect_again(
    hub: Seated,
) -> None:
    ann, bob = hub.seat("ann"), hub.seat("bob")
    released = Entry(ann.subscriber.id, 0, "ann", b"c", 1, Exit(hold=True))
    hub.fan_out([Applied(released, Ack())])
    assert ann.goodbye is not None
    assert ann.goodbye.reconnect
    assert bob.goodbye is None
    hub.leave(ann.subscriber, hold=True)
    assert hub.appended == []  # who has released it sees to the rest


async def test_who_is_on_two_nodes_is_online_until_both_are_left(hub: Seated) -> None:
    bob, ann = hub.seat("bob"), hub.seat("ann", client=b"here")
    hub.fan_out([enters("ann")])
    hub.leave(ann.subscriber, hold=False)
    hub.comes_true()
    assert presence(bob) == b"+ann"
    hub.fan_out([Applied(there("ann").replace(body=Exit()), Ack())])
    assert presence(bob) == b"-ann"


# --- sessions that lose their right to be here ---


def ending(*members: Member, by: str = "desk") -> Applied:
    """Return an entry by which sessions end."""
    entry = Entry(by, 0, "root", b"", 1, EndSessions("ann", None))
    return Applied(entry, Ack(), (), tuple(Ending(it.subscriber.id, REVOKED) for it in members))


async def test_a_session_that_has_lost_its_right_is_sent_away_and_asks_nothing_of_the_log(
    hub: Seated,
) -> None:
    ann, phone = hub.seat("ann"), hub.seat("ann", client=b"phone")
    hub.fan_out([ending(phone)])
    assert (ann.goodbye, phone.goodbye) == (None, REVOKED)
    assert list(hub.registry.of_user("ann")) == [ann.subscriber]
    hub.leave(phone.subscriber, hold=True)
    assert hub.appended == []  # the state has let go of the name already


async def test_who_is_sent_away_gets_the_answers_it_is_owed_first(hub: Seated) -> None:
    ann = hub.seat("ann")
    own = Entry(ann.subscriber.id, 3, "ann", b"c", 1, Send(LOBBY, "hi"))
    after = own.replace(ref=4)
    hub.fan_out([Applied(own, Ack(1)), ending(ann), Applied(after, Ack(2))])
    assert ann.replies[1:] == [Ack(1)]


async def test_the_last_session_that_is_sent_away_is_told_as_a_departure_at_once(
    hub: Seated,
) -> None:
    bob, ann, phone = hub.seat("bob"), hub.seat("ann"), hub.seat("ann", client=b"phone")
    hub.fan_out([ending(ann)])
    assert presence(bob) == b"+ann"
    hub.fan_out([ending(phone)])
    assert presence(bob) == b"-ann"


async def test_who_is_let_in_and_sent_away_in_one_batch_is_told_both(hub: Seated) -> None:
    ann = Member("s", hub)
    entered = Entered(1, 0, None, 0, (LOBBY,))
    hub.fan_out([Applied(enter("s", "ann", b"c"), entered), ending(ann)])
    assert (ann.replies, ann.goodbye) == ([entered], REVOKED)
    assert (len(hub.registry), hub._rooms) == (0, {})


async def test_a_session_that_is_not_here_is_sent_away_elsewhere(hub: Seated) -> None:
    gone = Member("gone")
    hub.fan_out([ending(gone)])
    assert gone.goodbye is None


async def test_a_name_whose_sessions_were_ended_is_free_in_the_state(hub: Seated) -> None:
    with closing(State()) as state:
        ann = Member("ann/ann", hub)
        hub.fan_out(state.apply(enter_state("ann")))
        hub.fan_out(state.apply(by("", EndSessions("ann", None))))
        assert ann.goodbye is not None
        assert ann.goodbye.reason is GoodbyeReason.ENDED
        hub.leave(ann.subscriber, hold=True)
        stranger = Member("ann/stranger", hub)
        hub.fan_out(state.apply(*hub.appended, enter_state("ann", "stranger")))
        assert isinstance(stranger.replies[0], Entered)
        assert stranger.goodbye is None


# --- those who ask without a session ---


async def test_who_asks_without_a_session_is_answered(hub: Seated) -> None:
    answer = hub.answer_to("desk")
    applied = ending(by="desk")
    hub.fan_out([applied])
    assert await answer == applied
    await until(lambda: not hub._asked)


async def test_who_asks_without_a_session_is_told_that_nothing_has_happened(hub: Seated) -> None:
    answer = hub.answer_to("desk")
    hub.refuse([ending(by="desk").entry], Unavailable("full"))
    assert isinstance((await answer).reply, Unavailable)


async def test_who_has_given_up_asking_leaves_nothing_behind(hub: Seated) -> None:
    answer = hub.answer_to("desk")
    answer.cancel()
    hub.fan_out([ending(by="desk")])
    await until(lambda: not hub._asked)


# --- who is waited for ---


async def test_a_fan_out_is_over_when_nearly_all_have_taken_what_they_got() -> None:
    readers = [Member(f"r{n}") for n in range(16)]
    for reader in readers:
        reader.outbox.put(b"x")
    waking = asyncio.create_task(Seated().wake([it.subscriber for it in readers]))
    for reader in readers[2:]:
        await asyncio.sleep(0)
        assert not waking.done()
        reader.outbox.take()
    await asyncio.wait_for(waking, 10)


async def test_who_does_not_read_is_not_waited_for() -> None:
    readers = [Member(f"r{n}") for n in range(16)]
    for reader in readers:
        reader.outbox.put(b"x")
    await asyncio.wait_for(Seated().wake([it.subscriber for it in readers]), 10)
