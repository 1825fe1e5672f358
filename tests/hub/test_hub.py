"""The hub: who is told of whom, and what it asks of the log on behalf of those who have gone."""

from collections.abc import Iterator

import pytest

from chat_service.core.address import LOBBY
from chat_service.core.commands import Enter, Entry, Exit, Send
from chat_service.core.errors import Unavailable
from chat_service.core.events import GoodbyeReason, Message
from chat_service.core.outcome import Applied, Durable, Entered
from chat_service.hub import hub as hub_module
from chat_service.hub.hub import Hub
from tests.hub.members import Member, enter
from tests.waiting import until


class Seated(Hub):
    """A hub whose log is a list, and which lets people in at once."""

    def __init__(self, presence_limit: int = 500) -> None:
        self.appended: list[Entry] = []
        super().__init__(self.appended.append, lambda: 1, presence_limit)

    def seat(self, user: str, *rooms: str, client: bytes = b"c", events: int = 1000) -> Member:
        member = Member(f"{user}-{len(self.registry)}", self, events=events)
        identity = sum(map(ord, user))
        entered = Entered(identity, self.seq, None, 0, (LOBBY, *rooms))
        self.fan_out([Applied(enter(member.subscriber.id, user, client), entered)])
        return member

    def say(self, text: str = "hi") -> list[Member]:
        self.seq += 1
        body = Message(LOBBY, "x", self.seq, text, 0)
        entry = Entry("gone", 0, "x", b"", 0, Send(LOBBY, text))
        event = Durable(self.seq, LOBBY, 0, body, b"frame")
        told = self.fan_out([Applied(entry, Unavailable(""), (event,))])
        return [it.owner for it in told if isinstance(it.owner, Member)]


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
    hub.refuse([entry, entry, entry._replace(session="gone")], refusal)
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
