"""The dialog to sign in: it stays where nothing is behind it, and goes where it was an offer."""

from collections.abc import Callable
from typing import Final

from playwright.sync_api import expect

from tests.web.conftest import Open

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
    for _ in range(3):
        keys.press("Escape")
        expect(ann.page.locator("#user")).to_be_focused()
    keys.type(name)
    for _ in range(3):
        keys.press("Escape")
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
