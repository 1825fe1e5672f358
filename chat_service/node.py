"""The composition root: builds every part, owns the tasks and the order of shutdown."""

import asyncio
import contextlib
import random
import secrets
import signal
import time
from collections.abc import Awaitable, Coroutine, Iterable
from typing import Any, Protocol

from chat_service import __version__
from chat_service.accounts import Accounts
from chat_service.administration import Administration, Watched
from chat_service.auth.doorman import Doorman
from chat_service.auth.guessing import GuessLimiter
from chat_service.auth.jwt import TokenVerifier
from chat_service.auth.keys import read_keys
from chat_service.auth.passwords import Passwords
from chat_service.config import Config, Endpoint
from chat_service.core.events import Goodbye, GoodbyeReason
from chat_service.core.signals import Heartbeat
from chat_service.desk import Desk
from chat_service.flood import FloodControl, Rates
from chat_service.follower import Follower
from chat_service.foundation import lay
from chat_service.hub.hub import Hub
from chat_service.inquiries import Inquiries
from chat_service.interpreter import say, tune
from chat_service.logs import get
from chat_service.loop_lag import LoopLag
from chat_service.nats_connection import end
from chat_service.reception import Reception
from chat_service.retention import Retention
from chat_service.services import Services
from chat_service.startup import StartupError
from chat_service.tls import Tls, TlsFiles
from chat_service.transports.accounts import AccountsService
from chat_service.transports.admin import AdminService
from chat_service.transports.connect import Calls
from chat_service.transports.http_connections import HttpConnections
from chat_service.transports.rpc import RpcTransport
from chat_service.transports.tcp import TcpTransport
from chat_service.transports.web import WebTransport
from chat_service.watch import Watch

_log = get("node")

RECONNECT_SPREAD = 2.0
"""Seconds over which clients are asked to spread their return after a shutdown."""

_CANCEL_AGAIN_AFTER = 5.0
"""Seconds after which a start that goes on has lost its cancellation: see nats_connection.end."""


class Transport(Protocol):
    """A way in."""

    async def start(self) -> Endpoint:
        """Listen; returns the endpoint with its real port. Raises StartupError."""

    async def stop_accepting(self) -> None:
        """Let no new connection in."""

    async def stop(self, grace: float) -> None:
        """Wait `grace` seconds for the connections to end, then force them."""


class Node:
    """One server. `run` serves until it is told to stop; tests use `start` and `stop`."""

    def __init__(self, config: Config) -> None:
        self._config = config
        self._instance = secrets.token_hex(8)
        """What tells this run of the node from every other."""
        self.endpoints: dict[str, Endpoint] = {}
        """Where each transport that is on listens, by its name."""
        self._transports: dict[str, Transport] = {}
        self._tasks: list[asyncio.Task[None]] = []
        """Those that last as long as the node."""
        self._stopped = False
        self._stopping = asyncio.Event()
        self._forced = asyncio.Event()

    async def run(self) -> None:
        """Serve until SIGTERM or SIGINT; a second one forces. Raises StartupError."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._signalled)
        if not await self._started():
            return
        tune()
        ready = " ".join(f"{name}={endpoint}" for name, endpoint in self.endpoints.items())
        say(f"ready {ready}")
        await self._stopping.wait()
        await self.stop()

    async def _started(self) -> bool:
        """Start; tells whether it was not told to stop before it had."""
        starting = asyncio.create_task(self.start(), name="start")
        stopping = asyncio.create_task(self._stopping.wait(), name="until stopped")
        await asyncio.wait((starting, stopping), return_when=asyncio.FIRST_COMPLETED)
        stopping.cancel()
        while not starting.done():  # it may wait for a log that is away
            if not self._stopped:
                starting.cancel()
            await asyncio.wait((starting,), timeout=_CANCEL_AGAIN_AFTER)
        if starting.cancelled():
            return False
        starting.result()
        return True

    async def start(self) -> None:
        """Open the state, catch up with the log and listen.

        Raises StartupError, having given back what it took.
        """
        config = self._config
        tls = await asyncio.to_thread(_tls, config)
        verifier = await asyncio.to_thread(_verifier, config)
        self._foundation = await lay(config, self._instance)
        self._store = self._foundation.store
        services = self._build(verifier)
        await self._take_seats()
        self._set_going(tls)
        self._build_transports(services, tls)
        try:
            await self._caught_up()
            # Only now, since who is still in the past knows nothing of who lives.
            self._watch_nodes()
            for name, transport in self._transports.items():
                self.endpoints[name] = await transport.start()
        except BaseException:
            await self.stop()
            raise
        _log.info("ready", epoch=self._store.epoch, seq=self._store.seq, **self._described())

    def _build(self, verifier: TokenVerifier | None) -> Services:
        """Make what every session leans on."""
        config = self._config
        log = self._ledger = self._foundation.log
        self.hub = Hub(log.append, _now, config.presence_limit, self._instance)
        log.on_refused = self.hub.refuse
        self.hub.seq = self._store.seq
        self.watch = Watch(
            self._foundation.signals,
            self.hub,
            self._heartbeat,
            self._store.digest_at,
            self._foundation.log_works,
            self._foundation.attempt,
            time.monotonic,
        )
        self.loop_lag = LoopLag()
        self._passwords = Passwords()
        doorman = Doorman(
            config.auth,
            self._store,
            self._passwords,
            GuessLimiter(time.monotonic),
            verifier,
            registration=config.registration == "open",
            synced=log.synced,
        )
        inquiries = Inquiries(self.hub, self._store)
        flood = _flood_control(config)
        return Services(self.hub, log, self._store, inquiries, flood, doorman, _now, self._instance)

    async def _take_seats(self) -> None:
        """Begin with the names that are held: those of the last run, or of all nodes."""
        if self._config.nats is not None:  # whose others let go of what a dead one held
            self.hub.attendance.load(await self._store.seats())
            return
        for user, client, session in await self._store.held_names():
            self.hub.release(session, user, client, hold=True)  # their clients may come back

    def _set_going(self, tls: Tls | None) -> None:
        """Start the tasks that last as long as the node."""
        self._foundation.begin()
        follower = Follower(self._ledger, self._store, self.hub)
        self._following = self._own(follower.run(), "follower")
        retention = Retention(self._config.keep, self._ledger, self._store, _now, self._leads)
        self._own(retention.run(), "retention")
        self._own(self.loop_lag.run(), "loop lag")
        if tls is not None:
            self._own(tls.run(), "certificate")

    def _watch_nodes(self) -> None:
        """Start what needs to know which nodes live."""
        self._own(self.watch.run(), "watch")
        self._own(self._foundation.keep_snapshots(lambda: self.watch.vouches), "snapshots")

    def _own(self, running: Coroutine[Any, Any, None], name: str) -> asyncio.Task[None]:
        """Start a task that lasts as long as the node: if it fails, the node ends, and says why."""
        task = asyncio.create_task(running, name=name)
        task.add_done_callback(self._task_ended)
        self._tasks.append(task)
        return task

    def _task_ended(self, task: asyncio.Task[None]) -> None:
        if not task.cancelled() and task.exception() is not None:
            self._stopping.set()

    def _build_transports(self, services: Services, tls: Tls | None) -> None:
        """Make the ways in that are on; none of them listens yet."""
        config = self._config
        reception = Reception(
            services,
            outbox_events=config.outbox_events,
            outbox_bytes=config.outbox_bytes,
            max_sessions=config.max_sessions,
        )
        unary = self._unary_services(services, tls)
        keepalive, shared = config.keepalive, config.worker
        if config.grpc is not None:
            self._transports["grpc"] = RpcTransport(
                reception, config.grpc, keepalive, tls, unary, shared=shared
            )
        if config.tcp is not None:
            self._transports["tcp"] = TcpTransport(
                reception, config.tcp, keepalive, tls, shared=shared
            )
        if config.web is not None:
            self._transports["web"] = WebTransport(
                reception,
                config.web,
                keepalive,
                Calls(unary[0], services.flood),
                _http_connections(config),
                tls,
                config.web_origin,
                shared=shared,
            )

    def _unary_services(
        self, services: Services, tls: Tls | None
    ) -> tuple[AccountsService, AdminService]:
        doorman, flood = services.doorman, services.flood
        desk = Desk(self.hub, self._ledger, _now, self._instance)
        accounts = Accounts(desk, self._store, doorman, flood, self._config.token_lifetime)
        watched = Watched(self.hub, self._store, self.loop_lag, self.watch, _now())
        admin = Administration(
            accounts, desk, self._store, self._passwords, watched, self._stopping.set
        )
        return AccountsService(accounts, flood, tls), AdminService(admin, flood, tls)

    async def _caught_up(self) -> None:
        """Wait until what is in the log is applied; raises StartupError if that fails."""
        catching_up = asyncio.create_task(self._foundation.caught_up(), name="catch up")
        try:
            await asyncio.wait((catching_up, self._following), return_when=asyncio.FIRST_COMPLETED)
        finally:
            catching_up.cancel()
        if self._following.done():
            await self.stop()  # which raises why

    async def stop(self) -> None:
        """Shut down gracefully within the deadline; raises StartupError if a task had failed.

        Of a node that was stopped there is nothing more to stop.
        """
        if self._stopped:
            return
        self._stopped = True
        _log.info("shutting down", sessions=len(self.hub.registry))
        loop = asyncio.get_running_loop()
        deadline = loop.time() + self._config.shutdown_deadline
        transports = list(self._transports.values())
        self.hub.draining = True
        await _each(transport.stop_accepting() for transport in transports)
        await self._until_committed(deadline)
        for member in self.hub.registry.all():
            member.owner.end(_shutdown_goodbye())
        stopping = asyncio.gather(
            *(transport.stop(max(0.0, deadline - loop.time() - 0.5)) for transport in transports)
        )
        await self._unless_forced(stopping)
        if self._config.nats is not None:  # else other nodes wait for those who have left
            await self._until_committed(deadline)
        self.hub.close()
        await end(*self._tasks)
        self.watch.depart()
        self._passwords.close()
        await self._foundation.close()
        _log.info("stopped", seq=self._store.seq, **self._loop_lags())
        for task in self._tasks:
            if not task.cancelled() and (failure := task.exception()) is not None:
                raise StartupError(f"cannot go on: {failure}") from failure

    def _leads(self) -> bool:
        """Tell whether this node does what only one has to do."""
        return self._config.nats is None or self.watch.leads

    def _heartbeat(self) -> Heartbeat:
        position = self._store.position
        digest = self._store.digest_at(position) or b""
        sessions = len(self.hub.registry)
        return Heartbeat(self._instance, self._config.node, __version__, position, digest, sessions)

    async def _until_committed(self, deadline: float) -> None:
        """Let everything that was accepted be applied and fanned out."""
        loop = asyncio.get_running_loop()
        idle = asyncio.create_task(self._ledger.idle(), name="until committed")
        timeout = max(0.0, (deadline - loop.time()) / 2)
        await asyncio.wait(
            (idle, self._following), timeout=timeout, return_when=asyncio.FIRST_COMPLETED
        )
        idle.cancel()

    async def _unless_forced(self, stopping: asyncio.Future[list[None]]) -> None:
        forced = asyncio.create_task(self._forced.wait(), name="until forced")
        await asyncio.wait((stopping, forced), return_when=asyncio.FIRST_COMPLETED)
        forced.cancel()
        if not stopping.done():
            _log.warning("forced")
            stopping.cancel()
            await _each(transport.stop(0.0) for transport in self._transports.values())
        with contextlib.suppress(asyncio.CancelledError):
            await stopping

    def _signalled(self) -> None:
        if self._stopping.is_set():
            self._forced.set()
        self._stopping.set()

    def _loop_lags(self) -> dict[str, float]:
        p99, most = self.loop_lag.quantile(0.99), self.loop_lag.most
        return {
            "loop_lag_p99_ms": round(1000 * p99, 1),
            "loop_lag_max_ms": round(1000 * most, 1),
        }

    def _described(self) -> dict[str, str]:
        return {name: str(endpoint) for name, endpoint in self.endpoints.items()}


def _flood_control(config: Config) -> FloodControl:
    rates = Rates(
        config.rate_connects,
        config.rate_commands,
        config.rate_bytes,
        config.rate_registrations,
    )
    return FloodControl(rates, time.monotonic)


def _tls(config: Config) -> Tls | None:
    if config.tls_cert is None or config.tls_key is None:
        return None
    return Tls(TlsFiles(config.tls_cert, config.tls_key, config.tls_client_ca))


def _http_connections(config: Config) -> HttpConnections:
    """Allow as many as sessions, and one address as many as it may open at once."""
    connects = config.rate_connects
    return HttpConnections(config.max_sessions, None if connects is None else int(connects.burst))


def _verifier(config: Config) -> TokenVerifier | None:
    if config.auth != "token":
        return None
    return TokenVerifier(
        read_keys(
            secret=config.jwt_secret,
            public_key=config.jwt_public_key,
            key_set=config.jwt_jwks,
        ),
        issuer=config.jwt_issuer,
        audience=config.jwt_audience,
        name_claim=config.jwt_name_claim,
        leeway=config.jwt_leeway,
        max_age=config.jwt_max_age,
    )


async def _each(coroutines: Iterable[Awaitable[None]]) -> None:
    await asyncio.gather(*coroutines)


def _shutdown_goodbye() -> Goodbye:
    again = random.uniform(0.1, RECONNECT_SPREAD)  # noqa: S311  (only spreads a herd)
    return Goodbye(GoodbyeReason.SHUTDOWN, "server shutting down", True, again)


def _now() -> int:
    return time.time_ns() // 1000
