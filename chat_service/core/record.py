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

    @property
    def id(self) -> str:
        """What this record is called, and no other one of any log."""
        return record_id(self.publisher, self.number)


def record_id(publisher: str, number: int) -> str:
    """Return what the record of a publisher under a number is called."""
    return f"{publisher}-{number}"


def unplaced(entries: Sequence[Entry]) -> Record:
    """Return entries as the record of a log without positions, whose one publisher is this node."""
    return Record(0, "", 0, entries)
