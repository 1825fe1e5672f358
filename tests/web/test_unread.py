"""What was not read yet is counted, marked and told of until it was seen."""

import re
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest
from playwright.sync_api import BrowserContext, expect

from tests.processes import ServerProcess
from tests.web.conftest import Open
from tests.web.person import Flood, Person

Context = Callable[..., BrowserContext]
Fresh = Callable[[str], str]
StartFlood = Callable[[], Flood]


@pytest.fixture
def flood(server: ServerProcess, room: str, fresh: Fresh) -> Iterator[StartFlood]:
    """Return a function that lets somebody who says much into the room."""
    with ExitStack() as stack:

        def start() -> Flood:
            flood = Flood(server, fresh("flood"), room)
            stack.callback(flood.close)
            return flood

        yield start


def scroll_up(person: Person, pixels: int = 1500) -> None:
    person.page.evaluate("(pixels) => { scroller.scrollTop -= pixels }", pixels)
    expect(person.page.locator("#latest")).to_be_visible()


def below_the_line(person: Person) -> str:
    return person.page.locator("li.row:has(.new) .text").inner_text()


def test_what_came_while_away_is_counted_beyond_what_is_loaded(
    open_page: Open, context: Context, room: str, fresh: Fresh, flood: StartFlood
) -> None:
    mine = context()
    ann = open_page(within=mine).come_in(fresh("ann"), "Register")
    ann.join(room)
    many = flood()
    many.say(1, "the last that was read")
    ann.reads("the last that was read")
    ann.page.wait_for_function(
        "room => Object.entries(localStorage).some(([name, it]) =>"
        " name.startsWith('chat.read') && JSON.parse(it).places[room]?.number === 1)",
        arg=room,
    )
    ann.leave()
    many.say(301)
    again = open_page(within=mine)
    expect(again.entry(room)).to_have_text(re.compile("301 unread$"))
    again.open(room)
    expect(again.page.locator("#latest-text")).to_have_text("301 new")
    again.page.wait_for_function(
        "() => { scroller.scrollTop = 0; return document.querySelector('.new') }"
    )
    assert below_the_line(again) == "message 0"
    expect(again.page.locator(".new")).to_have_count(1)
    again.page.locator("#latest").click()
    again.reads("message 300")
    expect(again.entry(room)).not_to_have_text(re.compile("unread"))


def test_a_room_opens_where_the_new_begins_if_they_fill_more_than_the_window(
    open_page: Open, room: str, fresh: Fresh, flood: StartFlood
) -> None:
    ann = open_page().come_in(fresh("ann"))
    ann.join(room)
    ann.sees_the_past()
    many = flood()
    many.say(60, "old {}")
    ann.reads("old 59")
    ann.open("#lobby")
    many.say(200, "new {}")
    expect(ann.entry(room)).to_have_text(re.compile("200 unread$"))
    ann.open(room)
    expect(ann.page.locator(".new")).to_be_in_viewport()
    assert below_the_line(ann) == "new 0"
    expect(ann.page.locator("li.row:has(.new) .sender")).to_be_visible()
    expect(ann.texts.filter(has_text="old 59")).to_be_in_viewport()
    expect(ann.page.locator("#latest-text")).to_have_text("200 new")
    expect(ann.entry(room)).to_have_text(re.compile("200 unread$"))
    ann.page.locator("#latest").click()
    ann.reads("new 199")
    expect(ann.entry(room)).not_to_have_text(re.compile("unread"))


def test_a_few_new_ones_are_seen_at_the_end(open_page: Open, room: str, fresh: Fresh) -> None:
    ann, bob = (open_page().come_in(fresh(it)) for it in ("ann", "bob"))
    for it in (ann, bob):
        it.join(room)
    bob.say("old")
    ann.reads("old")
    ann.open("#lobby")
    bob.say("new")
    expect(ann.entry(room)).to_have_text(re.compile("1 unread$"))
    ann.open(room)
    assert below_the_line(ann) == "new"
    expect(ann.page.locator("#latest")).to_be_hidden()
    expect(ann.entry(room)).not_to_have_text(re.compile("unread"))


def test_what_comes_below_is_unread_until_it_is_seen(
    open_page: Open, room: str, fresh: Fresh, flood: StartFlood
) -> None:
    ann, bob = (open_page().come_in(fresh(it)) for it in ("ann", "bob"))
    many = flood()
    many.say(100)
    for it in (ann, bob):
        it.join(room)
    ann.reads("message 99")
    latest = ann.page.locator("#latest")
    scroll_up(ann)
    expect(latest).to_have_text(re.compile("Latest"))
    bob.say("one")
    expect(latest).to_have_text(re.compile("1 new"))
    expect(latest).not_to_have_class(re.compile("primary"))
    bob.say(f"two, @{ann.name}")
    expect(latest).to_have_text(re.compile("2 new"))
    expect(latest).to_have_class(re.compile("primary"))
    expect(ann.entry(room)).to_have_text(re.compile("2 unread, 1 for you"))
    expect(ann.page).to_have_title(re.compile(r"^\(1\)"))
    latest.click()
    expect(ann.page.locator(".new")).to_be_visible()
    assert below_the_line(ann) == "one"
    expect(ann.entry(room)).not_to_have_text(re.compile("unread"))
    scroll_up(ann)
    expect(latest).to_have_text(re.compile("Latest"))
