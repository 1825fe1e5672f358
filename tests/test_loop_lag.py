"""The lag of the event loop, as an operator sees it."""

import asyncio
import time

import pytest
from structlog.testing import capture_logs

from chat_service import loop_lag
from chat_service.loop_lag import LoopLag
from tests.waiting import until


async def test_a_loop_that_was_kept_busy_is_late() -> None:
    lag = LoopLag()
    sampling = asyncio.create_task(lag.run())
    await asyncio.sleep(0)  # the sample has begun
    time.sleep(loop_lag.EVERY + 0.1)  # noqa: ASYNC251  (what must not happen is what is measured)
    await until(lambda: lag.most > 0, what="a sample")
    sampling.cancel()
    assert lag.most >= 0.1
    assert lag.quantile(1.0) == lag.most


@pytest.mark.parametrize(("share", "expected"), [(0.0, 0.0), (0.5, 0.5), (0.99, 0.99), (1.0, 0.99)])
def test_quantiles_are_those_of_the_samples(share: float, expected: float) -> None:
    lag = LoopLag()
    for sample in range(100):
        lag.add(sample / 100)
    assert lag.quantile(share) == expected


def test_without_samples_there_is_no_lag() -> None:
    assert LoopLag().quantile(0.99) == 0.0


def test_only_recent_samples_count_but_the_largest_is_kept() -> None:
    lag = LoopLag()
    lag.add(0.5)
    for _ in range(loop_lag._REMEMBERED):
        lag.add(0.001)
    assert lag.quantile(1.0) == 0.001
    assert lag.most == 0.5


def test_a_long_stall_is_told_to_the_operator() -> None:
    with capture_logs() as told:
        LoopLag().add(0.1)
        LoopLag().add(1.5)
    assert [(it["log_level"], it["seconds"]) for it in told] == [("warning", 1.5)]
