"""When it is over: wait until everybody has seen what they were to see, and read what is kept."""

from collections.abc import Sequence
from pathlib import Path
from typing import Final

import apsw

from chat.v1 import chat_pb2
from chat_service.state.inspection import Findings, inspect
from tests.waiting import until

from .ledger import Ledger, Line

_SETTLED_WITHIN: Final = 60.0


async def until_converged(ledger: Ledger, within: float) -> None:
    """Wait until everybody has seen what was acknowledged; who never does, the check tells."""
    due = {
        user: {
            sent.text
            for sent in ledger.sent.values()
            if sent.ack and ledger.concerns(user, Line(0, 0, sent.to, sent.sender, ""))
        }
        for user in ledger.rooms
    }

    def converged() -> bool:
        for user in list(due):
            if due[user] <= {line.text for line in ledger.seen[user]}:
                del due[user]
        return not due

    try:
        await until(converged, within=within)
    except AssertionError:
        print("not converged:", ", ".join(due))


async def settled(data: Sequence[Path]) -> list[Findings]:
    """Return what is in the databases of a cluster's nodes, once all stand at one position."""
    found: list[Findings] = []

    def equal() -> bool:
        found[:] = [inspect(it / "chat.db") for it in data]
        return len({it.position for it in found}) == 1

    await until(equal, within=_SETTLED_WITHIN, what="all nodes at one position")
    return found


def kept_in(data: Path) -> list[Line]:
    """Return the messages in a server's database, in order of seq."""
    db = apsw.Connection(str(data / "chat.db"), flags=apsw.SQLITE_OPEN_READONLY)
    try:
        frames = [frame for (frame,) in db.execute("SELECT frame FROM events ORDER BY seq")]
    finally:
        db.close()
    events = [event for frame in frames for event in chat_pb2.ServerFrame.FromString(frame).events]
    return [Line.of(event) for event in events if event.HasField("message")]
