"""What a person does with the page, and sees of it."""

import re
import socket
import subprocess
import time
from typing import Final, Protocol

from playwright.sync_api import ConsoleMessage, Dialog, Error, Locator, Page, expect

PASSWORD: Final = "correct horse battery"
_ENTER: Final = """name => {
    document.getElementById("user").value = name;
    document.querySelector("#sign-in-form input[value=guest]").checked = true;
    document.getElementById("sign-in-form").requestSubmit();
}"""
_HELLO: Final = """() => {
    const { user, token } = JSON.parse(localStorage.getItem("chat.who"));
    return { user, token, clientId: JSON.parse(sessionStorage.getItem("chat.client_id")) };
}"""
_GO_ON: Final = """(hello) => new Promise((resolve) => {
    const socket = new WebSocket(`ws://${location.host}/ws`, "chat.v1.json");
    socket.onopen = () => socket.send(JSON.stringify({ commands: [{ hello }] }));
    socket.onmessage = () => resolve();
})"""
# What the browser itself says of a server that is away, or of a call that was refused.
_EXPECTED: Final = re.compile(r"WebSocket connection to|Failed to load resource")


class Serving(Protocol):
    """A server, wherever it runs and however often it was started."""

    @property
    def endpoints(self) -> dict[str, str]:
        """Where each listener is, by its name."""


def url(server: Serving) -> str:
    return f"http://{server.endpoints['web']}/"


class Person:
    """Somebody in front of a page."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.name = ""
        self.complaints: list[str] = []
        """What the browser had to say that it should not: errors, violations of the policy."""
        page.on("pageerror", self._see_error)
        page.on("console", self._overhear)
        page.on("dialog", self._dismiss)

    def close_eyes(self) -> None:
        """Look at the page no more."""
        self.page.remove_listener("pageerror", self._see_error)
        self.page.remove_listener("console", self._overhear)
        self.page.remove_listener("dialog", self._dismiss)

    def come_in(self, name: str, how: str = "Guest") -> "Person":
        """Enter as a guest (without the detours of a hand), or with an account."""
        if how == "Guest":
            expect(self.dialog).to_be_visible()
            self.page.evaluate(_ENTER, name)
        else:
            self.ask_in(name, how)
        expect(self.dialog).to_be_hidden()
        expect(self.page.locator("#me-name")).to_have_text(name.lower())
        self.name = name.lower()
        return self

    def ask_in(self, name: str, how: str = "Guest", password: str = PASSWORD) -> None:
        """Fill in the dialog, whatever comes of it."""
        expect(self.dialog).to_be_visible()
        self.dialog.get_by_role("radio", name=how).check()
        self.dialog.get_by_label("Name").fill(name)
        if how != "Guest":
            self.dialog.get_by_label("Password").fill(password)
        self.dialog.locator("#sign-in-submit").click()

    def turn_to(self) -> None:
        """Bring this tab before the others of its browser, which draw once in a long while."""
        if len(self.page.context.pages) > 1:
            self.page.bring_to_front()

    def say(self, text: str) -> None:
        """Write a line, and press Enter."""
        self.turn_to()
        self.field.fill(text)
        self.field.press("Enter")

    def join(self, room: str) -> None:
        self.say(f"/join {room}")
        self.is_in(room)

    def sees_the_past(self) -> None:
        """See what was said here before; what comes sooner is new, and the room opens there."""
        expect(self.page.locator("#scroller")).to_have_attribute("aria-busy", "false")

    def is_in(self, place: str) -> None:
        expect(self.page.get_by_role("heading", level=1)).to_have_text(place)

    def open(self, address: str) -> None:
        self.turn_to()
        self.entry(address).click()
        self.is_in(address.removeprefix("@"))

    def reads(self, text: str, times: int = 1) -> None:
        """See a message, so many times."""
        self.turn_to()
        expect(self.texts.filter(has_text=re.compile(f"^{re.escape(text)}$"))).to_have_count(times)

    def reads_exactly(self, *texts: str) -> None:
        """See these messages in this order, and no others."""
        self.turn_to()
        expect(self.texts).to_have_text(list(texts))
        expect(self.page.locator("article.sending, article.sent, article.failed")).to_have_count(0)

    def is_told(self, text: str | re.Pattern[str]) -> None:
        """See a notice."""
        expect(self.page.locator(".notice").filter(has_text=text).first).to_be_visible()

    @property
    def dialog(self) -> Locator:
        return self.page.locator("#sign-in")

    @property
    def field(self) -> Locator:
        return self.page.locator("#text")

    @property
    def texts(self) -> Locator:
        return self.page.locator("article .text")

    @property
    def banner(self) -> Locator:
        return self.page.locator("#banner")

    def entry(self, address: str) -> Locator:
        """The button of a room or a private conversation at the side."""
        return self.page.locator(f"button[data-address='{address}']")

    def member(self, name: str) -> Locator:
        return self.page.locator("#members .entry").filter(has_text=re.compile(rf"^\w?{name}"))

    def go_on_as(self, other: "Person") -> None:
        """Take another page's session over, with its `client_id`, beside one's own."""
        self.page.evaluate(_GO_ON, other.page.evaluate(_HELLO))
        expect(other.banner).to_be_visible()
        expect(other.banner).to_contain_text("Another window goes on")

    def sign_out(self) -> None:
        self.turn_to()
        self.page.locator("#me").click()
        self.page.locator("#sign-out").click()
        expect(self.dialog).to_be_visible()

    def leave(self) -> None:
        """Go to where no page is, as a browser does that is closed."""
        self.page.close()

    def _see_error(self, error: Error) -> None:
        self.complaints.append(f"error: {error}")

    def _overhear(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning") and not _EXPECTED.search(message.text):
            self.complaints.append(f"{message.type}: {message.text}")

    def _dismiss(self, dialog: Dialog) -> None:
        self.complaints.append(f"dialog: {dialog.message}")
        dialog.dismiss()


class Netcat:
    """Somebody at `nc`."""

    def __init__(self, server: Serving, name: str) -> None:
        self.name = name
        host, _, port = server.endpoints["tcp"].rpartition(":")
        self._nc = subprocess.Popen(
            ["nc", host, port], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1
        )
        self.say(name)
        self.reads(f"* welcome, {name}:")

    def say(self, line: str) -> None:
        assert self._nc.stdin is not None
        self._nc.stdin.write(f"{line}\n")

    def reads(self, beginning: str) -> None:
        """Wait for a line that begins so."""
        assert self._nc.stdout is not None
        for line in self._nc.stdout:
            if line.startswith(beginning):
                return
        raise AssertionError(f"nc has ended without {beginning!r}")

    def close(self) -> None:
        self._nc.kill()
        self._nc.communicate()


class Flood:
    """Somebody who says very much, over raw TCP."""

    def __init__(self, server: Serving, name: str, room: str) -> None:
        host, _, port = server.endpoints["tcp"].rpartition(":")
        self._socket = socket.create_connection((host, int(port)), timeout=60)
        self._socket.sendall(f"{name}\n/join {room}\n".encode())
        self._reader = self._socket.makefile()

    def say(self, count: int, text: str = "message {}") -> None:
        """Say so many lines as fast as the server takes them."""
        for first in range(0, count, 1000):
            numbers = range(first, min(first + 1000, count))
            self._socket.sendall("".join(text.format(it) + "\n" for it in numbers).encode())
        self.settle()

    def say_evenly(self, per_second: int, seconds: float) -> int:
        """Say so many lines a second; returns how many they were."""
        said = 0
        begin = time.monotonic()
        while (passed := time.monotonic() - begin) < seconds:
            due = int(passed * per_second) - said
            self._socket.sendall("".join(f"line {said + it}\n" for it in range(due)).encode())
            said += due
            time.sleep(0.005)
        return said

    def settle(self) -> None:
        """Wait until everything said is done."""
        self._socket.sendall(b"/rooms\n")
        for line in self._reader:
            if line.startswith("* you are in:"):
                return

    def close(self) -> None:
        self._reader.close()
        self._socket.close()
