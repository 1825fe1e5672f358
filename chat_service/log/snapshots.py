"""Copies of the state beside the log, for those who come when the log no longer reaches back.

They lie in a JetStream object store (https://docs.nats.io/nats-concepts/jetstream/obj_store), each
under the position of the last record that it holds. A new one is there from the moment at which it
is whole; the two newest are kept, so that a node that is just reading one can go on.
"""

import base64
from collections.abc import Sequence
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
        """Return what there is, the newest first."""
        try:
            return [await self._look_up(name) for name in await self._names()]
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
            await self._forget_old(snapshot.epoch)
        except (nats.errors.Error, TimeoutError, OSError) as error:
            raise NoSnapshot(f"cannot store {snapshot.name}: {_reason(error)}") from error

    async def fetch(self, snapshot: Snapshot, file: Path) -> None:
        """Write a snapshot to a file, which is whole if nothing is raised."""
        try:
            store = ObjectStore(self._bucket, self._stream, self._js)
            info = await store.get_info(snapshot.name)
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

    async def _look_up(self, name: str) -> Snapshot:
        info = await ObjectStore(self._bucket, self._stream, self._js).get_info(name)
        headers = info.headers or {}
        return Snapshot(
            headers.get("epoch", ""),
            int(name.removeprefix("state-")),
            int(headers.get("seq", 0)),
        )

    async def _names(self) -> list[str]:
        """Return the names of whole objects, the newest first."""
        prefix = f"$O.{self._bucket}.M."
        found = await self._subjects(f"{prefix}*")
        coded = (subject.removeprefix(prefix) for subject in found)
        return sorted((base64.urlsafe_b64decode(it).decode() for it in coded), reverse=True)

    async def _subjects(self, pattern: str) -> Sequence[str]:
        try:
            info = await self._js.stream_info(self._stream, subjects_filter=pattern)
        except nats.js.errors.NotFoundError:
            return ()
        return tuple(info.state.subjects or ())

    async def _forget_old(self, epoch: str) -> None:
        """Purge all but a log's newest: first what names them, then whatever belongs to none.

        That includes what is of another log, and what a node left that died while it stored one.
        """
        found = [await self._look_up(name) for name in await self._names()]
        kept_names = [it.name for it in found if it.epoch == epoch][:KEPT]
        for name in (it.name for it in found if it.name not in kept_names):
            coded = base64.urlsafe_b64encode(name.encode()).decode()
            await self._js.purge_stream(self._stream, subject=f"$O.{self._bucket}.M.{coded}")
        store = ObjectStore(self._bucket, self._stream, self._js)
        kept = {(await store.get_info(name)).nuid for name in kept_names}
        prefix = f"$O.{self._bucket}.C."
        for subject in await self._subjects(f"{prefix}*"):
            if subject.removeprefix(prefix) not in kept:
                await self._js.purge_stream(self._stream, subject=subject)

    async def _read(self, info: ObjectInfo, file: Path) -> None:
        """Fetch the chunks in order, a few at a time; the library's own way waits for ever."""
        chunks = await self._js.pull_subscribe(
            f"$O.{self._bucket}.C.{info.nuid}",
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


def _joined(batch: Sequence[Msg]) -> bytes:
    return b"".join(message.data for message in batch)


def _reason(error: Exception) -> str:
    return str(error) or repr(error)
