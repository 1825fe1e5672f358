"""A process of its own that runs a station, and the handle by which it is told what to do."""

import asyncio
import signal
import traceback
from multiprocessing.connection import Connection
from multiprocessing.context import SpawnContext
from typing import Any

import uvloop

from bench.errors import LoadError
from bench.load.board import Board
from bench.load.station import Station

_ANSWER_TIMEOUT = 600.0


class Worker:
    """The handle. Commands are the coroutines of Station, by their names."""

    def __init__(
        self, context: SpawnContext, system: str, address: str, board: Board, number: int
    ) -> None:
        self._pipe, theirs = context.Pipe()
        self._process = context.Process(
            target=_main, args=(theirs, system, address, board, number), daemon=True
        )
        self._process.start()
        theirs.close()

    def tell(self, command: str, *arguments: Any) -> None:
        """Give a command; `answer` waits for its end."""
        self._pipe.send((command, arguments))

    def answer(self, timeout: float = _ANSWER_TIMEOUT) -> Any:
        """Return what the command returned; raises LoadError if it failed."""
        try:
            if not self._pipe.poll(timeout):
                raise LoadError("a load process does not answer")
            failure, value = self._pipe.recv()
        except (EOFError, OSError):
            raise LoadError("a load process has died") from None
        if failure:
            raise LoadError(failure)
        return value

    def ask(self, command: str, *arguments: Any) -> Any:
        """Give a command and wait for its end."""
        self.tell(command, *arguments)
        return self.answer()

    def close(self) -> None:
        """End the process."""
        self._pipe.close()
        self._process.join(10)
        if self._process.is_alive():
            self._process.kill()
            self._process.join()
        self._process.close()


def _main(pipe: Connection, system: str, address: str, board: Board, number: int) -> None:
    # Ctrl-C reaches the whole group; here the end comes with the pipe's.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    uvloop.run(_serve(pipe, system, address, board, number))


async def _serve(pipe: Connection, system: str, address: str, board: Board, number: int) -> None:
    station = Station(system, address, board, number)
    loop = asyncio.get_running_loop()
    readable = asyncio.Event()
    loop.add_reader(pipe.fileno(), readable.set)
    while True:
        await readable.wait()
        readable.clear()
        try:
            command, arguments = pipe.recv()
        except (EOFError, OSError):  # the other side is gone, at times with an answer unread
            break
        pipe.send(await _execute(station, command, arguments))
    loop.remove_reader(pipe.fileno())
    await station.close()


async def _execute(station: Station, command: str, arguments: Any) -> tuple[str, Any]:
    try:
        return "", await getattr(station, command)(*arguments)
    except (LoadError, ConnectionError) as error:
        return str(error), None
    except TimeoutError:
        return f"{command}: the server does not answer", None
    except Exception:
        return traceback.format_exc(), None
