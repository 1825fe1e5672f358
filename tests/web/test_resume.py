"""What was said is there once, whatever happens to the server, the network and the page."""

import re
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import BrowserContext, expect

from tests.processes import ServerProcess
from tests.web.conftest import ON_FREE_PORTS, WITHOUT_LIMITS, Desks, Open, StartWeb
from tests.web.person import PASSWORD, Netcat, Person, url

Context = Callable[..., BrowserContext]
Fresh = Callable[[str], str]


def ports(server: ServerProcess) -> list[str]:
    return [it for name, where in server.endpoints.items() for it in (f"--{name}", where)]


class Mortal:
    """A server that dies and is born again, at the same address and with the same past."""

    def __init__(self, place: Path) -> None:
        self._place = place
        self._process = self._born(*ON_FREE_PORTS)
        self.endpoints = self._process.endpoints
        self._ports = ports(self._process)

    def kill(self) -> None:
        self._process.close()

    def stop(self) -> None:
        """Let it shut down gracefully, and not wait for it."""
        self._process.signal(signal.SIGTERM)

    def start(self) -> None:
        """Start it again, once it has ended."""
        self._process._process.wait(10)
        self._process.close()
        self._process = self._born(*self._ports)

    def _born(self, *listening: str) -> ServerProcess:
        arguments = [*listening, *WITHOUT_LIMITS, "--data", str(self._place / "data")]
        return ServerProcess(arguments, {}, self._place / "stderr")


@pytest.fixture(scope="module")
def mortal(tmp_path_factory: pytest.TempPathFactory, desks: Desks) -> Iterator[Mortal]:
    """A server that every test leaves alive."""
    server = Mortal(tmp_path_factory.mktemp("mortal"))
    desks.place(url(server))
    yield server
    server.kill()


def test_the_server_is_killed_and_comes_back_under_the_page(
    open_page: Open, mortal: Mortal, room: str, fresh: Fresh
) -> None:
    ann, bob = (open_page(mortal).come_in(fresh(it)) for it in ("ann", "bob"))
    for it in (ann, bob):
        it.join(room)
    ann.say("before")
    bob.reads_exactly("before")
    mortal.kill()
    for it in (ann, bob):
        expect(it.banner).to_contain_text("reconnecting")
    ann.say("meanwhile")
    bob.say("as well")
    expect(ann.page.locator("article.sending")).to_have_count(1)
    mortal.start()
    for it in (ann, bob):
        expect(it.banner).to_be_hidden(timeout=15_000)
        it.reads("before")
        it.reads("meanwhile")
        it.reads("as well")
        expect(it.texts).to_have_count(3)
        expect(it.page.locator("article.sending, article.failed")).to_have_count(0)


def test_a_graceful_restart_is_a_hiccup(
    open_page: Open, mortal: Mortal, room: str, fresh: Fresh
) -> None:
    ann, bob = (open_page(mortal).come_in(fresh(it)) for it in ("ann", "bob"))
    for it in (ann, bob):
        it.join(room)
    mortal.stop()
    expect(ann.banner).to_contain_text("reconnecting")
    ann.say("meanwhile")
    mortal.start()
    bob.reads("meanwhile")
    ann.reads_exactly("meanwhile")


def test_a_guest_who_is_registering_goes_on_after_a_reconnect(
    open_page: Open, mortal: Mortal, room: str, fresh: Fresh
) -> None:
    ann = open_page(mortal).come_in(fresh("ann"))
    ann.join(room)
    ann.page.locator("#me").click()
    ann.page.get_by_role("button", name="Register this name").click()
    ann.dialog.get_by_label("Password").fill(PASSWORD)
    mortal.kill()
    expect(ann.banner).to_be_visible()
    mortal.start()
    expect(ann.banner).to_be_hidden(timeout=15_000)
    expect(ann.dialog.get_by_label("Password")).to_have_value(PASSWORD)
    token = ann.page.evaluate("JSON.parse(localStorage.getItem('chat.who')).token")
    with ann.page.expect_request("**/Register") as registering:
        ann.dialog.locator("#sign-in-submit").click()
    assert registering.value.headers["authorization"] == f"Bearer {token}"  # not an earlier one
    expect(ann.page.locator("#me-kind")).to_have_text("account")
    ann.open(room)


def test_what_is_said_while_the_server_dies_happens_once(
    open_page: Open, mortal: Mortal, room: str, fresh: Fresh
) -> None:
    ann, bob = (open_page(mortal).come_in(fresh(it)) for it in ("ann", "bob"))
    for it in (ann, bob):
        it.join(room)
    said = []
    for round_ in range(2):
        for number in range(10):
            said.append(f"{round_}-{number}")
            ann.say(said[-1])
            if number == 4:
                mortal.kill()
        mortal.start()
    expect(ann.texts).to_have_text(said, timeout=20_000)
    expect(bob.texts).to_have_text(said, timeout=20_000)
    ann.reads_exactly(*said)


def test_offline_and_back(open_page: Open, context: Context, room: str, fresh: Fresh) -> None:
    far = context()
    far.clock.install()
    ann, bob = open_page(within=far).come_in(fresh("ann")), open_page().come_in(fresh("bob"))
    ann.join(room)
    bob.join(room)
    far.set_offline(True)
    far.clock.fast_forward(6_000)  # the server has had its time to give a sign of life
    expect(ann.banner).to_contain_text("reconnecting")
    bob.say("are you there?")
    ann.say("not now")
    far.set_offline(False)
    ann.reads("are you there?")
    bob.reads("not now")
    ann.reads_exactly("are you there?", "not now")


def test_a_reload_keeps_the_guest_the_rooms_and_the_draft(
    open_page: Open, room: str, fresh: Fresh
) -> None:
    ann, bob = (open_page().come_in(fresh(it)) for it in ("ann", "bob"))
    ann.join(room)
    bob.say(f"/msg {ann.name} psst")
    ann.open(f"@{bob.name}")
    ann.reads_exactly("psst")
    ann.field.fill("to be cont")
    ann.open(room)
    ann.say("hello")
    ann.field.fill("another draft")
    ann.page.reload()
    expect(ann.page.locator("#me-name")).to_have_text(ann.name)
    ann.open(room)
    expect(ann.field).to_have_value("another draft")
    ann.reads_exactly("hello")
    ann.open(f"@{bob.name}")
    expect(ann.field).to_have_value("to be cont")
    ann.reads_exactly("psst")


def test_what_was_not_sent_yet_survives_a_reload(
    open_page: Open, mortal: Mortal, room: str, fresh: Fresh
) -> None:
    ann, bob = (open_page(mortal).come_in(fresh(it)) for it in ("ann", "bob"))
    for it in (ann, bob):
        it.join(room)
    mortal.kill()
    expect(ann.banner).to_be_visible()
    ann.say("one")
    ann.say("two")
    mortal.start()
    ann.page.reload()
    ann.open(room)
    expect(ann.texts).to_have_text(["one", "two"], timeout=15_000)
    bob.reads("two")
    expect(bob.texts).to_have_text(["one", "two"])
    ann.reads_exactly("one", "two")


def test_two_tabs_of_a_guest_are_one_user(
    open_page: Open, context: Context, room: str, fresh: Fresh
) -> None:
    mine = context()
    one = open_page(within=mine).come_in(fresh("ann"))
    other = open_page(within=mine)
    expect(other.page.locator("#me-name")).to_have_text(one.name)
    bob = open_page().come_in(fresh("bob"))
    one.join(room)
    bob.join(room)
    other.open(room)
    one.say("by one")
    other.say("by the other")
    for it in (one, other, bob):
        it.reads_exactly("by one", "by the other")
    one.leave()
    bob.say("still there?")
    other.reads("still there?")
    third = open_page(within=mine)
    third.open(room)
    third.say("and a third")
    bob.reads("and a third")


def test_a_duplicated_tab_is_another_client(
    open_page: Open, context: Context, room: str, fresh: Fresh
) -> None:
    mine = context()
    one = open_page(within=mine).come_in(fresh("ann"))
    one.join(room)
    with one.page.expect_popup() as opened:  # it begins with a copy of the session storage
        one.page.evaluate("() => { window.open(location.href) }")
    other = Person(opened.value)
    expect(other.page.locator("#me-name")).to_have_text(one.name)
    other.open(room)
    ids = [it.page.evaluate("sessionStorage.getItem('chat.client_id')") for it in (one, other)]
    assert ids[0] != ids[1]
    for number in range(3):
        one.say(f"one {number}")
        other.reads(f"one {number}")
        other.say(f"other {number}")
        one.reads(f"other {number}")
    for it in (one, other):
        expect(it.texts).to_have_count(6)
        expect(it.banner).to_be_hidden()
    assert not other.complaints


def test_what_one_tab_has_read_is_read_in_the_other(
    open_page: Open, context: Context, room: str, fresh: Fresh
) -> None:
    mine = context()
    one = open_page(within=mine).come_in(fresh("ann"))
    other = open_page(within=mine)
    bob = open_page().come_in(fresh("bob"))
    bob.say(f"/msg {one.name} psst")
    expect(other.entry(f"@{bob.name}")).to_have_text(re.compile("1 unread"))
    one.open(f"@{bob.name}")
    expect(other.entry(f"@{bob.name}")).not_to_have_text(re.compile("unread"))


@pytest.mark.parametrize("away", [0, pytest.param(7, marks=pytest.mark.long)])
def test_a_guest_whose_connection_was_lost_is_the_same_guest(
    open_page: Open, mortal: Mortal, fresh: Fresh, away: int
) -> None:
    ann, bob = (open_page(mortal).come_in(fresh(it)) for it in ("ann", "bob"))
    bob.say(f"/msg {ann.name} psst")
    ann.open(f"@{bob.name}")
    ann.reads_exactly("psst")
    mortal.kill()
    ann.page.wait_for_timeout(away * 1000)
    mortal.start()
    nc = Netcat(mortal, fresh("cy"))
    expect(ann.banner).to_be_hidden(timeout=15_000)
    bob.say("again")
    expect(ann.texts).to_have_text(["psst", "again"], timeout=15_000)
    nc.close()


def test_when_the_log_was_replaced_it_is_told_and_the_talk_goes_on(
    open_page: Open, start_web: StartWeb, tmp_path: Path
) -> None:
    first = start_web()
    ann, bob = open_page(first).come_in("ann"), open_page(first).come_in("bob")
    ann.join("#dev")
    bob.join("#dev")
    ann.say("before")
    bob.reads_exactly("before")
    first.kill()
    expect(ann.banner).to_be_visible()
    ann.say("meanwhile")
    start_web(*ports(first), "--data", str(tmp_path / "another"))
    for it in (ann, bob):
        it.is_told("Some messages cannot be shown any more")
        it.is_in("#dev")
    bob.say("after")
    ann.reads("after")
    expect(ann.texts.filter(has_text="before")).to_have_count(0)
    expect(ann.member("bob")).to_be_visible()
    for it in (ann, bob):
        expect(it.texts.filter(has_text="after")).to_have_count(1)


def test_who_is_superseded_says_so_and_can_take_the_session_back(
    open_page: Open, room: str, fresh: Fresh
) -> None:
    ann, bob = (open_page().come_in(fresh(it)) for it in ("ann", "bob"))
    ann.join(room)
    ann.field.fill("a draft")
    bob.go_on_as(ann)
    ann.banner.get_by_role("button", name="Go on here").click()
    expect(ann.page.locator("#me-name")).to_have_text(ann.name)
    expect(ann.banner).to_be_hidden()
    ann.open(room)
    expect(ann.field).to_have_value("a draft")
    ann.say("here again")
    ann.reads_exactly("here again")
