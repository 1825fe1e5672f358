"""What lies between a page and its server, and can lose, refuse and hold what passes."""

import json
import time
from collections.abc import Callable
from typing import Any, Final

from playwright.sync_api import BrowserContext, Page, WebSocketRoute

RETRY_AFTER: Final = "0.2s"
PATIENCE: Final = 10.0


class Wire:
    """The WebSockets of all pages of a browser, one at a time."""

    def __init__(self, context: BrowserContext) -> None:
        self.connections = 0
        """How many there have been."""
        self.refusals = 0
        """How many commands were refused."""
        self._lost = ""
        self._refused = ""
        self._code = ""
        self._holding = False
        self._held: list[str | bytes] = []
        context.route_web_socket("**/ws", self._connect)

    def lose(self, kind: str) -> None:
        """Let no command of a kind reach the server."""
        self._lost = kind

    def refuse(self, kind: str, code: str) -> None:
        """Answer the commands of a kind with an error."""
        self._refused, self._code = kind, code

    def await_refusals(self, page: Page, count: int) -> None:
        """Wait until so many commands were refused."""
        self._await(page, lambda: self.refusals, count)

    def await_connections(self, page: Page, count: int) -> None:
        """Wait until there were so many connections."""
        self._await(page, lambda: self.connections, count)

    def hold(self) -> None:
        """Keep back what the server says, until the wire is mended."""
        self._holding = True

    def mend(self) -> None:
        """Let everything pass, and first what was kept back."""
        self._lost = self._refused = ""
        self._holding = False
        for frame in self._held:
            self._page.send(frame)
        self._held = []

    def _await(self, page: Page, number: Callable[[], int], count: int) -> None:
        end = time.monotonic() + PATIENCE
        while number() < count:
            assert time.monotonic() < end, f"{number()} of {count} in {PATIENCE:.0f} s"
            page.wait_for_timeout(20)

    def _connect(self, page: WebSocketRoute) -> None:
        self.connections += 1
        self._page, self._server = page, page.connect_to_server()
        self._held = []
        page.on_message(self._say)
        self._server.on_message(self._tell)

    def _say(self, frame: str | bytes) -> None:
        commands = [it for it in json.loads(frame)["commands"] if self._passes(it)]
        if commands:
            self._server.send(json.dumps({"commands": commands}))

    def _passes(self, command: dict[str, Any]) -> bool:
        if self._refused in command:
            self.refusals += 1
            error = {"code": self._code, "message": "not now", "retryAfter": RETRY_AFTER}
            self._tell(json.dumps({"events": [{"ref": command["ref"], "error": error}]}))
            return False
        return self._lost not in command

    def _tell(self, frame: str | bytes) -> None:
        if self._holding:
            self._held.append(frame)
        else:
            self._page.send(frame)
