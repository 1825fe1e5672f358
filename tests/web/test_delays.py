"""Nothing is lost while the server does not answer, or not yet, or says: not now."""

from collections.abc import Callable

from playwright.sync_api import BrowserContext, expect

from tests.web.conftest import Open
from tests.web.person import TAKE_OVER
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
    ann.reads("too early")
    ann.open(room)
    for it in (ann, bob):
        it.reads_exactly("on its way")


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
    client_id = ann.page.evaluate("JSON.parse(sessionStorage.getItem('chat.client_id'))")
    token = ann.page.evaluate("JSON.parse(localStorage.getItem('chat.who')).token")
    bob.page.evaluate(TAKE_OVER, {"user": ann.name, "clientId": client_id, "token": token})
    expect(ann.banner).to_contain_text("Another window goes on")
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
