"""Which names look alike, by the skeletons of UTS #39, section 4.

A skeleton is for comparing alone: it is no name, and nothing to show. Names fold case, so what
looks like either case of a letter looks like the letter: `b0b` like `bob`, since UTS #39 finds a
zero to look like a capital O. What its section 5.4 knows skeletons to miss is left out as well: a
dot over a letter that has one already, and a mark that is there twice.
"""

import unicodedata
from functools import lru_cache
from typing import Final

from confusable_homoglyphs.utils import load

_NONSPACING: Final = ("Mn", "Me")
_DOT_ABOVE: Final = "\u0307"
_DOTLESS_J: Final = "\u0237"
"""Looks like a j as a dotless i does like an i, but is not among the confusables."""

_SOFT_DOTTED: Final = frozenset("ij\u029d\u1d96\U0001df1a")
"""The prototypes that lose their own dot under a mark above (Soft_Dotted in PropList.txt)."""

_LEFT_TO_RIGHT_MARK: Final = "\u200e"
"""What confusables.txt puts around right-to-left characters where it shows them."""


@lru_cache(maxsize=16_384)
def skeleton(name: str) -> str:
    """Return what all names that look like this one share; takes a name's normal form."""
    found = _mapped(name).casefold()
    # Folding the case of a prototype may give a character that has a prototype of its own.
    while (further := _mapped(found).casefold()) != found:
        found = further
    return reduced(found)


@lru_cache(maxsize=16_384)
def reduced(text: str) -> str:
    """Return a skeleton without the marks that nobody sees, where it has any.

    Skeletons that an earlier version has written, in the log or in a database, have them still.
    """
    found: list[str] = []
    base = ""
    for character in text.replace(_DOTLESS_J, "j"):
        if unicodedata.category(character) not in _NONSPACING:
            base = character
        elif found[-1:] == [character] or (character == _DOT_ABOVE and base in _SOFT_DOTTED):
            continue
        found.append(character)
    return "".join(found)


def _mapped(text: str) -> str:
    decomposed = unicodedata.normalize("NFD", text)
    return unicodedata.normalize("NFD", decomposed.translate(_PROTOTYPES))


def _read_prototypes() -> dict[int, str]:
    """Return the mapping of Unicode's confusables.txt, from each character to its prototype.

    The library keeps each line of the file in both directions, in the file's order. But a character
    has one prototype, and that has none: so of two with no other partner, the first has the second.
    """
    partners = {_bare(it): [_bare(that["c"]) for that in all_] for it, all_ in _table().items()}
    prototypes: dict[str, str] = {}
    for character, (partner, *others) in partners.items():
        is_source = len(character) == 1 and not others and prototypes.get(partner) != character
        if is_source:
            prototypes[character] = partner
    return {ord(character): prototype for character, prototype in prototypes.items()}


def _table() -> dict[str, list[dict[str, str]]]:
    table: dict[str, list[dict[str, str]]] = load("confusables.json")
    return table


def _bare(text: str) -> str:
    return text.replace(_LEFT_TO_RIGHT_MARK, "")


_PROTOTYPES: Final = _read_prototypes()
