"""Token buckets: a burst at once, a rate for good, and never more."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chat_service.core.bucket import Rate, TokenBucket

RATES = st.builds(Rate, st.floats(0.01, 1e6), st.floats(1, 1e6))
STEPS = st.lists(st.tuples(st.floats(0, 100), st.floats(0.1, 1e4)), max_size=60)

CLOSE = 1 + 1e-6
"""What sums of floating-point numbers may be off by."""


@given(RATES, STEPS)
def test_in_no_span_of_time_is_more_granted_than_a_burst_and_what_the_rate_makes_of_the_span(
    rate: Rate, steps: list[tuple[float, float]]
) -> None:
    now = 0.0
    bucket = TokenBucket(rate, now)
    granted: list[tuple[float, float]] = []
    for pause, wanted in steps:
        amount = min(wanted, rate.burst)
        now += pause
        if bucket.take(amount, now) == 0.0:
            granted.append((now, amount))
    for first, (start, _) in enumerate(granted):
        total = 0.0
        for when, amount in granted[first:]:
            total += amount
            assert total <= (rate.burst + rate.per_second * (when - start)) * CLOSE


@given(RATES, STEPS)
def test_the_time_to_wait_is_never_negative_and_never_longer_than_filling_an_empty_bucket(
    rate: Rate, steps: list[tuple[float, float]]
) -> None:
    now = 0.0
    bucket = TokenBucket(rate, now)
    for pause, wanted in steps:
        now += pause
        wait = bucket.take(min(wanted, rate.burst), now)
        assert 0.0 <= wait <= rate.burst / rate.per_second * CLOSE


@given(RATES, STEPS)
def test_who_waits_as_long_as_told_is_granted(rate: Rate, steps: list[tuple[float, float]]) -> None:
    now = 0.0
    bucket = TokenBucket(rate, now)
    for pause, amount in steps:
        now += pause
        wait = bucket.take(amount, now)
        if wait > 0.0:
            now += wait * CLOSE + 1e-6  # what is told on the wire is rounded to microseconds
            assert bucket.take(amount, now) == 0.0


@given(RATES, st.floats(1, 100))
def test_what_is_larger_than_the_burst_is_granted_from_a_full_bucket_and_owed(
    rate: Rate, factor: float
) -> None:
    amount = rate.burst * factor
    bucket = TokenBucket(rate, 0.0)
    assert bucket.take(amount, 0.0) == 0.0
    assert bucket.take(1, 0.0) == pytest.approx((amount - rate.burst + 1) / rate.per_second)


def test_what_is_refused_costs_nothing() -> None:
    bucket = TokenBucket(Rate(1, 10), 0.0)
    assert bucket.take(8, 0.0) == 0.0
    for _ in range(100):
        assert bucket.take(3, 0.0) == 1.0
    assert bucket.take(2, 0.0) == 0.0


def test_a_bucket_gains_its_burst_at_most() -> None:
    bucket = TokenBucket(Rate(1, 10), 0.0)
    assert bucket.take(10, 1e9) == 0.0
    assert bucket.take(1, 1e9) == 1.0


def test_a_rate_of_several_is_that_many_times_the_rate_and_the_burst() -> None:
    assert Rate(2, 30).times(10) == Rate(20, 300)


def test_what_is_given_back_can_be_taken_again() -> None:
    bucket = TokenBucket(Rate(1, 10), 0.0)
    assert bucket.take(8, 0.0) == 0.0
    bucket.give_back(8)
    assert bucket.take(10, 0.0) == 0.0
    assert bucket.take(1, 0.0) == 1.0
