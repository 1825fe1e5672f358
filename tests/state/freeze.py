"""Writes what the rules of a format make of logs, once and for all, when there is a new format.

`python -m tests.state.freeze > tests/state/frozen/rules-N.txt`. The logs are some that were thought
up, and of many that are drawn those in which something comes of an entry that never came before.
"""

import re
from collections.abc import Iterator, Sequence
from itertools import count
from typing import Final

from hypothesis import Phase, given, seed, settings

from chat_service.core.commands import (
    BanSubject,
    ByPassword,
    ByToken,
    DeleteAccount,
    EndSessions,
    Enter,
    Entry,
    Grant,
    Join,
    Register,
    Send,
    Token,
    Trim,
    UpdateAccount,
)
from chat_service.core.errors import Refusal
from chat_service.core.events import Ack
from chat_service.core.limits import MAX_ROOMS, MAX_SESSIONS, MAX_TOKENS
from chat_service.core.moderation import ModerationAction
from chat_service.core.rules import decide
from chat_service.state.inspection import content_digest
from chat_service.wire.record import FORMAT, decode_record, encode_entry, encode_record
from tests.state.batches import State, by, enter, join, leave, leave_chat, moderate, say
from tests.state.entries import logs, timed

EPOCH: Final = "0123456789abcdef"
DRAWN: Final = 2_000
_TOKEN: Final = bytes(32)
_NAMES: Final = re.compile(r"[@#]?\b(ann|bob|b0b|root|dev|art|lobby)\b|[0-9]+")
_ON_BOB: Final = (
    ModerationAction.DISMISS,
    ModerationAction.DISMISS,
    ModerationAction.HAND_OVER,
    ModerationAction.MUTE,
)

SCRIPTED: Final[Sequence[Sequence[Entry]]] = (
    # A guest's past stays with the name's account, and is no guest's after that.
    [
        enter("ann"),
        by("gus", Enter(token=_TOKEN)),
        by("gus", Register("a hash", "gus", proof=ByToken(_TOKEN))),
        say("ann", "a private word", "@gus"),
        leave_chat("gus"),
        by("", DeleteAccount("gus", None)),
        enter("gus"),
        say("ann", "another", "@gus"),
    ],
    # A name passes on from who is away, one was lost and came back, nonces are repeated and missed.
    [
        enter("ann"),
        enter("bob"),
        join("bob", "#dev"),
        say("ann", "one", nonce=1),
        say("ann", "one", nonce=1),
        by("ann", Send("#lobby", "three", 3, since=2)),
        by("ann", Send("@bob", "four", 4, reply_to=1)),
        leave_chat("bob", hold=True),
        say("ann", "while you were away", "@bob"),
        enter("bob"),
        by("bob", Enter(resume=2), client="bob"),
        leave_chat("bob"),
        enter("bob", "another"),
        say("ann", "to whom", "@bob"),
        by("", Trim("#lobby", 2)),
        by("", Trim("", 4)),
        enter("eve", transient=True),
        leave_chat("eve"),
        enter("eve", "another"),
    ],
    # A room is private, its people are muted, banned and let in again; all leave it.
    [
        *(by("", Register("a hash", it), client=it).replace(user=it) for it in ("ann", "root")),
        by("", UpdateAccount("root", None, admin=True)),
        *(enter(it, proof=ByPassword(0)) for it in ("ann", "root")),
        *map(enter, ("bob", "eve")),
        join("ann", "#dev"),
        *(
            moderate("ann", "#dev", action, "" if "MAKE" in action.name else "bob")
            for action in (
                *(ModerationAction.MAKE_PRIVATE, ModerationAction.INVITE, ModerationAction.INVITE),
                *(ModerationAction.MUTE, ModerationAction.APPOINT, ModerationAction.KICK),
            )
        ),
        *(join(it, "#dev") for it in ("bob", "eve", "root")),
        *(moderate("ann", "#dev", it, "bob") for it in _ON_BOB),
        say("bob", "a word", "#dev"),
        moderate("ann", "#dev", ModerationAction.BAN, "bob"),
        *(join(it, "#dev") for it in ("bob", "eve")),
        moderate("ann", "#dev", ModerationAction.UNMUTE, "bob"),
        moderate("ann", "#dev", ModerationAction.UNBAN, "bob"),
        moderate("ann", "#dev", ModerationAction.UNBAN, "bob"),
        moderate("ann", "#dev", ModerationAction.KICK),
        moderate("ann", "#dev", ModerationAction.HAND_OVER, "eve"),
        moderate("ann", "#dev", ModerationAction.MAKE_PUBLIC),
        join("bob", "#dev"),
        by("", DeleteAccount("ann", None)),
        *(leave(it, "#dev") for it in ("root", "bob")),
        join("eve", "#dev"),
        by("", UpdateAccount("root", None, hash="another", admin=False)),
        by("", BanSubject("192.0.2.7/24", None)),
        by("root", BanSubject("eve", ByPassword(1))),
    ],
    # Whatever is counted comes to its end.
    [
        by("", Register("a hash", "ann"), client="ann").replace(user="ann"),
        *(
            by("ann", Grant(Token(bytes([it]) * 32, 10_000), ByPassword(0)))
            for it in range(MAX_TOKENS + 2)
        ),
        *(
            by("ann", Enter(proof=ByPassword(0), address="192.0.2.7"), client=str(it))
            for it in range(MAX_SESSIONS + 1)
        ),
        *(by("ann", Join(f"#{it}"), client="0") for it in range(MAX_ROOMS + 1)),
        by("ann", Send("#1000", "nowhere", 5), client="0"),
        by("ann", Send("#1", "here", 6, since=5), client="0"),
        *(by("ann", Send("#1", "again", it, since=5), client="0") for it in (5, 4, 6)),
        by("", EndSessions("ann", None, "ann/1", "one")),
        by("", BanSubject("ann", None, "all", 60.0)),
        by("ann", Enter(proof=ByPassword(0)), client="0"),
    ],
)


def outcome(entry: Entry, state: State) -> tuple[str, ...]:
    """Return the kind of an entry and what is decided about it, without names and numbers."""
    kind = type(entry.body).__name__
    try:
        decision = decide(entry, state.machine._facts)
    except Refusal as refusal:
        return kind, type(refusal).__name__, _NAMES.sub("…", str(refusal))
    if isinstance(decision, Ack):
        return kind, "Ack"
    return kind, *(type(change).__name__ for change in decision)


def outcomes(log: Sequence[Entry]) -> set[tuple[str, ...]]:
    """Return what becomes of the entries of a log."""
    state = State()
    found = set()
    for entry in log:
        found.add(outcome(entry, state))
        state.apply(entry)
    state.close()
    return found


def drawn() -> list[list[Entry]]:
    """Return many logs, the same ones every time."""
    found: list[list[Entry]] = []

    @seed(1)
    @settings(max_examples=DRAWN, database=None, deadline=None, phases=[Phase.generate])
    @given(logs)
    def draw(log: list[Entry]) -> None:
        found.append(log)

    draw()
    return found


def chosen(candidates: Sequence[Sequence[Entry]]) -> Iterator[Sequence[Entry]]:
    """Yield logs, each the one that shows most of what those before have not shown."""
    shown: set[tuple[str, ...]] = set()
    left = [(outcomes(log), log) for log in candidates]
    while True:
        new, log = max(left, key=lambda it: (len(it[0] - shown), -len(it[1])))
        if not new - shown:
            return
        shown |= new
        yield log


def replayed(log: Sequence[bytes]) -> Iterator[tuple[str, str]]:
    """Yield the digest and the content behind each record of a log."""
    state = State()
    state.db.execute("UPDATE meta SET value = ? WHERE key = 'epoch'", (EPOCH,))
    for position, data in enumerate(log, 1):
        state.machine.apply_records((decode_record(data, position),))
        yield state.machine.progress.digest.hex(), content_digest(state.db)
    state.close()


def records(log: Sequence[Entry]) -> list[bytes]:
    """Return a log's entries, two to a record."""
    pairs = (log[it : it + 2] for it in range(0, len(log), 2))
    return [encode_record("p", it, map(encode_entry, pair)) for it, pair in zip(count(1), pairs)]


def main() -> None:
    """Print the logs, each behind an empty line: a record, its digest, the content behind it."""
    print(f"# Logs, and what the rules of format {FORMAT} make of them: never to be edited.")
    print("# A line is a record, the digest and the content behind it; an empty one begins a log.")
    for log in [*map(timed, map(list, SCRIPTED)), *chosen(drawn())]:
        print()
        frozen = records(log)
        for data, (digest, content) in zip(frozen, replayed(frozen), strict=True):
            print(data.hex(), digest, content)


if __name__ == "__main__":
    main()
