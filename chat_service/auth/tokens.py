"""Session tokens: 256 random bits for a client, of which a server keeps only the digest.

A token is as good as a password, and nothing that is stored or logged gives it away: SHA-256 is
enough to hide 256 random bits, which a password is far from (passwords.py).
"""

import hashlib
import secrets
from typing import Final

PREFIX: Final = "cst_"
"""By which scanners of leaked secrets know a token, and this server one of its own."""

_BYTES: Final = 32


def new_token() -> str:
    """Return a token that nobody has: the prefix, then base64url without padding."""
    return PREFIX + secrets.token_urlsafe(_BYTES)


def digest(token: str) -> bytes:
    """Return the 32 bytes that stand for a token wherever it is kept; takes any text."""
    return hashlib.sha256(token.encode(errors="surrogatepass")).digest()


def is_session_token(text: str) -> bool:
    """Tell whether a text claims to be a token of this kind, by its prefix alone."""
    return text.startswith(PREFIX)
