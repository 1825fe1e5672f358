"""The rules: what may happen, and what follows. No loop, no database."""

from collections.abc import Sequence

import pytest

from chat_service.core.address import LOBBY
from chat_service.core.commands import Enter, Entry, EntryBody, Exit, Join, Leave, Send
from chat_service.core.errors import (
    InvalidCommand,
    LimitReached,
    NameTaken,
    NoSuchUser,
    NotAMember,
)
from chat_service.core.events import Ack
from chat_service.core.limits import MAX_REFUSED, MAX_ROOMS
from chat_service.core.rules import (
    Claim,
    Decision,
    Enrol,
    Holder,
    MarkAway,
    Post,
    Release,
    Sent,
    Withdraw,
    decide,
    refused_before,
    topic_of,
)

ANN, BOB = b"client of ann", b"client of bob"


class World:
    """Facts that a test lays down."""

    def __init__(self) -> None:
        self.holders: dict[str, Holder] = {}
        self.identities: dict[tuple[str, bytes], int] = {}
        self.joined: dict[int, list[str]] = {}
        self.sent: dict[tuple[int, bytes], Sent] = {}

    def holder(self, name: str) -> Holder | None:
        return self.holders.get(name)

    def identity(self, name: str, client: bytes) -> int | None:
        return self.identities.get((name, client))

    def member(self, identity: int, room: str) -> bool:
        return room in self.joined.get(identity, ())

    def rooms(self, identity: int) -> Sequence[str]:
        return sorted(self.joined.get(identity, ()))

    def last_sent(self, identity: int, client: bytes) -> Sent | None:
        return self.sent.get((identity, client))


@pytest.fixture
def world() -> World:
    """Ann (identity 1, in #dev and #art) and Bob (identity 2), both connected."""
    world = World()
    world.holders["ann"] = Holder(1, ANN, "s-ann", transient=False)
    world.holders["bob"] = Holder(2, BOB, "s-bob", transient=False)
    world.identities = {("ann", ANN): 1, ("bob", BOB): 2}
    world.joined[1] = ["#dev", "#art"]
    return world


def by_ann(
    body: EntryBody, *, session: str = "s-ann", client: bytes = ANN, user: str = "ann"
) -> Entry:
    return Entry(session, 7, user, client, 1_000_000, body)


def changes(decision: Decision) -> list[object]:
    assert not isinstance(decision, Ack)
    return list(decision)


def claims(decision: Decision) -> tuple[int | None, bool]:
    """Return the identity that a lone claim is for, and whether it is transient."""
    (claim,) = changes(decision)
    assert isinstance(claim, Claim)
    return claim.identity, claim.transient


def absent(world: World, name: str) -> None:
    world.holders[name] = world.holders[name]._replace(session=None)


# --- names ---


@pytest.mark.parametrize("transient", [True, False])
def test_a_name_nobody_had_is_claimed_for_a_new_identity(world: World, transient: bool) -> None:
    entry = by_ann(Enter(transient), user="cyd")
    assert claims(decide(entry, world)) == (None, transient)


def test_a_client_takes_its_own_name_over_from_its_older_session(world: World) -> None:
    assert claims(decide(by_ann(Enter(), session="newer"), world)) == (1, False)


def test_a_client_that_returns_is_who_it_was(world: World) -> None:
    absent(world, "ann")
    assert claims(decide(by_ann(Enter(), session="newer"), world)) == (1, False)


def test_a_name_in_use_is_taken(world: World) -> None:
    with pytest.raises(NameTaken, match="the name ann is taken"):
        decide(by_ann(Enter(), client=BOB, session="thief"), world)


def test_a_free_name_passes_to_a_new_identity_and_the_old_one_leaves_its_rooms(
    world: World,
) -> None:
    absent(world, "ann")
    *evicted, claim = changes(decide(by_ann(Enter(), client=BOB, session="next"), world))
    assert evicted == [Withdraw(1, "#art"), Withdraw(1, "#dev")]
    assert isinstance(claim, Claim)
    assert claim.identity is None


def test_a_name_that_passes_back_finds_its_first_identity(world: World) -> None:
    world.holders["ann"] = Holder(3, BOB, None, transient=False)
    world.identities["ann", BOB] = 3
    assert claims(decide(by_ann(Enter()), world)) == (1, False)


def test_a_session_that_leaves_frees_its_name_but_keeps_its_rooms(world: World) -> None:
    assert changes(decide(by_ann(Exit()), world)) == [MarkAway(1), Release()]


def test_a_lost_session_keeps_its_name_for_a_while(world: World) -> None:
    assert changes(decide(by_ann(Exit(hold=True)), world)) == [MarkAway(1)]


def test_a_client_without_an_id_leaves_its_rooms_with_its_name(world: World) -> None:
    world.holders["ann"] = Holder(1, ANN, "s-ann", transient=True)
    assert changes(decide(by_ann(Exit()), world)) == [
        Withdraw(1, "#art"),
        Withdraw(1, "#dev"),
        MarkAway(1),
        Release(),
    ]


@pytest.mark.parametrize("hold", [True, False])
@pytest.mark.parametrize(("user", "session"), [("ann", "superseded"), ("cyd", "s-cyd")])
def test_the_end_of_a_session_that_has_no_name_changes_nothing(
    world: World, user: str, session: str, hold: bool
) -> None:
    assert changes(decide(by_ann(Exit(hold), user=user, session=session), world)) == []


@pytest.mark.parametrize("body", [Send(LOBBY, "hi"), Join("#new"), Leave("#dev")])
def test_who_has_lost_the_name_does_nothing_under_it(world: World, body: EntryBody) -> None:
    with pytest.raises(NameTaken, match="has passed to another connection"):
        decide(by_ann(body, session="superseded"), world)


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
        absent(world, "bob")
    assert changes(decide(by_ann(Send("@bob", "psst")), world)) == [Post(1, (1, 2))]


def test_a_conversation_has_no_direction() -> None:
    assert topic_of(1, 2) == topic_of(2, 1) == (1, 2)


def test_one_may_talk_to_oneself(world: World) -> None:
    assert changes(decide(by_ann(Send("@ann", "note")), world)) == [Post(1, (1, 1))]


def test_a_user_who_was_never_there_cannot_be_spoken_to(world: World) -> None:
    with pytest.raises(NoSuchUser, match="no such user: zed"):
        decide(by_ann(Send("@zed", "psst")), world)


def test_a_private_message_is_for_the_identity_that_has_the_name_now(world: World) -> None:
    world.holders["bob"] = Holder(9, b"another", None, transient=True)
    assert changes(decide(by_ann(Send("@bob", "psst")), world)) == [Post(1, (1, 9))]


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
    for to in ("#left-since", "@gone"):
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


def test_joining_makes_a_member(world: World) -> None:
    assert changes(decide(by_ann(Join("#new")), world)) == [Enrol(1, "#new")]


@pytest.mark.parametrize("room", [LOBBY, "#dev"])
def test_joining_where_one_is_already_changes_nothing(world: World, room: str) -> None:
    assert decide(by_ann(Join(room)), world) == Ack(duplicate=True)


def test_the_number_of_rooms_is_limited(world: World) -> None:
    world.joined[1] = [f"#r{number}" for number in range(MAX_ROOMS - 1)]
    assert changes(decide(by_ann(Join("#last")), world)) == [Enrol(1, "#last")]
    world.joined[1].append("#last")
    with pytest.raises(LimitReached):
        decide(by_ann(Join("#more")), world)
    assert decide(by_ann(Join("#r0")), world) == Ack(duplicate=True)


def test_leaving_ends_a_membership(world: World) -> None:
    assert changes(decide(by_ann(Leave("#dev")), world)) == [Withdraw(1, "#dev")]


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
