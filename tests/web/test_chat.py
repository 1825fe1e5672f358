"""People chat: by the page, beside those at other transports."""

import re
from collections.abc import Callable

import pytest
from playwright.sync_api import BrowserContext, expect

from tests.processes import ServerProcess
from tests.web.conftest import Open
from tests.web.person import Flood, Netcat

Fresh = Callable[[str], str]


def test_two_people_chat_and_a_third_at_netcat(
    open_page: Open, server: ServerProcess, room: str, fresh: Fresh
) -> None:
    ann, bob = (open_page().come_in(fresh(it)) for it in ("ann", "bob"))
    ann.join(room)
    bob.join(room)
    ann.is_told(f"{bob.name} joined")
    third = fresh("zed")
    nc = Netcat(server, third)
    nc.say(f"/join {room}")
    ann.is_told(f"{third} joined")
    ann.say("hello")
    bob.reads("hello")
    nc.reads(f"{ann.name}: hello")
    nc.say("hello from the terminal")
    bob.say("two\nlines")
    for it in (ann, bob):
        it.reads_exactly("hello", "hello from the terminal", "two\nlines")
    nc.close()


def test_shift_enter_breaks_the_line_and_the_field_grows(open_page: Open, fresh: Fresh) -> None:
    ann = open_page().come_in(fresh("ann"))
    before = ann.field.bounding_box()
    ann.field.press_sequentially("one")
    ann.field.press("Shift+Enter")
    ann.field.press_sequentially("two")
    after = ann.field.bounding_box()
    assert before
    assert after
    assert after["height"] > before["height"]
    ann.field.press("Enter")
    ann.reads("one\ntwo")
    assert ann.field.bounding_box() == before


def test_private_messages_are_between_two(open_page: Open, fresh: Fresh) -> None:
    ann, bob, cy = (open_page().come_in(fresh(it)) for it in ("ann", "bob", "cy"))
    ann.say(f"/msg {bob.name} psst")
    ann.is_in(bob.name)
    expect(bob.entry(f"@{ann.name}")).to_have_text(re.compile("1 unread"))
    expect(bob.page).to_have_title(re.compile(r"^\(1\) "))
    bob.open(f"@{ann.name}")
    bob.reads_exactly("psst")
    expect(bob.page).not_to_have_title(re.compile(r"^\("))
    bob.say("what?")
    ann.reads_exactly("psst", "what?")
    expect(cy.page.locator("#people li")).to_have_count(0)
    ann.page.get_by_role("button", name=f"Close the conversation with {bob.name}").click()
    ann.is_in("#lobby")
    expect(ann.page.locator("#people li")).to_have_count(0)
    bob.say("still there?")
    expect(ann.entry(f"@{bob.name}")).to_have_text(re.compile("1 unread"))
    ann.open(f"@{bob.name}")
    ann.reads_exactly("psst", "what?", "still there?")


def test_rooms_count_what_is_unread_and_mentions_stand_out(
    open_page: Open, room: str, fresh: Fresh
) -> None:
    ann, bob = (open_page().come_in(fresh(it)) for it in ("ann", "bob"))
    ann.join(room)
    bob.join(room)
    ann.open("#lobby")
    bob.say("one")
    expect(ann.entry(room)).to_have_text(re.compile("1 unread$"))
    expect(ann.page).to_have_title("• #lobby · Chat")
    bob.say(f"two, @{ann.name}.")
    expect(ann.entry(room)).to_have_text(re.compile("2 unread, 1 for you"))
    expect(ann.page).to_have_title("(1) #lobby · Chat")
    ann.open(room)
    expect(ann.page.locator(".mentioned .mention.me")).to_have_text(f"@{ann.name}")
    expect(ann.page.locator(".new")).to_have_count(1)
    expect(ann.entry(room)).not_to_have_text(re.compile("unread"))


def test_messages_are_grouped_under_days_and_names(
    open_page: Open, room: str, fresh: Fresh
) -> None:
    ann, bob = (open_page().come_in(fresh(it)) for it in ("ann", "bob"))
    ann.join(room)
    bob.join(room)
    ann.say("one")
    ann.say("two")
    bob.reads("two")
    bob.say("three")
    ann.reads_exactly("one", "two", "three")
    expect(ann.page.locator(".day")).to_have_text(["Today"])
    expect(ann.page.locator("article .sender")).to_have_text([ann.name, bob.name])
    time = ann.page.locator("article time").first
    expect(time).to_have_text("just now")
    expect(time).to_have_attribute("title", re.compile(r"\d:\d\d:\d\d"))


def test_today_is_yesterday_after_midnight(
    open_page: Open, context: Callable[..., BrowserContext], room: str, fresh: Fresh
) -> None:
    late = context()
    late.clock.install()
    ann = open_page(within=late).come_in(fresh("ann"))
    ann.join(room)
    ann.say("before the night")
    ann.reads_exactly("before the night")
    expect(ann.page.locator(".day")).to_have_text("Today")
    late.clock.fast_forward("24:00:00")
    expect(ann.page.locator(".day")).to_have_text("Yesterday")


def test_what_is_refused_is_shown_and_can_be_tried_again(open_page: Open, fresh: Fresh) -> None:
    ann = open_page().come_in(fresh("ann"))
    nobody = fresh("nobody")
    ann.say(f"/msg {nobody} hello?")
    failed = ann.page.locator("article.failed")
    expect(failed).to_contain_text("Not sent")
    open_page().come_in(nobody)
    failed.get_by_role("button", name="Try again").click()
    expect(failed).to_have_count(0)
    ann.reads("hello?")


def test_whoever_does_not_exist_is_told_of_once_and_does_not_stay(
    open_page: Open, fresh: Fresh
) -> None:
    ann, bob = (open_page().come_in(fresh(it)) for it in ("ann", "bob"))
    ann.say(f"/msg {bob.name} hello")
    ann.reads("hello")
    ann.say(f"/msg {fresh('bbo')} hello?")
    expect(ann.page.locator("article.failed")).to_contain_text("Not sent: no such user")
    expect(ann.page.locator("#beginning")).to_contain_text("Nothing was said yet")
    expect(ann.page.locator(".notice")).to_have_count(0)
    ann.page.reload()
    expect(ann.page.locator("#people bdi")).to_have_text([bob.name])


def test_who_is_here_is_told_with_roles_and_presence(
    open_page: Open, room: str, fresh: Fresh
) -> None:
    ann, bob = (open_page().come_in(fresh(it)) for it in ("ann", "bob"))
    ann.join(room)
    bob.join(room)
    expect(bob.member(ann.name)).to_contain_text("owner")
    ann.say(f"/op {bob.name}")
    expect(ann.member(bob.name)).to_contain_text("moderator")
    bob.is_told(f"{ann.name} has made you a moderator of {room}")
    bob.sign_out()
    expect(ann.page.locator("#members h3")).to_have_text(["Online — 1", "Away — 1"])


def test_rooms_are_left_by_a_button(open_page: Open, room: str, fresh: Fresh) -> None:
    ann = open_page().come_in(fresh("ann"))
    ann.page.get_by_role("button", name="Join or make a room").click()
    ann.page.get_by_label("Name of the room").fill(room.upper())
    ann.page.get_by_label("Name of the room").press("Enter")
    ann.is_in(room)
    ann.page.get_by_role("button", name="Leave", exact=True).click()
    ann.is_in("#lobby")
    expect(ann.entry(room)).to_have_count(0)


def test_history_comes_on_scrolling_up_and_what_is_seen_stays(
    open_page: Open, server: ServerProcess, room: str, fresh: Fresh, flood: Callable[..., None]
) -> None:
    flood(room, 400)
    ann = open_page().come_in(fresh("ann"))
    ann.join(room)
    ann.reads("message 399")
    expect(ann.page.locator("#latest")).to_be_hidden()
    ann.page.wait_for_function(
        """() => {
            scroller.scrollTop = 0;
            return beginning.textContent.startsWith("The beginning");
        }"""
    )
    expect(ann.page.locator("#beginning")).to_have_text(f"The beginning of {room}")
    ann.page.evaluate("() => { scroller.scrollTop = 0 }")
    ann.reads("message 0")
    expect(ann.page.locator("#latest")).to_be_visible()
    ann.page.locator("#latest").click()
    ann.reads("message 399")
    expect(ann.page.locator("#latest")).to_be_hidden()


def test_older_messages_come_in_above_without_moving_what_is_read(
    open_page: Open, room: str, fresh: Fresh, flood: Callable[..., None]
) -> None:
    flood(room, 300)
    ann = open_page().come_in(fresh("ann"))
    ann.join(room)
    ann.reads("message 299")
    scroller = ann.page.locator("#scroller")
    moved = scroller.evaluate(
        """async (scroller) => {
            const rest = (ms) => new Promise((done) => setTimeout(done, ms));
            scroller.scrollTop = 1000; // too far from the start to ask for more
            await rest(100);
            const height = scroller.scrollHeight;
            const top = scroller.getBoundingClientRect().top;
            const row = [...document.querySelectorAll("li.row")]
                .find((it) => it.getBoundingClientRect().top > top + 50);
            scroller.scrollTop -= 700;
            const before = row.getBoundingClientRect().top;
            while (scroller.scrollHeight === height) await rest(5);
            await rest(100);
            return [row.isConnected, row.getBoundingClientRect().top - before];
        }"""
    )
    assert moved[0]
    assert abs(moved[1]) < 2


@pytest.fixture
def flood(server: ServerProcess, fresh: Fresh) -> Callable[..., None]:
    def say(room: str, count: int) -> None:
        flood = Flood(server, fresh("flood"), room)
        flood.say(count)
        flood.close()

    return say
