"""Entries of those who have no session."""

import gc
import weakref
from typing import Any, cast

import pytest

from chat_service import in_flight
from chat_service.core.commands import Announce, Entry
from chat_service.core.errors import Refusal, Unavailable
from chat_service.desk import Desk
from chat_service.node import Node


class SilentLog:
    """Takes everything and answers nothing, as a log does whose servers have just been lost."""

    def __init__(self) -> None:
        self.taken: list[Entry] = []

    async def room(self) -> None:
        """There is."""

    def append(self, entry: Entry) -> None:
        """Keep it."""
        self.taken.append(entry)


async def test_who_is_not_answered_is_told_that_it_may_still_happen(
    node: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(in_flight, "COMMIT_TIMEOUT", 0.05)
    log = SilentLog()
    desk = Desk(node.hub, cast("Any", log), lambda: 0)
    with pytest.raises(Unavailable, match="it may still be done"):
        await desk.submit("root", Announce("hello", None))
    assert len(log.taken) == 1


async def test_refusals_do_not_stay_in_memory_but_for_the_latest(node: Node) -> None:
    desk = Desk(node.hub, node._ledger, lambda: 0)
    refusals: list[weakref.ref[Refusal]] = []
    for _ in range(3):
        try:
            await desk.submit("nobody", Announce("hello", None))
        except Refusal as refusal:
            refusals.append(weakref.ref(refusal))
    gc.collect()
    # The follower holds what came of the latest batch until there is another.
    assert [it() for it in refusals[:-1]] == [None, None]
