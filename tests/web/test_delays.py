"""Nothing is lost while the server does not answer, or not yet, or says: not now."""

from collections.abc import Callable

from playwright.sync_api import BrowserContext, expect

from tests.web.conftest import Open
from tests.web.wire import Wire

Context = Callable[..., BrowserContext]
Fresh = Callable[[str], str]


def test_what_is_typed_before_the_first_welcome_stays_and_costs_nothing(
    open_page: Open, context: Context, room: str, fresh: Fresh
) -> None:
    mine = context()
    wire = Wire(mine)
    ann, bob = open_page(within=mine).come_in(fresh("ann")), open_page().come_in(fresh("bob"))
    for it in (ann, bob):
        it.join(room)
    wire.lose("send")
    ann.say("on its way")
    expect(ann.page.locator("article.sending")).to_have_count(1)
    wire.hold()
    ann.page.reload()
    ann.say("too early")
    expect(ann.field).to_have_value("too early")
    wire.mend()
    expect(ann.page.locator("#me-name")).to_have_text(ann.name)
    expect(ann.field).to_have_value("too early")
    ann.field.press("Enter")
    ann.reads("too early")
    ann.open(room)
    for it in (ann, bob):
        it.reads_exactly("on its way")
