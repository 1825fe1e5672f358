"""What is said and where: sending, joining, leaving. No loop, no database."""

from collections.abc import Callable, Sequence

import pytest

from chat_service.core.address import LOBBY
from chat_service.core.commands import Entry, EntryBody, Join, Leave, Send
from chat_service.core.errors import (
    InvalidCommand,
    LimitReached,
    NoSuchUser,
    NotAMember,
    PermissionDenied,
)
from chat_service.core.events import Ack
from chat_service.core.limits import MAX_REFUSED, MAX_ROOMS
from chat_service.core.rules.changes import Change, Decision, Enrol, Post, Withdraw
from chat_service.core.rules.facts import Account, Holder, Room, Sanction, Seat, Sent
from chat_service.core.rules.talking import join, leave, refused_before, send, topic_of

ANN, BOB = b"client of ann", b"client of bob"
AT = 1_000_000


class World:
    """Facts that a test lays down."""

    def __init__(self) -> None:
        self.holders: dict[str, Holder] = {}
        self.joined: dict[int, list[str]] = {}
        self.sent: dict[tuple[int, bytes], Sent] = {}
        self.places: dict[str, Room] = {}

    def holder(self, name: str) -> Holder | None:
        return self.holders.get(name)

    def account(self, name: str) -> Account | None:
        return None

    def member(self, identity: int, room: str) -> bool:
        return room in self.joined.get(identity, ())

    def rooms(self, identity: int) -> Sequence[str]:
        return sorted(self.joined.get(identity, ()))

    def last_sent(self, identity: int, client: bytes) -> Sent | None:
        return self.sent.get((identity, client))

    def room(self, room: str) -> Room | None:
        return self.places.get(room)

    def vacant(self, room: str) -> bool:
        return all(room not in rooms for rooms in self.joined.values())


@pytest.fixture
def world() -> World:
    """Ann (identity 1, in #dev and #art) and Bob (identity 2), both connected."""
    world = World()
    world.holders["ann"] = Holder(1, ANN, False, {"s-ann": Seat(ANN, b"")})
    world.holders["bob"] = Holder(2, BOB, False, {"s-bob": Seat(BOB, b"")})
    world.joined[1] = ["#dev", "#art"]
    return world


_RULES: dict[type, Callable[..., Decision]] = {Send: send, Join: join, Leave: leave}


def decide(entry: Entry, world: World) -> Decision:
    return _RULES[type(entry.body)](entry, entry.body, world)


def by_ann(body: EntryBody) -> Entry:
    return Entry("s-ann", 7, "ann", ANN, AT, body)


def changes(decision: Decision) -> list[Change]:
    assert not isinstance(decision, Ack)
    return list(decision)


# --- messages ---


def test_everyone_speaks_in_the_lobby(world: World) -> None:
    assert changes(decide(by_ann(Send(LOBBY, "hi")), world)) == [Post(1, LOBBY)]


def test_members_speak_in_their_rooms(world: World) -> None:
    assert changes(decide(by_ann(Send("#dev", "hi")), world)) == [Post(1, "#dev")]


def test_nobody_speaks_in_a_room_without_being_in_it(world: World) -> None:
    with pytest.raises(NotAMember, match="you are not in #other"):
        decide(by_ann(Send("#other", "hi")), world)


@pytest.mark.parametrize("here", [True, False])
def test_a_user_is_spoken_to_whether_connected_or_not(world: World, here: bool) -> None:
    if not here:
        world.holders["bob"] = world.holders["bob"].replace(seats={})
    assert changes(decide(by_ann(Send("@bob", "psst")), world)) == [Post(1, (1, 2))]


def test_a_conversation_has_no_direction() -> None:
    assert topic_of(1, 2) == topic_of(2, 1) == (1, 2)


def test_one_may_talk_to_oneself(world: World) -> None:
    assert changes(decide(by_ann(Send("@ann", "note")), world)) == [Post(1, (1, 1))]


def test_a_user_who_was_never_there_cannot_be_spoken_to(world: World) -> None:
    with pytest.raises(NoSuchUser, match="no such user: zed"):
        decide(by_ann(Send("@zed", "psst")), world)


def test_a_private_message_is_for_the_identity_that_has_the_name_now(world: World) -> None:
    world.holders["bob"] = Holder(9, b"another", True, {})
    assert changes(decide(by_ann(Send("@bob", "psst")), world)) == [Post(1, (1, 9))]


@pytest.mark.parametrize(("room", "until"), [(LOBBY, 0), ("#dev", AT + 1)])
def test_who_is_muted_does_not_speak_there(world: World, room: str, until: int) -> None:
    world.places[room] = Room(mutes={"ann": Sanction(until, "", "bob")})
    with pytest.raises(PermissionDenied, match=f"you are muted in {room}"):
        decide(by_ann(Send(room, "hi")), world)
    assert changes(decide(by_ann(Send("#art", "hi")), world)) == [Post(1, "#art")]


def test_a_mute_ends_by_itself(world: World) -> None:
    world.places["#dev"] = Room(mutes={"ann": Sanction(AT, "", "bob")})
    assert changes(decide(by_ann(Send("#dev", "hi")), world)) == [Post(1, "#dev")]


def test_a_mute_is_for_one_name(world: World) -> None:
    world.places["#dev"] = Room(mutes={"bob": Sanction(0, "", "ann")})
    assert changes(decide(by_ann(Send("#dev", "hi")), world)) == [Post(1, "#dev")]


# --- exactly once ---


@pytest.mark.parametrize("nonce", [6, 7, 1000])
def test_a_nonce_above_the_last_one_is_a_new_message(world: World, nonce: int) -> None:
    world.sent[1, ANN] = Sent(5, 40, 4, 123)
    assert changes(decide(by_ann(Send(LOBBY, "hi", nonce)), world)) == [Post(1, LOBBY)]


def test_the_last_nonce_again_gets_the_first_ack_again(world: World) -> None:
    world.sent[1, ANN] = Sent(5, 40, 4, 123)
    ack = decide(by_ann(Send(LOBBY, "hi", 5)), world)
    assert ack == Ack(40, 4, 5, duplicate=True, sent_at=123)


def test_an_older_nonce_is_a_duplicate_of_which_no_more_is_known(world: World) -> None:
    world.sent[1, ANN] = Sent(5, 40, 4, 123)
    assert decide(by_ann(Send(LOBBY, "hi", 4)), world) == Ack(nonce=4, duplicate=True)


def test_a_duplicate_is_told_before_anything_that_has_changed_since(world: World) -> None:
    world.sent[1, ANN] = Sent(5, 40, 4, 123)
    world.places["#dev"] = Room(mutes={"ann": Sanction(0, "", "bob")})
    for to in ("#left-since", "@gone", "#dev"):
        assert isinstance(decide(by_ann(Send(to, "hi", 5)), world), Ack)


def test_a_refused_send_uses_no_nonce_up(world: World) -> None:
    for _ in range(2):
        with pytest.raises(NotAMember):
            decide(by_ann(Send("#other", "hi", 1)), world)
    assert changes(decide(by_ann(Send(LOBBY, "hi", 1)), world)) == [Post(1, LOBBY)]


def test_without_a_nonce_no_message_is_a_duplicate(world: World) -> None:
    world.sent[1, ANN] = Sent(5, 40, 4, 123)
    assert changes(decide(by_ann(Send(LOBBY, "hi")), world)) == [Post(1, LOBBY)]


# --- rooms ---


def test_who_makes_a_room_is_its_owner(world: World) -> None:
    assert changes(decide(by_ann(Join("#new")), world)) == [Enrol(1, "#new", owner=True)]


@pytest.mark.parametrize("owner", [2, None])
def test_who_joins_where_somebody_is_becomes_a_member(world: World, owner: int | None) -> None:
    world.places["#new"], world.joined[2] = Room(owner=owner), ["#new"]
    assert changes(decide(by_ann(Join("#new")), world)) == [Enrol(1, "#new")]


def test_a_room_that_everyone_has_left_is_its_owners_still(world: World) -> None:
    world.places["#new"] = Room(owner=2)
    assert changes(decide(by_ann(Join("#new")), world)) == [Enrol(1, "#new")]


def test_a_room_that_everyone_has_left_and_nobody_owns_is_the_next_ones(world: World) -> None:
    world.places["#new"] = Room()
    assert changes(decide(by_ann(Join("#new")), world)) == [Enrol(1, "#new", owner=True)]


@pytest.mark.parametrize("room", [LOBBY, "#dev"])
def test_joining_where_one_is_already_changes_nothing(world: World, room: str) -> None:
    assert decide(by_ann(Join(room)), world) == Ack(duplicate=True)


def test_the_number_of_rooms_is_limited(world: World) -> None:
    world.joined[1] = [f"#r{number}" for number in range(MAX_ROOMS - 1)]
    assert changes(decide(by_ann(Join("#last")), world)) == [Enrol(1, "#last", owner=True)]
    world.joined[1].append("#last")
    with pytest.raises(LimitReached):
        decide(by_ann(Join("#more")), world)
    assert decide(by_ann(Join("#r0")), world) == Ack(duplicate=True)


def test_leaving_ends_a_membership(world: World) -> None:
    assert changes(decide(by_ann(Leave("#dev")), world)) == [Withdraw(1, "#dev", "ann")]


def test_nobody_leaves_a_room_without_being_in_it(world: World) -> None:
    with pytest.raises(NotAMember):
        decide(by_ann(Leave("#other")), world)


def test_nobody_leaves_the_lobby(world: World) -> None:
    with pytest.raises(InvalidCommand):
        decide(by_ann(Leave(LOBBY)), world)


# --- what was refused while later sends were accepted ---


def test_a_nonce_received_but_passed_over_was_refused() -> None:
    assert refused_before(Send(LOBBY, "hi", nonce=5, since=3), Sent(2)) == (3, 4)
    assert refused_before(Send(LOBBY, "hi", nonce=5, since=1), Sent(4)) == ()


def test_a_nonce_never_received_was_not_refused() -> None:
    assert refused_before(Send(LOBBY, "hi", nonce=10, since=10), None) == ()


def test_so_many_refused_nonces_are_remembered_and_no_more() -> None:
    later = refused_before(Send(LOBBY, "hi", nonce=10_000, since=1), Sent(7, refused=(5,)))
    assert later == tuple(range(10_000 - MAX_REFUSED, 10_000))
