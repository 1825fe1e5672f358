"""How often a password may be tried: each rule by name, on a clock that the test moves."""

from itertools import count

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chat_service.auth import guessing
from chat_service.auth.guessing import LONGEST_DELAY, LONGEST_WAIT, GuessLimiter
from tests.auth.guesses import HOME, OTHER, OWN, Clock, ask, elsewhere, fail, refused, succeed

# --- one account from one origin ---


def test_three_failures_are_free(limiter: GuessLimiter) -> None:
    waits = [fail(limiter).wait for _ in range(3)]
    assert waits == [0.0, 0.0, 0.0]
    assert refused(limiter) == 1.0


def test_each_further_failure_doubles_the_time_up_to_five_minutes(
    limiter: GuessLimiter, clock: Clock
) -> None:
    times = []
    for _ in range(3):
        fail(limiter)
    for _ in range(11):
        times.append(refused(limiter))
        clock.now += times[-1]
        fail(limiter)
    assert times[:9] == [1, 2, 4, 8, 16, 32, 64, 128, 256]
    # Meanwhile a failure was forgiven, for the minutes that passed.
    assert set(times[9:]) <= {256.0, LONGEST_DELAY}
    assert max(times) <= LONGEST_DELAY


def test_the_time_runs_from_the_failure_not_from_the_try(
    limiter: GuessLimiter, clock: Clock
) -> None:
    for _ in range(2):
        fail(limiter)
    attempt = limiter.admit("bob", HOME, b"")
    clock.now += 0.9
    limiter.failed(attempt)
    assert refused(limiter) == 1.0


def test_what_is_refused_does_not_count(limiter: GuessLimiter, clock: Clock) -> None:
    for _ in range(3):
        fail(limiter)
    for _ in range(1000):
        assert refused(limiter) == 1.0
    clock.now += 1.0
    assert refused(limiter) == 0.0


def test_a_success_forgives_what_that_client_has_failed(
    limiter: GuessLimiter, clock: Clock
) -> None:
    succeed(limiter, client=OWN)
    for _ in range(3):
        fail(limiter, client=OWN)
    clock.now += 1.0
    succeed(limiter, client=OWN)
    for _ in range(3):
        fail(limiter, client=OWN)
    assert refused(limiter, client=OWN) == 1.0


@pytest.mark.parametrize("client", [OWN, b""])
def test_the_owners_success_forgives_no_neighbour_at_the_same_address(
    limiter: GuessLimiter, clock: Clock, client: bytes
) -> None:
    for number, delay in enumerate((1.0, 2.0, 4.0)):
        while not refused(limiter):
            fail(limiter)
        assert refused(limiter) == delay
        clock.now += delay
        succeed(limiter, client=client and client + bytes([number]))


def test_time_forgives(limiter: GuessLimiter, clock: Clock) -> None:
    for _ in range(3):
        fail(limiter)
    clock.now += 3 * LONGEST_DELAY
    for _ in range(3):
        fail(limiter)
    assert refused(limiter) == 1.0


def test_another_account_from_there_is_another_matter(limiter: GuessLimiter) -> None:
    for _ in range(3):
        fail(limiter)
    assert refused(limiter, "alice") == 0.0


def test_a_new_client_id_buys_no_new_tries(limiter: GuessLimiter) -> None:
    for number in range(3):
        fail(limiter, client=bytes([number]))
    assert refused(limiter, client=b"one more") == 1.0


# --- one address, whatever the account ---


def test_after_ten_failures_of_any_accounts_an_address_is_refused(
    limiter: GuessLimiter, clock: Clock
) -> None:
    for number in range(10):
        fail(limiter, f"user{number}")
    assert refused(limiter, "somebody") == 1.0
    clock.now += 1.0
    fail(limiter, "somebody")
    assert refused(limiter, "anybody") == 2.0
    assert refused(limiter, "anybody", "192.0.2.2") == 0.0


def test_success_with_an_account_of_ones_own_does_not_reset_the_address(
    limiter: GuessLimiter,
) -> None:
    for number in range(9):
        fail(limiter, f"user{number}")
        succeed(limiter, f"own{number}")
    fail(limiter, "user9")
    assert refused(limiter, "anybody") == 1.0


def test_a_success_does_not_prolong_what_an_address_has_to_wait(
    limiter: GuessLimiter, clock: Clock
) -> None:
    for number in range(10):
        fail(limiter, f"user{number}")
    clock.now += 1.0
    succeed(limiter, "somebody")
    assert refused(limiter, "anybody") == 0.0


def test_of_ipv6_a_whole_site_is_one_address(limiter: GuessLimiter) -> None:
    for number in range(10):
        fail(limiter, f"user{number}", f"2001:db8:1:2::{number:x}")
    assert refused(limiter, "bob", "2001:db8:1:2:ffff::1") == 1.0
    assert refused(limiter, "bob", "2001:db8:1:3::1") == 0.0


# --- one account from everywhere ---


def test_strangers_everywhere_only_slow_a_newcomer_and_by_three_seconds_at_most(
    limiter: GuessLimiter,
) -> None:
    waits = [fail(limiter, address=address).wait for address in elsewhere()]
    assert waits[:20] == [0.0] * 20
    assert waits[20:25] == [0.25, 0.5, 1.0, 2.0, 3.0]
    assert set(waits[25:]) == {LONGEST_WAIT}
    assert refused(limiter, address=HOME) == 0.0


def test_an_account_under_attack_is_looked_at_at_once_when_the_attack_is_over(
    limiter: GuessLimiter, clock: Clock
) -> None:
    for address in elsewhere():
        fail(limiter, address=address)
    clock.now += 15 * 60.0
    assert limiter.admit("bob", HOME, b"").wait == 0.0


# --- origins that are known ---


def test_an_owner_at_a_known_address_neither_waits_nor_is_refused_for_what_strangers_do(
    limiter: GuessLimiter,
) -> None:
    succeed(limiter)
    for address in elsewhere():
        fail(limiter, address=address)
    assert succeed(limiter).wait == 0.0


def test_a_neighbour_behind_the_same_address_cannot_lock_out_the_owners_client(
    limiter: GuessLimiter,
) -> None:
    succeed(limiter, client=OWN)
    for _ in range(3):
        fail(limiter, client=OTHER)
    for number in range(10):
        fail(limiter, f"user{number}", client=OTHER)
    assert refused(limiter, client=OTHER) == 1.0
    assert refused(limiter, "somebody", client=OTHER) == 1.0
    assert succeed(limiter, client=OWN).wait == 0.0


def test_a_known_client_is_known_wherever_it_goes(limiter: GuessLimiter) -> None:
    succeed(limiter, client=OWN)
    for address in elsewhere():
        fail(limiter, address=address)
    assert succeed(limiter, address="203.0.113.9", client=OWN).wait == 0.0


def test_a_known_client_may_not_guess_without_end_either(limiter: GuessLimiter) -> None:
    succeed(limiter, client=OWN)
    for _ in range(3):
        fail(limiter, client=OWN)
    assert refused(limiter, client=OWN) == 1.0
    assert refused(limiter, address="203.0.113.9", client=OWN) == 1.0


def test_a_client_is_known_to_the_accounts_that_it_was_alone(limiter: GuessLimiter) -> None:
    succeed(limiter, "mallory", client=OTHER)
    for number in range(10):
        fail(limiter, f"user{number}", client=OTHER)
    assert refused(limiter, "bob", client=OTHER) == 1.0


def test_having_no_client_id_is_not_to_be_known(limiter: GuessLimiter) -> None:
    succeed(limiter, address="203.0.113.9")
    for address in elsewhere():
        fail(limiter, address=address)
    assert limiter.admit("bob", HOME, b"").wait == LONGEST_WAIT


# --- for good ---


def test_memory_is_bounded(limiter: GuessLimiter, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(guessing, "_REMEMBERED", 100)
    for number in range(1000):
        succeed(limiter, f"user{number}", f"10.0.{number // 250}.{number % 250}", bytes([1]))
        fail(limiter, f"other{number}", f"10.1.{number // 250}.{number % 250}")
    for kept in (limiter._of_origin._of, limiter._of_address._of, limiter._of_account._of):
        assert len(kept) == 100
    assert len(limiter._known) == 100


def test_who_is_refused_makes_nobody_forgotten(
    limiter: GuessLimiter, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else whoever asks for enough other accounts, which is refused, gets new tries at this one."""
    monkeypatch.setattr(guessing, "_REMEMBERED", 100)
    for _ in range(8):
        clock.now += refused(limiter)
        fail(limiter)
    for number in range(2):
        fail(limiter, f"user{number}")
    for number in range(1000):
        assert refused(limiter, f"other{number}") == 1.0  # for the ten failures of the address
    clock.now += 1.0
    assert refused(limiter) == 31.0


WHO = st.sampled_from(["bob", "alice"])
WHERE = st.sampled_from(["192.0.2.1", "192.0.2.2", "2001:db8::1", ""])
CLIENT = st.sampled_from([b"", OWN, OTHER])
OUTCOME = st.sampled_from(["failed", "succeeded", "withdrawn", "pending"])
TRIES = st.lists(st.tuples(WHO, WHERE, CLIENT, OUTCOME, st.floats(0, 400)), max_size=80)


@settings(deadline=None)
@given(TRIES)
def test_no_try_is_ever_refused_for_longer_than_five_minutes_or_delayed_by_more_than_three_seconds(
    tries: list[tuple[str, str, bytes, str, float]],
) -> None:
    clock = Clock()
    limiter = GuessLimiter(clock)
    for account, address, client, outcome, pause in tries:
        answer = ask(limiter, account, address, client)
        if isinstance(answer, float):
            assert 0.0 < answer <= LONGEST_DELAY
        else:
            assert 0.0 <= answer.wait <= LONGEST_WAIT
            if outcome != "pending":
                getattr(limiter, outcome)(answer)
        clock.now += pause


@settings(deadline=None)
@given(st.lists(st.floats(0, 1000), min_size=1, max_size=200))
def test_a_day_of_guessing_at_an_account_from_one_address_gets_some_three_hundred_tries(
    pauses: list[float],
) -> None:
    clock = Clock()
    limiter = GuessLimiter(clock)
    end = clock.now + 86_400.0
    admitted = 0
    for number in count():
        clock.now += pauses[number % len(pauses)] * (number % 7 == 0)
        if clock.now >= end:
            break
        if wait := refused(limiter):
            clock.now += wait
        else:
            fail(limiter)
            admitted += 1
    assert admitted <= 86_400 / LONGEST_DELAY + 12
