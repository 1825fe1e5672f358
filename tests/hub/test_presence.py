"""The presence book: told once, coalesced, and patient with a hiccup."""

from collections.abc import Iterator

import pytest

from chat_service.core.events import Presence
from chat_service.hub.presence import PresenceBook
from tests.waiting import until

HERE, GONE = Presence("ann", online=True), Presence("ann", online=False)
ROOMS = frozenset({"#lobby", "#dev"})


class Book(PresenceBook):
    """A book that counts how often it had something to tell."""

    def __init__(self, grace: float = 60) -> None:
        self.changes = 0
        super().__init__(grace, self._changed)

    def _changed(self) -> None:
        self.changes += 1


@pytest.fixture
def told() -> Iterator[Book]:
    """A book that has told of Ann's coming."""
    book = Book()
    book.arrived("ann", ROOMS)
    book.due()
    yield book
    book.close()


def test_coming_is_told_once_with_the_rooms_concerned() -> None:
    book = Book()
    book.arrived("ann", ROOMS)
    book.arrived("ann", ROOMS)
    assert book.due() == [(HERE, ROOMS)]
    assert book.due() == []


def test_a_clean_leave_is_told_at_once(told: Book) -> None:
    told.departed("ann", ROOMS, lost=False)
    assert told.changes == 2
    assert told.due() == [(GONE, ROOMS)]
    assert told.due() == []


async def test_a_departure_is_held_until_it_is_told_or_undone(told: Book) -> None:
    told.departed("ann", ROOMS, lost=True)
    assert told.held == {"ann"}
    told.arrived("ann", ROOMS)
    assert told.held == set()
    told.departed("ann", ROOMS, lost=False)
    assert told.held == set()


def test_who_came_and_went_before_anyone_was_told_is_not_told() -> None:
    book = Book()
    book.arrived("ann", ROOMS)
    book.departed("ann", ROOMS, lost=False)
    assert book.due() == []


def test_who_went_and_came_before_anyone_was_told_is_not_told(told: Book) -> None:
    told.departed("ann", ROOMS, lost=False)
    told.arrived("ann", ROOMS)
    assert told.due() == []


async def test_who_returns_within_the_grace_was_never_away(told: Book) -> None:
    told.departed("ann", ROOMS, lost=True)
    assert told.due() == []
    told.arrived("ann", ROOMS)
    assert told.due() == []
    assert told.changes == 1


async def test_who_is_lost_for_longer_than_the_grace_has_gone() -> None:
    book = Book(grace=0.02)
    book.arrived("ann", ROOMS)
    book.due()
    book.departed("ann", ROOMS, lost=True)
    await until(lambda: book.changes == 2)
    assert book.due() == [(GONE, ROOMS)]
    book.arrived("ann", ROOMS)
    assert book.due() == [(HERE, ROOMS)]


async def test_flapping_is_silent_and_leaves_no_timers(told: Book) -> None:
    for _ in range(10):
        told.departed("ann", ROOMS, lost=True)
        told.arrived("ann", ROOMS)
    assert told.due() == []
    assert told._timers == {}


async def test_changes_of_many_are_told_together() -> None:
    book = Book()
    for number in range(5):
        book.arrived(f"u{number}", ROOMS)
    assert [presence.user for presence, _ in book.due()] == [f"u{n}" for n in range(5)]


async def test_a_closed_book_tells_no_departure_later() -> None:
    book = Book(grace=0.01)
    book.arrived("ann", ROOMS)
    book.due()
    book.departed("ann", ROOMS, lost=True)
    timer = book._timers["ann"]
    book.close()
    assert timer.cancelled()
    assert book._timers == {}
