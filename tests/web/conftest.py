"""A real browser in front of a real server.

Playwright's blocking interface is used, by tests that are no coroutines: its loop lives in this
thread as long as the browser does, so both end with this package's last test.
"""

import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from itertools import count
from typing import Any, Final

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright

from tests.processes import ServerProcess, StartServer
from tests.web.person import Person, Serving, url

ARGUMENTS: Final = (
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
    # Else each browser of a person has a process in reserve, which takes as long as a page.
    "--disable-features=SpareRendererForSitePerProcess",
)  # fmt: skip
WIDE: Final = {"width": 1100, "height": 640}
DEFAULTS: Final[dict[str, Any]] = {"viewport": WIDE, "reduced_motion": "reduce"}
ON_FREE_PORTS: Final = ("--grpc", "127.0.0.1:0", "--tcp", "127.0.0.1:0", "--web", "127.0.0.1:0")
WITHOUT_LIMITS: Final = ("--rate-connects", "off", "--rate-commands", "off", "--rate-bytes", "off")

StartWeb = Callable[..., ServerProcess]
Open = Callable[..., Person]

expect.set_options(timeout=10_000)


@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    """Debian's Chromium, or whichever there is."""
    program = shutil.which("chromium") or shutil.which("google-chrome")
    assert program is not None, "there is no chromium: tests/install-tools.sh installs it"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=[*ARGUMENTS])
        yield browser
        browser.close()


class Desks:
    """Pages that nobody sits in front of, each in what is to it a browser of its own.

    They have the files of their server already, so to come in takes a third of the time.
    """

    def __init__(self, browser: Browser) -> None:
        self._browser = browser
        self._free: dict[str, list[Page]] = {}

    def place(self, home: str) -> None:
        """Have some for a server that outlives tests."""
        self._free[home] = []

    def sit_down(self, home: str) -> Person | None:
        """Let another person sit at one, where nobody has ever come in; None if there is none."""
        if (free := self._free.get(home)) is None:
            return None
        return Person(free.pop() if free else self._browser.new_context(**DEFAULTS).new_page())

    def stand_up(self, person: Person, home: str) -> None:
        """Leave one as it was."""
        person.close_eyes()
        page = person.page
        if page.is_closed():
            page.context.close()
            return
        page.goto(home + "healthz")  # where no page is, so nothing is kept behind our back
        page.evaluate("() => { sessionStorage.clear(); localStorage.clear(); }")
        self._free[home].append(page)


@pytest.fixture(scope="package")
def desks(browser: Browser) -> Desks:
    """Pages of servers that outlive tests."""
    return Desks(browser)


@pytest.fixture(scope="package")
def server(tmp_path_factory: pytest.TempPathFactory, desks: Desks) -> Iterator[ServerProcess]:
    """A server that all tests share which do it no harm."""
    place = tmp_path_factory.mktemp("shared")
    arguments = [*ON_FREE_PORTS, *WITHOUT_LIMITS, "--data", str(place / "data")]
    process = ServerProcess(arguments, {}, place / "stderr")
    desks.place(url(process))
    yield process
    process.close()


@pytest.fixture
def start_web(server_process: StartServer) -> StartWeb:
    """Return a function that starts a server of the test's own, with the page."""

    def start(*arguments: str) -> ServerProcess:
        return server_process("--web", "127.0.0.1:0", *WITHOUT_LIMITS, *arguments)

    return start


@pytest.fixture
def context(browser: Browser) -> Iterator[Callable[..., BrowserContext]]:
    """Return a function that makes what is to a page another browser, of another person."""
    with ExitStack() as stack:

        def make(**options: Any) -> BrowserContext:
            made = browser.new_context(**(DEFAULTS | options))
            stack.callback(made.close)
            return made

        yield make


@pytest.fixture
def open_page(
    context: Callable[..., BrowserContext], server: ServerProcess, desks: Desks
) -> Iterator[Open]:
    """Return a function that opens the page for another person, or in another tab (`within`).

    At the end, none of the pages may have broken, asked anything or been refused anything.
    """
    people: list[Person] = []
    seated: list[tuple[Person, str]] = []

    def open_one(
        at: Serving | None = None, within: BrowserContext | None = None, **options: Any
    ) -> Person:
        home = url(at or server)
        person = None if within or options else desks.sit_down(home)
        if person is not None:
            seated.append((person, home))
        else:
            person = Person((within or context(**options)).new_page())
        people.append(person)
        person.page.goto(home)
        return person

    yield open_one
    complaints = [it for person in people for it in person.complaints]
    for person, home in seated:
        desks.stand_up(person, home)
    assert not complaints


_numbers: Final = count(1)


@pytest.fixture
def fresh() -> Callable[[str], str]:
    """Return a function that makes a name which no other test of this server has."""
    return lambda name: f"{name}{next(_numbers)}"


@pytest.fixture
def room(fresh: Callable[[str], str]) -> str:
    """A room of this test's own."""
    return "#" + fresh("room")
