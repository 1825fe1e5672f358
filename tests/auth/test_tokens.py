"""Session tokens: unguessable, known by their prefix, and kept as digests alone."""

import re

import pytest

from chat_service.auth.tokens import PREFIX, digest, is_session_token, new_token


def test_a_token_has_256_bits_that_any_header_or_command_line_can_carry() -> None:
    assert re.fullmatch(r"cst_[A-Za-z0-9_-]{43}", new_token())


def test_no_two_tokens_are_alike() -> None:
    assert len({new_token() for _ in range(1000)}) == 1000


def test_a_digest_has_32_bytes_and_does_not_show_the_token() -> None:
    token = new_token()
    assert len(digest(token)) == 32
    assert digest(token) == digest(token)
    assert digest(token) != digest(new_token())
    assert token.removeprefix(PREFIX).encode() not in digest(token)


@pytest.mark.parametrize("text", ["", "cst", "Cst_x", " cst_x", "eyJhbGciOiJub25lIn0.e30."])
def test_what_has_another_prefix_is_no_session_token(text: str) -> None:
    assert is_session_token(new_token())
    assert not is_session_token(text)


def test_any_text_has_a_digest() -> None:
    assert len({digest(text) for text in ("", "\0", "\ud800", "x" * 100_000)}) == 4
