"""What a server asks of the interpreter that runs it; docs/performance.md has the measurements."""

import contextlib
import gc
import os
import sys
import threading
from typing import Final

_THRESHOLDS: Final = 50_000, 2, 1_000
"""So many objects that were made and not let go of, before the collector looks for circles among
the young; so many of these looks for one at those which have outlived it; and so many of these for
one at everything, which with ten thousand sessions takes a third of a second.
"""


def open_standard_streams() -> None:
    """Have standard streams: those that the program was started without lead to the null device.

    Else what is opened next has the number of one, and libuv, which closes no such number, aborts.
    """
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, os.fdopen(os.open(os.devnull, os.O_RDWR), mode))


def say(line: str) -> None:
    """Print a line, if anybody takes it: who has gone, or has no room, holds nothing up."""
    try:
        print(line, flush=True)  # noqa: T201  (the one line that stdout is for)
    except OSError:
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, sys.stdout.fileno())  # or the interpreter's last flush would fail again
        os.close(null)


def tune() -> None:
    """Fit the garbage collector and the scheduler to a server that is about to serve.

    Neither messages nor sessions leave circles behind: looking for them finds none, and takes the
    longer the more sessions there are.
    """
    gc.collect()
    gc.freeze()  # what the imports have made is there for good
    gc.set_threshold(*_THRESHOLDS)
    let_poll_patiently()


def let_poll_patiently() -> None:
    """Keep the thread by which grpc.aio polls from interrupting the loop all the time.

    It is woken at every write, and would push the loop from its core. The batch class of Linux's
    scheduler (sched(7)) gets as much time as others, only not at once. Where there is none, it is
    done without.
    """
    for thread in threading.enumerate():
        if "_poll_wrapper" in thread.name and thread.native_id and hasattr(os, "SCHED_BATCH"):
            with contextlib.suppress(OSError):
                os.sched_setscheduler(thread.native_id, os.SCHED_BATCH, os.sched_param(0))
