"""The pictures of the page in the documents, taken anew by `make screenshots`."""

import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import pytest
from playwright.sync_api import BrowserContext, expect

from tests.web.conftest import Open, StartWeb
from tests.web.person import Person

FOLDER: Final = os.environ.get("CHAT_SCREENSHOTS")
DESK: Final = {"width": 1200, "height": 760}
PHONE: Final = {"width": 390, "height": 760}
VIEWS: Final[dict[str, dict[str, Any]]] = {
    "light": {"viewport": DESK, "color_scheme": "light"},
    "dark": {"viewport": DESK, "color_scheme": "dark"},
    "phone": {"viewport": PHONE, "color_scheme": "light", "is_mobile": True, "has_touch": True},
}

pytestmark = pytest.mark.skipif(not FOLDER, reason="only by `make screenshots`")


def test_take_them(
    open_page: Open, start_web: StartWeb, context: Callable[..., BrowserContext]
) -> None:
    server = start_web()
    people = {it: open_page(server).come_in(it) for it in ("ann", "bob", "cleo", "dmitri")}
    for room in ("#design", "#releases"):
        people["cleo"].join(room)
    views = {name: open_page(server, **options) for name, options in VIEWS.items()}
    views["light"].come_in("maria", "Register")
    for name in ("dark", "phone"):
        views[name].come_in("maria", "Sign in")
    views["light"].join("#design")
    views["light"].open("#lobby")
    talk(people)
    views["light"].say("With pleasure. `git log` has all I need.")
    people["bob"].say("/msg maria Lunch at one?")
    people["cleo"].say("@maria, the new icons are in.")
    for name, view in views.items():
        view.reads("Then let us ship it.")
        expect(view.texts.last).to_contain_text("With pleasure")
        if name == "phone":
            view.page.locator("#sidebar-open").tap()
            entry = view.entry("@bob")
            expect(entry).to_have_text(re.compile("unread"))
            view.page.locator("#sidebar-close").tap()
        else:
            view.field.focus()
            expect(view.entry("@bob")).to_have_text(re.compile("unread"))
        shoot(view, name)


def talk(people: dict[str, Person]) -> None:
    for it in people.values():
        it.open("#lobby")
    lines = [
        ("ann", "Good morning! The nightly run is green, all 1,482 tests."),
        ("dmitri", "Even the slow ones?"),
        ("ann", "Even those. The report is at https://ci.example.org/runs/482"),
        ("ann", "To see it for yourself:\n```\nmake test\nmake bench ARGS=--quick\n```"),
        ("bob", "I get `p99 = 3.1 ms` here, on an old laptop. @ann, is that what you see?"),
        ("ann", "About that, yes."),
        ("cleo", "Then let us ship it."),
        ("dmitri", "@maria, would you write the announcement?"),
        ("cleo", "Tomorrow, then. Today is for the changelog."),
    ]
    for name, text in lines:
        people[name].say(text)
        expect(people["dmitri"].texts.last).to_contain_text(text[-9:].strip("`\n"))
    people["cleo"].open("#design")


def shoot(person: Person, name: str) -> None:
    folder = Path(FOLDER or "")
    folder.mkdir(parents=True, exist_ok=True)
    person.page.mouse.move(0, 0)  # or what lies under it is shaded
    person.page.wait_for_timeout(300)
    person.page.screenshot(path=folder / f"{name}.png", animations="disabled", caret="hide")
