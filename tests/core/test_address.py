"""The grammar of names and addresses."""

import unicodedata

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from chat_service.core.address import LOBBY, is_room, parse_address, parse_name, parse_room
from chat_service.core.errors import InvalidAddress

ASCII_WORD = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._-]{0,31}", fullmatch=True)
NEAR_NAME = st.text(
    st.characters(categories=["L", "M", "N"]) | st.sampled_from("-_. \u200b\u200d\u202e#@\t"),
    max_size=40,
)


def normal(raw: str) -> str:
    """Return the normal form of what the grammar accepts; the rest is of no interest."""
    try:
        return parse_name(raw)
    except InvalidAddress:
        assume(False)
        raise


@pytest.mark.parametrize(
    ("raw", "name"),
    [
        ("bob", "bob"),
        ("Bob", "bob"),
        ("7of9", "7of9"),
        ("a-b_c.d", "a-b_c.d"),
        ("Ｂｏｂ", "bob"),  # noqa: RUF001  (fullwidth)
        ("ÅSA", "åsa"),
        ("A\u030asa", "åsa"),
        ("हिन्दी", "हिन्दी"),
        ("محمد", "محمد"),
        ("דָּנִי", unicodedata.normalize("NFC", "דָּנִי")),
        ("日本語", "日本語"),
        ("x" * 32, "x" * 32),
    ],
)
def test_a_name_is_taken_in_its_normal_form(raw: str, name: str) -> None:
    assert parse_name(raw) == name


@pytest.mark.parametrize(
    "raw",
    [
        "",
        " ",
        "a b",
        "bob ",
        "-bob",
        "_bob",
        ".bob",
        "\u0301a",  # a mark has nothing to stand on
        "@bob",
        "#bob",
        "a:b",
        "a/b",
        "a\nb",
        "a\x1b[31m",
        "a\x00",
        "a\u200bb",  # zero width space
        "a\u200db",  # zero width joiner
        "क्\u200dष",  # where the profile alone would have it
        "a\u202eb",  # right-to-left override
        "a\u2066b",
        "a\ufeff",
        "a\u3164",  # a letter that nobody sees
        "\u115f",
        "a\ufe0f",
        "a\u2028b",
        "bob🙂",
        "🙂",
        "①",
        "½",
        "bobמ",  # the bidi rule
        "x" * 33,
        "x" * 100_000,
        "\ud800",
    ],
)
def test_what_could_be_mistaken_is_no_name(raw: str) -> None:
    with pytest.raises(InvalidAddress) as refusal:
        parse_name(raw)
    assert str(refusal.value).isascii()
    assert str(refusal.value).isprintable()
    assert len(str(refusal.value)) < 600


@given(NEAR_NAME | ASCII_WORD | st.text())
@example("ΑΣ")
@example("İ")
@example("ﬁ")
def test_a_normal_form_is_its_own_normal_form(raw: str) -> None:
    name = normal(raw)
    assert parse_name(name) == name


@given(NEAR_NAME | st.text())
def test_a_name_has_1_to_32_characters_that_are_all_seen(raw: str) -> None:
    name = normal(raw)
    assert 1 <= len(name) <= 32
    assert name.isprintable()
    assert not any(c.isspace() for c in name)
    assert all(unicodedata.category(c)[0] in "LMN" or c in "-_." for c in name)


@given(ASCII_WORD)
def test_case_makes_no_other_name(raw: str) -> None:
    assert parse_name(raw.upper()) == parse_name(raw.swapcase()) == parse_name(raw) == raw.lower()


@given(NEAR_NAME)
def test_a_name_in_lower_case_is_the_same_name(raw: str) -> None:
    name = normal(raw)
    assert parse_name(raw.lower()) == name


@given(NEAR_NAME)
def test_composed_and_decomposed_spellings_are_the_same_name(raw: str) -> None:
    name = normal(raw)
    assume(len(unicodedata.normalize("NFD", name)) <= 256)
    assert parse_name(unicodedata.normalize("NFD", name)) == name


@given(st.text())
def test_any_text_is_a_name_or_refused_and_nothing_else(raw: str) -> None:
    for parse in (parse_name, parse_address, parse_room):
        try:
            parse(raw)
        except InvalidAddress as refusal:
            assert str(refusal).isascii()  # noqa: PT017  (most texts are refused, some are not)


def test_an_address_is_a_sigil_and_a_name() -> None:
    assert parse_address("#Dev") == "#dev"
    assert parse_address("@Bob") == "@bob"
    for raw in ("", "dev", "#", "@", "##dev", "#@dev", " #dev", "#dev ", "!dev"):
        with pytest.raises(InvalidAddress):
            parse_address(raw)


def test_a_user_is_no_room() -> None:
    assert parse_room("#Dev") == "#dev"
    for raw in ("@bob", "dev", ""):
        with pytest.raises(InvalidAddress, match="not a room"):
            parse_room(raw)
    assert is_room("#dev")
    assert not is_room("@bob")


def test_the_lobby_is_a_room_in_normal_form() -> None:
    assert parse_room(LOBBY) == LOBBY
