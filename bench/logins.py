"""Does the time of a refused login tell whether a name exists? `python -m bench.logins`.

A real server that takes accounts only, asked over the line protocol. Each try is for an account of
its own and comes from an address of its own (127.x.y.z), so that the limits on guessing, which
would dwarf everything else, play no part. The kinds of tries take turns, so that whatever else the
machine does falls on all of them alike.
"""

import argparse
import asyncio
import secrets
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from itertools import count
from pathlib import Path
from statistics import median, quantiles
from typing import Final, NamedTuple

from argon2 import PasswordHasher

from bench.systems.process import HOST, ServerProcess, announced, python_module
from bench.tables import Row, as_text
from chat_service.core.commands import Enter, Entry, EntryBody, Exit, Register, Vouched
from chat_service.core.lookalike import skeleton
from chat_service.core.rules.proofs import CONSOLE
from chat_service.state.store import Store

WRONG_PASSWORD: Final = "wrong password"
CONTROL: Final = "wrong password, once more"
"""The same again: what it differs by is chance."""

UNKNOWN_NAME: Final = "unknown name"
NO_PASSWORD: Final = "account without a password"
KINDS: Final = (WRONG_PASSWORD, CONTROL, UNKNOWN_NAME, NO_PASSWORD)


class Try(NamedTuple):
    """A login that has to be refused."""

    kind: str
    name: str
    address: str


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(prog="python -m bench.logins", description=__doc__)
    parser.add_argument("--tries", type=int, default=50, help="of each kind (50)")
    options = parser.parse_args(arguments)
    tries = list(_plan(options.tries))
    with tempfile.TemporaryDirectory(prefix="chat-logins-", dir="/var/tmp") as name:
        asyncio.run(_prepare(Path(name) / "data", tries))
        seconds = _measure(Path(name), tries)
    print(as_text(_table(seconds)))
    return 0


def _plan(tries: int) -> Iterator[Try]:
    """Yield the tries in their order."""
    addresses = (f"127.{it >> 16 & 255}.{it >> 8 & 255}.{it & 255}" for it in count(0x10001))
    for number in range(tries):
        for kind in secrets.SystemRandom().sample(KINDS, len(KINDS)):
            # As long as each other, and in no order that says which kind it is.
            yield Try(kind, f"user-{number:04}-{secrets.token_hex(4)}", next(addresses))


async def _prepare(data: Path, tries: Sequence[Try]) -> None:
    """Make the accounts, those with a password and those that somebody else vouches for."""
    store = Store.open(data)
    hashed = PasswordHasher().hash(secrets.token_hex(16))
    try:
        for it in tries:
            look = skeleton(it.name)
            if it.kind in (WRONG_PASSWORD, CONTROL):
                await _apply(store, it.name, Register(hashed, look, by=CONSOLE))
            elif it.kind == NO_PASSWORD:
                await _apply(store, it.name, Enter(proof=Vouched(), skeleton=look))
                await _apply(store, it.name, Exit())
    finally:
        await store.close()


async def _apply(store: Store, name: str, body: EntryBody) -> None:
    (applied,) = await store.apply([Entry(name, 0, name, name.encode(), 1, body)])
    if isinstance(applied.reply, Exception):
        raise applied.reply


def _measure(directory: Path, tries: Sequence[Try]) -> dict[str, list[float]]:
    """Return the seconds that each try took, by kind."""
    command = python_module(
        "chat_service", "--auth", "registered", "--data", str(directory / "data"),
        "--grpc", "off", "--web", "off", "--tcp", f"{HOST}:0",
    )  # fmt: skip
    with ServerProcess(command, directory, announced("tcp")) as server:
        port = int(server.address.rpartition(":")[2])
        return asyncio.run(_log_in(port, tries))


async def _log_in(port: int, tries: Sequence[Try]) -> dict[str, list[float]]:
    await _seconds(Try("", "warming-up", "127.0.0.9"), port)
    seconds: dict[str, list[float]] = {kind: [] for kind in KINDS}
    for it in tries:
        seconds[it.kind].append(await _seconds(it, port))
    return seconds


async def _seconds(it: Try, port: int) -> float:
    """Return the time from a wrong password to its refusal."""
    lines, writer = await asyncio.open_connection(HOST, port, local_addr=(it.address, 0))
    try:
        writer.write(f"{it.name}\n".encode())
        while b"password for" not in await lines.readline():
            pass
        started = time.perf_counter()
        writer.write(f"{secrets.token_hex(8)}\n".encode())
        while not (line := await lines.readline()).startswith(b"! "):
            pass
        taken = time.perf_counter() - started
    finally:
        writer.close()
    if b"wrong name or password" not in line:
        sys.exit(f"not what was to be measured: {line.decode()}")
    return taken


def _table(seconds: dict[str, list[float]]) -> list[Row]:
    head = ["", "tries", "p10, ms", "median, ms", "p90, ms", "slower than a wrong password"]
    return [head, *(_row(kind, times, seconds[WRONG_PASSWORD]) for kind, times in seconds.items())]


def _row(kind: str, times: list[float], wrong: list[float]) -> Row:
    tenths = quantiles(times, n=10)
    figures = (f"{1000 * it:.2f}" for it in (tenths[0], median(times), tenths[-1]))
    share = "" if times is wrong else f"{_slower(times, wrong):.0%} of pairs"
    return [kind, str(len(times)), *figures, share]


def _slower(times: list[float], others: list[float]) -> float:
    """Return in which share of all pairs the one took longer: 50 % tells a guesser nothing."""
    return sum(one > other for one in times for other in others) / (len(times) * len(others))


if __name__ == "__main__":
    sys.exit(main())
