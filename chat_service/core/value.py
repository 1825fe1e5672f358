"""What commands, events and changes are made of."""

from typing import Any, Self, dataclass_transform

from msgspec import Struct
from msgspec.structs import replace


@dataclass_transform(frozen_default=True)
class Value(Struct, frozen=True, gc=False):
    """An immutable record, equal to what holds the same.

    A dozen of them are made for each message. One of these takes a fifth of the time of a
    NamedTuple, reading a field of it a sixth. The garbage collector does not look at them (`gc`),
    which a class whose values can be part of a cycle has to say it wants.
    """

    def replace(self, **changes: Any) -> Self:
        """Return the same with other values in the fields that are named."""
        return replace(self, **changes)
