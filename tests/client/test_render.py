import json
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chat.v1 import chat_pb2, events_pb2, moderation_pb2
from chat_client.render import as_json, as_text, visible
from chat_service.core import events
from chat_service.core.errors import ErrorCode
from chat_service.core.moderation import ModerationAction
from chat_service.wire import terminal
from chat_service.wire.events import encode_event

from .scripted import goodbye, message

Event = events_pb2.Event


def deed(
    action: str, user: str = "bea", by: str = "ann", reason: str = "", until: int = 0
) -> Event:
    it = events_pb2.Moderated(
        room="#dev", action=f"MODERATION_ACTION_{action}", user=user, by=by, reason=reason
    )
    if until:
        it.until.FromSeconds(until)
    return Event(moderated=it)


def announcement(text: str, by: str = "") -> Event:
    return Event(announcement=events_pb2.Announcement(text=text, by=by))


@pytest.mark.parametrize(
    ("event", "line"),
    [
        (message(1, "hello"), "ann: hello"),
        (message(1, "hello", to="#dev"), "[#dev] ann: hello"),
        (message(1, "psst", to="@bob"), "[ann -> you] psst"),
        (message(1, "psst", to="@ann", sender="bob"), "[you -> ann] psst"),
        (message(1, "note", to="@bob", sender="bob"), "[you -> you] note"),
        (Event(joined=events_pb2.Joined(room="#lobby", user="ann")), "* ann joined"),
        (Event(joined=events_pb2.Joined(room="#dev", user="ann")), "[#dev] * ann joined"),
        (Event(left=events_pb2.Left(room="#lobby", user="ann")), "* ann left"),
        (Event(presence=events_pb2.Presence(user="ann", online=True)), "* ann joined"),
        (Event(presence=events_pb2.Presence(user="ann")), "* ann left"),
        (Event(error=events_pb2.Error(message="no such user: zed")), "! no such user: zed"),
        (
            Event(
                roster=events_pb2.Roster(
                    to="#lobby",
                    members=[
                        events_pb2.Member(user="ann", online=True),
                        events_pb2.Member(user="cy"),
                        events_pb2.Member(user="di", role=moderation_pb2.ROLE_OWNER),
                        events_pb2.Member(
                            user="ed", online=True, role=moderation_pb2.ROLE_MODERATOR
                        ),
                        events_pb2.Member(user="flo", online=True, role=moderation_pb2.ROLE_MEMBER),
                    ],
                )
            ),
            "* in #lobby: ann, cy (away), di (owner, away), ed (moderator), flo",
        ),
        (
            Event(
                conversations=events_pb2.ConversationsPage(
                    conversations=[
                        events_pb2.Conversation(to="@ann", last_seq=9, last_number=12),
                        events_pb2.Conversation(to="@cyd", last_seq=3, last_number=1),
                    ],
                    more=True,
                )
            ),
            "* with ann: 12 messages\n* with cyd: 1 message\n* …",
        ),
        (deed("KICK"), "* ann has kicked bea from #dev"),
        (deed("KICK", user="bob", reason="spam"), "* ann has kicked bob from #dev (spam)"),
        (deed("BAN"), "* ann has banned bea from #dev"),
        (
            deed("BAN", until=1_795_514_400, reason="spam"),
            "* ann has banned bea from #dev until 2026-11-24 10:00 UTC (spam)",
        ),
        (deed("UNBAN"), "* ann has unbanned bea from #dev"),
        (
            deed("MUTE", until=1_795_514_400),
            "* ann has muted bea in #dev until 2026-11-24 10:00 UTC",
        ),
        (deed("UNMUTE", by="bob"), "* you have unmuted bea in #dev"),
        (deed("INVITE", by="bob"), "* you have invited bea to #dev"),
        (deed("INVITE", user="bob"), "* ann invites you to #dev (/join #dev)"),
        (deed("MAKE_PRIVATE", user=""), "* ann has made #dev private"),
        (deed("MAKE_PUBLIC", user=""), "* ann has made #dev public"),
        (deed("APPOINT"), "* ann has made bea a moderator of #dev"),
        (deed("DISMISS"), "* ann has made bea a plain member of #dev"),
        (deed("HAND_OVER"), "* ann has handed #dev over to bea"),
        (announcement("soon\nover", by="root"), "* announcement from root: soon\n  over"),
        (announcement("soon"), "* announcement: soon"),
        (Event(gap=events_pb2.Gap(after_seq=1)), "* some messages cannot be shown any more"),
        (goodbye(events_pb2.GOODBYE_REASON_SHUTDOWN), "* server shutting down"),
        (Event(goodbye=events_pb2.Goodbye(message="superseded")), "* superseded"),
    ],
)
def test_events_are_the_lines_of_the_line_protocol(event: Event, line: str) -> None:
    assert as_text(event, "#lobby", "bob") == line + "\n"


@pytest.mark.parametrize("wait", [0.001, 1.5, 120.0, 120.5, 7_201.0, 604_800.0, None])
def test_when_to_try_again_is_told_in_the_words_of_the_line_protocol(wait: float | None) -> None:
    error = events.Error(ErrorCode.RATE_LIMITED, "slow down", wait)
    (sent,) = chat_pb2.ServerFrame.FromString(encode_event(events.Event(error))).events
    assert as_text(sent, "#lobby", "bob") == terminal.render(error, "#lobby", "bob")


@pytest.mark.parametrize("user", ["bob", "bea", "ann"])
@pytest.mark.parametrize("action", list(ModerationAction), ids=lambda it: it.name)
def test_rights_are_told_in_the_words_of_the_line_protocol(
    action: ModerationAction, user: str
) -> None:
    until = 1_795_514_400
    there = terminal.render(
        events.Moderated("#dev", action, "bea", "ann", "spam", until * 1_000_000), "#dev", user
    )
    here = as_text(deed(action.name, reason="spam", until=until), "#dev", user)
    # The line protocol renders once for a whole room, where nobody is "you".
    assert here.replace("you have", "ann has") == there.replace("you have", "ann has")


@pytest.mark.parametrize(
    "event",
    [
        Event(),
        Event(ack=events_pb2.Ack(seq=1)),
        Event(pong=events_pb2.Pong()),
        Event(welcome=events_pb2.Welcome()),
        Event(moderated=events_pb2.Moderated(room="#dev", by="ann")),
        Event(presence=events_pb2.Presence(user="bob", online=True)),
        Event(history=events_pb2.HistoryPage(to="#lobby")),
        Event(conversations=events_pb2.ConversationsPage()),
    ],
)
def test_what_needs_no_telling_is_no_line(event: Event) -> None:
    assert as_text(event, "#lobby", "bob") == ""


def test_history_is_its_messages() -> None:
    page = events_pb2.HistoryPage(to="#dev", events=[message(1, "a"), message(2, "b", to="#dev")])
    assert as_text(Event(history=page), "#lobby", "bob") == "ann: a\n[#dev] ann: b\n"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain ünï 🙂", "plain ünï 🙂"),
        ("a\tb", "a\tb"),
        ("one\ntwo\r\nthree", "one\n  two\n  three"),
        ("\x1b[31mred\x07", "␛[31mred␇"),
        ("over\rwritten", "over␍written"),
        ("\x00\x7f", "␀␡"),
        ("\x9b31m\x85", "\ufffd31m\ufffd"),
        ("\u202egnp.exe", "\ufffdgnp.exe"),
        ("\u2066\u2069\u200e\u200f\u061c", "\ufffd" * 5),
        ("a\u2028b\u2029c", "a\ufffdb\ufffdc"),
    ],
)
def test_text_is_only_text(text: str, shown: str) -> None:
    assert visible(text) == shown


@given(st.text())
def test_nothing_that_moves_the_cursor_gets_through(text: str) -> None:
    lines = visible(text).split("\n")
    assert all(line.startswith("  ") for line in lines[1:])
    controls = {c for line in lines for c in line if unicodedata.category(c) == "Cc"}
    assert controls <= {"\t"}


@given(st.text())
def test_whatever_is_in_a_name_stays_in_its_line(name: str) -> None:
    joined = Event(joined=events_pb2.Joined(room=name, user=name))
    told = (
        deed("INVITE", user="bob", by=name),
        deed("BAN", user=name, by=name),
        announcement("hi", by=name),
    )
    for event in (message(1, sender=name, to="#" + name), message(1, to="@" + name), joined, *told):
        (line, rest) = as_text(event, "#lobby", "bob").split("\n")
        assert not rest
        assert not {c for c in line if unicodedata.category(c) == "Cc"}


@given(st.text())
def test_whatever_is_in_a_reason_is_only_text(text: str) -> None:
    for event in (deed("KICK", reason=text), announcement(text)):
        first, *more = as_text(event, "#lobby", "bob").removesuffix("\n").split("\n")
        assert first.startswith("* ")
        assert all(line.startswith("  ") for line in more)
        assert {c for c in first if unicodedata.category(c) == "Cc"} <= {"\t"}


def test_json_does_not_show_a_guests_token() -> None:
    welcome = Event(welcome=events_pb2.Welcome(user="bob", token="secret"))
    assert json.loads(as_json(welcome)) == {"welcome": {"user": "bob"}}
    assert welcome.welcome.token == "secret", "the caller's own is left alone"


def test_json_is_canonical_and_one_line() -> None:
    line = as_json(message(7, "a\nb\x1b"))
    assert line.count("\n") == 1
    assert json.loads(line) == {
        "seq": "7",
        "message": {"to": "#lobby", "sender": "ann", "number": "7", "text": "a\nb\x1b"},
    }
    assert "\x1b" not in line
