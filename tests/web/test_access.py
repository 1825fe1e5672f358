"""Those who use the page with the keyboard alone, and those who hear it instead of seeing it."""

import re
from collections.abc import Callable

from playwright.sync_api import BrowserContext, expect

from tests.processes import ServerProcess
from tests.web.conftest import Open
from tests.web.person import Flood, Person

Fresh = Callable[[str], str]


def test_everything_can_be_done_with_the_keyboard(open_page: Open, room: str, fresh: Fresh) -> None:
    bob = open_page().come_in(fresh("bob"))
    bob.join(room)
    ann = open_page()
    keys = ann.page.keyboard
    expect(ann.page.locator("#user")).to_be_focused()
    name = fresh("ann")
    keys.type(name)
    keys.press("Enter")
    expect(ann.dialog).to_be_hidden()
    expect(ann.field).to_be_focused()
    press_until(ann, "Shift+Tab", "#skip-to-field")
    keys.press("Enter")
    expect(ann.field).to_be_focused()
    keys.type("/jo")
    expect(ann.page.get_by_role("option")).to_have_count(1)
    keys.press("Tab")
    expect(ann.field).to_have_value("/join ")
    keys.type(room)
    keys.press("Enter")
    ann.is_in(room)
    expect(ann.member(bob.name)).to_be_visible()
    keys.type(f"hello @{bob.name[:3]}")
    expect(ann.page.get_by_role("option")).to_have_count(1)
    expect(ann.field).to_have_attribute("aria-activedescendant", "suggestion-0")
    keys.press("Enter")
    expect(ann.field).to_have_value(f"hello @{bob.name} ")
    keys.press("Enter")
    bob.reads(f"hello @{bob.name} ")
    press_until(ann, "Shift+Tab", "#scroller", at_most=2)
    press_until(ann, "Shift+Tab", "button[data-address='#lobby']")
    keys.press("Enter")
    ann.is_in("#lobby")
    press_until(ann, "Tab", "#me")
    keys.press("Enter")
    expect(ann.page.locator("#account")).to_be_visible()
    keys.press("Escape")
    expect(ann.page.locator("#me")).to_be_focused()


def press_until(person: Person, key: str, selector: str, at_most: int = 40) -> None:
    for _ in range(at_most + 1):
        if person.page.evaluate("it => document.activeElement.matches(it)", selector):
            return
        person.page.keyboard.press(key)
    raise AssertionError(f"{key} does not lead to {selector}")


def test_what_comes_in_is_said_politely(
    open_page: Open,
    server: ServerProcess,
    context: Callable[..., BrowserContext],
    room: str,
    fresh: Fresh,
) -> None:
    mine = context()
    mine.clock.install()
    ann, bob = open_page(within=mine).come_in(fresh("ann")), open_page().come_in(fresh("bob"))
    ann.join(room)
    bob.join(room)
    bob.say("hello")
    ann.reads("hello")
    mine.clock.fast_forward(2_000)
    live = ann.page.locator("#live")
    expect(live).to_have_attribute("aria-live", "polite")
    expect(live).to_have_text(f"{bob.name}: hello")
    flood = Flood(server, fresh("flo"), room)
    flood.say(20)
    flood.close()
    ann.reads("message 19")
    mine.clock.fast_forward(2_000)
    expect(live).to_have_text(re.compile(r"^\d+ new messages$"))
    bob.open("#lobby")
    bob.say("elsewhere")
    ann.entry("#lobby").filter(has_text="unread").wait_for()
    mine.clock.fast_forward(2_000)
    expect(live).not_to_contain_text("elsewhere")


def test_senders_are_no_stops_on_the_way(open_page: Open, room: str, fresh: Fresh) -> None:
    """Members offer the same, and every message would be one."""
    ann, bob = (open_page().come_in(fresh(it)) for it in ("ann", "bob"))
    ann.join(room)
    bob.join(room)
    for number, person in enumerate((bob, ann, bob, ann, bob)):
        person.say(f"line {number}")
        ann.reads(f"line {number}")
    expect(ann.page.locator(".sender-button")).to_have_count(3)
    ann.field.focus()
    press_until(ann, "Shift+Tab", "#scroller", at_most=2)


def test_the_focus_stays_in_the_list_though_its_row_leaves_the_document(
    open_page: Open, server: ServerProcess, room: str, fresh: Fresh
) -> None:
    flood = Flood(server, fresh("flo"), room)
    flood.say(200, "see https://a.example/{}")
    ann = open_page().come_in(fresh("ann"))
    ann.join(room)
    ann.reads("see https://a.example/199")
    ann.page.locator("article a").last.focus()
    ann.page.evaluate("scroller.scrollTop = 0")
    expect(ann.page.locator("#scroller")).to_be_focused()
    flood.close()


def test_end_and_home_go_all_the_way(
    open_page: Open, server: ServerProcess, room: str, fresh: Fresh
) -> None:
    flood = Flood(server, fresh("flo"), room)
    flood.say(90, "message {} " + "word " * 100)
    ann = open_page().come_in(fresh("ann"))
    ann.join(room)
    expect(ann.texts.last).to_contain_text("message 89")
    scroller = ann.page.locator("#scroller")
    scroller.focus()
    scroller.press("Home")
    expect(ann.texts.first).to_contain_text("message 0")
    expect(ann.texts.first).to_be_in_viewport()
    expect(ann.page.locator("#latest")).to_be_visible()
    scroller.press("End")
    expect(ann.texts.last).to_contain_text("message 89")
    ann.page.wait_for_function(AT_END)
    flood.close()


def test_pages_of_messages_are_turned_from_the_field(
    open_page: Open, server: ServerProcess, room: str, fresh: Fresh
) -> None:
    flood = Flood(server, fresh("flo"), room)
    flood.say(90)
    ann = open_page().come_in(fresh("ann"))
    ann.join(room)
    ann.reads("message 89")
    ann.field.press("PageUp")
    expect(ann.page.locator("#latest")).to_be_visible()
    ann.field.press("PageDown")
    expect(ann.page.locator("#latest")).to_be_hidden()
    expect(ann.field).to_be_focused()
    flood.close()


AT_END = "() => scroller.scrollHeight - scroller.scrollTop - scroller.clientHeight < 1"


def test_keys_lead_from_one_conversation_to_the_next(
    open_page: Open, room: str, fresh: Fresh
) -> None:
    ann, bob = (open_page().come_in(fresh(it)) for it in ("ann", "bob"))
    ann.join(room)
    bob.say(f"/msg {ann.name} psst")
    expect(ann.entry(f"@{bob.name}")).to_be_visible()
    for place in (bob.name, "#lobby", room):
        ann.page.keyboard.press("Alt+ArrowDown")
        ann.is_in(place)
        expect(ann.field).to_be_focused()
        expect(ann.page.locator("#live")).to_have_text(re.compile(f"{place}$"))
    ann.page.keyboard.press("Alt+ArrowUp")
    ann.is_in("#lobby")
    ann.say("/help")
    ann.is_told(re.compile(r"Alt\+Down"))


def test_links_at_the_top_skip_to_the_parts_of_the_page(open_page: Open, fresh: Fresh) -> None:
    for width in (1100, 360):
        ann = open_page(viewport={"width": width, "height": 640}).come_in(fresh("ann"))
        for name, target in SKIPPED:
            ann.page.get_by_role("link", name=f"Skip to the {name}").press("Enter")
            expect(ann.page.locator(target)).to_be_focused()


# In this order: on a narrow screen, the conversations lie over the others.
SKIPPED = (
    ("message field", "#text"),
    ("messages", "#scroller"),
    ("conversations", "button[data-address='#lobby']"),
)


def test_escape_in_a_dialog_closes_nothing_but_the_dialog(open_page: Open, fresh: Fresh) -> None:
    ann = open_page(viewport={"width": 360, "height": 640}).come_in(fresh("ann"))
    ann.page.locator("#sidebar-open").click()
    ann.page.locator("#me").click()
    expect(ann.page.locator("#account")).to_be_visible()
    ann.page.keyboard.press("Escape")
    expect(ann.page.locator("#account")).to_be_hidden()
    expect(ann.page.locator("#sidebar")).to_be_visible()
    expect(ann.page.locator("#me")).to_be_focused()
    ann.page.keyboard.press("Escape")
    expect(ann.page.locator("#sidebar")).to_be_hidden()
    expect(ann.page.locator("#sidebar-open")).to_be_focused()


def test_what_concerns_the_user_is_said_wherever_it_happens(
    open_page: Open, room: str, fresh: Fresh
) -> None:
    ann, bob = (open_page().come_in(fresh(it)) for it in ("ann", "bob"))
    ann.join(room)
    bob.join(room)
    ann.open("#lobby")
    live = ann.page.locator("#live")
    bob.say(f"are you there, @{ann.name}?")
    expect(live).to_contain_text(f"{bob.name} mentions you in {room}")
    bob.say(f"/msg {ann.name} psst")
    expect(live).to_contain_text(f"Private message from {bob.name}")
    own = "#" + fresh("own")
    bob.join(own)
    bob.say(f"/invite {ann.name}")
    expect(live).to_contain_text(f"{bob.name} has invited you to {own}")


def test_what_becomes_of_ones_own_words_is_said(open_page: Open, fresh: Fresh) -> None:
    ann = open_page().come_in(fresh("ann"))
    live = ann.page.locator("#live")
    ann.say("/nonsense")
    expect(live).to_contain_text("no such command: /nonsense")
    ann.say(f"/msg {fresh('nobody')} hello?")
    expect(live).to_contain_text("Not sent: ")
    ann.say("/history 1000000")
    expect(live).to_contain_text("usage: /history")
    ann.say("/help")
    expect(live).to_contain_text("says something to one user")
    ann.open("#lobby")
    ann.say("/who")
    expect(live).to_contain_text("In #lobby: ")
