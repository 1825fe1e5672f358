"""Where connections are let in: all that a transport needs to know of the rest of the house."""

from collections.abc import Iterator
from contextlib import contextmanager

from chat_service.auth.doorman import Certified
from chat_service.core.commands import Secret
from chat_service.core.errors import Unavailable
from chat_service.core.origin import parse_origin
from chat_service.flood import Meter
from chat_service.hub.outbox import Outbox
from chat_service.services import Services
from chat_service.session import Session
from chat_service.wire.port import Codec, Terms


class Reception:
    """Makes sessions, as long as there is room for another."""

    def __init__(
        self, services: Services, *, outbox_events: int, outbox_bytes: int, max_sessions: int
    ) -> None:
        self._services = services
        self._outbox_bounds = outbox_events, outbox_bytes
        self._max_sessions = max_sessions
        self._outlived = 0

    def admit(self, peer: str) -> Meter:
        """Count the connect of a peer whose session is yet to come; raises RateLimited."""
        return self._services.flood.connect(parse_origin(peer))

    def terms(self, certified: Certified | None) -> Terms:
        """Return how somebody may come in who types, and whose certificate says this."""
        doorman = self._services.doorman
        if certified is not None:
            return Terms("")
        return Terms("token" if doorman.mode == "token" else "password", doorman.takes_newcomers)

    def open(
        self,
        codec: Codec,
        peer: str,
        *,
        certified: Certified | None = None,
        bearer: Secret | None = None,
        meter: Meter | None = None,
    ) -> Session:
        """Make the session of a new connection from a peer, as a socket or gRPC names it.

        `certified` is what the client's certificate says, None where none is asked for; `bearer`
        a token that came before the first command; `meter` comes from `admit`, if that was asked.

        Raises Unavailable or RateLimited if none can be had now; those that exist live on.
        """
        hub = self._services.hub
        if hub.draining:
            raise Unavailable("the server is shutting down", retry_after=1.0)
        if len(hub.registry) + self._outlived >= self._max_sessions:
            raise Unavailable("the server is full", retry_after=5.0)
        outbox = Outbox(*self._outbox_bounds)
        address = parse_origin(peer)
        return Session(self._services, codec, outbox, address, certified, bearer, meter)

    @contextmanager
    def outlived(self) -> Iterator[None]:
        """Count a connection whose session is over.

        A stream that nobody reads cannot be ended from here, and holds what was written last.
        """
        self._outlived += 1
        try:
            yield
        finally:
            self._outlived -= 1
