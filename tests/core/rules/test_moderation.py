"""What follows from rights over a room: kicks, bans, mutes, private rooms, owners."""

import pytest

from chat_service.core.commands import ByToken, DeleteAccount, Entry, Moderate, Vouched
from chat_service.core.errors import LimitReached, NoSuchUser, NotAMember, PermissionDenied
from chat_service.core.events import Ack, Moderated
from chat_service.core.limits import MAX_INVITED, MAX_SANCTIONS
from chat_service.core.moderation import ModerationAction, Role
from tests.core.rules.people import AT, CONSOLE, PASSWORD, SECOND, People, come, do, register
from tests.state.batches import by, join, leave, leave_chat, moderate, say, told

KICK, BAN, UNBAN = ModerationAction.KICK, ModerationAction.BAN, ModerationAction.UNBAN
MUTE, UNMUTE, INVITE = ModerationAction.MUTE, ModerationAction.UNMUTE, ModerationAction.INVITE
PRIVATE, PUBLIC = ModerationAction.MAKE_PRIVATE, ModerationAction.MAKE_PUBLIC
APPOINT, HAND_OVER = ModerationAction.APPOINT, ModerationAction.HAND_OVER


@pytest.fixture
def room(people: People) -> People:
    """#dev: Ann, who made it, and Bob have accounts; Gus is a guest; Zoe and Root are outside."""
    people.seated("ann", "bob", "zoe")
    people.seated("root", admin=True)
    people.ok(come("gus"), join("ann", "#dev"), join("bob", "#dev"), join("gus", "#dev"))
    return people


@pytest.fixture
def private(room: People) -> People:
    """The same, made private."""
    room.ok(act(PRIVATE))
    return room


def act(
    action: ModerationAction,
    user: str = "",
    who: str = "ann",
    *,
    at: int = AT,
    lasts: float | None = None,
    reason: str = "",
) -> Entry:
    return do(who, Moderate("#dev", action, user, reason, lasts), at=at)


def role(people: People, name: str) -> Role | None:
    """Return what somebody is in #dev, whether there or not."""
    identity = people.identity(name)
    if people.one("SELECT 1 FROM topics WHERE name = '#dev' AND owner = ?", identity):
        return Role.OWNER
    if people.one("SELECT 1 FROM moderators WHERE identity = ?", identity):
        return Role.MODERATOR
    return None


# --- what is told ---


@pytest.mark.parametrize(
    ("action", "expected"),
    [
        (KICK, ["ann: KICK gus #dev", "gus left #dev"]),
        (BAN, ["ann: BAN gus #dev", "gus left #dev"]),
        (MUTE, ["ann: MUTE gus #dev"]),
        (APPOINT, ["ann: APPOINT gus #dev"]),
        (HAND_OVER, ["ann: HAND_OVER gus #dev"]),
    ],
)
def test_the_room_is_told_before_anybody_goes(
    room: People, action: ModerationAction, expected: list[str]
) -> None:
    (applied,) = room.ok(act(action, "gus"))
    assert told([event.frame for event in applied.events]) == expected
    assert {event.topic for event in applied.events} == {"#dev"}


def test_an_event_says_who_did_it_why_and_until_when(room: People) -> None:
    (applied,) = room.ok(act(MUTE, "gus", lasts=1.5, reason="too loud"))
    body = applied.events[0].body
    assert body == Moderated("#dev", MUTE, "gus", "ann", "too loud", AT + 1_500_000)


def test_a_kick_has_no_end(room: People) -> None:
    (applied,) = room.ok(act(KICK, "gus", lasts=1.5))
    assert applied.events[0].body == Moderated("#dev", KICK, "gus", "ann")


def test_nothing_is_done_to_who_was_never_here(room: People) -> None:
    assert room.why(act(BAN, "nobody")) is NoSuchUser


# --- kicks and bans ---


def test_who_was_kicked_may_come_back(room: People) -> None:
    room.ok(act(KICK, "gus"))
    assert room.why(say("gus", "hey", "#dev")) is NotAMember
    room.ok(join("gus", "#dev"))


def test_who_is_banned_may_not_until_the_ban_ends(room: People) -> None:
    room.ok(act(BAN, "gus", lasts=60.0))
    back = join("gus", "#dev")
    refusal = room.refusal(back.replace(at=AT + 60 * SECOND - 1))
    assert (type(refusal), str(refusal)) == (PermissionDenied, "you cannot join #dev")
    room.ok(back.replace(at=AT + 60 * SECOND))


def test_who_is_banned_for_good_comes_back_when_somebody_takes_it_back(room: People) -> None:
    room.ok(act(BAN, "gus"))
    assert room.why(join("gus", "#dev").replace(at=AT * 1000)) is PermissionDenied
    room.ok(act(UNBAN, "gus"), join("gus", "#dev"))
    assert room.reply(act(UNBAN, "gus")) == Ack(duplicate=True)


def test_a_ban_holds_for_the_name_in_that_room_alone(room: People) -> None:
    room.ok(act(BAN, "gus"), say("gus", "hi"), join("gus", "#art"), leave_chat("gus"))
    room.ok(come("gus", "another client"))
    assert room.why(by("gus", join("gus", "#dev").body, client="another client")) is (
        PermissionDenied
    )


def test_who_is_not_there_is_banned_as_well(room: People) -> None:
    assert room.events(act(BAN, "zoe")) == ["ann: BAN zoe #dev"]
    assert room.why(join("zoe", "#dev")) is PermissionDenied


@pytest.mark.parametrize("action", [KICK, BAN])
def test_a_moderator_who_is_thrown_out_is_one_no_more(
    room: People, action: ModerationAction
) -> None:
    room.ok(act(APPOINT, "bob"), act(action, "bob"))
    assert role(room, "bob") is None


def test_an_owner_whom_an_admin_bans_owns_nothing_any_more(room: People) -> None:
    room.ok(act(BAN, "ann", "root"))
    assert role(room, "ann") is None
    assert room.why(act(UNBAN, "ann")) is NotAMember


def test_an_owner_whom_an_admin_kicks_owns_it_still(room: People) -> None:
    room.ok(act(KICK, "ann", "root"))
    assert role(room, "ann") is Role.OWNER
    room.ok(join("ann", "#dev"))


@pytest.mark.parametrize("action", [BAN, MUTE])
def test_sanctions_are_limited_in_number_and_those_that_have_ended_do_not_count(
    people: People, action: ModerationAction
) -> None:
    people.ok(come("ann"), join("ann", "#dev"))
    names = [f"u{n}" for n in range(MAX_SANCTIONS + 1)]
    people.ok(*(come(name) for name in names))
    people.ok(*(act(action, name, lasts=60.0) for name in names[:-1]))
    assert people.why(act(action, names[-1])) is LimitReached
    people.ok(act(action, names[0]), act(action, names[-1], at=AT + 60 * SECOND))


# --- mutes ---


def test_who_is_muted_listens_and_does_not_speak_until_it_ends(room: People) -> None:
    room.ok(act(MUTE, "gus", lasts=60.0, reason="too loud"))
    words = say("gus", "hey", "#dev")
    assert room.why(words.replace(at=AT + 60 * SECOND - 1)) is PermissionDenied
    refusal = room.refusal(words.replace(at=AT + 20 * SECOND))
    assert type(refusal) is PermissionDenied
    assert str(refusal) == "you are muted in #dev for another 40 s: too loud"
    room.ok(words.replace(at=AT + 60 * SECOND))


def test_who_is_muted_for_good_speaks_when_somebody_takes_it_back(room: People) -> None:
    room.ok(act(MUTE, "gus"))
    assert room.why(say("gus", "hey", "#dev").replace(at=AT * 1000)) is PermissionDenied
    room.ok(act(UNMUTE, "gus"), say("gus", "hey", "#dev"))


def test_a_mute_outlives_leaving_and_coming_back(room: People) -> None:
    room.ok(act(MUTE, "gus"), leave("gus", "#dev"), join("gus", "#dev"))
    assert room.why(say("gus", "hey", "#dev")) is PermissionDenied


def test_who_is_muted_speaks_elsewhere(room: People) -> None:
    room.ok(act(MUTE, "gus"), say("gus", "hey"), say("gus", "hey", "@ann"))


def test_a_moderator_does_not_unmute_himself(room: People) -> None:
    room.ok(act(APPOINT, "bob"), act(MUTE, "bob"))
    assert room.why(act(UNMUTE, "bob", "bob")) is PermissionDenied
    assert room.why(say("bob", "hey", "#dev")) is PermissionDenied


def test_an_admin_mutes_in_the_lobby_where_everyone_is(room: People) -> None:
    room.ok(do("root", Moderate("#lobby", MUTE, "gus")))
    assert room.why(say("gus", "hey")) is PermissionDenied


# --- private rooms ---


def test_a_private_room_is_refused_in_the_same_words_as_to_the_banned(private: People) -> None:
    private.ok(act(BAN, "gus"))
    uninvited, banned = (private.refusal(join(name, "#dev")) for name in ("zoe", "gus"))
    assert (type(uninvited), str(uninvited)) == (type(banned), str(banned))
    private.ok(act(PUBLIC))
    assert str(private.refusal(join("gus", "#dev"))) == str(uninvited)


def test_who_is_outside_a_private_room_gets_the_same_answers_as_if_there_were_none(
    private: People,
) -> None:
    def answers(room: str) -> list[tuple[type, str]]:
        refusals = [
            private.refusal(say("zoe", "hi", room)),
            private.refusal(leave("zoe", room)),
            *(private.refusal(moderate("zoe", room, it, "gus")) for it in (KICK, INVITE, APPOINT)),
            private.refusal(moderate("zoe", room, PUBLIC)),
        ]
        return [(type(it), str(it).replace(room, "ROOM")) for it in refusals]

    assert answers("#dev") == answers("#none")


def test_those_in_a_room_stay_when_it_is_made_private(private: People) -> None:
    private.ok(say("bob", "hi", "#dev"), say("gus", "hi", "#dev"))


def test_who_is_invited_comes_in_once(private: People) -> None:
    private.ok(act(INVITE, "zoe"), join("zoe", "#dev"), leave("zoe", "#dev"))
    assert private.why(join("zoe", "#dev")) is PermissionDenied


def test_an_invitation_is_told_to_the_two_and_to_nobody_else(private: People) -> None:
    (applied,) = private.ok(act(INVITE, "zoe"))
    (event,) = applied.events
    assert event.topic == tuple(sorted((private.identity("ann"), private.identity("zoe"))))
    assert private.reply(act(INVITE, "zoe")) == Ack(duplicate=True)


def test_an_invitation_is_for_the_identity_that_had_the_name(private: People) -> None:
    private.ok(come("tom"), act(INVITE, "tom"), leave_chat("tom"), come("tom", "another"))
    assert private.why(by("tom", join("tom", "#dev").body, client="another")) is PermissionDenied


def test_who_was_kicked_out_of_a_private_room_cannot_come_back(private: People) -> None:
    private.ok(act(APPOINT, "bob"), act(INVITE, "zoe"), join("zoe", "#dev"))
    for name in ("gus", "bob", "zoe"):
        private.ok(act(KICK, name))
        assert private.why(join(name, "#dev")) is PermissionDenied


def test_who_left_a_private_room_needs_an_invitation_but_not_a_moderator(private: People) -> None:
    private.ok(act(APPOINT, "bob"), leave("bob", "#dev"), leave("gus", "#dev"))
    private.ok(join("bob", "#dev"))
    assert private.why(join("gus", "#dev")) is PermissionDenied


def test_an_invitation_does_not_lift_a_ban(private: People) -> None:
    private.ok(act(BAN, "zoe"), act(INVITE, "zoe"))
    assert private.why(join("zoe", "#dev")) is PermissionDenied


def test_an_admin_comes_in_uninvited(private: People) -> None:
    private.ok(join("root", "#dev"))


def test_invitations_that_nobody_has_taken_up_end_with_the_rooms_being_private(
    private: People,
) -> None:
    private.ok(act(INVITE, "zoe"), act(PUBLIC), act(PRIVATE))
    assert private.why(join("zoe", "#dev")) is PermissionDenied


def test_invitations_are_limited_in_number(private: People) -> None:
    names = [f"u{n}" for n in range(MAX_INVITED + 1)]
    private.ok(*(come(name) for name in names), *(act(INVITE, name) for name in names[:-1]))
    assert private.why(act(INVITE, names[-1])) is LimitReached
    private.ok(join(names[0], "#dev"), act(INVITE, names[-1]))


def test_a_room_made_public_lets_everyone_in(private: People) -> None:
    private.ok(act(PUBLIC), join("zoe", "#dev"))


def test_a_guests_room_cannot_be_private(room: People) -> None:
    room.ok(join("gus", "#guests"))
    for who in ("gus", "root"):
        assert room.why(do(who, Moderate("#guests", PRIVATE))) is PermissionDenied


def test_the_second_client_of_an_account_has_its_rights(private: People) -> None:
    private.ok(come("ann", "phone", proof=PASSWORD))
    private.ok(do("ann", Moderate("#dev", KICK, "gus"), "phone"))


# --- owners ---


def test_who_hands_a_room_over_is_its_moderator_then(room: People) -> None:
    room.ok(act(HAND_OVER, "bob"))
    assert (role(room, "ann"), role(room, "bob")) == (Role.MODERATOR, Role.OWNER)
    assert room.why(act(HAND_OVER, "ann")) is PermissionDenied
    room.ok(act(HAND_OVER, "ann", "bob"))
    assert (role(room, "ann"), role(room, "bob")) == (Role.OWNER, Role.MODERATOR)


def test_an_admin_hands_over_a_room_that_nobody_owns(room: People) -> None:
    room.ok(do(CONSOLE, DeleteAccount("ann", None)), act(HAND_OVER, "bob", "root"))
    assert role(room, "bob") is Role.OWNER


@pytest.mark.parametrize("parting", [leave("gus", "#dev"), act(KICK, "gus", "root")])
def test_a_guest_who_has_left_his_room_is_its_owner_no_more(people: People, parting: Entry) -> None:
    people.seated("root", admin=True)
    people.ok(come("gus"), come("tom"), join("gus", "#dev"), join("tom", "#dev"), parting)
    assert role(people, "gus") is None
    people.ok(join("gus", "#dev"))
    assert people.why(act(KICK, "tom", "gus")) is PermissionDenied


def test_a_guest_who_is_only_disconnected_owns_his_room_still(people: People) -> None:
    people.ok(come("gus"), join("gus", "#dev"), leave_chat("gus"), come("gus"))
    assert role(people, "gus") is Role.OWNER


def test_a_guest_whose_name_has_passed_on_owns_nothing(people: People) -> None:
    people.ok(come("gus"), join("gus", "#dev"), leave_chat("gus"), come("gus", "another"))
    people.ok(come("tom"), join("tom", "#dev"))
    assert role(people, "gus") is None
    assert role(people, "tom") is Role.OWNER


def test_a_guest_who_gives_way_to_who_is_vouched_for_owns_nothing(people: People) -> None:
    people.ok(come("gus"), join("gus", "#dev"), come("gus", "other", proof=Vouched()))
    assert people.one("SELECT owner FROM topics WHERE name = '#dev'") is None


def test_a_guest_who_registers_owns_his_room_for_good(people: People) -> None:
    people.ok(come("gus"), join("gus", "#dev"), register("gus", "gus"), leave("gus", "#dev"))
    people.ok(join("gus", "#dev"))
    assert role(people, "gus") is Role.OWNER


def test_an_account_that_leaves_its_room_owns_it_when_it_comes_back(private: People) -> None:
    private.ok(leave("ann", "#dev"), leave_chat("ann"), come("ann", "phone", proof=PASSWORD))
    assert role(private, "ann") is Role.OWNER
    private.ok(do("ann", join("ann", "#dev").body, "phone"))


def test_nobody_becomes_the_owner_of_a_room_that_others_are_in(people: People) -> None:
    people.ok(*map(come, ("gus", "tom", "zoe")), join("gus", "#dev"), join("tom", "#dev"))
    people.ok(leave("gus", "#dev"), join("zoe", "#dev"))
    assert people.one("SELECT owner FROM topics WHERE name = '#dev'") is None
    people.ok(leave("tom", "#dev"), leave("zoe", "#dev"), join("tom", "#dev"))
    assert role(people, "tom") is Role.OWNER


def test_a_private_room_whose_owner_was_deleted_keeps_those_in_it_and_its_secrets(
    private: People,
) -> None:
    private.ok(act(APPOINT, "bob"), do(CONSOLE, DeleteAccount("ann", None)))
    private.ok(say("gus", "hi", "#dev"), act(INVITE, "zoe", "bob"), join("zoe", "#dev"))
    private.ok(come("tom"), come("ann", "stranger"))
    for name, client in (("tom", "tom"), ("ann", "stranger")):
        assert private.why(by(name, join(name, "#dev").body, client=client)) is PermissionDenied


def test_a_private_room_that_is_empty_and_nobodys_is_not_taken(private: People) -> None:
    private.ok(leave("gus", "#dev"), leave("bob", "#dev"))
    private.ok(do(CONSOLE, DeleteAccount("ann", None)))
    assert private.why(join("zoe", "#dev")) is PermissionDenied
    private.ok(join("root", "#dev"))
    assert role(private, "root") is Role.OWNER


def test_who_was_invited_into_a_private_room_does_not_find_it_his(private: People) -> None:
    private.ok(*(leave(name, "#dev") for name in ("gus", "bob", "ann")))
    private.ok(act(INVITE, "gus"), act(INVITE, "zoe"), do(CONSOLE, DeleteAccount("ann", None)))
    private.ok(join("gus", "#dev"), leave("gus", "#dev"), join("zoe", "#dev"))
    assert (role(private, "gus"), role(private, "zoe")) == (None, None)
    private.ok(act(HAND_OVER, "zoe", "root"))
    assert role(private, "zoe") is Role.OWNER


def test_a_moderator_who_is_a_guest_is_one_until_he_leaves(room: People) -> None:
    room.ok(act(APPOINT, "gus"), leave("gus", "#dev"), join("gus", "#dev"))
    assert role(room, "gus") is None


def test_a_guests_second_client_has_his_rights(room: People) -> None:
    room.ok(act(APPOINT, "gus"), come("gus", "tab", proof=ByToken(b"token of gus/gus")))
    room.ok(do("gus", Moderate("#dev", MUTE, "zoe"), "tab"))
    room.ok(moderate("ann", "#dev", ModerationAction.DISMISS, "gus"))
    assert room.why(do("gus", Moderate("#dev", MUTE, "zoe"), "tab")) is PermissionDenied
