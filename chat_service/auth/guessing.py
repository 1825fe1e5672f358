"""How often a password may be tried: guessing is hopeless, and no stranger locks anybody out.

Tries are counted in three ways, each with growing delays and forgiven with time:

- of one account from one origin: after 3 failures the next try is refused for 1 s, then 2, 4 … 300;
- of one address, whatever the accounts: the same after 10;
- of one account from everywhere: after 20 a try is looked at a little later, by 3 s at most. This
  is all that strangers elsewhere can do: they can make an owner wait, but not stay out.

An origin that has succeeded before is known: by its client where that has a secret, else by its
address. It is counted for itself alone, so that neither a crowd of strangers nor a neighbour at the
same address stands in the way of the owner's own client. Whoever comes without a secret shares what
the neighbours have failed.

Only failures count, so many right passwords that come at once are not taken for guesses. What is
under way is bounded, else a thousand at once would all be admitted before the first had failed: 3
of one account from one origin and 16 of one address, less what has failed already, and a single one
where the free failures are used up. What is refused is not looked at and does not count. A success
forgives what that very client has failed, and nothing that may be another's: whoever guesses may
have an account of their own, or share an address with somebody who knows the password.
"""

import sys
from collections import OrderedDict
from collections.abc import Callable
from typing import Final, NamedTuple

from chat_service.core.errors import RateLimited
from chat_service.core.origin import network_of

LONGEST_DELAY: Final = 300.0
"""Seconds for which a try is refused at most."""

LONGEST_WAIT: Final = 3.0
"""Seconds by which a try is delayed at most, because of what others do."""

_FIRST_WAIT: Final = 0.25
_MOST_DOUBLINGS: Final = 9  # past the longest of both; more would only take longer to forgive

_REMEMBERED: Final = 65_536
"""Of each kind, how many are kept; those not seen for the longest are forgotten."""


_SHORTLY: Final = 1.0
"""Seconds after which to try again where too many tries are under way."""


class _Patience(NamedTuple):
    """So many failures are free; and of all, one is forgiven each time so many seconds pass.

    `at_once` is how many tries may be under way, together with what has failed.
    """

    free: int
    forgiven_each: float
    at_once: int


_OF_ORIGIN: Final = _Patience(3, LONGEST_DELAY, 3)
_OF_ADDRESS: Final = _Patience(10, 60.0, 16)
_OF_ACCOUNT: Final = _Patience(20, 60.0, sys.maxsize)


class _Tally:
    """The recent failures of one origin, address or account, and how many tries are under way."""

    __slots__ = ("_failures", "_patience", "_since", "_under_way", "_until")

    def __init__(self, patience: _Patience, now: float) -> None:
        self._patience = patience
        self._failures = 0
        self._under_way = 0
        self._since = now
        self._until = now

    def check(self, now: float, whose: str) -> None:
        """Raise RateLimited where no further try is admitted now."""
        if self._until > now:
            raise _refusal("wrong passwords", whose, self._until - now)
        if self._under_way >= self._at_once(now):
            raise _refusal("passwords at once", whose, _SHORTLY)

    def wait(self, now: float) -> float:
        """Return by how many seconds a try is to be delayed."""
        return min(LONGEST_WAIT, _FIRST_WAIT * self._growth(now))

    def begin(self) -> None:
        """Take note of a try that is under way."""
        self._under_way += 1

    def end(self) -> None:
        """Take note that a try is no longer under way."""
        self._under_way -= 1

    def fail(self, now: float) -> None:
        """Count a failure: the delay begins here."""
        self._forgive(now)
        self._failures = min(self._failures + 1, self._patience.free + _MOST_DOUBLINGS)
        self._until = now + min(LONGEST_DELAY, self._growth(now))

    def _at_once(self, now: float) -> int:
        self._forgive(now)
        if self._failures < self._patience.free:
            return self._patience.at_once - self._failures
        return 1

    def _growth(self, now: float) -> float:
        """Return 1, 2, 4 … for each failure from the last free one on, 0 before."""
        self._forgive(now)
        more = self._failures - self._patience.free
        return 2.0**more if more >= 0 else 0.0

    def _forgive(self, now: float) -> None:
        forgiven = int((now - self._since) // self._patience.forgiven_each)
        self._since += forgiven * self._patience.forgiven_each
        self._failures = max(0, self._failures - forgiven)
        if not self._failures:
            self._since = now


class _Tallies:
    """The tallies of one kind, by whose they are."""

    def __init__(self, patience: _Patience) -> None:
        self._patience = patience
        self._of: OrderedDict[object, _Tally] = OrderedDict()

    def check(self, owner: object, now: float, whose: str) -> None:
        """Raise RateLimited for whom no try is admitted. Who is refused makes nobody forgotten."""
        if (tally := self._of.get(owner)) is not None:
            self._of.move_to_end(owner)
            tally.check(now, whose)

    def of(self, owner: object, now: float) -> _Tally:
        tally = self._of.pop(owner, None) or _Tally(self._patience, now)
        self._of[owner] = tally
        if len(self._of) > _REMEMBERED:
            self._of.popitem(last=False)
        return tally

    def forget(self, owner: object) -> None:
        self._of.pop(owner, None)


class _Origin(NamedTuple):
    """From where somebody tries to be an account: a client's digest, or an address."""

    account: str
    place: bytes | str

    @property
    def is_client(self) -> bool:
        """Whether it is one client alone, and not whoever shares an address."""
        return isinstance(self.place, bytes)


class Attempt(NamedTuple):
    """A try that was admitted, and has to be reported as failed, succeeded or withdrawn."""

    wait: float
    """Seconds to wait before the password is looked at."""

    origin: _Origin
    known_from_now: tuple[_Origin, ...]
    tallies: tuple[_Tally, ...]


class GuessLimiter:
    """Decides when a password may be tried. `clock` gives seconds and does not go back."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._of_origin = _Tallies(_OF_ORIGIN)
        self._of_address = _Tallies(_OF_ADDRESS)
        self._of_account = _Tallies(_OF_ACCOUNT)
        self._known: OrderedDict[_Origin, None] = OrderedDict()

    def admit(self, account: str, address: str, client: bytes) -> Attempt:
        """Let a password be looked at, which is under way from now on; raises RateLimited.

        `account` is a name in its normal form, whether or not anybody has it; `address` as
        `parse_origin` returns it; `client` the digest of the client's secret, or b"" without one.
        """
        now = self._clock()
        network = network_of(address)
        origins = tuple(_Origin(account, place) for place in (client, network) if place)
        known = next(filter(self._is_known, origins), None)
        origin = known or _Origin(account, network)
        self._of_origin.check(origin, now, "")
        others = () if known else self._shared(account, network, now)
        own = self._of_origin.of(origin, now)
        wait = others[-1].wait(now) if others else 0.0
        for tally in (own, *others):
            tally.begin()
        return Attempt(wait, origin, origins, (own, *others))

    def failed(self, attempt: Attempt) -> None:
        """Take note that the password was wrong."""
        now = self._clock()
        for tally in attempt.tallies:
            tally.end()
            tally.fail(now)

    def succeeded(self, attempt: Attempt) -> None:
        """Take note that the password was right."""
        self.withdrawn(attempt)
        if attempt.origin.is_client:
            self._of_origin.forget(attempt.origin)
        for origin in attempt.known_from_now:
            self._known[origin] = None
            self._known.move_to_end(origin)
        while len(self._known) > _REMEMBERED:
            self._known.popitem(last=False)

    def withdrawn(self, attempt: Attempt) -> None:
        """Take note that the password was not looked at."""
        for tally in attempt.tallies:
            tally.end()

    def _is_known(self, origin: _Origin) -> bool:
        return origin in self._known

    def _shared(self, account: str, network: str, now: float) -> tuple[_Tally, _Tally]:
        self._of_address.check(network, now, " from your address")
        return self._of_address.of(network, now), self._of_account.of(account, now)


def _refusal(what: str, whose: str, seconds: float) -> RateLimited:
    return RateLimited(f"too many {what}{whose}: wait a while", retry_after=seconds)
