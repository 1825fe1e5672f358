"""History: whether what lies behind makes anything slower."""

import asyncio
import random
from collections.abc import Awaitable, Callable, Iterator, Mapping
from functools import partial
from pathlib import Path

from bench.errors import LoadError
from bench.load.fill import fill
from bench.load.histogram import Histogram
from bench.load.message import now_us
from bench.results import Result
from bench.scenarios.scenario import Bench, Scenario, attempt
from bench.systems.port import Archive, KeepsHistory, System

_ROOM = "#past"
_TIMES = 200
_PAGE = 50
_MISSED = 100
_TEXT = "x" * 100
_TIMEOUT = 300.0


def _run(bench: Bench) -> Iterator[Result]:
    for system in bench.systems:
        if isinstance(system, KeepsHistory):
            with bench.directory() as directory:
                yield from _grow(bench, system, directory)


def _grow(bench: Bench, system: System, directory: Path) -> Iterator[Result]:
    """Fill one database further and further, and measure at each size."""
    sizes = (1_000, 5_000) if bench.quick else (10_000, 1_000_000, 10_000_000)
    before = 0
    with system.start(directory) as server:
        for size in sizes:
            if size > bench.history:
                return
            yield attempt(
                system,
                f"{size:,} messages",
                size,
                partial(_one, system, server.address, size, size - before),
            )
            before = size


def _one(system: System, address: str, size: int, more: int) -> Mapping[str, float]:
    assert isinstance(system, KeepsHistory)
    fill(system.name, address, _ROOM, more, f"{size}")
    return asyncio.run(_ask(system, address, size))


async def _ask(system: KeepsHistory, address: str, size: int) -> dict[str, float]:
    """Send, page and resume, and return how long each took."""
    archive = system.archive(address)
    try:
        async with asyncio.timeout(_TIMEOUT):
            found = await _times_of(archive, size)
    except (ConnectionError, TimeoutError) as error:
        raise LoadError(f"asking for the past: {error!r}") from error
    finally:
        await archive.close()
    return {
        f"{what}_p{percent}_ms": times.quantile(percent / 100)
        for what, times in found.items()
        for percent in (50, 99)
    }


async def _times_of(archive: Archive, size: int) -> dict[str, Histogram]:
    asker, returner = f"asker{size}", f"returner{size}"
    chance = random.Random(size)
    await archive.enter(returner, _ROOM)
    await archive.enter(asker, _ROOM)
    sends = await _timed(lambda: archive.send(_ROOM, _TEXT))
    last = await archive.send(_ROOM, _TEXT)
    pages = await _timed(lambda: archive.page(_ROOM, chance.randint(_PAGE, last), _PAGE))
    resumes = await _timed(lambda: archive.resume(returner, last - _MISSED, last))
    return {"send": sends, "page": pages, "resume": resumes}


async def _timed(once: Callable[[], Awaitable[object]]) -> Histogram:
    times = Histogram()
    for _ in range(_TIMES):
        started = now_us()
        await once()
        times.add(now_us() - started)
    return times


SCENARIO = Scenario(
    "history",
    "Length of the history",
    f"One room with so many messages. {_TIMES} times each, one after the other: a message until its"
    f" ack (on disk), a page of {_PAGE} messages from a random place of the past, and a connection"
    f" that resumes {_MISSED} messages behind, until it has them and has left again.",
    _run,
)
