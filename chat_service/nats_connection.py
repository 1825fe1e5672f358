"""The one connection of a node to NATS, which log, signals and snapshots share.

It is made again whenever it is lost, for as long as that takes. What the library would let wait for
minutes is bounded: a server that does not answer is noticed within seconds, and nothing is waited
for that could not be sent to it.
"""

import asyncio
import contextlib
import ssl
from pathlib import Path
from typing import Any, Final, NamedTuple
from urllib.parse import ParseResult, urlsplit

import nats.errors
from nats.aio.client import Client, RawCredentials
from nats.aio.transport import TcpTransport

from chat_service.logs import Seldom, get
from chat_service.startup import StartupError

_log = get("nats")

UNREACHABLE: Final = (nats.errors.Error, OSError, TimeoutError)
"""What a call raises that NATS did not answer, or not well; it is worth another try."""

PENDING_BYTES: Final = 2 * 1024 * 1024
"""What may wait to be sent before who sends waits, or is refused while there is no connection."""

_PING_EVERY: Final = 1
_UNANSWERED_PINGS: Final = 2
_CONNECT_WITHIN: Final = 2
_PAUSE: Final = 0.25
"""Seconds between two attempts to connect to one server."""

_CREDENTIALS_MARKS: Final = (b"BEGIN NATS USER JWT", b"BEGIN USER NKEY SEED")
_FATAL: Final = "maximum payload violation"
"""What a server ends a connection for, and would end the next one for."""

_PASSING: Final = "permissions violation"
"""What a server says and lets the connection be."""

_REFUSAL: Final = "authorization violation"
_REFUSED_FOR: Final = 30.0
"""Seconds for which a node that was let in once has to be refused before that is believed: new
credentials, or servers with new settings, may not be in place everywhere at one moment.
"""

_CLOSE_WITHIN: Final = 2.0
_CANCEL_EVERY: Final = 0.1


class NatsSettings(NamedTuple):
    """Where NATS is and who this node is there; the files are those that NATS users have."""

    servers: tuple[str, ...]
    name: str
    credentials: Path | None = None
    ca: Path | None = None
    cert: Path | None = None
    key: Path | None = None


async def connect(settings: NatsSettings) -> Client:
    """Return a client that stays connected; waits for NATS as long as it is away.

    Raises StartupError where waiting would not help: for credentials or certificates that are not
    accepted.
    """
    client = _Client(settings.credentials)
    client.read_credentials()
    tls = _tls(settings)
    client._transport = _Transport(_wants_tls(settings))  # noqa: SLF001  (there is no other way in)
    try:
        await _connect_or_give_up(client, settings, tls)
    except BaseException:
        await close(client)
        raise
    return client


async def close(client: Client) -> None:
    """Send what waits, and end the connection; gives up after a while."""
    if not client.options:
        return  # it was never used
    with contextlib.suppress(*UNREACHABLE):
        async with asyncio.timeout(_CLOSE_WITHIN):
            if client.is_connected:
                await client.flush()
            await client.close()


async def end(*tasks: asyncio.Task[Any]) -> None:
    """Cancel tasks that use a client, and wait until they have ended.

    Once is not enough: `asyncio.wait_for`, which the client uses, loses a cancellation that comes
    together with what it waits for (https://github.com/python/cpython/issues/86296, until 3.12).
    """
    pending = {task for task in tasks if not task.done()}
    while pending:
        for task in pending:
            task.cancel()
        _, pending = await asyncio.wait(pending, timeout=_CANCEL_EVERY)


async def _connect_or_give_up(
    client: "_Client", settings: NatsSettings, tls: ssl.SSLContext | None
) -> None:
    complaints = _Complaints(settings)
    connecting = asyncio.create_task(
        client.connect(
            list(settings.servers),
            name=settings.name,
            user_credentials=client.credentials,
            tls=tls,
            error_cb=complaints.note,
            reconnected_cb=complaints.over,
            max_reconnect_attempts=-1,
            reconnect_time_wait=_PAUSE,  # type: ignore[arg-type]  # it sleeps that long
            connect_timeout=_CONNECT_WITHIN,
            ping_interval=_PING_EVERY,
            max_outstanding_pings=_UNANSWERED_PINGS,
            pending_size=PENDING_BYTES,
            flush_timeout=_CONNECT_WITHIN,
        ),
        name="nats connect",
    )
    try:
        await asyncio.wait((connecting, complaints.hopeless), return_when=asyncio.FIRST_COMPLETED)
        if complaints.hopeless.done():
            raise StartupError(complaints.hopeless.result())
        connecting.result()
        complaints.patience = _REFUSED_FOR
        complaints.hopeless.add_done_callback(client.give_up)
    except nats.errors.Error as error:  # of the settings: what a network does is tried again
        raise StartupError(f"cannot use --nats: {error}") from None
    finally:
        await end(connecting)


def _wants_tls(settings: NatsSettings) -> bool:
    """Tell whether a server that does not encrypt is not to be talked to."""
    files = settings.ca or settings.cert
    return files is not None or any(it.startswith("tls://") for it in settings.servers)


def _tls(settings: NatsSettings) -> ssl.SSLContext | None:
    """Return what servers have to prove, and by what this node does; raises StartupError."""
    if settings.ca is None and settings.cert is None:
        return None  # whom the system trusts
    try:
        context = ssl.create_default_context(cafile=settings.ca)
        if settings.cert is not None:
            context.load_cert_chain(settings.cert, settings.key)
    except OSError as error:
        raise StartupError(f"cannot use the certificates for NATS: {error}") from None
    return context


class _CredentialsError(nats.errors.Error):
    """The credentials file cannot be used as it is now."""


class _Client(Client):
    """A client that connects again whatever a server has ended the connection for.

    The library does so where a server gives no reason, and closes for good where it gives one:
    credentials that have run out, say, though the file has new ones by now.
    """

    def __init__(self, file: Path | None) -> None:
        super().__init__()
        self.credentials = None if file is None else RawCredentials("")
        self._file = file
        self._giving_up: asyncio.Task[None] | None = None

    def read_credentials(self) -> None:
        """Take what the credentials file holds now; raises StartupError if that is none."""
        if self._file is None or self.credentials is None:
            return
        try:
            content = self._file.read_bytes()
        except OSError as error:
            raise StartupError(f"cannot read {self._file}: {error.strerror}") from None
        if not all(mark in content for mark in _CREDENTIALS_MARKS):  # which are looked for for good
            raise StartupError(f"{self._file} holds no credentials for NATS, a JWT with its seed")
        self.credentials.data = content.decode(errors="replace")

    def give_up(self, hopeless: "asyncio.Future[str]") -> None:
        """Close for good, for the reason given."""
        self._err = nats.errors.Error(hopeless.result())
        self._giving_up = asyncio.create_task(self.close(), name="nats close")

    def _connect_command(self) -> bytes:
        """Say who this node is; raises _CredentialsError, upon which another attempt follows."""
        try:
            self.read_credentials()
            return super()._connect_command()
        except Exception as error:  # of a file that is just being written: it may be anything
            raise _CredentialsError(f"the credentials cannot be used: {why(error)}") from error

    async def _process_err(self, err_msg: str) -> None:
        """Take note of what a server says before it ends the connection, as a rule."""
        if _PASSING in err_msg or _FATAL in err_msg:
            await super()._process_err(err_msg)
            return
        error = nats.errors.Error(f"nats: {err_msg}")
        await self._error_cb(error)
        await self._process_op_err(error)


class _Transport(TcpTransport):
    """A connection that ends at once when it is closed, and is encrypted if it has to be.

    As a rule a socket is closed when everything was sent; where a network has failed that takes a
    quarter of an hour, and the client would not connect to another server before.
    """

    def __init__(self, must_encrypt: bool) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._must_encrypt = must_encrypt
        self._encrypted = False

    def __bool__(self) -> bool:
        return True  # else the client would make one of its own kind

    async def connect(self, uri: ParseResult, buffer_size: int, connect_timeout: int) -> None:
        """Connect, not encrypted yet; ends the connection of an attempt that failed."""
        self.close()
        self._encrypted = False
        await super().connect(uri, buffer_size, connect_timeout)

    async def connect_tls(
        self,
        uri: str | ParseResult,
        ssl_context: ssl.SSLContext,
        buffer_size: int,
        connect_timeout: int,
    ) -> None:
        """Encrypt the connection."""
        await super().connect_tls(uri, ssl_context, buffer_size, connect_timeout)
        self._encrypted = True

    def write(self, payload: bytes) -> None:
        """Write; raises SecureConnWantedError rather than show credentials to everybody."""
        if self._must_encrypt and not self._encrypted:
            raise nats.errors.SecureConnWantedError
        if not self._is_closing:
            super().write(payload)  # type: ignore[no-untyped-call]

    def writelines(self, payload: list[bytes]) -> None:
        """Write, or drop what a closed socket cannot take: uvloop would raise RuntimeError.

        Nobody is told twice: whoever waits for it to be sent hears that the connection was lost.
        """
        if not self._is_closing:
            super().writelines(payload)  # type: ignore[no-untyped-call]

    def close(self) -> None:
        """Give up what was not sent."""
        if self._io_writer is not None:
            self._io_writer.transport.abort()

    @property
    def _is_closing(self) -> bool:
        return self._io_writer is None or self._io_writer.is_closing()


class _Complaints:
    """Says now and then in the log that NATS is away, and for good where that will not change."""

    def __init__(self, settings: NatsSettings) -> None:
        self.hopeless: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self.patience = 0.0
        """Seconds for which every server that answers has to refuse before it is hopeless."""
        self._refused_since: float | None = None
        self._servers = ", ".join(map(_address, settings.servers))
        self._seldom = Seldom()

    async def note(self, error: Exception) -> None:
        """Take note of what went wrong."""
        if _is_refusal(error):
            self._refuse(error)
        if self._seldom.due():
            _log.warning("no connection to NATS", servers=self._servers, reason=why(error))

    def _refuse(self, error: Exception) -> None:
        now = asyncio.get_running_loop().time()
        self._refused_since = self._refused_since or now
        if now - self._refused_since >= self.patience and not self.hopeless.done():
            self.hopeless.set_result(
                f"NATS at {self._servers} is not to be used like that: {why(error)}"
            )

    async def over(self) -> None:
        """Take note that all is well again."""
        self._refused_since = None
        self._seldom.over()
        _log.info("connected to NATS again", servers=self._servers)


def _is_refusal(error: Exception) -> bool:
    """Tell whether an error is about who is who, and not about what is away."""
    if isinstance(error, (nats.errors.SecureConnWantedError, _CredentialsError)):
        return True
    if isinstance(error, ssl.SSLError):
        return "CERTIFICATE" in (error.reason or "")
    return _REFUSAL in str(error).lower()


def why(error: Exception) -> str:
    """Return what an error says, or at least what it is called."""
    return str(error) or type(error).__name__


def _address(server: str) -> str:
    """Return a server's address without the password that its URL may have."""
    return urlsplit(server if "://" in server else f"nats://{server}").netloc.rpartition("@")[2]
