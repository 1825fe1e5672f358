"""Names that look alike have one skeleton, others have not."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chat_service.core.address import parse_name
from chat_service.core.errors import InvalidAddress
from chat_service.core.lookalike import reduced, skeleton

LETTER = st.characters(categories=["L", "M", "N"])


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("alice", "\u0430lice"),  # CYRILLIC SMALL LETTER A
        ("alice", "\u0391lice"),  # GREEK CAPITAL LETTER ALPHA, of which a name is the small one
        ("alice", "\ua4eelice"),  # LISU LETTER A, which has no case and looks like a capital
        ("paypal", "\u0440\u0430\u0443\u0440\u0430l"),
        ("bob", "\uff22\uff2f\uff22"),  # fullwidth
        ("bob", "b\u043eb"),  # CYRILLIC SMALL LETTER O
        ("bob", "b0b"),
        ("bill", "bi11"),
        ("bill", "BILL"),
        ("mary", "rnary"),
        ("max", "\u15f0ax"),  # CANADIAN SYLLABICS CARRIER GO
        ("xyz", "x\u13a9z"),  # CHEROKEE LETTER GI, the capital of which looks like another
        ("d\u00f6rte", "do\u0308rte"),
        ("l", "\u0627"),  # ARABIC LETTER ALEF
        ("ian", "i\u0307an"),  # a dot on a letter that has one
        ("ian", "\u0130an"),  # the Turkish capital, which is that in small
        ("ian", "\u0131\u0307an"),  # on a dotless one
        ("ian", "\u0456\u0307an"),  # on a Cyrillic one
        ("bobi", "bobi\u0307"),
        ("bobi", "bobi\u0307\u0307"),
        ("j", "\u0237\u0307"),
        ("x\u029dx", "x\u029d\u0307x"),
        ("\u1ecban", "i\u0307\u0323an"),  # with a dot below as well
        ("ren\u00e9", "ren\u00e9\u0301"),
        ("dorte\u0323\u0302", "dort\u1ec7\u0302\u0302"),
    ],
)
def test_names_that_look_alike_have_one_skeleton(one: str, other: str) -> None:
    assert skeleton(parse_name(one)) == skeleton(parse_name(other))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("bob", "rob"),
        ("bob", "bob1"),
        ("dorte", "d\u00f6rte"),
        ("a-b", "a_b"),
        ("i", "l"),
        ("rene", "ren\u00e9"),
        ("a\u0307", "a"),
        ("re\u0301ne\u0301", "re\u0301ne"),
    ],
)
def test_names_that_do_not_look_alike_have_two(one: str, other: str) -> None:
    assert skeleton(parse_name(one)) != skeleton(parse_name(other))


@given(st.text(LETTER, max_size=40) | st.text("ij\u0131\u0237e\u0307\u0301\u0323\u20dd"))
def test_a_skeleton_is_its_own(text: str) -> None:
    assert skeleton(skeleton(text)) == skeleton(text)
    assert reduced(skeleton(text)) == skeleton(text)


@given(LETTER)
def test_a_name_looks_like_itself_in_any_case(letter: str) -> None:
    try:
        small, capital = parse_name(f"x{letter}"), parse_name(f"x{letter.upper()}")
    except InvalidAddress:
        return
    if small == capital:
        assert skeleton(small) == skeleton(capital)


def test_the_table_is_that_of_unicode() -> None:
    """Some of confusables.txt: one to one, one to many, right to left, beyond 16 bits."""
    table = {
        "\u0430": "a", "1": "l", "m": "rn", "\u0441": "c", "\u03bf": "o", "\u0647": "o",
        "\u05d5": "l", "\u0633": "\u0633", "\U0001d41a": "a", "\u00e6": "ae", "\u0131": "i",
    }  # fmt: skip
    assert {character: skeleton(character) for character in table} == table
