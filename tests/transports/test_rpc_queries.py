"""What a user may ask over gRPC: who is there, what was said; and what is told unasked."""

import pytest

from chat.v1 import commands_pb2, events_pb2
from chat_service.core import limits
from chat_service.node import Node
from tests.conftest import StartNode
from tests.transports.conftest import Enter
from tests.transports.stream import Stream
from tests.waiting import until


async def who(stream: Stream, to: str = "", after: str = "") -> events_pb2.Roster:
    reply = await stream.ask(who=commands_pb2.Who(to=to, after=after))
    assert reply.HasField("roster"), reply
    return reply.roster


async def history(
    stream: Stream, to: str, before_seq: int = 0, limit: int = 0
) -> events_pb2.HistoryPage:
    asked = commands_pb2.History(to=to, before_seq=before_seq, limit=limit)
    reply = await stream.ask(history=asked)
    assert reply.HasField("history"), reply
    return reply.history


def texts(page: events_pb2.HistoryPage) -> list[str]:
    return [event.message.text for event in page.events]


async def say_lines(stream: Stream, to: str, count: int) -> None:
    lines = [commands_pb2.Send(to=to, text=f"line {i}") for i in range(count)]
    await stream.send(*(commands_pb2.Command(send=line) for line in lines))
    await stream.ping()


# --- who is there ---


async def test_who_lists_the_lobby_and_everyone_by_name(node: Node, enter: Enter) -> None:
    ann = await enter(node, "ann")
    for name in ("dan", "bob", "cyd"):
        await enter(node, name)
    for to in ("", "#lobby", "#LOBBY"):
        roster = await who(ann, to)
        assert [member.user for member in roster.members] == ["ann", "bob", "cyd", "dan"]
        assert (roster.to, roster.more) == (to.lower(), False)
        assert all(member.online for member in roster.members)


async def test_who_tells_of_a_rooms_members_who_are_away_that_they_are(
    node: Node, enter: Enter
) -> None:
    ann, bob = await enter(node, "ann"), await enter(node, "bob", "bob's")
    await ann.join("#dev")
    await bob.join("#dev")
    await bob.leave()
    members = (await who(ann, "#dev")).members
    assert [(it.user, it.online) for it in members] == [("ann", True), ("bob", False)]


async def test_who_shows_what_was_told_of_somebody_lost(node: Node, enter: Enter) -> None:
    """Of a return in time nothing is told, so nobody may have been shown as gone."""
    ann, bob = await enter(node, "ann"), await enter(node, "bob", "bob's")
    await ann.hears_presence("bob", online=True)
    bob.vanish()
    await until(lambda: "bob" not in node.hub.attendance.online)
    assert [(it.user, it.online) for it in (await who(ann)).members] == [
        ("ann", True),
        ("bob", True),
    ]
    bob = await enter(node, "bob", "bob's")
    bob.vanish()
    await ann.hears_presence("bob", online=False, within=5)
    assert [it.user for it in (await who(ann)).members] == ["ann"]
    assert [online for user, online in ann.presences if user == "bob"] == [True, False]


async def test_who_is_told_of_a_room_to_its_members_alone(node: Node, enter: Enter) -> None:
    ann, bob = await enter(node, "ann"), await enter(node, "bob")
    await ann.join("#dev")
    for room in ("#dev", "#no-such-room"):
        reply = await bob.ask(who=commands_pb2.Who(to=room))
        assert reply.error.code == events_pb2.ERROR_CODE_NOT_A_MEMBER
        assert reply.error.message == f"you are not in {room}"


@pytest.mark.parametrize("room", ["", "#lobby", "#dev"])
async def test_a_long_roster_comes_in_pages(
    node: Node, enter: Enter, monkeypatch: pytest.MonkeyPatch, room: str
) -> None:
    monkeypatch.setattr(limits, "MAX_ROSTER", 3)
    names = [f"u{number}" for number in range(7)]
    for name in reversed(names):
        last = await enter(node, name)
        await last.join("#dev")
    found: list[str] = []
    sizes: list[int] = []
    more = True
    while more:
        page = await who(last, room, after=found[-1] if found else "")
        found += [member.user for member in page.members]
        sizes.append(len(page.members))
        more = page.more
    assert found == names
    assert sizes == [3, 3, 1]
    assert last.welcome.limits.max_roster == 3


# --- what was said ---


@pytest.mark.parametrize("to", ["#lobby", "#dev", "@bob"])
async def test_history_leads_back_page_by_page_to_the_first_message(
    node: Node, enter: Enter, to: str
) -> None:
    ann, bob = await enter(node, "ann"), await enter(node, "bob")
    await ann.join("#dev")
    await bob.join("#dev")
    await say_lines(ann, to, 25)
    back: list[str] = []
    before, more, pages = 0, True, 0
    while more:
        page = await history(ann, to, before_seq=before, limit=10)
        assert page.to == to
        back = texts(page) + back
        before, more, pages = page.events[0].seq, page.more, pages + 1
    assert back == [f"line {i}" for i in range(25)]
    assert pages == 3


async def test_history_shows_messages_as_they_were_told(node: Node, enter: Enter) -> None:
    ann = await enter(node, "ann")
    await ann.say("hello")
    told = await ann.hears_text("hello")
    (shown,) = (await history(ann, "#lobby")).events
    assert shown == told


async def test_a_page_that_ends_with_the_first_message_says_that_there_is_no_more(
    node: Node, enter: Enter
) -> None:
    ann = await enter(node, "ann")
    await say_lines(ann, "#lobby", 10)
    assert not (await history(ann, "#lobby", limit=10)).more
    assert (await history(ann, "#lobby", limit=9)).more
    empty = await history(ann, "#lobby", before_seq=1)
    assert (list(empty.events), empty.more) == ([], False)


@pytest.mark.parametrize("limit", [0, 201, 2**32 - 1])
async def test_a_page_has_at_most_what_the_limit_says(node: Node, enter: Enter, limit: int) -> None:
    ann = await enter(node, "ann")
    await say_lines(ann, "#lobby", 250)
    page = await history(ann, "#lobby", limit=limit)
    assert texts(page) == [f"line {i}" for i in range(50, 250)]
    assert page.more


@pytest.mark.parametrize("before_seq", [2**62 + 1, 2**63, 2**64 - 1])
async def test_a_position_from_the_far_future_is_the_latest(
    node: Node, enter: Enter, before_seq: int
) -> None:
    ann = await enter(node, "ann")
    await say_lines(ann, "#lobby", 3)
    page = await history(ann, "#lobby", before_seq=before_seq)
    assert texts(page) == ["line 0", "line 1", "line 2"]


async def test_a_conversation_is_shown_to_both_and_to_nobody_else(node: Node, enter: Enter) -> None:
    ann, bob, cyd = [await enter(node, name) for name in ("ann", "bob", "cyd")]
    await ann.say("psst", to="@bob")
    await bob.say("what?", to="@ann")
    await cyd.say("hi ann", to="@ann")
    assert texts(await history(ann, "@bob")) == ["psst", "what?"]
    assert texts(await history(bob, "@ann")) == ["psst", "what?"]
    assert texts(await history(cyd, "@bob")) == []
    assert texts(await history(cyd, "@ann")) == ["hi ann"]


async def test_history_of_what_there_is_not_is_refused(node: Node, enter: Enter) -> None:
    ann = await enter(node, "ann")
    for to, code in (
        ("#dev", events_pb2.ERROR_CODE_NOT_A_MEMBER),
        ("@zed", events_pb2.ERROR_CODE_NO_SUCH_USER),
        ("lobby", events_pb2.ERROR_CODE_INVALID_ADDRESS),
        ("", events_pb2.ERROR_CODE_INVALID_ADDRESS),
    ):
        reply = await ann.ask(history=commands_pb2.History(to=to))
        assert reply.error.code == code, to


async def test_a_room_is_shown_from_its_beginning_to_who_joins_late(
    node: Node, enter: Enter
) -> None:
    ann, bob = await enter(node, "ann"), await enter(node, "bob")
    await ann.join("#dev")
    await say_lines(ann, "#dev", 3)
    await bob.join("#dev")
    assert texts(await history(bob, "#dev")) == ["line 0", "line 1", "line 2"]


# --- whom one has written with ---


async def conversations(
    stream: Stream, before_seq: int = 0, limit: int = 0
) -> events_pb2.ConversationsPage:
    asked = commands_pb2.Conversations(before_seq=before_seq, limit=limit)
    reply = await stream.ask(conversations=asked)
    assert reply.HasField("conversations"), reply
    return reply.conversations


async def test_conversations_lead_back_page_by_page_to_the_first(
    node: Node, enter: Enter, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "MAX_CONVERSATIONS", 3)
    ann = await enter(node, "ann")
    others = [f"@u{number}" for number in range(7)]
    for other in others:
        await enter(node, other[1:])
        await ann.say("hi", to=other)
    back: list[str] = []
    before, more, limit = 0, True, 2
    while more:
        page = await conversations(ann, before, limit)
        back += [it.to for it in page.conversations]
        before, more, limit = page.conversations[-1].last_seq, page.more, 2**32 - 1
    assert back == others[::-1]
    assert len((await conversations(ann)).conversations) == 3
    assert ann.welcome.limits.max_conversations == 3


async def test_a_conversation_is_as_far_as_what_was_said_before_the_question(
    node: Node, enter: Enter
) -> None:
    ann, bob = await enter(node, "ann"), await enter(node, "bob")
    page = await conversations(ann)
    assert (list(page.conversations), page.more) == ([], False)
    await say_lines(bob, "@ann", 20)
    sent = await ann.say("what?", to="@bob")
    for stream, to in ((ann, "@bob"), (bob, "@ann")):
        (it,) = (await conversations(stream)).conversations
        assert (it.to, it.last_seq, it.last_number) == (to, sent.ack.seq, 21)
        (last,) = (await history(stream, it.to, limit=1)).events
        assert (last.seq, last.message.number) == (it.last_seq, it.last_number)


# --- the backlog ---


async def test_a_backlog_brings_the_latest_of_each_room_behind_the_welcome(
    node: Node, enter: Enter
) -> None:
    ann, bob = await enter(node, "ann", "ann's"), await enter(node, "bob")
    await ann.join("#dev")
    await bob.join("#dev")
    await ann.leave()
    await say_lines(bob, "#lobby", 5)
    await say_lines(bob, "#dev", 2)
    ann = await enter(node, "ann", "ann's", backlog=3)
    await ann.hears(lambda event: event.history.to == "#lobby")
    pages = {e.history.to: e.history for e in ann.events if e.HasField("history")}
    assert {to: texts(page) for to, page in pages.items()} == {
        "#lobby": ["line 2", "line 3", "line 4"],
        "#dev": ["line 0", "line 1"],
    }
    assert {to: page.more for to, page in pages.items()} == {"#lobby": True, "#dev": False}
    assert all(event.ref == 0 for event in ann.events if event.HasField("history"))


async def test_no_backlog_comes_unasked_or_where_nothing_was_said(node: Node, enter: Enter) -> None:
    ann = await enter(node, "ann", backlog=10)
    await ann.say("first")
    bob = await enter(node, "bob")
    await ann.ping()
    await bob.ping()
    assert not [e for stream in (ann, bob) for e in stream.events if e.HasField("history")]


async def test_a_backlog_has_at_most_what_the_limit_says(node: Node, enter: Enter) -> None:
    ann = await enter(node, "ann")
    await say_lines(ann, "#lobby", 150)
    bob = await enter(node, "bob", backlog=2**32 - 1)
    page = await bob.hears(lambda event: event.HasField("history"))
    assert texts(page.history) == [f"line {i}" for i in range(50, 150)]


async def test_between_backlog_and_live_nothing_is_lost_or_repeated(
    node: Node, enter: Enter
) -> None:
    ann = await enter(node, "ann")
    sends = [commands_pb2.Send(to="#lobby", text=f"{i}") for i in range(2000)]
    late: list[Stream] = []
    for start in range(0, 2000, 100):
        await ann.send(*(commands_pb2.Command(send=it) for it in sends[start : start + 100]))
        late.append(await enter(node, f"late{start}", backlog=100))
    await ann.say("2000")
    for stream in late:
        await stream.hears_text("2000")
        pages = [event.history for event in stream.events if event.HasField("history")]
        heard = [int(text) for page in pages for text in texts(page)]
        heard += [int(text) for text in stream.texts]
        assert heard == list(range(heard[0], 2001))


# --- rooms and presence ---


async def test_joining_and_leaving_is_told_in_the_room_in_order(node: Node, enter: Enter) -> None:
    ann, bob, cyd = [await enter(node, name) for name in ("ann", "bob", "cyd")]
    await ann.join("#dev")
    await bob.join("#dev")
    await bob.say("hi", to="#dev")
    await bob.ask(leave=commands_pb2.Leave(room="#dev"))
    await ann.say("bye", to="#dev")
    await ann.hears_text("bye")
    kinds = [event.WhichOneof("kind") for event in ann.events if event.seq]
    assert kinds == ["joined", "joined", "message", "left", "message"]
    seqs = [event.seq for event in ann.events if event.seq]
    assert seqs == sorted(set(seqs))
    await cyd.ping()
    assert not [event for event in cyd.events if event.seq]
    assert "bye" not in bob.texts


async def test_joining_twice_is_acknowledged_as_a_repeat(node: Node, enter: Enter) -> None:
    ann = await enter(node, "ann")
    join = commands_pb2.Join(room="#Dev")
    first, second = await ann.ask(join=join), await ann.ask(join=join)
    assert (first.ack.duplicate, second.ack.duplicate, second.ack.seq) == (False, True, 0)
    assert first.ack.seq > 0
    await ann.ping()
    assert sum(event.HasField("joined") for event in ann.events) == 1


async def test_more_rooms_than_allowed_are_refused(node: Node, enter: Enter) -> None:
    ann = await enter(node, "ann")
    for number in range(limits.MAX_ROOMS):
        await ann.join(f"#r{number}")
    reply = await ann.ask(join=commands_pb2.Join(room="#one-more"))
    assert reply.error.code == events_pb2.ERROR_CODE_LIMIT_REACHED


async def test_every_session_of_a_user_is_told_what_the_user_does(node: Node, enter: Enter) -> None:
    ann = await enter(node, "ann")
    await ann.say("own")
    told = await ann.hears_text("own")
    assert told.seq > 0


async def test_above_the_presence_limit_nobody_is_told_but_who_answers(
    start_node: StartNode, enter: Enter
) -> None:
    node = await start_node(presence_limit=2)
    ann = await enter(node, "ann")
    assert ann.welcome.limits.presence_limit == 2
    bob = await enter(node, "bob")
    await ann.hears_presence("bob", online=True)
    cyd = await enter(node, "cyd")
    dan = await enter(node, "dan")
    await dan.leave()
    # What is due is told a moment later, by how many are left then.
    await until(lambda: "dan" not in node.hub.attendance.online and not node.hub._presence._due)
    await cyd.leave()
    # Two are left, so the next to go is told again, and whatever was due before went before it.
    await bob.leave()
    await ann.hears_presence("bob", online=False)
    assert not [told for told in ann.presences if told[0] == "dan"]
    assert ("cyd", True) not in ann.presences


async def test_who_answers_above_the_presence_limit(start_node: StartNode, enter: Enter) -> None:
    node = await start_node(presence_limit=0)
    ann, bob = await enter(node, "ann"), await enter(node, "bob")
    assert [member.user for member in (await who(ann)).members] == ["ann", "bob"]
    await ann.say("hi")
    await bob.hears_text("hi")
    assert ann.presences == bob.presences == []
