"""The dialog to sign in: it stays where nothing is behind it, and goes where it was an offer."""

from collections.abc import Callable
from typing import Final

from playwright.sync_api import BrowserContext, expect

from tests.web.conftest import Open, StartWeb
from tests.web.wire import Wire

Context = Callable[..., BrowserContext]
Fresh = Callable[[str], str]

COUNT_DRAWINGS: Final = """async (milliseconds) => {
    let drawings = 0;
    new MutationObserver(() => { drawings += 1 }).observe(beginning, { childList: true });
    await new Promise((done) => setTimeout(done, milliseconds));
    return drawings;
}"""


def test_escape_does_not_close_the_dialog_that_has_nothing_behind_it(
    open_page: Open, fresh: Fresh
) -> None:
    ann = open_page()
    expect(ann.dialog).to_be_visible()
    name = fresh("ann")
    keys = ann.page.keyboard
    for letter in name:  # with no wait between: not a key is lost
        keys.press("Escape")
        keys.press("Escape")
        keys.type(letter)
    expect(ann.page.locator("#user")).to_be_focused()
    keys.press("Enter")
    expect(ann.dialog).to_be_hidden()
    expect(ann.page.locator("#me-name")).to_have_text(name)


def test_escape_declines_the_offer_to_register(open_page: Open, fresh: Fresh) -> None:
    ann = open_page().come_in(fresh("ann"))
    ann.page.locator("#me").click()
    ann.page.get_by_role("button", name="Register this name").click()
    expect(ann.dialog).to_be_visible()
    ann.page.keyboard.press("Escape")
    expect(ann.dialog).to_be_hidden()
    ann.say("still a guest")
    ann.reads("still a guest")


def test_the_page_draws_nothing_while_nobody_comes_in(open_page: Open) -> None:
    ann = open_page()
    expect(ann.dialog).to_be_visible()
    assert ann.page.evaluate(COUNT_DRAWINGS, 1000) <= 2  # the first, and when the tab has its id


def test_who_presses_again_while_it_connects_comes_in_once(
    open_page: Open, context: Context, fresh: Fresh
) -> None:
    mine = context()
    wire = Wire(mine)
    ann = open_page(within=mine)
    name = fresh("ann")
    wire.hold()
    ann.ask_in(name)
    submit = ann.page.locator("#sign-in-submit")
    expect(submit).to_be_disabled()
    expect(submit).to_have_text("Connecting …")
    ann.page.locator("#user").press("Enter")
    ann.page.evaluate("() => document.getElementById('sign-in-form').requestSubmit()")
    wire.mend()
    expect(ann.dialog).to_be_hidden()
    ann.say("in at last")
    ann.reads("in at last")
    assert wire.connections == 1
    expect(ann.banner).to_be_hidden()


def test_while_the_server_is_away_the_dialog_says_so_and_another_name_can_be_tried(
    open_page: Open, start_web: StartWeb
) -> None:
    server = start_web()
    ann = open_page(server)
    expect(ann.dialog).to_be_visible()
    server.kill()
    ann.ask_in("ann")
    expect(ann.page.locator("#sign-in-error")).to_contain_text("No connection yet")
    ann.ask_in("anne")
    expect(ann.page.locator("#sign-in-error")).to_contain_text("No connection yet")
    start_web("--web", server.endpoints["web"])
    expect(ann.page.locator("#me-name")).to_have_text("anne", timeout=20_000)
    expect(ann.member("anne")).to_be_visible()
    expect(ann.page.locator("#members .entry")).to_have_count(1)  # and no "ann"
    ann.say("hello")
    ann.reads("hello")
    expect(ann.banner).to_be_hidden()
