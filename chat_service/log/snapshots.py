"""Copies of the state beside the log, for those who come when the log no longer reaches back.

They lie in a JetStream object store (https://docs.nats.io/nats-concepts/jetstream/obj_store), each
under the position of the last record that it holds. A new one is there from the moment at which it
is whole; the two newest are kept, so that a node that is just reading one can go on. Two nodes may
store one at a time, each taking itself for the one that leads: neither disturbs the other.
"""

import asyncio
import base64
from collections.abc import Container, Mapping, Sequence
from datetime import datetime, timedelta
from hashlib import sha256
from pathlib import Path
from typing import Final, NamedTuple

import nats.errors
import nats.js.errors
from nats.aio.msg import Msg
from nats.js import JetStreamContext
from nats.js.api import (
    AckPolicy,
    ConsumerConfig,
    ObjectInfo,
    ObjectMeta,
    ObjectMetaOptions,
    ObjectStoreConfig,
    StorageType,
)
from nats.js.object_store import ObjectStore

from chat_service.log.stream import NO_CLUSTER

KEPT: Final = 2
CHUNK_BYTES: Final = 128 * 1024
_AHEAD: Final = 64
"""Chunks that are asked for at a time: 8 MiB that the client may hold."""

_PATIENCE: Final = 10.0
"""Seconds that the next chunk may take."""

_ABANDONED: Final = timedelta(minutes=5)
"""Time without another chunk after which nobody is taken to store a snapshot any longer."""

_IDLE: Final = 60.0
"""Seconds after which the server forgets a reader that has gone away."""


class Snapshot(NamedTuple):
    """Which copy it is: of which log, up to which of its records, and the seq of its last event."""

    epoch: str
    position: int
    seq: int

    @property
    def name(self) -> str:
        """Its name in the store; names sort as positions do."""
        return f"state-{self.position:020d}"


class NoSnapshot(Exception):
    """A snapshot cannot be had or made now; `str()` of it is one sentence about why."""


class Snapshots:
    """The snapshots of one log. Every call raises NoSnapshot if NATS cannot do it now."""

    def __init__(self, js: JetStreamContext, log: str, replicas: int) -> None:
        self._js = js
        self._bucket = f"{log}-snapshots"
        self._stream = f"OBJ_{self._bucket}"
        self._replicas = replicas

    async def listed(self) -> Sequence[Snapshot]:
        """Return those that are whole, the newest first."""
        try:
            return [_snapshot(it) for it in await self._whole(await self._named())]
        except (nats.errors.Error, TimeoutError) as error:
            raise NoSnapshot(f"cannot list snapshots: {_reason(error)}") from error

    async def publish(self, snapshot: Snapshot, file: Path) -> None:
        """Store a file as a snapshot, then forget all but the newest."""
        meta = ObjectMeta(
            name=snapshot.name,
            headers={"epoch": snapshot.epoch, "seq": str(snapshot.seq)},
            options=ObjectMetaOptions(max_chunk_size=CHUNK_BYTES),
        )
        try:
            store = await self._open()
            with file.open("rb") as content:
                await store.put(snapshot.name, content, meta)
            await self._forget_old(snapshot)
        except (nats.errors.Error, TimeoutError, OSError) as error:
            raise NoSnapshot(f"cannot store {snapshot.name}: {_reason(error)}") from error

    async def fetch(self, snapshot: Snapshot, file: Path) -> None:
        """Write a snapshot to a new file, which is whole if nothing is raised."""
        try:
            store = ObjectStore(self._bucket, self._stream, self._js)
            info = await store.get_info(snapshot.name)
            await asyncio.to_thread(_make_empty, file)
            await self._read(info, file)
        except (nats.errors.Error, TimeoutError, OSError) as error:
            raise NoSnapshot(f"cannot fetch {snapshot.name}: {_reason(error)}") from error

    async def discard(self) -> None:
        """Take every snapshot away."""
        try:
            await self._js.delete_object_store(self._bucket)
        except nats.js.errors.NotFoundError:
            return
        except (nats.errors.Error, TimeoutError) as error:
            raise NoSnapshot(f"cannot take the snapshots away: {_reason(error)}") from error

    async def _open(self) -> ObjectStore:
        try:
            return await self._js.object_store(self._bucket)
        except nats.js.errors.BucketNotFoundError:
            return await self._make(self._replicas)

    async def _make(self, replicas: int) -> ObjectStore:
        config = ObjectStoreConfig(
            description="copies of the state of a chat, for nodes that its log does not reach",
            storage=StorageType.FILE,
            replicas=replicas,
        )
        try:
            return await self._js.create_object_store(self._bucket, config)
        except nats.js.errors.APIError as error:
            if error.err_code == NO_CLUSTER and replicas > 1:  # there is one server
                return await self._make(1)
            raise

    async def _named(self) -> list[ObjectInfo]:
        """Return those that have a name, which comes last when one is stored; the newest first."""
        store = ObjectStore(self._bucket, self._stream, self._js)
        prefix = self._name("")
        coded = (it.removeprefix(prefix) for it in await self._counted(self._name("*")))
        names = sorted((base64.urlsafe_b64decode(it).decode() for it in coded), reverse=True)
        return [await store.get_info(name) for name in names]

    async def _whole(self, named: list[ObjectInfo]) -> list[ObjectInfo]:
        """Return those of which every chunk is there."""
        chunks = await self._counted(self._chunks("*"))
        return [it for it in named if chunks.get(self._chunks(it.nuid), 0) == it.chunks]

    async def _counted(self, pattern: str) -> Mapping[str, int]:
        """Return the subjects that there are, and how many messages each has."""
        try:
            info = await self._js.stream_info(self._stream, subjects_filter=pattern)
        except nats.js.errors.NotFoundError:
            return {}
        return info.state.subjects or {}

    async def _forget_old(self, stored: Snapshot) -> None:
        """Purge all but the newest of the log of which one was just stored.

        That includes what is of another log and what is not whole. Raises NoSnapshot if that is
        what was just stored.
        """
        named = await self._named()
        whole = await self._whole(named)
        if stored not in map(_snapshot, whole):
            raise NoSnapshot(f"{stored.name} is not whole: it lost something while it was stored")
        now = await self._stored_at(self._name(_coded(stored.name)))
        kept = [it.nuid for it in whole if _snapshot(it).epoch == stored.epoch][:KEPT]
        for info in named:
            if info.nuid not in kept:
                await self._purge(self._name(_coded(info.name)))
                await self._purge(self._chunks(info.nuid))
        await self._clear_abandoned({self._chunks(it) for it in kept}, now)

    async def _clear_abandoned(self, kept: Container[str], now: datetime) -> None:
        """Purge what a node left that died while it stored one, but not what one is storing."""
        for chunks in await self._counted(self._chunks("*")):
            if chunks not in kept and now - await self._stored_at(chunks) >= _ABANDONED:
                await self._purge(chunks)

    async def _stored_at(self, subject: str) -> datetime:
        """Return when the last message of a subject was stored, by the clock of the servers."""
        message = await self._js.get_last_msg(self._stream, subject)
        if message.time is None:
            raise nats.js.errors.NotFoundError
        return message.time

    async def _purge(self, subject: str) -> None:
        await self._js.purge_stream(self._stream, subject=subject)

    def _name(self, coded: str) -> str:
        return f"$O.{self._bucket}.M.{coded}"

    def _chunks(self, nuid: str) -> str:
        return f"$O.{self._bucket}.C.{nuid}"

    async def _read(self, info: ObjectInfo, file: Path) -> None:
        """Fetch the chunks in order, a few at a time; the library's own way waits for ever."""
        chunks = await self._js.pull_subscribe(
            self._chunks(info.nuid),
            stream=self._stream,
            config=ConsumerConfig(ack_policy=AckPolicy.NONE, inactive_threshold=_IDLE),
        )
        digest, missing = sha256(), info.chunks or 0
        try:
            with file.open("wb") as content:
                while missing > 0:
                    batch = await chunks.fetch(min(_AHEAD, missing), timeout=_PATIENCE)
                    content.write(_joined(batch))
                    digest.update(_joined(batch))
                    missing -= len(batch)
        finally:
            await chunks.unsubscribe()
        if info.digest != f"SHA-256={base64.urlsafe_b64encode(digest.digest()).decode()}":
            raise OSError(f"what came of {info.name} is not what was stored")


def _snapshot(info: ObjectInfo) -> Snapshot:
    headers = info.headers or {}
    position = int(info.name.removeprefix("state-"))
    return Snapshot(headers.get("epoch", ""), position, int(headers.get("seq", 0)))


def _coded(name: str) -> str:
    return base64.urlsafe_b64encode(name.encode()).decode()


def _make_empty(file: Path) -> None:
    """Make a file anew, for its owner alone, as every database is."""
    file.unlink(missing_ok=True)
    file.touch(mode=0o600)


def _joined(batch: Sequence[Msg]) -> bytes:
    return b"".join(message.data for message in batch)


def _reason(error: Exception) -> str:
    return str(error) or repr(error)
