"""How long the follower rests between two fan-outs."""

from hypothesis import given
from hypothesis import strategies as st

from chat_service.follower import rests

LONGEST = 0.1


def test_a_message_to_few_readers_makes_nobody_wait() -> None:
    assert rests(0.0005) == (0.0, 0.0)


def test_a_long_fan_out_is_followed_by_a_rest_as_long_and_a_longer_one_that_may_be_cut() -> None:
    assert rests(1 / 64) == (1 / 64, 2 / 64)


@given(st.floats(0.0, 60.0))
def test_no_message_waits_longer_than_the_longest_rest(debt: float) -> None:
    least, more = rests(debt)
    assert least >= 0.0
    assert more >= 0.0
    assert least + more <= LONGEST
