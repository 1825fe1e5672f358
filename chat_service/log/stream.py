"""The stream of a cluster's log: made where it is missing, and never altered where it is there.

What a node needs of it is checked; what makes its promises weaker is said in the log.
"""

import asyncio
import math
import secrets
from collections.abc import Iterator
from typing import Final, NamedTuple

from nats.aio.client import Client
from nats.js import JetStreamContext, api
from nats.js.errors import APIError, NotFoundError

from chat_service.log.backlog import MAX_BATCH_BYTES
from chat_service.logs import Seldom, get
from chat_service.nats_connection import UNREACHABLE, why
from chat_service.startup import StartupError

_log = get("log")

SAFE_REPLICAS: Final = 3
KEPT_SECONDS: Final = 7 * 86_400.0
"""How long records stay, for nodes that were away. The state itself keeps what was said."""

MAX_RECORD_BYTES: Final = 1024 * 1024
LEAST_PAYLOAD: Final = MAX_BATCH_BYTES + 1024
"""Bytes that NATS has to take as one message: a full record, with its head and its headers."""

_DUPLICATES_SECONDS: Final = 120.0
_SHORT_SECONDS: Final = 86_400.0
_SMALL_BYTES: Final = 1024**3
_EPOCH: Final = "chat.epoch"
_BASE: Final = "chat.base"
_TRY_EVERY: Final = 1.0

NO_CLUSTER: Final = 10_074
_NAME_IN_USE: Final = 10_058
"""Error codes of JetStream (https://github.com/nats-io/nats-server/blob/main/server/errors.json)."""


FORGOTTEN: Final = "the NATS servers have lost what they had acknowledged"
"""The end of the sentences that say so, for which there are several proofs."""

DOUBT: Final = 30.0
"""Seconds for which a stream has to be other than it was before that is believed: a server that
has just come to lead a stream may not know all of it yet. On a machine that was busy with much else
that was seen to last for more than ten.
"""


class Doubt:
    """What is believed once it has been so for long enough."""

    def __init__(self) -> None:
        self._since: float | None = None

    def settled(self, so: bool) -> bool:
        """Take note of what was seen now; tells whether it has been so at every look for DOUBT."""
        now = asyncio.get_running_loop().time()
        self._since = (self._since or now) if so else None
        return self._since is not None and now - self._since >= DOUBT


class Origin(NamedTuple):
    """What a log began with: its epoch, and the digest of the state before its first record.

    That digest is empty where there was nothing.
    """

    epoch: str
    base: str = ""


class StreamState(NamedTuple):
    """What a stream holds: of which log, from which record up to which, in so many copies."""

    epoch: str
    first: int
    last: int
    base: str
    """As of the log's Origin."""
    replicas: int


class LogStream:
    """The stream of a name, with its one subject."""

    def __init__(self, js: JetStreamContext, name: str) -> None:
        self.name = name
        self.subject = f"{name}.log"
        self._js = js
        self._warned = False

    async def look(self) -> StreamState:
        """Return what it holds now; raises UNREACHABLE."""
        return _state(await self._js.stream_info(self.name))

    async def find(self) -> StreamState | None:
        """Return what it holds now, None if it is missing; raises UNREACHABLE."""
        try:
            return await self.look()
        except NotFoundError:
            return None

    async def open(
        self, replicas: int | None, origin: Origin | None = None, *, applied: int = 0
    ) -> StreamState:
        """Return what the stream holds, which is made if it is missing and nothing of it is known.

        None takes as many replicas as are safe, if there are servers for them. `origin` is that of
        a log that moves here, `applied` how many of its records were applied here already. Waits
        for JetStream as long as it cannot answer. Raises StartupError if the stream is there and
        cannot be used, or is not where it has to be.
        """
        origin = origin or Origin(secrets.token_hex(8))
        missing = Doubt()
        seldom = Seldom()
        while True:
            try:
                info = await self._found_or_made(replicas, None if applied else origin)
            except UNREACHABLE as error:
                if missing.settled(isinstance(error, NotFoundError)):
                    raise StartupError(
                        f"NATS has no stream {self.name}, of which the data have applied {applied}"
                        " records: restore it there, or use an empty data directory for a new log"
                    ) from None
                if seldom.due():
                    _log.warning(
                        "JetStream cannot give the stream", name=self.name, reason=why(error)
                    )
                await asyncio.sleep(_TRY_EVERY)
            else:
                self._check(info.config)
                return _state(info)

    async def _found_or_made(self, replicas: int | None, origin: Origin | None) -> api.StreamInfo:
        try:
            return await self._js.stream_info(self.name)
        except NotFoundError:
            if origin is None:
                raise
            return await self._make(replicas or SAFE_REPLICAS, origin, alone=replicas is None)

    async def _make(self, replicas: int, origin: Origin, *, alone: bool) -> api.StreamInfo:
        """Make the stream; if `alone`, also where there is only one server."""
        config = api.StreamConfig(
            name=self.name,
            description="the log of a chat: what every node of it applies, in this order",
            subjects=[self.subject],
            retention=api.RetentionPolicy.LIMITS,
            storage=api.StorageType.FILE,
            discard=api.DiscardPolicy.OLD,
            max_age=KEPT_SECONDS,
            max_msg_size=MAX_RECORD_BYTES,
            duplicate_window=_DUPLICATES_SECONDS,
            num_replicas=replicas,
            allow_direct=True,
            deny_delete=True,
            metadata={_EPOCH: origin.epoch, _BASE: origin.base},
        )
        try:
            return await self._js.add_stream(config)
        except APIError as error:
            if error.err_code == NO_CLUSTER and alone and replicas > 1:
                return await self._make(1, origin, alone=False)
            if error.err_code == _NAME_IN_USE:  # another node was quicker
                return await self._js.stream_info(self.name)
            raise

    def _check(self, config: api.StreamConfig) -> None:
        for wrong, reason in (
            (config.subjects != [self.subject], f"its subjects are not {self.subject} alone"),
            (config.retention != api.RetentionPolicy.LIMITS, "its retention is not limits"),
            (config.sealed, "it is sealed"),
            (config.no_ack, "it acknowledges nothing"),
            (config.discard == api.DiscardPolicy.NEW, "it takes nothing more when it is full"),
            ((config.max_msgs_per_subject or 0) > 0, "it keeps few records of its one subject"),
            (_EPOCH not in (config.metadata or {}), f"it has no {_EPOCH} in its metadata"),
            (0 < (config.max_msg_size or 0) < MAX_RECORD_BYTES, "its messages are too small"),
        ):
            if wrong:
                raise StartupError(
                    f"the stream {self.name} cannot be the log: {reason}; name another by"
                    " --nats-stream, or take that one away"
                )
        if not self._warned:
            self._warn(config)
            self._warned = True

    def _warn(self, config: api.StreamConfig) -> None:
        """Say where the stream promises less than this service does, as far as that can be seen."""
        for setting, risk in _weaknesses(config):
            _log.warning("the stream is weaker", name=self.name, setting=setting, risk=risk)
        if (config.num_replicas or 1) >= SAFE_REPLICAS:
            _log.info(
                "what is acknowledged is on a majority of the replicas, and on their disks only if"
                " NATS has sync_interval: always, which is not to be seen from here",
                name=self.name,
                replicas=config.num_replicas,
            )


def _weaknesses(config: api.StreamConfig) -> Iterator[tuple[str, str]]:
    """Yield settings that promise less than this service does, each with its risk."""
    replicas = config.num_replicas or 1
    if replicas < SAFE_REPLICAS:
        yield (
            f"num_replicas={replicas}",
            "what is acknowledged may be lost with one server's disk, and with its power unless"
            " NATS has sync_interval: always, which is not to be seen from here",
        )
    if config.storage == api.StorageType.MEMORY:
        yield "storage=memory", "what is acknowledged is lost when the servers stop"
    if config.persist_mode == api.PersistMode.ASYNC:
        yield "persist_mode=async", "what is acknowledged is lost when a server is killed"
    for name, limit, enough in (
        ("max_age", config.max_age or 0, _SHORT_SECONDS),
        ("max_bytes", config.max_bytes or 0, _SMALL_BYTES),
        ("max_msgs", config.max_msgs or 0, math.inf),
    ):
        if 0 < limit < enough:
            yield f"{name}={limit}", "nodes that are further behind start from a snapshot, or stop"


def payload_lack(client: Client) -> str | None:
    """Return why the present connection does not do for a log, if that is so."""
    if client.max_payload >= LEAST_PAYLOAD:
        return None
    return (
        f"NATS takes messages of {client.max_payload} bytes at most, and the log needs"
        f" {LEAST_PAYLOAD}: raise max_payload, which is 1MB by default"
    )


def _state(info: api.StreamInfo) -> StreamState:
    known = info.config.metadata or {}
    return StreamState(
        known.get(_EPOCH, ""),
        max(info.state.first_seq, 1),
        info.state.last_seq,
        known.get(_BASE, ""),
        info.config.num_replicas or 1,
    )
