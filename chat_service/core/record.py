"""What a log holds: entries, as many in one record as had gathered when it was appended."""

from collections.abc import Sequence

from chat_service.core.commands import Entry
from chat_service.core.value import Value


class Record(Value):
    """Entries that were ordered together, at a place in the log.

    Records of one `publisher`, which is one run of one node, are numbered 1, 2, 3 … by `number`. A
    number that is no higher than the publisher's last is a retry that was stored twice.
    """

    position: int
    """The place in the log: 1, 2, 3 … without holes; 0 in a log without positions."""
    publisher: str
    number: int
    entries: Sequence[Entry]


def unplaced(entries: Sequence[Entry]) -> Record:
    """Return entries as the record of a log without positions, whose one publisher is this node."""
    return Record(0, "", 0, entries)
