from chat_client.backoff import Backoff


def longest(_low: float, high: float) -> float:
    return high


def test_waits_double_up_to_the_longest() -> None:
    backoff = Backoff(first=0.5, longest=3.0, uniform=longest)
    assert [backoff.next() for _ in range(5)] == [0.5, 1.0, 2.0, 3.0, 3.0]


def test_a_reset_starts_again_from_the_first() -> None:
    backoff = Backoff(first=0.5, uniform=longest)
    backoff.next()
    backoff.reset()
    assert backoff.next() == 0.5


def test_the_jitter_is_full() -> None:
    assert Backoff(first=0.5, uniform=lambda low, _high: low).next() == 0.0
    assert all(0.0 <= Backoff(first=0.5).next() <= 0.5 for _ in range(100))


def test_jitter_comes_on_top_of_what_the_server_asks() -> None:
    assert Backoff(first=0.5, uniform=longest).next(retry_after=7.0) == 7.5
