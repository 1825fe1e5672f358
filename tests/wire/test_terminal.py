"""What of an event reaches a terminal."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chat_service.core import events
from chat_service.core.commands import Cursor
from chat_service.core.errors import ErrorCode
from chat_service.core.events import Conversation, EventBody, GapReason, GoodbyeReason, Member
from chat_service.core.moderation import ModerationAction as Action
from chat_service.core.moderation import Role
from chat_service.wire.events import encode_event
from chat_service.wire.terminal import neutralised, render, render_own_deed

BIDI_CONTROLS = "\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"
HOSTILE = st.text(
    st.characters(exclude_categories=["Cs"])
    | st.characters(categories=["Cc", "Cf", "Zl", "Zp"])
    | st.sampled_from("\n\r\t\x1b\x9b")
)


def message(to: str, sender: str, text: str) -> events.Message:
    return events.Message(to, sender, 1, text, 1_700_000_000_000_000)


UNTIL = 1_795_514_400_000_000


WAITS = [
    (0.001, "try again in 1 s"),
    (1.5, "try again in 2 s"),
    (120.0, "try again in 120 s"),
    (120.5, "try again in 3 min"),
    (7_200.0, "try again in 120 min"),
    (7_201.0, "try again in 3 h"),
    (604_800.0, "try again in 7 d"),
]
"""Seconds until another try is of use, and how that is told."""


def moderated(
    action: Action, *, user: str = "cyd", by: str = "bob", reason: str = "", until: int = 0
) -> events.Moderated:
    return events.Moderated("#dev", action, user, by, reason, until)


def page(*said: events.Message, more: bool = False) -> events.HistoryPage:
    frames = [encode_event(events.Event(it, seq=seq)) for seq, it in enumerate(said, 1)]
    return events.HistoryPage("#dev", tuple(frames), more)


@pytest.mark.parametrize(
    ("body", "lines"),
    [
        (message("#lobby", "bob", "hello"), "bob: hello\n"),
        (message("#dev", "bob", "hello"), "[#dev] bob: hello\n"),
        (message("@ann", "bob", "psst"), "[bob -> you] psst\n"),
        (message("@bob", "ann", "psst"), "[you -> bob] psst\n"),
        (message("@ann", "ann", "note"), "[you -> you] note\n"),
        (message("#lobby", "bob", "one\ntwo\r\nthree"), "bob: one\n  two\n  three\n"),
        (events.Joined("#lobby", "bob"), "* bob joined\n"),
        (events.Joined("#dev", "bob"), "[#dev] * bob joined\n"),
        (events.Left("#lobby", "bob"), "* bob left\n"),
        (events.Left("#dev", "bob"), "[#dev] * bob left\n"),
        (events.Presence("bob", online=True), "* bob joined\n"),
        (events.Presence("bob", online=False), "* bob left\n"),
        (events.Error(ErrorCode.NO_SUCH_USER, "no such user: zed"), "! no such user: zed\n"),
        *[
            (events.Error(ErrorCode.RATE_LIMITED, "slow down", wait), f"! slow down ({again})\n")
            for wait, again in WAITS
        ],
        (events.Ack(seq=7, number=1), ""),
        (events.Pong(), ""),
        (
            events.Welcome("ann", "s1", Cursor("e", 1), False, 0, ("#lobby",), 500, "1"),
            "* welcome, ann: you are in #lobby (/help lists the commands)\n",
        ),
        (
            events.Roster("#lobby", (Member("ann", True), Member("bob", False))),
            "* in #lobby: ann, bob (away)\n",
        ),
        (events.Roster("#lobby", (Member("ann", True),), more=True), "* in #lobby: ann, …\n"),
        (
            events.Roster(
                "#dev",
                (
                    Member("ann", True, Role.OWNER),
                    Member("bob", False, Role.MODERATOR),
                    Member("cyd", True, Role.MEMBER),
                ),
            ),
            "* in #dev: ann (owner), bob (moderator, away), cyd\n",
        ),
        (
            events.ConversationsPage((Conversation("@bob", 9, 12), Conversation("@cyd", 3, 1))),
            "* with bob: 12 messages\n* with cyd: 1 message\n",
        ),
        (
            events.ConversationsPage((Conversation("@bob", 9, 2),), more=True),
            "* with bob: 2 messages\n* …\n",
        ),
        (events.ConversationsPage(()), "* nothing was said in private yet\n"),
        (moderated(Action.KICK, reason="spam"), "* bob has kicked cyd from #dev (spam)\n"),
        (
            moderated(Action.BAN, reason="spam", until=UNTIL),
            "* bob has banned cyd from #dev until 2026-11-24 10:00 UTC (spam)\n",
        ),
        (moderated(Action.UNBAN), "* bob has unbanned cyd from #dev\n"),
        (
            moderated(Action.MUTE, until=UNTIL),
            "* bob has muted cyd in #dev until 2026-11-24 10:00 UTC\n",
        ),
        (moderated(Action.UNMUTE), "* bob has unmuted cyd in #dev\n"),
        (moderated(Action.MAKE_PRIVATE, user=""), "* bob has made #dev private\n"),
        (moderated(Action.MAKE_PUBLIC, user=""), "* bob has made #dev public\n"),
        (moderated(Action.APPOINT), "* bob has made cyd a moderator of #dev\n"),
        (moderated(Action.DISMISS), "* bob has made cyd a plain member of #dev\n"),
        (moderated(Action.HAND_OVER), "* bob has handed #dev over to cyd\n"),
        (moderated(Action.KICK, user="ann"), "* bob has kicked ann from #dev\n"),
        (moderated(Action.INVITE, user="ann"), "* bob invites you to #dev (/join #dev)\n"),
        (moderated(Action.INVITE, by="ann"), "* you have invited cyd to #dev\n"),
        (events.Announcement("be nice", "root", 0), "* announcement from root: be nice\n"),
        (events.Announcement("be\nnice", "", 0), "* announcement: be\n  nice\n"),
        (page(), "* nothing was said yet\n"),
        (
            page(message("#dev", "bob", "a"), message("#dev", "ann", "b\nc")),
            "bob: a\nann: b\n  c\n",
        ),
        (
            events.Gap("", 3, 9, GapReason.TRIMMED),
            "* some messages cannot be shown any more\n",
        ),
        (events.Goodbye(GoodbyeReason.SHUTDOWN, "restarting"), "* server shutting down\n"),
        (events.Goodbye(GoodbyeReason.LEFT, "you left"), "* bye\n"),
        (events.Goodbye(GoodbyeReason.REFUSED, "the name ann is taken"), "* bye\n"),
        (events.Goodbye(GoodbyeReason.SUPERSEDED, "taken over"), "* taken over\n"),
    ],
)
def test_an_event_is_told_to_ann_in_the_lobby_as(body: EventBody, lines: str) -> None:
    assert render(body, "#lobby", "ann") == lines


@given(HOSTILE)
def test_no_control_character_reaches_a_terminal_but_tab_and_newline(text: str) -> None:
    shown = neutralised(text)
    assert not any(unicodedata.category(c) in ("Cc", "Zl", "Zp") and c not in "\t\n" for c in shown)
    assert not set(shown) & set(BIDI_CONTROLS)


@given(
    HOSTILE,
    st.sampled_from(["#lobby", "#dev", "@ann", "@bob"]),
    st.sampled_from(["ann", "bob"]),
)
def test_every_line_of_a_message_but_its_first_begins_with_two_spaces(
    text: str, to: str, sender: str
) -> None:
    body = message(to, sender, text)
    for shown in (render(body, "#lobby", "ann"), render(page(body), "#lobby", "ann")):
        assert shown.endswith("\n")
        first, *others = shown[:-1].splitlines()
        assert not first.startswith("  ")
        assert all(line.startswith("  ") for line in others)


@given(HOSTILE)
def test_nothing_else_that_holds_a_text_forges_a_line_either(text: str) -> None:
    for shown in (
        render(events.Error(ErrorCode.INTERNAL, text), "#lobby", "ann"),
        render(events.Goodbye(GoodbyeReason.INTERNAL, text), "#lobby", "ann"),
        render(events.Announcement(text, "root", 0), "#lobby", "ann"),
        render(moderated(Action.KICK, reason=text), "#lobby", "ann"),
        render_own_deed(moderated(Action.KICK, reason=text)),
    ):
        first, *others = shown[:-1].splitlines()
        assert first[:2] in ("! ", "* ")
        assert all(line.startswith("  ") for line in others)


@given(st.text(st.characters(categories=["L", "M", "N", "P", "S"]) | st.just(" ")))
def test_what_can_be_seen_is_shown_as_it_is(text: str) -> None:
    assert neutralised(text) == text


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\x1b[31mred", "␛[31mred"),
        ("bell\x07", "bell␇"),
        ("\x7f", "␡"),
        ("\x9b31m", "\ufffd31m"),
        ("a\rb", "a␍b"),
        ("a\tb", "a\tb"),
        ("a\u2028b\u2029c", "a\n  b\n  c"),
        ("abc\u202edcba", "abc\ufffddcba"),
        ("👩\u200d🚀", "👩\u200d🚀"),  # a joiner is no danger, and emoji need it
    ],
)
def test_what_a_terminal_would_obey_becomes_visible(text: str, shown: str) -> None:
    assert neutralised(text) == shown


def test_python_counts_everything_that_is_replaced_as_unprintable() -> None:
    dangerous = [*map(chr, range(0x20)), *map(chr, range(0x7F, 0xA0)), *BIDI_CONTROLS]
    assert not any(c.isprintable() for c in [*dangerous, "\u2028", "\u2029"])
