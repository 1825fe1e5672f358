"""The conversation that is shown has an address: it outlives a reload, and Back goes back to it."""

import re
from collections.abc import Callable
from urllib.parse import quote

from playwright.sync_api import expect

from tests.web.conftest import Open

Fresh = Callable[[str], str]


def test_a_reload_lands_where_one_was(open_page: Open, fresh: Fresh) -> None:
    ann, bob = (open_page().come_in(fresh(it)) for it in ("ann", "bob"))
    room = "#" + fresh("grün")
    ann.join(room)
    ann.say("hello")
    ann.reads("hello")
    assert ann.page.url.endswith("#/" + quote(room[1:]))
    ann.page.reload()
    ann.reads("hello")
    ann.is_in(room)
    bob.say(f"/msg {ann.name} psst")
    ann.open(f"@{bob.name}")
    ann.reads("psst")
    assert ann.page.url.endswith(f"#/@{bob.name}")
    ann.page.reload()
    ann.reads("psst")
    ann.is_in(bob.name)


def test_back_and_forth_go_through_conversations(open_page: Open, fresh: Fresh) -> None:
    ann = open_page().come_in(fresh("ann"))
    one, other = ("#" + fresh(it) for it in ("one", "other"))
    ann.join(one)
    ann.join(other)
    ann.page.go_back()
    ann.is_in(one)
    ann.page.go_back()
    ann.is_in("#lobby")
    ann.page.go_forward()
    ann.is_in(one)
    ann.page.go_forward()
    ann.is_in(other)
    ann.page.go_back()
    ann.is_in(one)
    ann.say("/leave")
    ann.is_in("#lobby")
    ann.page.go_back()  # to where one is no more
    expect(ann.page).to_have_url(re.compile("#/lobby$"))
    ann.is_in("#lobby")


def test_an_address_where_one_is_not_leads_to_the_lobby(open_page: Open, fresh: Fresh) -> None:
    ann = open_page().come_in(fresh("ann"))
    for address in (fresh("elsewhere"), "@" + fresh("nobody"), "%E0%A4%A"):
        ann.page.evaluate("hash => { history.replaceState(null, '', hash) }", f"#/{address}")
        ann.page.reload()
        ann.say("hello")
        ann.is_in("#lobby")
        expect(ann.page.locator("#people bdi")).to_have_count(0)
        expect(ann.page).to_have_url(re.compile("#/lobby$"))


def test_who_signs_out_leaves_no_address_behind(open_page: Open, room: str, fresh: Fresh) -> None:
    ann = open_page().come_in(fresh("ann"))
    ann.join(room)
    ann.sign_out()
    assert "#" not in ann.page.url
