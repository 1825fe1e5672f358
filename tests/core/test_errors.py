"""The tree of refusals."""

import re

import pytest

from chat_service.core import errors
from chat_service.core.errors import ErrorCode, RateLimited, Refusal

REFUSALS = Refusal.__subclasses__()


def test_every_code_has_one_refusal_and_every_refusal_one_code() -> None:
    assert sorted(kind.code for kind in REFUSALS) == sorted(ErrorCode)


@pytest.mark.parametrize("kind", REFUSALS)
def test_a_refusal_has_the_name_of_its_code(kind: type[Refusal]) -> None:
    assert re.sub(r"(?<!^)(?=[A-Z])", "_", kind.__name__).upper() == kind.code.name


@pytest.mark.parametrize("kind", REFUSALS)
def test_the_module_says_where_a_refusal_stands(kind: type[Refusal]) -> None:
    assert errors.__doc__ is not None
    assert f"── {kind.__name__} " in errors.__doc__


def test_a_refusal_says_why_and_when_to_try_again() -> None:
    assert str(RateLimited("slow down", retry_after=0.5)) == "slow down"
    assert RateLimited("slow down", retry_after=0.5).retry_after == 0.5
    assert RateLimited("slow down").retry_after is None
