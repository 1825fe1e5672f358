"""A crowd in a process of its own, and the handle by which it is told what to do."""

import asyncio
import signal
import traceback
from multiprocessing import get_context
from multiprocessing.connection import Connection
from typing import Any, Final, Self

import uvloop

from tests.faults.soak.crowd import Crowd, Roll

ANSWERED_WITHIN: Final = 180.0
"""Seconds for whatever is asked, such as to let ten thousand in."""


class CrowdProcess:
    """The handle. Commands are the coroutines of Crowd, by their names."""

    def __init__(self, kind: str, address: str, roll: Roll) -> None:
        self.kind = kind
        self.size = roll.sizes[kind]
        context = get_context("spawn")
        self._pipe, theirs = context.Pipe()
        self._process = context.Process(
            target=_main, args=(theirs, kind, address, roll), daemon=True
        )
        self._process.start()
        theirs.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()

    def ask(self, command: str, *arguments: Any) -> Any:
        """Give a command and return its answer; fails if it has failed."""
        self._pipe.send((command, arguments))
        assert self._pipe.poll(ANSWERED_WITHIN), f"{self.kind}: no answer to {command}"
        failure, answer = self._pipe.recv()
        assert not failure, f"{self.kind}: {command}: {failure}"
        return answer

    def close(self) -> None:
        """End the process, which lets all go."""
        self._pipe.close()
        self._process.join(60)
        self._process.kill()
        self._process.join()
        self._process.close()


def _main(pipe: Connection, kind: str, address: str, roll: Roll) -> None:
    # Ctrl-C reaches the whole group; here the end comes with the pipe's.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    uvloop.run(_serve(pipe, kind, address, roll))


async def _serve(pipe: Connection, kind: str, address: str, roll: Roll) -> None:
    crowd = Crowd(kind, address, roll)
    while True:
        try:
            # Not by the loop's add_reader, after which what is sent would not wait for a reader.
            command, arguments = await asyncio.to_thread(pipe.recv)
            pipe.send(await _execute(crowd, command, arguments))
        except (EOFError, OSError):  # the other side is gone
            break
    await crowd.close()


async def _execute(crowd: Crowd, command: str, arguments: tuple[Any, ...]) -> tuple[str, Any]:
    try:
        return "", await getattr(crowd, command)(*arguments)
    except Exception:
        return traceback.format_exc(), None
