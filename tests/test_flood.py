"""Flood control: whose bucket pays for what, on a clock that the test moves."""

from collections import defaultdict
from contextlib import suppress
from itertools import count

import pytest

from chat_service.config import Config
from chat_service.core.bucket import Rate
from chat_service.core.errors import RateLimited
from chat_service.flood import FloodControl, Meter, Rates

IDENTITIES: defaultdict[str, int] = defaultdict(count().__next__)


class Time:
    """Seconds that pass when told to."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


def entered(control: FloodControl, user: str, address: str) -> Meter:
    meter = control.connect(address)
    control.claim(user, b"digest of the id of a client of " + user.encode())
    control.welcome(meter, IDENTITIES[user])
    return meter


def granted(meter: Meter, attempts: int) -> int:
    """Return how many of so many commands are let through."""
    count = 0
    for _ in range(attempts):
        with suppress(RateLimited):
            meter.command()
            count += 1
    return count


def test_an_address_is_not_charged_for_another() -> None:
    control = FloodControl(Rates(Rate(1, 5), Rate(1, 10), Rate(1, 1000)), Time())
    for number in range(5):
        granted(entered(control, f"user{number}", "here"), 1000)
    with pytest.raises(RateLimited, match="from your address"):
        control.connect("here")
    assert granted(entered(control, "other", "elsewhere"), 1000) == 10


def test_the_addresses_of_one_ipv6_site_are_counted_as_one() -> None:
    control = FloodControl(Rates(Rate(1, 20), Rate(1, 10), Rate(1, 1000), Rate(1, 5)), Time())
    site = map("2001:db8::{:x}".format, count(1))
    meters = [entered(control, f"user{number}", next(site)) for number in range(20)]
    assert sum(granted(meter, 10) for meter in meters) == 100  # of the 200 of so many addresses
    for _ in range(5):
        control.register(next(site))
    for limited in (control.connect, control.register):
        with pytest.raises(RateLimited, match="from your address"):
            limited(next(site))
        limited("2001:db8:0:1::1")


def test_what_a_user_is_refused_is_not_charged_to_the_others_at_the_address() -> None:
    control = FloodControl(Rates(None, Rate(1, 10), None), Time())
    assert sum(granted(entered(control, "ann", "here"), 10) for _ in range(50)) == 20
    assert granted(entered(control, "bob", "here"), 10) == 10


def test_what_a_user_is_refused_is_not_charged_to_the_session() -> None:
    time = Time()
    control = FloodControl(Rates(None, Rate(1, 10), None), time)
    first, second, third = [entered(control, "ann", "here") for _ in range(3)]
    assert [granted(first, 10), granted(second, 10), granted(third, 100)] == [10, 10, 0]
    time.now = 5.0
    assert granted(third, 100) == 10


def test_no_rate_is_no_limit() -> None:
    control = FloodControl(Rates(None, None, None), Time())
    meter = entered(control, "ann", "here")
    assert granted(meter, 100_000) == 100_000
    meter.received(1 << 40)
    for _ in range(10_000):
        control.connect("here")


def test_buckets_of_users_and_addresses_do_not_pile_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("chat_service.flood._REMEMBERED", 100)
    control = FloodControl(Rates(Rate(1, 5e4), Rate(1, 10), Rate(1, 1000)), Time())
    for number in range(1000):
        entered(control, f"user{number}", f"address{number}")
        entered(control, "regular", "known")
        for buckets in (control._connects, control._claims, control._commands, control._bytes_from):
            assert len(buckets._of) <= 100


# --- who has not proven anything ---


def test_a_claim_to_a_name_is_paid_by_the_client_and_not_by_its_owner() -> None:
    control = FloodControl(Rates(Rate(1, 100), Rate(1, 10), Rate(1, 1000)), Time())
    for _ in range(10):
        control.claim("bob", b"a stranger's")
    with pytest.raises(RateLimited, match="of this client"):
        control.claim("bob", b"a stranger's")
    control.claim("alice", b"a stranger's")
    control.claim("bob", b"bob's own")


def test_a_user_pays_from_the_welcome_on() -> None:
    control = FloodControl(Rates(None, Rate(1, 10), None), Time())
    for _ in range(10):
        stranger = control.connect("elsewhere")
        control.claim("bob", b"a stranger's")
        assert granted(stranger, 10) == 10
    bob = [entered(control, "bob", "here") for _ in range(3)]
    assert [granted(meter, 10) for meter in bob] == [10, 10, 0]


# --- the defaults ---


def test_by_default_a_crowd_may_connect_from_one_address_at_once() -> None:
    config = Config()
    rates = Rates(config.rate_connects, config.rate_commands, config.rate_bytes)
    control = FloodControl(rates, Time())
    meters = [entered(control, f"user{number}", "here") for number in range(10_000)]
    assert all(granted(meter, 10) == 10 for meter in meters)
