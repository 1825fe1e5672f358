"""Nothing is lost while the server does not answer, or not yet, or says: not now."""

import re
from collections.abc import Callable

from playwright.sync_api import BrowserContext, expect

from tests.web.conftest import Open
from tests.web.wire import Wire

Context = Callable[..., BrowserContext]
Fresh = Callable[[str], str]


def test_what_is_typed_before_the_first_welcome_stays_and_costs_nothing(
    open_page: Open, context: Context, room: str, fresh: Fresh
) -> None:
    mine = context()
    wire = Wire(mine)
    ann, bob = open_page(within=mine).come_in(fresh("ann")), open_page().come_in(fresh("bob"))
    for it in (ann, bob):
        it.join(room)
    wire.lose("send")
    ann.say("on its way")
    expect(ann.page.locator("article.sending")).to_have_count(1)
    wire.hold()
    ann.page.reload()
    ann.say("too early")
    expect(ann.field).to_have_value("too early")
    wire.mend()
    expect(ann.page.locator("#me-name")).to_have_text(ann.name)
    expect(ann.field).to_have_value("too early")
    ann.field.press("Enter")
    for it in (ann, bob):
        it.reads_exactly("on its way", "too early")


def test_what_waited_when_the_session_is_taken_back_is_said_or_asked_about(
    open_page: Open, context: Context, room: str, fresh: Fresh
) -> None:
    mine = context()
    wire = Wire(mine)
    ann = open_page(within=mine).come_in(fresh("ann"), "Register")
    bob = open_page().come_in(fresh("bob"))
    for it in (ann, bob):
        it.join(room)
    wire.lose("send")
    ann.say("in doubt")
    bob.go_on_as(ann)
    wire.mend()
    ann.say("one")
    ann.say("two")
    expect(ann.page.locator("article.sending")).to_have_count(3)
    ann.banner.get_by_role("button").click()
    ann.open(room)
    bob.reads_exactly("one", "two")
    failed = ann.page.locator("article.failed")
    expect(failed).to_contain_text("may have been said")
    failed.get_by_role("button", name="Try again").click()
    for it in (ann, bob):
        it.reads_exactly("one", "two", "in doubt")


def test_history_that_is_refused_for_the_moment_is_asked_for_again(
    open_page: Open, context: Context, room: str, fresh: Fresh
) -> None:
    mine = context()
    wire = Wire(mine)
    ann, bob = open_page(within=mine).come_in(fresh("ann")), open_page().come_in(fresh("bob"))
    bob.join(room)
    bob.say("before")
    wire.refuse("history", "ERROR_CODE_UNAVAILABLE")
    ann.join(room)
    wire.await_refusals(ann.page, 2)
    expect(ann.page.locator("#beginning")).to_have_text("…")
    expect(ann.page.locator(".notice.error")).to_have_count(0)
    wire.mend()
    ann.reads_exactly("before")
    expect(ann.page.locator("#beginning")).to_have_text(f"The beginning of {room}")


def test_what_is_unread_in_private_is_counted_once_it_can_be_asked_for(
    open_page: Open, context: Context, fresh: Fresh
) -> None:
    mine = context()
    wire = Wire(mine)
    ann, bob = open_page(within=mine).come_in(fresh("ann")), open_page().come_in(fresh("bob"))
    bob.say(f"/msg {ann.name} psst")
    unread = re.compile("1 unread")
    expect(ann.entry(f"@{bob.name}")).to_have_text(unread)
    wire.refuse("history", "ERROR_CODE_RATE_LIMITED")
    ann.page.reload()
    wire.await_refusals(ann.page, 2)
    expect(ann.entry(f"@{bob.name}")).not_to_have_text(unread)
    wire.mend()
    expect(ann.entry(f"@{bob.name}")).to_have_text(unread)


def test_history_that_is_refused_for_good_is_told_once(
    open_page: Open, context: Context, room: str, fresh: Fresh
) -> None:
    mine = context()
    wire = Wire(mine)
    ann = open_page(within=mine).come_in(fresh("ann"))
    wire.refuse("history", "ERROR_CODE_NOT_A_MEMBER")
    ann.join(room)
    ann.is_told("not now")
    wire.mend()
    ann.say("/who")
    ann.is_told(f"In {room}: {ann.name}")
    assert wire.refusals == 1


def test_history_that_the_session_did_not_live_to_see_is_not_said_to_be_all(
    open_page: Open, context: Context, room: str, fresh: Fresh
) -> None:
    mine = context()
    wire = Wire(mine)
    ann, bob = open_page(within=mine).come_in(fresh("ann")), open_page().come_in(fresh("bob"))
    wire.lose("history")
    ann.join(room)
    bob.go_on_as(ann)
    expect(ann.page.locator("#beginning")).to_have_text("…")


def test_a_connection_that_died_in_silence_is_noticed_once_something_is_said(
    open_page: Open, context: Context, room: str, fresh: Fresh
) -> None:
    mine = context()
    wire = Wire(mine)
    mine.clock.install()
    ann, bob = open_page(within=mine).come_in(fresh("ann")), open_page().come_in(fresh("bob"))
    for it in (ann, bob):
        it.join(room)
    wire.lose("send")
    wire.hold()
    ann.say("into the void")
    expect(ann.page.locator("article.sending")).to_have_count(1)
    mine.clock.fast_forward(4_000)
    expect(ann.banner).to_contain_text("slow to answer")
    assert wire.connections == 1
    mine.clock.fast_forward(10_000)
    expect(ann.banner).to_contain_text("reconnecting")
    wire.await_connections(ann.page, 2)
    wire.mend()
    for it in (ann, bob):
        it.reads_exactly("into the void")
    expect(ann.banner).to_be_hidden()
