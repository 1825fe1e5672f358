"""Rights over a room, as typed, and what the one who typed is told."""

import pytest

from chat_service.core.commands import Join, Moderate
from chat_service.core.errors import ErrorCode, InvalidAddress, InvalidCommand
from chat_service.core.events import Ack, Error, Joined
from chat_service.core.moderation import ModerationAction as Action
from tests.wire.talk import asked, does, named, refused, told

HOUR = 3600.0
AT = 1_795_600_800_000_000  # 2026-11-25 10:00 UTC


@pytest.mark.parametrize(
    ("line", "body"),
    [
        ("/kick bob", Moderate("#dev", Action.KICK, "bob")),
        ("/kick @Bob being  loud ", Moderate("#dev", Action.KICK, "bob", "being  loud")),
        ("/kick bob 10m", Moderate("#dev", Action.KICK, "bob", "10m")),
        ("/ban bob", Moderate("#dev", Action.BAN, "bob")),
        ("/ban bob 2h", Moderate("#dev", Action.BAN, "bob", "", 2 * HOUR)),
        (
            "/ban bob 7d spam and more",
            Moderate("#dev", Action.BAN, "bob", "spam and more", 168 * HOUR),
        ),
        ("/ban bob spam 7d", Moderate("#dev", Action.BAN, "bob", "spam 7d")),
        ("/ban bob m10", Moderate("#dev", Action.BAN, "bob", "m10")),
        ("/unban bob", Moderate("#dev", Action.UNBAN, "bob")),
        ("/mute bob 30s hush", Moderate("#dev", Action.MUTE, "bob", "hush", 30.0)),
        ("/mute bob 1w", Moderate("#dev", Action.MUTE, "bob", "", 168 * HOUR)),
        ("/unmute bob", Moderate("#dev", Action.UNMUTE, "bob")),
        ("/invite bob", Moderate("#dev", Action.INVITE, "bob")),
        ("/private", Moderate("#dev", Action.MAKE_PRIVATE)),
        ("/PUBLIC", Moderate("#dev", Action.MAKE_PUBLIC)),
        ("/op bob", Moderate("#dev", Action.APPOINT, "bob")),
        ("/deop bob", Moderate("#dev", Action.DISMISS, "bob")),
        ("/handover bob", Moderate("#dev", Action.HAND_OVER, "bob")),
    ],
)
def test_a_line_uses_a_right_over_the_current_room(line: str, body: Moderate) -> None:
    assert asked(named(), "/join #dev", line) == [Join("#dev"), body]


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("/kick", "usage: /kick NAME [reason]"),
        ("/ban", "usage: /ban NAME [DURATION] [reason]"),
        ("/private bob", "usage: /private"),
        ("/ban bob 10 spam", "10 is no duration: say 10m, 2h or 7d"),
        ("/ban bob 10x", "10x is no duration: say 10m, 2h or 7d"),
        ("/mute bob 10M", "10M is no duration: say 10m, 2h or 7d"),
        ("/mute bob 1234567d", "1234567d is no duration: say 10m, 2h or 7d"),
    ],
)
def test_a_line_that_makes_no_sense_is_refused_with_the_way_to_ask(line: str, why: str) -> None:
    refusal = refused(named(), line)
    assert isinstance(refusal, InvalidCommand)
    assert str(refusal) == why


def test_what_is_no_name_is_refused_at_once() -> None:
    assert isinstance(refused(named(), "/kick b/b"), InvalidAddress)
    assert isinstance(refused(named(), "/unban bob please"), InvalidAddress)


@pytest.mark.parametrize(
    ("line", "answer"),
    [
        ("/kick Bob", "* you have kicked bob from #dev\n"),
        ("/ban bob 2h spam", "* you have banned bob from #dev until 2026-11-25 12:00 UTC (spam)\n"),
        ("/ban bob \x1b[2J", "* you have banned bob from #dev (␛[2J)\n"),
        ("/private", "* you have made #dev private\n"),
        ("/handover bob", "* you have handed #dev over to bob\n"),
        ("/invite bob", ""),  # which the event tells its author as well
    ],
)
def test_the_author_is_told_by_the_reply_what_the_room_is_told_by_the_event(
    line: str, answer: str
) -> None:
    codec = named()
    asked(codec, "/join #dev")
    does(codec, Joined("#dev", "ann"), ref=2)
    asked(codec, line)
    assert told(codec, Ack(seq=9, sent_at=AT), ref=3) == answer


def test_what_is_so_already_is_told_as_such() -> None:
    codec = named()
    asked(codec, "/join #dev", "/unban bob")
    assert told(codec, Ack(duplicate=True), ref=3) == "* nothing to change\n"


def test_a_right_that_one_has_not_is_an_error() -> None:
    codec = named()
    asked(codec, "/kick bob")
    error = Error(ErrorCode.PERMISSION_DENIED, "you have no right to do that in #dev")
    assert told(codec, error, ref=2) == "! you have no right to do that in #dev\n"
