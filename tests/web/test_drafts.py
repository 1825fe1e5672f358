"""What is written and not yet said is kept for each conversation, and told of at the side."""

from collections.abc import Callable

from playwright.sync_api import BrowserContext, expect

from tests.web.conftest import Open
from tests.web.person import Person

Context = Callable[..., BrowserContext]
Fresh = Callable[[str], str]


def two_tabs(open_page: Open, context: Context, room: str, name: str) -> tuple[Person, Person]:
    """Two tabs of one guest, both in a room."""
    mine = context()
    one = open_page(within=mine).come_in(name)
    one.join(room)
    other = open_page(within=mine)
    other.open(room)
    return one, other


def test_a_draft_outlives_another_tab_that_has_none(
    open_page: Open, context: Context, room: str, fresh: Fresh
) -> None:
    one, other = two_tabs(open_page, context, room, fresh("ann"))
    one.turn_to()
    one.field.press_sequentially("a long draft")
    expect(other.field).to_have_value("a long draft")
    one.open("#lobby")
    expect(one.entry(room).locator(".draft")).to_have_text("draft")
    other.page.goto("about:blank")
    one.page.reload()
    expect(one.entry(room).locator(".draft")).to_have_text("draft")
    one.open(room)
    expect(one.field).to_have_value("a long draft")
    one.field.press("Enter")
    one.reads("a long draft")
    one.open("#lobby")
    expect(one.entry(room).locator(".draft")).to_have_count(0)


def test_a_tab_that_does_not_know_of_a_draft_does_not_take_it_away(
    open_page: Open, context: Context, room: str, fresh: Fresh
) -> None:
    one, other = two_tabs(open_page, context, room, fresh("ann"))
    other.page.evaluate(  # it sleeps, say
        "() => addEventListener('storage', (event) => event.stopImmediatePropagation(), true)"
    )
    one.turn_to()
    one.field.press_sequentially("a long draft")
    one.open("#lobby")
    other.turn_to()
    other.open("#lobby")
    one.turn_to()
    one.open(room)
    expect(one.field).to_have_value("a long draft")


def test_what_is_too_long_is_said_to_be_and_is_not_sent(open_page: Open, fresh: Fresh) -> None:
    ann = open_page().come_in(fresh("ann"))
    text = "w" * 5000
    ann.field.fill(text)
    expect(ann.page.locator("#too-long")).to_have_text("904 bytes too long")
    ann.field.press("Enter")
    expect(ann.page.locator(".toast")).to_have_text("Not sent: 904 bytes too long")
    expect(ann.field).to_have_value(text)
    ann.field.fill(text[:4000])
    expect(ann.page.locator("#too-long")).to_have_text("96 bytes left")
    ann.field.fill("w")
    expect(ann.page.locator("#too-long")).to_be_empty()
