"""Lets atheris fuzz a target: `python -m tests.fuzz.run TARGET [libFuzzer's arguments]`.

An input that does harm ends it with a traceback, and is kept as `crash-…` at -artifact_prefix.
"""

import asyncio
import os
import sys
import tempfile
from pathlib import Path

os.environ.setdefault("GRPC_VERBOSITY", "NONE")

import atheris
import uvloop

with atheris.instrument_imports(include=["chat_service"], enable_loader_override=False):
    from tests.fuzz import calls, frames, http_calls, json_frames, lines
    from tests.fuzz.rig import Rig, rigged

TARGETS = {
    "calls": calls.feed,
    "frames": frames.feed,
    "http_calls": http_calls.feed,
    "json_frames": json_frames.feed,
    "lines": lines.feed,
}


def main() -> None:
    """Run until libFuzzer ends the process."""
    target = sys.argv.pop(1)
    # By which libFuzzer starts others of itself, to merge.
    sys.argv[0] = f"{sys.executable} -m tests.fuzz.run {target}"
    feed = TARGETS[target]
    loop = uvloop.new_event_loop()
    asyncio.set_event_loop(loop)
    running = rigged(Path(tempfile.mkdtemp()))  # which nobody stops: libFuzzer ends the process
    rig: Rig = loop.run_until_complete(running.__aenter__())

    async def one(data: bytes) -> None:
        async with asyncio.timeout(30):
            await feed(rig, data)
            await rig.check()

    atheris.Setup(sys.argv, lambda data: loop.run_until_complete(one(data)))
    atheris.Fuzz()


if __name__ == "__main__":
    main()
