"""Servers that trim all the time, and what is left."""

import asyncio

import pytest

from chat.v1 import commands_pb2, events_pb2
from chat_service import retention
from tests.transports.stream import Stream


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Look for what is over all the time."""
    monkeypatch.setattr(retention, "LOOK_EVERY", 0.02)
    monkeypatch.setattr(retention, "CUT_EVERY", 0.005)


async def page(stream: Stream, to: str = "#lobby") -> events_pb2.HistoryPage:
    """Return the latest page of a room."""
    return (await stream.ask(history=commands_pb2.History(to=to))).history


async def trimmed_to(stream: Stream, count: int, to: str = "#lobby") -> list[str]:
    """Wait until so many messages are left and return them."""
    async with asyncio.timeout(10):
        while len((found := await page(stream, to)).events) != count:
            await stream.ping()
    assert not found.more
    return [event.message.text for event in found.events]
