"""Rights over rooms by the page, and what those who run the server do to people who look at it."""

import re
from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import expect

from tests.console.command import ask, order, run, said
from tests.processes import ServerProcess
from tests.web.conftest import ON_FREE_PORTS, WITHOUT_LIMITS, Desks, Open
from tests.web.person import url

Fresh = Callable[[str], str]


@pytest.fixture(scope="module")
def governed(tmp_path_factory: pytest.TempPathFactory, desks: Desks) -> Iterator[ServerProcess]:
    """A server with an admin, `root`."""
    place = tmp_path_factory.mktemp("governed")
    said(run("add", "root", "--admin", data=place / "data"))
    arguments = [*ON_FREE_PORTS, *WITHOUT_LIMITS, "--data", str(place / "data")]
    process = ServerProcess(arguments, {}, place / "stderr")
    desks.place(url(process))
    yield process
    process.close()


def test_moderation(open_page: Open, room: str, fresh: Fresh) -> None:
    ann, bob = (open_page().come_in(fresh(it)) for it in ("ann", "bob"))
    ann.join(room)
    bob.join(room)
    ann.say(f"/mute {bob.name} 10m too loud")
    bob.is_told(re.compile(rf"{ann.name} has muted you in {room} until .*\(too loud\)"))
    bob.say("but")
    expect(bob.page.locator("article.failed")).to_contain_text("Not sent")
    bob.page.get_by_role("button", name="Discard").click()
    ann.say(f"/unmute {bob.name}")
    bob.is_told("has unmuted you")
    ann.say(f"/kick {bob.name} enough")
    bob.is_in("#lobby")
    bob.is_told(f"{ann.name} has kicked you from {room} (enough)")
    expect(bob.entry(room)).to_have_count(0)
    ann.is_told(f"You have kicked {bob.name} from {room} (enough)")
    ann.say(f"/ban {bob.name} 10 minutes")
    ann.is_told("10 is no duration")
    ann.say(f"/ban {bob.name} 10m")
    ann.is_told("You have banned")
    bob.say(f"/join {room}")
    expect(bob.page.locator(".notice.error").last).to_contain_text(room)
    bob.is_in("#lobby")


def test_an_invitation_has_a_button_to_join(open_page: Open, room: str, fresh: Fresh) -> None:
    ann, bob = (open_page().come_in(fresh(it)) for it in ("ann", "bob"))
    ann.join(room)
    ann.say(f"/invite {bob.name}")
    expect(bob.entry(f"@{ann.name}")).to_have_text(re.compile("1 unread"))
    bob.open(f"@{ann.name}")
    bob.page.get_by_role("button", name=f"Join {room}").click()
    bob.is_in(room)
    ann.open(room)
    ann.is_told(f"{bob.name} joined")


def test_a_private_room_is_for_the_invited(open_page: Open, room: str, fresh: Fresh) -> None:
    ann = open_page().come_in(fresh("ann"), "Register")
    bob, cy = (open_page().come_in(fresh(it)) for it in ("bob", "cy"))
    ann.join(room)
    expect(ann.member(ann.name)).to_contain_text("owner")
    ann.say("/private")
    ann.is_told(f"You have made {room} private")
    bob.say(f"/join {room}")
    bob.is_told(f"you cannot join {room}")
    bob.is_in("#lobby")
    ann.say("between us")
    ann.say(f"/invite {bob.name}")
    bob.open(f"@{ann.name}")
    bob.is_told(f"{ann.name} has invited you to {room}")
    bob.page.get_by_role("button", name=f"Join {room}").click()
    bob.is_in(room)
    expect(bob.member(ann.name)).to_contain_text("owner")
    bob.say("thank you")
    ann.reads_exactly("between us", "thank you")
    ann.say(f"/kick {bob.name}")
    bob.is_in("#lobby")
    bob.say(f"/join {room}")
    bob.is_told(f"you cannot join {room}")
    ann.say("/public")
    ann.is_told(f"You have made {room} public")
    bob.join(room)
    expect(cy.page.locator("#rooms li")).to_have_count(1)
    expect(cy.page.get_by_text(room)).to_have_count(0)


def test_commands_and_names_are_completed(open_page: Open, room: str, fresh: Fresh) -> None:
    ann, bob = (open_page().come_in(fresh(it)) for it in ("ann", "bob"))
    ann.join(room)
    bob.join(room)
    expect(ann.member(bob.name)).to_be_visible()
    ann.field.press_sequentially("/un")
    expect(ann.page.get_by_role("option")).to_have_text(
        [re.compile("^/unban"), re.compile("^/unm")]
    )
    ann.field.press("ArrowDown")
    ann.field.press("Enter")
    expect(ann.field).to_have_value("/unmute ")
    ann.field.fill("")
    ann.field.press_sequentially("/")
    expect(ann.page.get_by_role("option")).to_have_count(8)
    for _ in range(12):
        ann.field.press("ArrowDown")
    expect(ann.page.get_by_role("option", selected=True)).to_contain_text("/public")
    ann.field.fill("")
    ann.field.press_sequentially(f"/join {room[:-1]}")
    expect(ann.page.get_by_role("option")).to_have_text([room])
    expect(ann.page.get_by_role("option", selected=True)).to_have_count(0)
    ann.field.press("Tab")
    expect(ann.field).to_have_value(f"/join {room} ")
    ann.field.fill("")
    ann.field.press_sequentially(f"/kick {bob.name[:3]}")
    expect(ann.page.get_by_role("option")).to_have_count(1)
    ann.field.press("Tab")
    expect(ann.field).to_have_value(f"/kick {bob.name} ")
    ann.field.press("Enter")
    bob.is_in("#lobby")


def test_what_one_has_no_right_to_is_told_and_stays_in_the_field(
    open_page: Open, room: str, fresh: Fresh
) -> None:
    ann, bob = (open_page().come_in(fresh(it)) for it in ("ann", "bob"))
    ann.join(room)
    bob.join(room)
    bob.say(f"/kick {ann.name}")
    expect(bob.page.locator(".notice.error").last).to_be_visible()
    expect(ann.member(bob.name)).to_be_visible()
    bob.say("/kick")
    bob.is_told("usage: /kick NAME [reason]")
    expect(bob.field).to_have_value("/kick")
    bob.field.fill("")


def test_an_announcement_is_told_wherever_one_is(
    open_page: Open, governed: ServerProcess, room: str, fresh: Fresh
) -> None:
    ann, bob = (open_page(governed).come_in(fresh(it)) for it in ("ann", "bob"))
    ann.join(room)
    said(order(governed, "announce", "a new version tonight"))
    for it in (ann, bob):
        expect(it.page.locator(".notice.announcement")).to_have_text(
            "Announcement from root: a new version tonight"
        )
        expect(it.page.locator("#live")).to_contain_text(
            "Announcement from root: a new version tonight"
        )
    ann.open("#lobby")
    ann.is_told("a new version tonight")


def test_who_is_banned_from_the_server_is_told_why_and_is_not_let_in_again(
    open_page: Open, governed: ServerProcess, fresh: Fresh
) -> None:
    ann, bob = (open_page(governed).come_in(fresh(it)) for it in ("ann", "bob"))
    assert "ended 1 connection" in said(ask(governed, "ban", ann.name, "--reason", "spam"))
    why = ann.dialog.locator("#sign-in-error")
    expect(why).to_contain_text("banned")
    expect(why).to_contain_text("spam")
    ann.ask_in(ann.name)
    expect(ann.dialog.locator("#sign-in-submit")).to_be_enabled()
    expect(why).to_contain_text("banned")
    bob.say("calm again")
    bob.reads("calm again")
    said(ask(governed, "unban", ann.name))
    ann.come_in(ann.name)


def test_who_was_sent_away_is_told_why_and_may_come_back(
    open_page: Open, governed: ServerProcess, fresh: Fresh
) -> None:
    ann, bob = (open_page(governed).come_in(fresh(it)) for it in ("ann", "bob"))
    said(ask(governed, "end", ann.name, "--reason", "a moment, please"))
    expect(ann.dialog.locator("#sign-in-error")).to_contain_text("a moment, please")
    ann.come_in(ann.name)
    ann.say("back again")
    for it in (ann, bob):
        it.reads("back again")
