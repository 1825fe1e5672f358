"""A past, which a server finds in its data when it starts."""

import asyncio
import hashlib
from collections.abc import Iterable
from itertools import islice
from pathlib import Path
from typing import Final

from chat_service.core.commands import Enter, Entry, EntryBody, Exit, Send
from chat_service.state.store import Store

PAST: Final = 1_000_000
"""When it happened, in microseconds since 1970, unless it is said otherwise."""


def digest(client_id: str) -> bytes:
    """Return what is kept of a client's id."""
    return hashlib.sha256(client_id.encode()).digest()[:16]


def by(user: str, body: EntryBody, at: int = PAST) -> Entry:
    """Return an entry by a user whose client is called like the user."""
    return Entry(f"past of {user}", 0, user, digest(user), at, body)


async def fill(data: Path, texts: Iterable[str], *, at: int = PAST) -> str:
    """Let ann have said all that in the lobby since bob left; returns the epoch."""
    store = await asyncio.to_thread(Store.open, data)
    arrivals = [by("ann", Enter(), at), by("bob", Enter(), at), by("bob", Exit(), at)]
    await store.apply(arrivals)
    rest = (by("ann", Send("#lobby", text), at) for text in texts)
    while batch := list(islice(rest, 20_000)):
        await store.apply(batch)
    await store.apply([by("ann", Exit(), at)])
    epoch = store.epoch
    await store.close()
    return epoch
