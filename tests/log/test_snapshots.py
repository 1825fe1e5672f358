"""Snapshots in the object store of a real nats-server: whole, the newest two, found by position."""

import asyncio
import base64
import os
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import nats
import nats.js.errors
import pytest
from nats.js import JetStreamContext

from chat_service.log.snapshots import CHUNK_BYTES, NoSnapshot, Snapshot, Snapshots
from tests.cluster.servers import NatsServers, StartNats, nats_server, start_nats, stream

__all__ = ["nats_server", "start_nats", "stream"]

SIZES = {1: 0, 2: 10, 3: CHUNK_BYTES, 4: 100 * CHUNK_BYTES + 7}


def snapshot(position: int) -> Snapshot:
    return Snapshot("an epoch", position, 10 * position)


@pytest.fixture
async def js(nats_server: NatsServers) -> AsyncIterator[JetStreamContext]:
    connection = await nats.connect(nats_server.url)
    yield connection.jetstream()
    await connection.close()


@pytest.fixture
def snapshots(js: JetStreamContext, stream: str) -> Snapshots:
    return Snapshots(js, stream, 3)  # of which one server can keep one


@pytest.fixture
def files(tmp_path: Path) -> dict[int, Path]:
    """Files of several sizes, by the position that they are to have."""
    made = {position: tmp_path / f"file-{position}" for position in SIZES}
    for position, file in made.items():
        file.write_bytes(
            bytes(range(256)) * (SIZES[position] // 256) + b"x" * (SIZES[position] % 256)
        )
    return made


@pytest.mark.parametrize("position", SIZES)
async def test_what_was_stored_is_fetched(
    snapshots: Snapshots, files: dict[int, Path], tmp_path: Path, position: int
) -> None:
    await snapshots.publish(snapshot(position), files[position])
    assert await snapshots.listed() == [snapshot(position)]
    await snapshots.fetch(snapshot(position), tmp_path / "fetched")
    assert (tmp_path / "fetched").read_bytes() == files[position].read_bytes()


async def test_where_none_was_stored_there_is_none(snapshots: Snapshots, tmp_path: Path) -> None:
    assert await snapshots.listed() == []
    with pytest.raises(NoSnapshot):
        await snapshots.fetch(snapshot(1), tmp_path / "fetched")


async def test_the_newest_two_are_kept(
    snapshots: Snapshots, files: dict[int, Path], js: JetStreamContext, stream: str
) -> None:
    for position, file in files.items():
        await snapshots.publish(snapshot(position), file)
    assert await snapshots.listed() == [snapshot(4), snapshot(3)]
    held = await js.stream_info(f"OBJ_{stream}-snapshots")
    assert held.state.messages == 2 + 101 + 1  # a name each, and their chunks


async def test_those_of_another_log_go(snapshots: Snapshots, files: dict[int, Path]) -> None:
    await snapshots.publish(snapshot(4)._replace(epoch="the log before"), files[4])
    for position in (1, 2):
        await snapshots.publish(snapshot(position), files[position])
    assert await snapshots.listed() == [snapshot(2), snapshot(1)]


async def test_what_somebody_left_half_stored_is_cleared_away(
    snapshots: Snapshots,
    files: dict[int, Path],
    js: JetStreamContext,
    stream: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    await snapshots.publish(snapshot(1), files[1])
    monkeypatch.setattr("chat_service.log.snapshots._ABANDONED", timedelta())
    await js.publish(f"$O.{stream}-snapshots.C.abandoned", b"half of one")
    assert await snapshots.listed() == [snapshot(1)]
    await snapshots.publish(snapshot(2), files[2])
    held = await js.stream_info(f"OBJ_{stream}-snapshots", subjects_filter=">")
    assert f"$O.{stream}-snapshots.C.abandoned" not in (held.state.subjects or {})


class Slow:
    """A file of three chunks that is being read: two have been, and the last comes in `finish`."""

    def __init__(self, pipe: Path) -> None:
        os.mkfifo(pipe)
        self.path = pipe
        self.content = b"".join(bytes([it]) * CHUNK_BYTES for it in range(3))
        self._end: int | None = os.open(pipe, os.O_RDWR)

    async def begin(self) -> None:
        """Give the first two chunks; returns when the second is taken."""
        await asyncio.to_thread(self._write, self.content[: 2 * CHUNK_BYTES])

    async def finish(self) -> None:
        """Give the rest."""
        await asyncio.to_thread(self._write, self.content[2 * CHUNK_BYTES :])
        self.close()

    def close(self) -> None:
        """Let whoever reads see its end."""
        if self._end is not None:
            os.close(self._end)
            self._end = None

    def _write(self, content: bytes) -> None:
        assert self._end is not None
        while content:
            content = content[os.write(self._end, content) :]


@pytest.fixture
async def slow(
    snapshots: Snapshots, js: JetStreamContext, stream: str, tmp_path: Path
) -> AsyncIterator[tuple[Slow, asyncio.Task[None]]]:
    """A snapshot of which a node has stored a chunk so far, and the task that stores it."""
    file = Slow(tmp_path / "pipe")
    storing = asyncio.create_task(snapshots.publish(snapshot(3), file.path))
    await file.begin()
    async with asyncio.timeout(10):
        while not await chunks_of(js, stream):
            pass
    yield file, storing
    file.close()
    await asyncio.gather(storing, return_exceptions=True)


async def chunks_of(js: JetStreamContext, stream: str) -> dict[str, int]:
    """Return the subjects of the chunks that are stored, and how many each has."""
    pattern = f"$O.{stream}-snapshots.C.*"
    try:
        info = await js.stream_info(f"OBJ_{stream}-snapshots", pattern)
    except nats.js.errors.NotFoundError:
        return {}
    return info.state.subjects or {}


async def test_what_another_node_is_just_storing_is_left_to_it(
    snapshots: Snapshots,
    files: dict[int, Path],
    slow: tuple[Slow, asyncio.Task[None]],
    tmp_path: Path,
) -> None:
    file, storing = slow
    await snapshots.publish(snapshot(2), files[2])
    assert await snapshots.listed() == [snapshot(2)]
    await file.finish()
    await storing
    assert await snapshots.listed() == [snapshot(3), snapshot(2)]
    await snapshots.fetch(snapshot(3), tmp_path / "fetched")
    assert (tmp_path / "fetched").read_bytes() == file.content


async def test_what_lost_a_part_while_it_was_stored_is_told_and_not_listed(
    snapshots: Snapshots,
    files: dict[int, Path],
    slow: tuple[Slow, asyncio.Task[None]],
    js: JetStreamContext,
    stream: str,
) -> None:
    file, storing = slow
    await snapshots.publish(snapshot(2), files[2])
    for subject in await chunks_of(js, stream):
        await js.purge_stream(f"OBJ_{stream}-snapshots", subject=subject)
    await snapshots.publish(snapshot(1), files[1])
    await file.finish()
    with pytest.raises(NoSnapshot, match="is not whole"):
        await storing
    assert await snapshots.listed() == [snapshot(1)]


async def test_one_that_is_not_whole_is_not_kept_in_the_place_of_one_that_is(
    snapshots: Snapshots, files: dict[int, Path], js: JetStreamContext, stream: str
) -> None:
    await snapshots.publish(snapshot(4), files[4])
    await js.delete_msg(f"OBJ_{stream}-snapshots", 50)
    assert await snapshots.listed() == []
    for position in (1, 2):
        await snapshots.publish(snapshot(position), files[position])
    assert await snapshots.listed() == [snapshot(2), snapshot(1)]
    assert sum((await chunks_of(js, stream)).values()) == 1  # an empty one has none


async def test_a_snapshot_that_lost_a_chunk_is_not_taken_for_whole(
    snapshots: Snapshots,
    files: dict[int, Path],
    js: JetStreamContext,
    stream: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("chat_service.log.snapshots._PATIENCE", 0.5)
    await snapshots.publish(snapshot(4), files[4])
    await js.delete_msg(f"OBJ_{stream}-snapshots", 50)
    with pytest.raises(NoSnapshot):
        await snapshots.fetch(snapshot(4), tmp_path / "fetched")


async def test_altered_content_is_refused(
    snapshots: Snapshots,
    files: dict[int, Path],
    js: JetStreamContext,
    stream: str,
    tmp_path: Path,
) -> None:
    await snapshots.publish(snapshot(2), files[2])
    bucket = f"$O.{stream}-snapshots"
    name = base64.urlsafe_b64encode(snapshot(2).name.encode()).decode()
    (chunks,) = (
        await js.stream_info(f"OBJ_{stream}-snapshots", f"{bucket}.C.*")
    ).state.subjects or {}
    await js.purge_stream(f"OBJ_{stream}-snapshots", subject=chunks)
    await js.publish(chunks, b"y" * SIZES[2])
    assert (await js.get_last_msg(f"OBJ_{stream}-snapshots", f"{bucket}.M.{name}")).data
    with pytest.raises(NoSnapshot, match="not what was stored"):
        await snapshots.fetch(snapshot(2), tmp_path / "fetched")


async def test_snapshots_are_discarded(snapshots: Snapshots, files: dict[int, Path]) -> None:
    await snapshots.discard()
    await snapshots.publish(snapshot(1), files[1])
    await snapshots.discard()
    assert await snapshots.listed() == []


async def test_of_a_server_that_does_not_answer_it_is_told_in_time(
    start_nats: StartNats, files: dict[int, Path], tmp_path: Path
) -> None:
    (server,) = start_nats().servers
    connection = await nats.connect(server.url)
    snapshots = Snapshots(connection.jetstream(timeout=0.5), "chat", 1)
    await snapshots.publish(snapshot(1), files[1])
    server.pause()
    try:
        for act in (
            snapshots.listed(),
            snapshots.publish(snapshot(2), files[2]),
            snapshots.fetch(snapshot(1), tmp_path / "fetched"),
            snapshots.discard(),
        ):
            with pytest.raises(NoSnapshot):
                await act
    finally:
        server.resume()
    await connection.close()
