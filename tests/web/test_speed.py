"""The page is small, appears at once, and stays smooth with many messages."""

import gzip
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import pytest
from playwright.sync_api import BrowserContext, expect

import chat_service
from tests.processes import ServerProcess
from tests.web.conftest import Open
from tests.web.person import Flood, Person

Fresh = Callable[[str], str]

PAGE: Final = Path(chat_service.__file__).parent / "web"
KIB: Final = 1024
# What one frame may take on a machine that does nothing else. Ours may be busy: the figures are
# printed, and only what would be a fault is asserted.
FRAME: Final = 1000 / 60

MEASURE: Final = """async (milliseconds) => {
    const frames = [];
    let last = await new Promise(requestAnimationFrame);
    const begin = last;
    while (last - begin < milliseconds) {
        const now = await new Promise(requestAnimationFrame);
        frames.push(now - last);
        last = now;
    }
    frames.sort((one, other) => one - other);
    const at = (share) => frames[Math.floor(share * (frames.length - 1))];
    return { frames: frames.length, median: at(0.5), p95: at(0.95), p99: at(0.99), longest: at(1) };
}"""
SCROLL: Final = """async (milliseconds) => {
    const frames = [];
    let most = 0;
    let last = await new Promise(requestAnimationFrame);
    const begin = last;
    while (last - begin < milliseconds) {
        scroller.scrollTop -= 700;
        const now = await new Promise(requestAnimationFrame);
        frames.push(now - last);
        most = Math.max(most, document.querySelectorAll("li.row").length);
        last = now;
    }
    frames.sort((one, other) => one - other);
    const at = (share) => frames[Math.floor(share * (frames.length - 1))];
    return { frames: frames.length, median: at(0.5), p95: at(0.95), p99: at(0.99), longest: at(1),
             rows: most, nodes: document.querySelectorAll("*").length };
}"""


def test_all_files_together_are_small() -> None:
    sizes = {
        path.relative_to(PAGE).as_posix(): len(gzip.compress(path.read_bytes(), 9, mtime=0))
        for path in PAGE.rglob("*")
        if path.is_file()
    }
    print(f"\nthe page: {sum(sizes.values()) / KIB:.1f} KiB compressed, {len(sizes)} files")
    assert sum(sizes.values()) < 100 * KIB
    assert len(sizes) > 20


def test_the_first_paint_waits_for_no_message(
    open_page: Open, context: Callable[..., BrowserContext], fresh: Fresh
) -> None:
    mute = context()
    mute.route_web_socket("**/ws", lambda _: None)  # a server that takes and never answers
    ann = open_page(within=mute)
    expect(ann.dialog).to_be_visible()
    ann.ask_in(fresh("ann"))
    expect(ann.banner).to_contain_text("Connecting")
    paint = ann.page.evaluate("performance.getEntriesByName('first-contentful-paint')[0].startTime")
    transferred = ann.page.evaluate(
        "performance.getEntriesByType('resource').reduce((sum, it) => sum + it.encodedBodySize, 0)"
    )
    print(f"\nfirst contentful paint: {paint:.0f} ms; transferred: {transferred / KIB:.1f} KiB")
    assert transferred < 100 * KIB


def test_a_hundred_thousand_messages_scroll(
    open_page: Open, server: ServerProcess, room: str, fresh: Fresh
) -> None:
    ann = open_page().come_in(fresh("ann"))
    ann.join(room)
    ann.sees_the_past()
    flood = Flood(server, fresh("flood"), room)
    flood.say(100_000)
    flood.close()
    expect(ann.texts.last).to_have_text("message 99999", timeout=30_000)
    assert rows(ann) < 200
    figures = ann.page.evaluate(SCROLL, 1500)
    show("scrolling through 100,000 messages", figures)
    assert figures["rows"] < 200
    assert figures["nodes"] < 3000
    assert figures["median"] < 3 * FRAME
    height = ann.page.evaluate("scroller.scrollHeight")
    ann.page.evaluate("() => { scroller.scrollTop = scroller.scrollHeight / 2 }")
    ann.page.wait_for_function(
        """() => {
            const shown = document.querySelectorAll("article .text")[20].textContent;
            return Math.abs(Number(shown.replace("message ", "")) - 50_000) < 5_000;
        }"""
    )
    ann.page.evaluate("() => { scroller.scrollTop = 0 }")
    expect(ann.texts.first).to_have_text("message 0")
    assert height > 1_000_000


def test_five_hundred_messages_a_second_drop_no_frames(
    open_page: Open, server: ServerProcess, room: str, fresh: Fresh
) -> None:
    ann = open_page().come_in(fresh("ann"))
    ann.join(room)
    ann.sees_the_past()
    show("at rest", ann.page.evaluate(MEASURE, 500))
    flood = Flood(server, fresh("flood"), room)
    ann.page.evaluate(f"() => {{ window.measured = ({MEASURE})(3000) }}")
    said = flood.say_evenly(500, 3.0)
    flood.settle()
    flood.close()
    figures = ann.page.evaluate("() => window.measured")
    show(f"{said / 3:.0f} messages a second", figures)
    expect(ann.texts.last).to_have_text(f"line {said - 1}")
    assert rows(ann) < 200
    assert figures["median"] < 3 * FRAME


def rows(person: Person) -> int:
    return person.page.locator("li.row").count()


def show(what: str, figures: dict[str, Any]) -> None:
    told = ", ".join(
        f"{name} {value}" if isinstance(value, int) else f"{name} {value:.1f} ms"
        for name, value in figures.items()
    )
    print(f"\n{what}: {told}")


pytestmark = pytest.mark.timeout(120)
