"""Single modules of the page, checked in the browser by `checks/*.js`: one function, one check."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest
from playwright.sync_api import Browser, Page, Route

from tests.processes import ServerProcess
from tests.web.person import url

CHECKS: Final = Path(__file__).parent / "checks"
FUNCTION: Final = re.compile(r"^export (?:async )?function (\w+)\(\)", re.MULTILINE)
ALL: Final = [
    (name, check)
    for name in ("conversation", "outgoing", "session", "texts")
    for check in FUNCTION.findall((CHECKS / f"{name}.js").read_text())
]


@pytest.fixture(scope="module")
def page(browser: Browser, server: ServerProcess) -> Iterator[Page]:
    """A page that serves the checks beside the modules."""
    page = browser.new_page()
    page.goto(url(server))
    assets = (page.locator("script[type=module]").get_attribute("src") or "").rpartition("/")[0]

    def serve(route: Route) -> None:
        text = (CHECKS / route.request.url.rpartition("/")[2]).read_text()
        text = text.replace("../../../chat_service/web/assets", f"/{assets}")
        route.fulfill(body=text, content_type="text/javascript")

    page.route("**/checks/*.js", serve)
    yield page
    page.close()


@pytest.mark.parametrize(("name", "check"), ALL, ids=[check for _, check in ALL])
def test_module(page: Page, name: str, check: str) -> None:
    page.evaluate(
        "async ([name, check]) => { await (await import(`/checks/${name}.js`))[check](); }",
        [name, check],
    )
