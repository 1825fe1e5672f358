"""The lists at the sides can be used while others write and come."""

import re
from collections.abc import Callable

import pytest
from playwright.sync_api import Locator, expect

from tests.web.conftest import Open
from tests.web.person import Person

Fresh = Callable[[str], str]


def press(person: Person, what: Locator) -> None:
    """Press the button of the mouse on something, and hold it."""
    what.hover()
    person.page.mouse.down()


def unread(count: int) -> re.Pattern[str]:
    return re.compile(rf"{count} unread$")


@pytest.fixture
def rooms(fresh: Fresh) -> tuple[str, str]:
    """A room where nothing happens, and a busy one."""
    return "#" + fresh("quiet"), "#" + fresh("busy")


@pytest.fixture
def ann(open_page: Open, fresh: Fresh, rooms: tuple[str, str]) -> Person:
    """Somebody in the lobby who is in both rooms."""
    person = open_page().come_in(fresh("ann"))
    for room in rooms:
        person.join(room)
    person.open("#lobby")
    return person


@pytest.fixture
def bob(open_page: Open, fresh: Fresh, rooms: tuple[str, str]) -> Person:
    """Somebody in the busy room."""
    person = open_page().come_in(fresh("bob"))
    person.join(rooms[1])
    return person


def test_a_press_on_a_room_opens_it_though_messages_come_in_another_meanwhile(
    ann: Person, bob: Person, rooms: tuple[str, str]
) -> None:
    quiet, busy = rooms
    press(ann, ann.entry(quiet).locator("bdi"))
    for number in range(3):
        bob.say(f"line {number}")
        expect(ann.entry(busy)).to_have_text(unread(number + 1))
    ann.page.mouse.up()
    ann.is_in(quiet)


@pytest.mark.parametrize("part", ["bdi", ".badge"])
def test_a_press_on_a_room_opens_it_though_messages_come_in_it_meanwhile(
    ann: Person, bob: Person, rooms: tuple[str, str], part: str
) -> None:
    _, busy = rooms
    bob.say("one")
    expect(ann.entry(busy)).to_have_text(unread(1))
    press(ann, ann.entry(busy).locator(part).first)
    bob.say("two")
    expect(ann.entry(busy)).to_have_text(unread(2))
    ann.page.mouse.up()
    ann.is_in(busy)


def test_the_space_bar_opens_a_room_though_messages_come_meanwhile(
    ann: Person, bob: Person, rooms: tuple[str, str]
) -> None:
    quiet, busy = rooms
    ann.entry(quiet).focus()
    ann.page.keyboard.down("Space")
    bob.say("hello")
    expect(ann.entry(busy)).to_have_text(unread(1))
    ann.page.keyboard.up("Space")
    ann.is_in(quiet)


def test_the_focus_goes_along_with_a_conversation_that_moves_up(
    ann: Person, bob: Person, open_page: Open, fresh: Fresh
) -> None:
    cy = open_page().come_in(fresh("cy"))
    people = ann.page.locator("#people bdi")
    for other in (bob, cy):
        other.say(f"/msg {ann.name} hello")
        expect(people.first).to_have_text(other.name)
    ann.entry(f"@{bob.name}").focus()
    bob.say("are you there?")
    expect(people).to_have_text([bob.name, cy.name])
    expect(ann.entry(f"@{bob.name}")).to_be_focused()


def test_the_focus_stays_on_a_member_as_others_come_and_go(
    ann: Person, bob: Person, open_page: Open, rooms: tuple[str, str], fresh: Fresh
) -> None:
    ann.open(rooms[1])
    ann.member(bob.name).focus()
    cy = open_page().come_in(fresh("cy"))
    cy.join(rooms[1])
    expect(ann.member(cy.name)).to_be_visible()
    expect(ann.member(bob.name)).to_be_focused()
    cy.say("/leave")
    expect(ann.member(cy.name)).to_have_count(0)
    expect(ann.member(bob.name)).to_be_focused()
    bob.sign_out()
    expect(ann.page.locator("#members h3")).to_have_text(["Online — 1", "Away — 1"])
    expect(ann.member(bob.name)).to_be_focused()


def test_a_press_on_a_member_opens_the_conversation_though_others_come_meanwhile(
    ann: Person, bob: Person, open_page: Open, rooms: tuple[str, str], fresh: Fresh
) -> None:
    ann.open(rooms[1])
    press(ann, ann.member(bob.name).locator("bdi"))
    cy = open_page().come_in(fresh("zed"))
    cy.join(rooms[1])
    expect(ann.member(cy.name)).to_be_visible()
    ann.page.mouse.up()
    ann.is_in(bob.name)


def test_unread_conversations_beyond_the_edge_of_the_list_are_told_of(
    ann: Person, bob: Person
) -> None:
    ann.page.set_viewport_size({"width": 1100, "height": 260})
    below = ann.page.locator("#unread-below")
    expect(below).to_be_hidden()
    bob.say(f"/msg {ann.name} psst")
    expect(below).to_be_visible()
    below.click()
    expect(ann.entry(f"@{bob.name}")).to_be_in_viewport(ratio=1)
    expect(below).to_be_hidden()


def test_the_list_shows_the_conversation_that_the_keys_lead_to(ann: Person, bob: Person) -> None:
    bob.say(f"/msg {ann.name} psst")
    expect(ann.entry(f"@{bob.name}")).to_be_visible()
    ann.page.set_viewport_size({"width": 1100, "height": 260})
    ann.field.press("Alt+ArrowUp")
    ann.is_in(bob.name)
    expect(ann.entry(f"@{bob.name}")).to_be_in_viewport(ratio=1)


def test_names_with_numbers_are_in_the_order_of_these(open_page: Open, fresh: Fresh) -> None:
    base = fresh("room") + "-"
    ann = open_page().come_in(fresh("ann"))
    for number in (10, 2, 1):
        ann.join(f"#{base}{number}")
    expect(ann.page.locator("#rooms bdi")).to_have_text(
        ["lobby", base + "1", base + "2", base + "10"]
    )
