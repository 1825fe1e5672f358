"""The page where nobody looks at it: in a tab behind another, or on a laptop that sleeps."""

import asyncio
import re
from collections.abc import Callable, Coroutine, Iterator
from contextlib import ExitStack
from threading import Thread
from typing import Any, Final

import pytest
from playwright.sync_api import BrowserContext, Locator, expect

from tests.faults.chaos.cable import Cable
from tests.web.conftest import Open, StartWeb
from tests.web.person import Person

Context = Callable[..., BrowserContext]
Fresh = Callable[[str], str]

# Playwright lets every page believe that it is seen.
TURN_AWAY: Final = """() => {
    Object.defineProperty(document, "visibilityState", { get: () => "hidden", configurable: true });
    Object.defineProperty(document, "hidden", { get: () => true, configurable: true });
    document.hasFocus = () => false;
    document.dispatchEvent(new Event("visibilitychange"));
}"""
TURN_BACK: Final = """() => {
    for (const name of ["visibilityState", "hidden", "hasFocus"]) delete document[name];
    document.dispatchEvent(new Event("visibilitychange"));
    window.dispatchEvent(new Event("focus"));
}"""
LISTEN: Final = """() => {
    window.told = [];
    window.Notification = class {
        static permission = "granted";
        constructor(title, { body }) { told.push(`${title}: ${body}`); }
    };
    localStorage.setItem("chat.notify", "true");
}"""


class LongCable:
    """A cable that a loop of another thread takes care of, since Playwright has this one's."""

    def __init__(self, port: int) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = Thread(target=self._loop.run_forever)
        self._thread.start()
        self._cable = Cable(port)
        self._await(self._cable.__aenter__())
        self._silence = ExitStack()
        self.endpoints = {"web": self._cable.address}

    def fall_silent(self) -> None:
        """Swallow everything, and tell nobody."""

        async def fall_silent() -> None:
            self._silence.enter_context(self._cable.silent())

        self._await(fall_silent())

    def mend(self) -> None:
        """Carry what is said from here on, over new connections."""

        async def mend() -> None:
            self._silence.close()

        self._await(mend())

    def close(self) -> None:
        self._await(self._cable.__aexit__(None, None, None))
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def _await(self, work: Coroutine[Any, Any, object]) -> None:
        asyncio.run_coroutine_threadsafe(work, self._loop).result(10)


@pytest.fixture
def lay_cable() -> Iterator[Callable[[str], LongCable]]:
    """Return a function that lays a cable to where something listens."""
    with ExitStack() as stack:

        def lay(where: str) -> LongCable:
            cable = LongCable(int(where.rpartition(":")[2]))
            stack.callback(cable.close)
            return cable

        yield lay


def test_a_tab_in_the_background_keeps_up_and_reads_nothing(
    open_page: Open, room: str, fresh: Fresh
) -> None:
    ann, bob = (open_page().come_in(fresh(it)) for it in ("ann", "bob"))
    for it in (ann, bob):
        it.join(room)
    bob.say("seen")
    ann.reads("seen")
    ann.page.evaluate(TURN_AWAY)
    bob.say("one")
    bob.say(f"two, @{ann.name}")
    expect(ann.entry(room)).to_have_text(re.compile("2 unread, 1 for you"))
    expect(ann.page).to_have_title(re.compile(r"^\(1\)"))
    ann.page.evaluate(TURN_BACK)
    expect(ann.entry(room)).not_to_have_text(re.compile("unread"))
    assert ann.page.locator("li.row:has(.new) .text").inner_text() == "one"
    ann.reads_exactly("seen", "one", f"two, @{ann.name}")


def test_a_tab_does_not_notify_of_what_is_read_in_another(
    open_page: Open, context: Context, room: str, fresh: Fresh
) -> None:
    mine = context()
    one = open_page(within=mine).come_in(fresh("ann"))
    one.join(room)
    other = open_page(within=mine)
    other.open(room)
    other.page.evaluate(LISTEN)
    other.page.evaluate(TURN_AWAY)
    bob = open_page().come_in(fresh("bob"))
    bob.join(room)
    bob.say(f"you read this, @{one.name}")
    one.reads(f"you read this, @{one.name}")
    bob.say(f"/msg {one.name} and not this")
    other.page.wait_for_function("() => told.length > 0")
    assert other.page.evaluate("told") == [f"{bob.name}: and not this"]


def test_a_laptop_that_slept_for_longer_than_the_keepalive_has_missed_nothing(
    open_page: Open, context: Context, start_web: StartWeb, lay_cable: Callable[[str], LongCable]
) -> None:
    server = start_web("--keepalive", "0.2")
    cable = lay_cable(server.endpoints["web"])
    mine = context()
    ann, bob = open_page(cable, within=mine).come_in("ann"), open_page(server).come_in("bob")
    for it in (ann, bob):
        it.join("#dev")
    ann.say("good night")
    bob.reads("good night")
    page = mine.new_cdp_session(ann.page)
    page.send("Page.setWebLifecycleState", {"state": "frozen"})
    cable.fall_silent()
    expect(online(bob)).to_have_text("Online — 1")
    for number in range(3):
        bob.say(f"while you slept {number}")
    cable.mend()
    page.send("Page.setWebLifecycleState", {"state": "active"})
    ann.reads_exactly("good night", *(f"while you slept {number}" for number in range(3)))
    ann.say("good morning")
    bob.reads("good morning")
    expect(online(bob)).to_have_text("Online — 2")
    expect(ann.banner).to_be_hidden()


def online(person: Person) -> Locator:
    """The heading of who is here in the room that is shown."""
    return person.page.locator("#members h3").first
