"""Passwords that come at once: few wrong ones are looked at, and right ones are no guesses."""

from hypothesis import given, settings
from hypothesis import strategies as st

from chat_service.auth.guessing import LONGEST_DELAY, Attempt, GuessLimiter
from tests.auth.guesses import HOME, Clock, ask, fail, refused, succeed


def test_tries_under_way_count_so_that_a_thousand_at_once_do_not_all_get_in(
    limiter: GuessLimiter,
) -> None:
    assert sum(isinstance(ask(limiter), Attempt) for _ in range(1000)) == 3


def test_where_the_free_failures_are_used_up_one_try_is_under_way_at_a_time(
    limiter: GuessLimiter, clock: Clock
) -> None:
    for _ in range(3):
        fail(limiter)
    clock.now += LONGEST_DELAY
    fail(limiter)  # one was forgiven
    clock.now += 1.0
    assert sum(isinstance(ask(limiter), Attempt) for _ in range(1000)) == 1


def test_a_try_that_was_not_looked_at_is_given_back(limiter: GuessLimiter, clock: Clock) -> None:
    for _ in range(1000):
        limiter.withdrawn(limiter.admit("bob", HOME, b""))
    for _ in range(3):
        fail(limiter)
    clock.now += 1.0
    for _ in range(1000):
        limiter.withdrawn(limiter.admit("bob", HOME, b""))
    fail(limiter)
    assert refused(limiter) == 2.0


def test_what_is_given_back_takes_nothing_from_the_delay_of_another_that_failed(
    limiter: GuessLimiter,
) -> None:
    for number in range(9):
        fail(limiter, f"user{number}")
    slow = limiter.admit("bob", HOME, b"")
    other = limiter.admit("alice", HOME, b"")
    limiter.failed(slow)
    limiter.withdrawn(other)
    assert refused(limiter, "somebody") == 1.0


def test_of_a_burst_of_guesses_at_any_accounts_sixteen_are_looked_at(
    limiter: GuessLimiter, clock: Clock
) -> None:
    tries = [ask(limiter, f"user{number}") for number in range(1000)]
    admitted = [it for it in tries if isinstance(it, Attempt)]
    assert len(admitted) == 16
    for attempt in admitted:
        limiter.failed(attempt)
    assert refused(limiter, "somebody") == 2.0**6
    clock.now += 2.0**6
    tries = [ask(limiter, f"other{number}") for number in range(1000)]
    assert sum(isinstance(it, Attempt) for it in tries) == 1


@settings(deadline=None)
@given(st.lists(st.integers(1, 50), min_size=1, max_size=20))
def test_in_bursts_of_any_sizes_sixteen_are_looked_at_before_an_address_is_refused(
    bursts: list[int],
) -> None:
    limiter = GuessLimiter(Clock())
    looked_at = 0
    for size in bursts:
        tries = [ask(limiter, f"user{looked_at + number}") for number in range(size)]
        for attempt in tries:
            if isinstance(attempt, Attempt):
                limiter.failed(attempt)
                looked_at += 1
    assert looked_at <= 16


def test_many_who_succeed_at_one_address_do_not_stand_in_each_others_way(
    limiter: GuessLimiter,
) -> None:
    for number in range(1000):
        assert succeed(limiter, f"user{number}").wait == 0.0
    for _ in range(100):
        at_once = [limiter.admit(f"new{number}", HOME, b"") for number in range(16)]
        for attempt in at_once:
            limiter.succeeded(attempt)
