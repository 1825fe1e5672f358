"""Hostile texts, narrow screens, large letters, and those who like the dark or few colours."""

from collections.abc import Callable
from typing import Any, Final

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import BrowserContext, Locator, Page, expect

from tests.web.conftest import Open
from tests.web.person import Person

Fresh = Callable[[str], str]

HOSTILE: Final = {
    "an image": "<img src=x onerror=alert(1)>",
    "a script": "</script><script>alert(1)</script>",
    "a link that is a program": "javascript:alert(1) JaVaScRiPt://x/%0aalert(1) data:text/html,x",
    "a link that breaks out": 'https://example.org/"onmouseover="alert(1)',
    "a long word": "w" * 4096,
    "many lines": "a" + "\n" * 800 + "b",
    "right to left": "\u202e" * 200 + "gnp.exe \u2067 abc \u202d" + "\u05d0" * 300,
    "a pile of marks": "Z" + "\u0310\u0327\u034d\u0489" * 400,
    "a template": "{{7*7}} ${7*7} %s &lt;b&gt;&#60;",
    "controls": "\x1b[31mred\x07\x9b2J",
}


def test_hostile_texts_are_texts(open_page: Open, room: str, fresh: Fresh) -> None:
    ann = open_page(viewport={"width": 1280, "height": 740}).come_in(fresh("ann"))
    ann.join(room)
    for number, text in enumerate(HOSTILE.values()):
        ann.say(text)
        expect(ann.texts).to_have_count(number + 1)
        assert ann.texts.last.text_content() == text
    expect(ann.page.locator("article.sending, article.sent")).to_have_count(0)
    expect(ann.page.locator("article img, article script, article b")).to_have_count(0)
    links = ann.page.locator("article a")
    hrefs = links.evaluate_all("links => links.map((it) => [it.protocol, it.rel, it.target])")
    assert hrefs == [["https:", "noopener noreferrer", "_blank"]]
    for width in (1280, 360):
        ann.page.set_viewport_size({"width": width, "height": 740})
        ann.page.wait_for_function(LAID_OUT, arg=len(HOSTILE))


def test_only_what_is_cut_can_be_shown_whole(open_page: Open, room: str, fresh: Fresh) -> None:
    ann = open_page().come_in(fresh("ann"))
    ann.join(room)
    ann.say(HOSTILE["a pile of marks"])
    ann.say(HOSTILE["many lines"])
    expect(ann.page.locator("article.sending, article.sent")).to_have_count(0)
    folded = ann.page.locator("article", has=ann.page.get_by_role("button", name="Show all of it"))
    expect(folded).to_have_count(1)
    before = folded.bounding_box()
    unfold = folded.get_by_role("button", name="Show all of it")
    unfold.press("Enter")
    expect(unfold).to_have_count(0)
    after = ann.page.locator("article").last.bounding_box()
    assert before
    assert after
    assert after["height"] > before["height"] * 10
    expect(ann.page.locator("#scroller")).to_be_focused()


LAID_OUT: Final = """(count) => {
    const all = [...document.querySelectorAll("article .text")].map((text) => [
        text.getBoundingClientRect().height, text.closest("li").getBoundingClientRect().height
    ]);
    return all.length === count
        && all.every(([text, row]) => text <= row && row < 700)
        && scroller.scrollWidth <= scroller.clientWidth
        && document.documentElement.scrollWidth <= innerWidth;
}"""


def test_names_of_rooms_do_not_break_the_page(open_page: Open, fresh: Fresh) -> None:
    ann = open_page(viewport={"width": 360, "height": 740}).come_in(fresh("ann") + "w" * 25)
    ann.join("#" + fresh("r") + "m" * 28)
    assert ann.page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_the_policy_of_the_page_forbids_what_is_inline(open_page: Open, fresh: Fresh) -> None:
    ann = open_page().come_in(fresh("ann"))
    refused = ann.page.evaluate(
        """() => new Promise((resolve) => {
            document.addEventListener("securitypolicyviolation", (it) => {
                resolve(it.effectiveDirective);
            });
            const script = document.createElement("script");
            try {
                script.textContent = "document.title = 'broken'";
            } catch (error) {
                resolve("trusted types");
            }
            document.head.append(script);
        })"""
    )
    assert refused in ("trusted types", "script-src-elem", "require-trusted-types-for")
    assert "broken" not in ann.page.title()
    assert ann.complaints
    ann.complaints.clear()


@pytest.mark.parametrize("width", [1100, 360])
def test_axe_finds_nothing(open_page: Open, room: str, fresh: Fresh, width: int) -> None:
    ann = open_page(viewport={"width": width, "height": 740})
    expect(ann.dialog).to_be_visible()
    look_for_violations(ann.page)
    ann.come_in(fresh("ann"))
    bob = open_page().come_in(fresh("bob"))
    ann.join(room)
    bob.join(room)
    bob.say(f"hello @{ann.name}, see https://example.org and `code`\n```\nblock\n```")
    ann.say("hello @you")
    ann.reads("hello @you")
    bob.say(f"/msg {ann.name} psst")
    ann.say(f"/msg {fresh('nobody')} hello?")
    expect(ann.page.locator("article.failed")).to_be_visible()
    ann.say("/help")
    look_for_violations(ann.page)
    narrow = width < 400
    if narrow:
        ann.page.locator("#sidebar-open").click()
        look_for_violations(ann.page)
    ann.open(room)
    ann.field.fill("/")
    expect(ann.page.get_by_role("option").first).to_be_visible()
    look_for_violations(ann.page)
    ann.field.fill("")
    if narrow:
        ann.page.locator("#members-toggle").click()
        look_for_violations(ann.page)
        ann.page.keyboard.press("Escape")
        ann.page.locator("#sidebar-open").click()
    ann.page.locator("#me").click()
    expect(ann.page.locator("#account")).to_be_visible()
    look_for_violations(ann.page)


def look_for_violations(page: Page) -> None:
    """Look at all of it in the light, and at the contrasts in the dark."""
    page.wait_for_function(
        "() => document.getAnimations().every((it) => it.playState === 'finished')"
    )
    assert violations(page) == []
    page.emulate_media(color_scheme="dark")
    assert violations(page, runOnly=["color-contrast"]) == []
    page.emulate_media(color_scheme="light")


def violations(page: Page, **options: Any) -> list[object]:
    found = Axe().run(page, options={"resultTypes": ["violations"], **options})
    return [
        (it["id"], [(node["target"], node["failureSummary"]) for node in it["nodes"]])
        for it in found.response["violations"]
    ]


def test_on_a_phone_the_sides_are_drawers(open_page: Open, room: str, fresh: Fresh) -> None:
    phone = open_page(viewport={"width": 360, "height": 640}, has_touch=True, is_mobile=True)
    phone.come_in(fresh("ann"))
    sidebar = phone.page.locator("#sidebar")
    expect(sidebar).to_be_hidden()
    phone.page.locator("#sidebar-open").tap()
    expect(sidebar).to_be_visible()
    assert phone.page.evaluate("main.inert")
    phone.page.get_by_role("button", name="Join or make a room").tap()
    phone.page.get_by_label("Name of the room").fill(room)
    phone.page.get_by_label("Name of the room").press("Enter")
    phone.is_in(room)
    expect(sidebar).to_be_hidden()
    phone.page.locator("#members-toggle").tap()
    expect(phone.page.locator("#members")).to_be_visible()
    phone.page.locator("#scrim").tap(position={"x": 20, "y": 300})
    expect(phone.page.locator("#members")).to_be_hidden()
    phone.say("hello")
    phone.reads("hello")
    assert phone.page.evaluate("document.documentElement.scrollWidth") == 360


def test_a_private_conversation_is_closed_by_touch(open_page: Open, fresh: Fresh) -> None:
    bob = open_page().come_in(fresh("bob"))
    phone = open_page(viewport={"width": 360, "height": 640}, has_touch=True, is_mobile=True)
    phone.come_in(fresh("ann"))
    phone.say(f"/msg {bob.name} psst")
    phone.is_in(bob.name)
    phone.reads_exactly("psst")
    phone.page.get_by_role("button", name="Close", exact=True).tap()
    phone.is_in("#lobby")
    expect(phone.entry(f"@{bob.name}")).to_have_count(0)


@pytest.mark.parametrize("size", [(360, 400), (320, 568)])
def test_the_chosen_completion_is_seen_where_there_is_little_room(
    open_page: Open, fresh: Fresh, size: tuple[int, int]
) -> None:
    ann = open_page(viewport={"width": size[0], "height": size[1]}).come_in(fresh("ann"))
    ann.field.press_sequentially("/")
    chosen = ann.page.get_by_role("option", selected=True)
    for _ in range(20):
        expect(chosen).to_have_count(1)
        assert chosen.evaluate(SEEN), chosen.text_content()
        ann.field.press("ArrowDown")
    for _ in range(20):
        ann.field.press("ArrowUp")
        assert chosen.evaluate(SEEN), chosen.text_content()


SEEN: Final = """(option) => {
    const { left, right, top, bottom } = option.getBoundingClientRect();
    const ends = [[left + 8, top + 2], [right - 8, bottom - 2]];
    return ends.every(([x, y]) => option.contains(document.elementFromPoint(x, y)));
}"""


def test_text_is_as_large_as_the_browser_is_told_to_make_it(
    open_page: Open, room: str, fresh: Fresh
) -> None:
    ann = open_page().come_in(fresh("ann"))
    ann.join(room)
    ann.say("how large is that?")
    ann.reads_exactly("how large is that?")
    for part in (ann.texts.first, ann.field, ann.entry("#lobby")):
        usual, larger = part.evaluate(SIZES)
        assert larger == usual * 1.5


SIZES: Final = """(it) => {
    const size = () => Number.parseFloat(getComputedStyle(it).fontSize);
    const usual = size();
    document.documentElement.style.fontSize = "24px";
    const larger = size();
    document.documentElement.style.fontSize = "";
    return [usual, larger];
}"""


def test_what_is_chosen_is_seen_where_colours_are_few(open_page: Open, fresh: Fresh) -> None:
    ann = open_page(forced_colors="active")
    expect(ann.dialog).to_be_visible()
    choices = ann.dialog.locator("label", has=ann.page.get_by_role("radio"))
    assert outlined(choices.locator("span")) == [True, False, False]
    ann.come_in(fresh("ann"))
    ann.join("#" + fresh("other"))
    assert outlined(ann.page.locator("#rooms .entry")) == [False, True]
    ann.field.press_sequentially("/m")
    options = ann.page.get_by_role("option")
    expect(options).to_have_count(2)
    assert outlined(options) == [True, False]


def outlined(parts: Locator) -> list[bool]:
    """Tell of each whether there is a line around it."""
    styles: list[str] = parts.evaluate_all(
        "parts => parts.map((it) => getComputedStyle(it).outlineStyle)"
    )
    return [it == "solid" for it in styles]


def test_the_colours_are_the_systems_or_chosen(open_page: Open, fresh: Fresh) -> None:
    ann = open_page(color_scheme="dark").come_in(fresh("ann"))
    assert ground(ann) == "rgb(22, 24, 27)"
    ann.page.locator("#me").click()
    ann.page.get_by_role("radio", name="Light").check()
    assert ground(ann) == "rgb(246, 245, 243)"
    ann.page.reload()
    expect(ann.page.locator("#me-name")).to_have_text(ann.name)
    assert ground(ann) == "rgb(246, 245, 243)"


def ground(person: Person) -> str:
    colour: str = person.page.evaluate("getComputedStyle(document.body).backgroundColor")
    return colour


def test_nobody_is_asked_about_notifications_before_the_bell_is_pressed(
    open_page: Open, context: Callable[..., BrowserContext], room: str, fresh: Fresh
) -> None:
    mine = context()
    mine.add_init_script(NOTIFIED)
    ann = open_page(within=mine).come_in(fresh("ann"))
    bob = open_page().come_in(fresh("bob"))
    ann.join(room)
    bob.join(room)
    bell = ann.page.get_by_role("button", name="Desktop notifications")
    ann.page.evaluate("document.hasFocus = () => false")
    bob.say(f"before, @{ann.name}")
    ann.reads(f"before, @{ann.name}")
    assert ann.page.evaluate("told") == []
    bell.click()
    expect(bell).to_have_attribute("aria-pressed", "true")
    assert ann.page.evaluate("told") == ["asked"]
    bob.say("not for ann")
    bob.say(f"hi @{ann.name}")
    bob.say(f"/msg {ann.name} psst")
    ann.page.wait_for_function("() => told.length === 3")
    assert ann.page.evaluate("told") == [
        "asked", f"{bob.name} in {room}: hi @{ann.name}", f"{bob.name}: psst"
    ]  # fmt: skip


NOTIFIED: Final = """
    window.told = [];
    window.Notification = class {
        static permission = "default";
        static async requestPermission() {
            told.push("asked");
            return (Notification.permission = "granted");
        }
        constructor(title, { body }) { told.push(`${title}: ${body}`); }
    };
"""
