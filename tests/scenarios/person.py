"""What everybody can do who chats, over whatever transport."""

import re
from abc import ABC, abstractmethod
from typing import ClassVar

from chat_service.node import Node
from tests.scenarios.heard import Heard, Refused
from tests.waiting import until


class Person(ABC):
    """Somebody who chats. `heard` is everything told so far, in order."""

    needs_to_be_there: ClassVar[bool]
    """Whether only those who are in a room have words for what is done in it."""

    def __init__(self, user: str, client_id: str, password: str = "") -> None:
        self.user = user
        self.client_id = client_id
        self.password = password
        self.heard: list[Heard] = []
        self.ended = False

    @abstractmethod
    async def connect(self, node: Node) -> None:
        """Say hello and wait for the welcome (or for the refusal)."""

    @abstractmethod
    async def say(self, text: str, to: str = "#lobby") -> None:
        """Send a message to a room or a user."""

    @abstractmethod
    async def join(self, room: str) -> None:
        """Join a room and wait until that is done."""

    @abstractmethod
    async def leave(self, room: str) -> None:
        """Leave a room."""

    @abstractmethod
    async def who(self, room: str) -> list[str]:
        """Return the names of those who are in a room and online."""

    @abstractmethod
    async def history(self, room: str, count: int) -> list[tuple[str, str]]:
        """Return the last messages of a room: senders and texts."""

    @abstractmethod
    async def conversations(self) -> list[tuple[str, int]]:
        """Return whom one has written with, and how many messages, the latest first."""

    @abstractmethod
    async def tries(self, verb: str, room: str, user: str = "", rest: str = "") -> str:
        """Do something in a room, to somebody; returns why it was refused, or nothing.

        A verb is what is typed behind the slash, or `say`; the rest is a reason or a duration.
        """

    @abstractmethod
    async def register(self, password: str) -> str:
        """Make one's name an account; returns why it was refused, or nothing."""

    @abstractmethod
    async def change_password(self, old: str, new: str) -> str:
        """Set another password; returns why it was refused, or nothing."""

    async def does(self, verb: str, room: str, user: str = "", rest: str = "") -> None:
        """Do what one has a right to."""
        refusal = await self.tries(verb, room, user, rest)
        assert not refusal, f"{self.user} may not {verb} {user} in {room}: {refusal}"

    @abstractmethod
    async def depart(self) -> None:
        """Leave cleanly."""

    @abstractmethod
    async def vanish(self) -> None:
        """Cut the connection."""

    @abstractmethod
    async def hang_up(self) -> None:
        """Give back what this person's side holds, in whatever state the connection is."""

    async def hears(self, what: Heard, *, within: float = 5.0) -> None:
        """Wait until something was heard."""
        await until(lambda: what in self.heard, within=within, what=f"{what} in {self.heard}")

    async def is_refused(self, pattern: str) -> None:
        """Wait until a refusal was heard whose sentence fits a pattern."""
        await until(
            lambda: any(
                isinstance(it, Refused) and re.search(pattern, it.why) for it in self.heard
            ),
            what=f"refusal {pattern!r} in {self.heard}",
        )

    def count(self, what: Heard) -> int:
        """Return how often something was heard."""
        return self.heard.count(what)
