"""Tokens that somebody else signed (JSON Web Tokens, RFC 7519), by PyJWT.

What a token says counts only once its signature does. It has to expire, and may have to be young;
its issuer and audience have to be the configured ones. Without a configured audience, a token that
names one was made for another service and is refused (section 4.1.3).
"""

import time
from typing import Any, Final, NamedTuple

import jwt

from chat_service.auth.keys import Keys
from chat_service.core.address import parse_name
from chat_service.core.errors import InvalidAddress, Unauthenticated

LEEWAY: Final = 30.0
"""Seconds by which the clocks of issuer and server may differ, unless it is said."""

MAX_TOKEN_CHARS: Final = 16 * 1024


class Vouchee(NamedTuple):
    """Somebody a token vouches for."""

    name: str
    """In its normal form."""

    expires: float
    """When the token is no longer good here, the leeway included, in seconds since 1970."""


class TokenVerifier:
    """Verifies tokens. Their text is a secret: no error and no log shows any of it.

    `leeway`: seconds by which the clocks of issuer and server may differ. `max_age`: seconds after
    it was issued for which a token is good at most, whatever it says; None: as long as it says.
    """

    def __init__(
        self,
        keys: Keys,
        *,
        issuer: str | None = None,
        audience: str | None = None,
        name_claim: str = "sub",
        leeway: float = LEEWAY,
        max_age: float | None = None,
    ) -> None:
        self._keys = keys
        self._issuer = issuer
        self._audience = audience
        self._name_claim = name_claim
        self._leeway = leeway
        self._max_age = max_age
        self._required = ["exp"] if max_age is None else ["exp", "iat"]

    async def verify(self, token: str) -> Vouchee:
        """Return whom a token vouches for; raises Unauthenticated."""
        try:
            return self._vouchee(await self._claims(token))
        except jwt.ExpiredSignatureError:
            raise Unauthenticated("the token has expired") from None
        except (jwt.InvalidAudienceError, jwt.InvalidIssuerError):
            raise Unauthenticated("the token is not meant for this server") from None
        # What an issuer writes is not under our control: claims may be of any type and size.
        except (jwt.PyJWTError, ArithmeticError, LookupError, TypeError, ValueError):
            raise Unauthenticated("the token is not valid") from None

    async def _claims(self, token: str) -> dict[str, Any]:
        if len(token) > MAX_TOKEN_CHARS:
            raise jwt.DecodeError
        key = await self._keys.choose(jwt.get_unverified_header(token).get("kid"))
        if key is None:
            raise jwt.InvalidKeyError
        return jwt.decode(
            token,
            key.material,
            algorithms=key.algorithms,
            issuer=self._issuer,
            audience=self._audience,
            leeway=self._leeway,
            options={"require": self._required},
        )

    def _vouchee(self, claims: dict[str, Any]) -> Vouchee:
        name = claims.get(self._name_claim)
        if not isinstance(name, str):
            raise Unauthenticated("the token names nobody")
        try:
            return Vouchee(parse_name(name), self._end(claims))
        except InvalidAddress:
            raise Unauthenticated("the name in the token cannot be a name here") from None

    def _end(self, claims: dict[str, Any]) -> float:
        expires = int(claims["exp"]) + self._leeway
        if self._max_age is None:
            return expires
        outdated = int(claims["iat"]) + self._max_age + self._leeway
        if outdated <= time.time():
            raise Unauthenticated("the token is too old")
        return min(expires, outdated)
