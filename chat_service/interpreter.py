"""What a server asks of the interpreter that runs it; docs/performance.md has the measurements."""

import gc
import sys
from typing import Final

_NEW_OBJECTS: Final = 50_000
"""Objects that are made, less those that went, between two looks for cycles among the young."""

_OLDEST_EVERY: Final = 100
"""Looks at the middle generation for each at the oldest: that one visits every session there is."""

_SWITCH_INTERVAL: Final = 0.001
"""Seconds for which the thread that applies may keep the loop waiting, or the other way round."""


def tune() -> None:
    """Fit the garbage collector and the switching of threads to a server that is about to serve.

    Messages make many objects and no cycles: looking for cycles finds none, and costs more the more
    sessions there are.
    """
    gc.collect()
    gc.freeze()  # what the imports have made is there for good
    gc.set_threshold(_NEW_OBJECTS, 20, _OLDEST_EVERY)
    sys.setswitchinterval(_SWITCH_INTERVAL)
