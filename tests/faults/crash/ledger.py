"""What was sent, what was seen and what is kept, and the check of each against the others."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import pairwise
from typing import NamedTuple, Self

from chat.v1 import events_pb2

LOBBY = "#lobby"


class Line(NamedTuple):
    """A message as somebody saw it, or as it is kept."""

    seq: int
    number: int
    to: str
    sender: str
    text: str

    @classmethod
    def of(cls, event: events_pb2.Event) -> Self:
        message = event.message
        return cls(event.seq, message.number, message.to, message.sender, message.text)

    @property
    def topic(self) -> str:
        """The room, or the conversation, which has no direction."""
        return (
            self.to if self.to.startswith("#") else "+".join(sorted(("@" + self.sender, self.to)))
        )


@dataclass(slots=True)
class Sent:
    """One message as its sender knows it. `place` counts what this sender has sent."""

    sender: str
    place: int
    to: str
    text: str
    ack: events_pb2.Ack | None = None
    refused: str = ""


@dataclass(slots=True)
class Ledger:
    """The books of one run. Texts are unique."""

    sent: dict[str, Sent] = field(default_factory=dict)
    seen: dict[str, list[Line]] = field(default_factory=lambda: defaultdict(list))
    rooms: dict[str, frozenset[str]] = field(default_factory=dict)
    """Where each user was a member from before the first message, the lobby included."""
    gaps: list[str] = field(default_factory=list)
    kept: list[Line] = field(default_factory=list)
    """All that the server keeps, in order of seq."""

    def concerns(self, user: str, line: Line) -> bool:
        """Tell whether a user is to see a line."""
        if line.to.startswith("#"):
            return line.to in self.rooms[user]
        return user in {line.sender, line.to[1:]}

    def due(self, user: str) -> list[Line]:
        """Return what a user is to see of what is kept."""
        return [line for line in self.kept if self.concerns(user, line)]


@dataclass(frozen=True, slots=True)
class Verdict:
    """What is wrong, by kind; nothing is wrong if every list is empty."""

    acknowledged: int
    lost: list[str]
    doubled: list[str]
    reordered: list[str]
    holes: list[str]
    leaked: list[str]
    altered: list[str]
    """Kept, seen or acknowledged as something else than what was sent."""

    @property
    def faults(self) -> dict[str, list[str]]:
        """The lists by their names."""
        kinds = ("lost", "doubled", "reordered", "holes", "leaked", "altered")
        return {kind: getattr(self, kind) for kind in kinds}

    @property
    def sound(self) -> bool:
        return not any(self.faults.values())

    def figures(self) -> str:
        counts = (f"{kind} {len(found)}" for kind, found in self.faults.items())
        return ", ".join((f"acknowledged {self.acknowledged}", *counts))

    def details(self, each: int = 10) -> str:
        lines = (f"{kind}: {it}" for kind, found in self.faults.items() for it in found[:each])
        return "\n".join(lines)


def check(ledger: Ledger) -> Verdict:
    """Hold the books against each other."""
    verdict = Verdict(
        sum(sent.ack is not None for sent in ledger.sent.values()), *([] for _ in range(6))
    )
    _check_kept(ledger, verdict)
    _check_sent(ledger, verdict)
    for user in ledger.rooms:
        _check_seen(user, ledger, verdict)
    verdict.lost.extend(ledger.gaps)
    return verdict


def _check_kept(ledger: Ledger, verdict: Verdict) -> None:
    """Each message at most once, in its sender's order; rooms counted without holes."""
    verdict.doubled.extend(_repeated("the history", ledger.kept))
    verdict.reordered.extend(_disordered("the history", ledger.kept))
    numbers: dict[str, int] = defaultdict(int)
    places: dict[str, int] = defaultdict(int)
    for line in ledger.kept:
        numbers[line.topic] += 1
        if line.number != numbers[line.topic]:
            verdict.holes.append(f"{numbers[line.topic]} in {line.topic}, before {_short(line)}")
            numbers[line.topic] = line.number
        sent = ledger.sent.get(line.text)
        if sent is None or (sent.sender, sent.to) != (line.sender, line.to):
            verdict.altered.append(f"nobody sent {_short(line)}")
            continue
        if sent.place < places[sent.sender]:
            verdict.reordered.append(f"{_short(line)} behind number {places[sent.sender]}")
        places[sent.sender] = max(sent.place, places[sent.sender])


def _check_sent(ledger: Ledger, verdict: Verdict) -> None:
    """Acknowledged is kept, as acknowledged; refused is refused."""
    kept = {line.text: line for line in reversed(ledger.kept)}  # of a double, the first
    for sent in ledger.sent.values():
        line = kept.get(sent.text)
        if sent.refused and line:
            verdict.altered.append(f"refused ({sent.refused}) and yet kept: {_short(line)}")
        if sent.ack is None:
            continue
        if line is None:
            verdict.lost.append(
                f"acknowledged, not kept: {sent.text[:40]} to {sent.to}, {sent.ack}"
            )
        elif sent.ack.seq and (sent.ack.seq, sent.ack.number) != (line.seq, line.number):
            verdict.altered.append(f"acknowledged as {sent.ack}, kept as {_short(line)}")


def _check_seen(user: str, ledger: Ledger, verdict: Verdict) -> None:
    """A user saw what was to be seen, each once, in the order that is everybody's."""
    seen = ledger.seen[user]
    verdict.doubled.extend(_repeated(user, seen))
    verdict.reordered.extend(_disordered(user, seen))
    due, got = ledger.due(user), set(seen)
    verdict.lost.extend(f"{user} missed {_short(line)}" for line in due if line not in got)
    for line in got.difference(due):
        wrong = verdict.altered if ledger.concerns(user, line) else verdict.leaked
        wrong.append(f"{user} saw {_short(line)}")


def _repeated(where: str, lines: Iterable[Line]) -> Iterator[str]:
    counts = Counter(line.text for line in lines)
    return (f"{n} times in {where}: {text[:40]}" for text, n in counts.items() if n > 1)


def _disordered(where: str, lines: Iterable[Line]) -> Iterator[str]:
    return (
        f"in {where}: {_short(later)} behind seq {earlier.seq}"
        for earlier, later in pairwise(lines)
        if later.seq < earlier.seq
    )


def _short(line: Line) -> str:
    return f"seq {line.seq}, number {line.number} of {line.topic}: {line.text[:40]}"
