"""Flood control: token buckets for connects, commands and bytes.

Commands and bytes are counted three times: for the session, for its address, where many people may
share one, and, once it is proven who it is, for its user (all sessions together). Before that
nothing is taken from a user's buckets, or strangers who only say the name could empty them. An
IPv6 address counts as its /64, of which one site may take any address it likes.

Connects are counted for the address and, where the client has an id, which is its secret, for that
client under its name; unary calls are connects as well, and accounts that are made are counted for
the address. The buckets of users, clients and addresses outlive their sessions, else reconnecting
would fill them.
"""

from collections import OrderedDict
from collections.abc import Callable, Hashable, Sequence
from typing import Final, NamedTuple

from chat_service.core.bucket import Rate, TokenBucket
from chat_service.core.errors import RateLimited
from chat_service.core.origin import network_of

USER_FACTOR: Final = 2
ADDRESS_FACTOR: Final = 10
CONNECTS_OF_ONE_CLIENT: Final = 0.1
"""The share of an address's connects that one client may take."""

PATIENCE: Final = Rate(10, 1000)
"""How often a session may be refused before it is shown the door."""

_REMEMBERED: Final = 65_536
"""Buckets of each kind that are kept; those not seen for the longest are forgotten."""


class Rates(NamedTuple):
    """The limits of one server; None is no limit."""

    connects: Rate | None
    commands: Rate | None
    bytes: Rate | None
    registrations: Rate | None = None


class _Buckets:
    """One kind of bucket for many owners."""

    def __init__(self, rate: Rate | None, factor: float) -> None:
        self._rate = None if rate is None else rate.times(factor)
        self._of: OrderedDict[Hashable, TokenBucket] = OrderedDict()

    def of(self, owner: Hashable, now: float) -> TokenBucket | None:
        if self._rate is None:
            return None
        bucket = self._of.get(owner)
        if bucket is None:
            bucket = self._of[owner] = TokenBucket(self._rate, now)
            if len(self._of) > _REMEMBERED:
                self._of.popitem(last=False)
        else:
            self._of.move_to_end(owner)
        return bucket


class FloodControl:
    """The buckets of a server. `clock` gives seconds and does not go back."""

    def __init__(self, rates: Rates, clock: Callable[[], float]) -> None:
        self.rates = rates
        self.clock = clock
        self._connects = _Buckets(rates.connects, 1)
        self._registrations = _Buckets(rates.registrations, 1)
        self._claims = _Buckets(rates.connects, CONNECTS_OF_ONE_CLIENT)
        self._commands = _Buckets(rates.commands, USER_FACTOR)
        self._bytes = _Buckets(rates.bytes, USER_FACTOR)
        self._commands_from = _Buckets(rates.commands, ADDRESS_FACTOR)
        self._bytes_from = _Buckets(rates.bytes, ADDRESS_FACTOR)

    def connect(self, address: str) -> "Meter":
        """Count a connect and return the meter of its session; raises RateLimited.

        `address` is as `parse_origin` returns it.
        """
        now, network = self.clock(), network_of(address)
        connects = _limits(self._connects.of(network, now))
        _take(1, now, connects, "too many connections from your address")
        commands = _limits(_own(self.rates.commands, now), self._commands_from.of(network, now))
        octets = _limits(_own(self.rates.bytes, now), self._bytes_from.of(network, now))
        return Meter(self, commands, octets)

    def register(self, address: str) -> None:
        """Count an account that somebody makes, as in `connect`; raises RateLimited."""
        now = self.clock()
        _take(
            1,
            now,
            _limits(self._registrations.of(network_of(address), now)),
            "too many registrations from your address",
        )

    def claim(self, user: str, client: bytes) -> None:
        """Count a client's claim to a name, true or not; raises RateLimited.

        `client` is the digest of its secret: nobody else takes from the same bucket.
        """
        now = self.clock()
        claims = _limits(self._claims.of((user, client), now))
        _take(1, now, claims, "too many connections of this client")

    def welcome(self, meter: "Meter", identity: int) -> None:
        """Charge what a session does to its user as well, which it is proven to be."""
        now = self.clock()
        meter.commands += _limits(self._commands.of(identity, now))
        meter.octets += _limits(self._bytes.of(identity, now))


class Meter:
    """Counts what one session does."""

    __slots__ = ("_clock", "_patience", "commands", "octets")

    def __init__(
        self,
        control: FloodControl,
        commands: list[TokenBucket],
        octets: list[TokenBucket],
    ) -> None:
        self._clock = control.clock
        self._patience = TokenBucket(PATIENCE, control.clock())
        self.commands = commands
        self.octets = octets

    def command(self) -> None:
        """Count a command; raises RateLimited."""
        if self.commands:
            _take(1, self._clock(), self.commands, "too many commands")

    def received(self, count: int) -> None:
        """Count bytes; raises RateLimited."""
        _take(count, self._clock(), self.octets, "too many bytes")

    def tolerates(self) -> bool:
        """Count a refusal; False if the session has gone on for too long."""
        return self._patience.take(1, self._clock()) == 0.0


def _own(rate: Rate | None, now: float) -> TokenBucket | None:
    return None if rate is None else TokenBucket(rate, now)


def _limits(*buckets: TokenBucket | None) -> list[TokenBucket]:
    """Return the buckets that there are."""
    return [bucket for bucket in buckets if bucket is not None]


def _take(
    amount: float,
    now: float,
    buckets: Sequence[TokenBucket],
    what: str,
) -> None:
    for taken, bucket in enumerate(buckets):
        if (wait := bucket.take(amount, now)) > 0:
            # What one is refused costs nothing, least of all to those who share a bucket.
            for other in buckets[:taken]:
                other.give_back(amount)
            raise RateLimited(f"{what}: slow down", retry_after=wait)
