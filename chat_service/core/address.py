"""Names and addresses: one grammar on every transport.

A name is 1 to 32 characters of the PRECIS profile UsernameCaseMapped (RFC 8265, section 3.3: width
mapped, lower case, NFC, the bidi rule), narrowed to letters, marks, digits and `-`, `_`, `.`, with
a letter or digit first: what is left cannot be mistaken for an address, a command or the
punctuation of the line protocol. An address is `#room` or `@user`. Two spellings of one name have
one normal form, and only normal forms travel beyond this module.
"""

import unicodedata
from functools import lru_cache
from typing import Final

from precis_i18n import get_profile

from chat_service.core.errors import InvalidAddress
from chat_service.core.limits import MAX_NAME_CHARS

LOBBY: Final = "#lobby"
"""The room that everyone is in."""

_PROFILE = get_profile("UsernameCaseMapped")
_INNER_PUNCTUATION = "-_."
# No normal form is shorter than a sixth of what it came from; this spares the profile long floods.
_MAX_RAW_CHARS = 8 * MAX_NAME_CHARS


@lru_cache(maxsize=16_384)
def parse_name(raw: str) -> str:
    """Return the normal form of a user's name; raises InvalidAddress."""
    if not raw:
        raise InvalidAddress("a name cannot be empty")
    if len(raw) > _MAX_RAW_CHARS:
        raise InvalidAddress(f"a name has at most {MAX_NAME_CHARS} characters")
    try:
        name: str = _PROFILE.enforce(raw)
    except UnicodeEncodeError:
        raise InvalidAddress(f"not a valid name: {_shown(raw)}") from None
    if len(name) > MAX_NAME_CHARS:
        raise InvalidAddress(f"a name has at most {MAX_NAME_CHARS} characters")
    if not _is_word(name):
        raise InvalidAddress(
            f"not a valid name: {_shown(raw)} (letters and digits, then also - _ . are allowed)"
        )
    return name


@lru_cache(maxsize=16_384)
def parse_address(raw: str) -> str:
    """Return the normal form of `#room` or `@user`; raises InvalidAddress."""
    if raw[:1] not in ("#", "@"):
        raise InvalidAddress(f"not an address: {_shown(raw)} (write #room or @user)")
    return raw[0] + parse_name(raw[1:])


def parse_room(raw: str) -> str:
    """Return the normal form of `#room`; raises InvalidAddress."""
    if not is_room(raw):
        raise InvalidAddress(f"not a room: {_shown(raw)} (write #room)")
    return parse_address(raw)


def is_room(address: str) -> bool:
    """Tell whether an address is a room's."""
    return address.startswith("#")


def _is_word(name: str) -> bool:
    if unicodedata.category(name[0])[0] not in "LN":
        return False
    return all(unicodedata.category(c)[0] in "LMN" or c in _INNER_PUNCTUATION for c in name[1:])


def _shown(raw: str) -> str:
    """Quote what a client wrote, with everything unprintable escaped and a bounded length."""
    return ascii(raw if len(raw) <= MAX_NAME_CHARS else raw[:MAX_NAME_CHARS] + "…")
