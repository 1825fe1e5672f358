"""Accounts by the page: made, used in several tabs, signed out here and elsewhere."""

import re
import time
from collections.abc import Callable
from typing import Final

import pytest
from playwright.sync_api import BrowserContext, Request, expect

from tests.processes import ServerProcess
from tests.web.conftest import Open
from tests.web.person import PASSWORD, Netcat, Person, url

Context = Callable[..., BrowserContext]
Fresh = Callable[[str], str]

PATIENCE: Final = 10.0


def test_register_sign_out_and_sign_in(open_page: Open, fresh: Fresh, room: str) -> None:
    name = fresh("ann")
    ann = open_page().come_in(name, "Register")
    expect(ann.page.locator("#me-kind")).to_have_text("account")
    ann.join(room)
    ann.say("mine")
    ann.field.fill("a secret draft")
    ann.page.reload()
    expect(ann.page.locator("#me-name")).to_have_text(name)
    ann.open(room)
    ann.sign_out()
    assert "secret" not in str(ann.page.evaluate("Object.entries(localStorage)"))
    secrets: list[str] = []

    def note(request: Request) -> None:
        if request.url.endswith("/Login"):
            secrets.append((request.post_data_json or {})["clientId"])

    ann.page.on("request", note)
    ann.ask_in(name, "Sign in", "wrong password")
    expect(ann.dialog.locator("#sign-in-error")).not_to_be_empty()
    ann.come_in(name, "Sign in")
    assert len(secrets) == 2
    assert len(set(secrets)) == 1  # one browser, though nobody was signed in between
    assert len(secrets[0]) > 30
    ann.open(room)
    ann.reads_exactly("mine")


def await_kept_as_read(person: Person, address: str) -> None:
    """Wait until the browser has kept that a conversation was read."""
    end = time.monotonic() + PATIENCE
    while f'"{address}"' not in stored(person).get(f"chat.read.{person.name}", ""):
        assert time.monotonic() < end, f"{address} is not kept as read"
        person.page.wait_for_timeout(20)


def test_what_was_said_to_an_account_is_found_in_every_browser_it_signs_in_with(
    open_page: Open, fresh: Fresh
) -> None:
    ann = open_page().come_in(fresh("ann"), "Register")
    bob = open_page().come_in(fresh("bob"))
    bob.say(f"/msg {ann.name} psst")
    ann.open(f"@{bob.name}")
    ann.say("what?")
    bob.reads_exactly("psst", "what?")

    elsewhere = open_page().come_in(ann.name, "Sign in")
    elsewhere.open(f"@{bob.name}")
    elsewhere.reads_exactly("psst", "what?")

    ann.sign_out()
    bob.say("are you there?")  # to the other browser, so that it waits for nobody
    elsewhere.reads("are you there?")
    ann.come_in(ann.name, "Sign in")
    expect(ann.entry(f"@{bob.name}")).to_have_text(re.compile("unread"))
    ann.open(f"@{bob.name}")
    ann.reads_exactly("psst", "what?", "are you there?")


def test_the_latest_conversation_is_the_first_at_the_side_of_another_browser(
    open_page: Open, fresh: Fresh
) -> None:
    ann = open_page().come_in(fresh("ann"), "Register")
    bob, cy = (open_page().come_in(fresh(it)) for it in ("bob", "cy"))
    for it, text in ((bob, "one"), (cy, "two"), (bob, "three")):
        it.say(f"/msg {ann.name} {text}")
        ann.open(f"@{it.name}")
        ann.reads(text)
    elsewhere = open_page().come_in(ann.name, "Sign in")
    expect(elsewhere.page.locator("#people .entry-name")).to_have_text([bob.name, cy.name])


def test_a_conversation_that_was_closed_stays_so_until_there_is_more(
    open_page: Open, fresh: Fresh
) -> None:
    ann = open_page().come_in(fresh("ann"), "Register")
    bob, cy = (open_page().come_in(fresh(it)) for it in ("bob", "cy"))
    for it in (bob, cy):
        it.say(f"/msg {ann.name} psst")
        ann.open(f"@{it.name}")
        ann.reads_exactly("psst")
    ann.page.get_by_role("button", name=f"Close the conversation with {bob.name}").click()
    await_kept_as_read(ann, f"@{bob.name}")
    ann.page.reload()
    expect(ann.entry(f"@{cy.name}")).to_be_visible()
    ann.say(f"/msg {cy.name} what?")  # which is told behind the list
    ann.reads_exactly("psst", "what?")
    expect(ann.entry(f"@{bob.name}")).to_have_count(0)
    bob.say("still there?")
    ann.open(f"@{bob.name}")
    ann.reads_exactly("psst", "still there?")


@pytest.mark.parametrize("meanwhile", ["connected elsewhere", "away"])
def test_what_is_unread_is_known_of_conversations_that_are_not_asked_for_yet(
    server: ServerProcess, open_page: Open, fresh: Fresh, meanwhile: str
) -> None:
    ann = open_page().come_in(fresh("ann"), "Register")
    bob = Netcat(server, fresh("bob"))
    bob.say(f"/msg {ann.name} one")
    address = f"@{bob.name}"
    ann.open(address)
    ann.reads_exactly("one")
    await_kept_as_read(ann, address)
    if meanwhile == "connected elsewhere":
        open_page().come_in(ann.name, "Sign in")
    ann.page.goto(url(server) + "healthz")
    for text in ("two", "three", "four"):
        bob.say(f"/msg {ann.name} {text}")
    bob.reads(f"[you -> {ann.name}] four")
    bob.close()
    for number in range(20):
        other = Netcat(server, fresh(f"other{number}-"))
        other.say(f"/msg {ann.name} hi")
        other.reads("[you -> ")
        other.close()
    ann.page.goto(url(server))
    expect(ann.page.locator("#people li")).to_have_count(21)
    expect(ann.page.locator("#people li").last).to_have_text(re.compile(f"{bob.name}.*3 unread"))
    ann.open(address)
    ann.reads_exactly("one", "two", "three", "four")
    expect(ann.entry(address)).not_to_have_text(re.compile("unread"))


def test_a_guest_who_registers_keeps_rooms_and_conversations(
    open_page: Open, fresh: Fresh, room: str
) -> None:
    ann, bob = (open_page().come_in(fresh(it)) for it in ("ann", "bob"))
    ann.join(room)
    bob.say(f"/msg {ann.name} psst")
    ann.open(f"@{bob.name}")
    ann.reads_exactly("psst")
    ann.page.locator("#me").click()
    ann.page.get_by_role("button", name="Register this name").click()
    ann.dialog.get_by_label("Password").fill(PASSWORD)
    ann.dialog.locator("#sign-in-submit").click()
    expect(ann.page.locator("#me-kind")).to_have_text("account")
    expect(ann.dialog).to_be_hidden()
    ann.open(room)
    ann.open(f"@{bob.name}")
    ann.reads_exactly("psst")


def test_a_name_that_is_taken_or_registered_is_told_so(open_page: Open, fresh: Fresh) -> None:
    ann = open_page().come_in(fresh("ann"))
    bob = open_page()
    bob.ask_in(ann.name)
    expect(bob.dialog.locator("#sign-in-error")).to_contain_text("taken")
    cy = open_page().come_in(fresh("cy"), "Register")
    bob.ask_in(cy.name)
    expect(bob.dialog.locator("#sign-in-error")).to_contain_text("registered")
    expect(bob.dialog.get_by_role("radio", name="Sign in")).to_be_checked()
    bob.ask_in(fresh("!"))
    expect(bob.dialog.locator("#sign-in-error")).to_contain_text("name")
    bob.come_in(fresh("bob"))


def test_two_tabs_of_an_account_sign_out_together(
    open_page: Open, context: Context, fresh: Fresh, room: str
) -> None:
    mine = context()
    one = open_page(within=mine).come_in(fresh("ann"), "Register")
    other = open_page(within=mine)
    expect(other.page.locator("#me-name")).to_have_text(one.name)
    one.join(room)
    one.say("by one")
    other.open(room)
    other.reads_exactly("by one")
    one.sign_out()
    expect(other.dialog).to_be_visible()


def stored(person: Person) -> dict[str, str]:
    """Return what the browser keeps, for all tabs and for this one."""
    found: dict[str, str] = person.page.evaluate("({ ...localStorage, ...sessionStorage })")
    return found


def test_who_signs_out_leaves_nothing_behind_in_any_tab(
    open_page: Open, context: Context, fresh: Fresh
) -> None:
    mine = context()
    one = open_page(within=mine).come_in(fresh("ann"), "Register")
    other = open_page(within=mine)
    expect(other.page.locator("#me-name")).to_have_text(one.name)
    other.say(f"/msg {fresh('nobody')} a secret that was not sent")
    expect(other.page.locator("article.failed")).to_be_visible()
    other.field.fill("a secret draft")
    one.sign_out()
    expect(other.dialog).to_be_visible()
    for it in (one, other):
        assert "secret" not in str(stored(it))
        assert one.name not in str(stored(it))


def test_who_signs_out_leaves_alone_what_is_of_users_whose_names_begin_the_same(
    open_page: Open, fresh: Fresh
) -> None:
    ann = open_page().come_in(fresh("ann"))
    other = f"{ann.name}a"
    others = {f"peers.{other}", f"read.{other}", f"draft.{other}.#a", f"draft.{ann.name}.b.#a"}
    for name in others:
        ann.page.evaluate("name => localStorage.setItem(`chat.${name}`, '{}')", name)
    ann.field.fill("a draft")
    ann.sign_out()
    assert {it.removeprefix("chat.") for it in stored(ann) if ann.name in it} == others


def test_who_signs_out_behind_the_servers_back_is_told_so(open_page: Open, fresh: Fresh) -> None:
    ann = open_page().come_in(fresh("ann"), "Register")
    ann.page.route("**/Logout", lambda route: route.abort())
    ann.sign_out()
    error = ann.dialog.locator("#sign-in-error")
    expect(error).to_contain_text("not on the server (the server cannot be reached)")
    assert ann.name not in str(stored(ann))
    ann.page.reload()
    expect(ann.dialog).to_be_visible()
    expect(error).to_be_empty()
    ann.page.unroute("**/Logout")


def test_a_sign_in_that_is_revoked_elsewhere_ends(open_page: Open, fresh: Fresh) -> None:
    here = open_page().come_in(fresh("ann"), "Register")
    there = open_page().come_in(here.name, "Sign in")
    here.page.locator("#me").click()
    rows = here.page.locator("#sign-ins li")
    expect(rows).to_have_count(2)
    expect(rows.first).to_contain_text("this one")
    rows.last.get_by_role("button", name=re.compile("Sign out")).click()
    expect(rows).to_have_count(1)
    expect(there.dialog).to_be_visible()
    expect(there.dialog.get_by_label("Name")).to_have_value(here.name)
    expect(here.dialog).to_be_hidden()
    there.come_in(here.name, "Sign in")


def test_the_password_is_changed(open_page: Open, fresh: Fresh) -> None:
    ann = open_page().come_in(fresh("ann"), "Register")
    ann.page.locator("#me").click()
    ann.page.get_by_text("Change the password").click()
    ann.page.get_by_label("Present password").fill(PASSWORD)
    ann.page.get_by_label("New password").fill("another horse battery")
    ann.page.get_by_role("button", name="Change it").click()
    expect(ann.page.locator("#account-told")).to_contain_text("another one now")
    other = open_page()
    other.ask_in(ann.name, "Sign in", PASSWORD)
    expect(other.dialog.locator("#sign-in-error")).not_to_be_empty()
    other.ask_in(ann.name, "Sign in", "another horse battery")
    expect(other.dialog).to_be_hidden()
