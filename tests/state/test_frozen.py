"""What the rules make of a log is what they ever made of it, on nodes of whatever version."""

from pathlib import Path
from typing import Final, NamedTuple, get_args

import pytest

from chat_service.core.commands import Entry, EntryBody
from chat_service.core.errors import Refusal
from chat_service.wire.record import FORMAT, decode_record
from tests.state.freeze import outcomes, replayed

FILES: Final = sorted(Path(__file__).parent.joinpath("frozen").glob("rules-*.txt"))

FORGIVING: Final = {"Exit", "Trim"}
"""Entries that are never refused."""

REFUSALS: Final = {it.__name__ for it in Refusal.__subclasses__()}
SLIPPED: Final = "the rules of a format are for good: a change of them takes a new FORMAT"


class Line(NamedTuple):
    """A record, and what lay behind it: the running digest, and that of the whole content.

    The content is one of schema 3. A migration changes its digest, and may be what is written anew
    here, where the running digests have stayed.
    """

    record: bytes
    digest: str
    content: str


def frozen(path: Path) -> list[list[Line]]:
    """Return the logs of a file."""
    _, *blocks = path.read_text().split("\n\n")
    return [
        [Line(bytes.fromhex(record), *rest) for record, *rest in map(str.split, block.splitlines())]
        for block in blocks
    ]


def entries(log: list[Line]) -> list[Entry]:
    records = (decode_record(line.record, position) for position, line in enumerate(log, 1))
    return [entry for record in records for entry in record.entries]


def test_there_are_logs_of_every_format() -> None:
    assert [it.name for it in FILES] == [f"rules-{it}.txt" for it in range(1, FORMAT + 1)]


@pytest.mark.parametrize("path", FILES, ids=lambda it: it.stem)
def test_a_log_makes_what_it_ever_made(path: Path) -> None:
    for number, log in enumerate(frozen(path)):
        made = replayed([line.record for line in log])
        for position, (line, (digest, content)) in enumerate(zip(log, made, strict=True), 1):
            assert (digest, content) == (line.digest, line.content), (
                f"log {number}, record {position}: {SLIPPED}"
            )


def test_in_those_of_the_present_format_every_entry_happens_and_is_refused() -> None:
    found = set[tuple[str, ...]]().union(*(outcomes(entries(it)) for it in frozen(FILES[-1])))
    kinds = {kind.__name__ for kind in get_args(EntryBody)}
    happened = {kind for kind, *what in found if not what or what[0] not in REFUSALS}
    refused = {kind for kind, *what in found if what and what[0] in REFUSALS}
    assert happened == kinds
    assert refused == kinds - FORGIVING
    assert len(found) > 100
