"""The way of a node to the end of the log, before which it serves nobody."""

import asyncio
from typing import Final

from chat_service.log.port import SharedLog
from chat_service.logs import get

_log = get("node")

_TELL_EVERY: Final = 5.0


async def replay(log: SharedLog, end: int) -> None:
    """Wait until everything up to the position `end` is applied, and tell how that goes."""
    loop = asyncio.get_running_loop()
    began, start = loop.time(), log.settled
    reaching = asyncio.create_task(log.reached(end), name="replay")
    try:
        while not (await asyncio.wait((reaching,), timeout=_TELL_EVERY))[0]:
            _log.info("catching up", position=log.settled, end=end)
    finally:
        reaching.cancel()
    if end > start:
        _log.info("caught up", records=end - start, seconds=round(loop.time() - began, 3))
