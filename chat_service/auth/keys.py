"""The keys of those who sign tokens, each with the algorithms that it may be used with.

The kind of a key decides the algorithms, never a token: one that says `none`, or HS256 where a
public key is known, is refused whatever else it says (RFC 8725, section 2.1).
"""

import asyncio
import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final, NamedTuple, Protocol, TypeAlias

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.serialization import load_pem_public_key
from jwt import PyJWK
from jwt.algorithms import HMACAlgorithm
from jwt.exceptions import InvalidKeyError, PyJWTError

from chat_service.file_stamp import stamp
from chat_service.logs import get
from chat_service.startup import StartupError

MIN_SECRET_BYTES: Final = 32
MIN_RSA_BITS: Final = 2048
CHECKED_EACH: Final = 1.0
"""Seconds in which a file of keys is looked at once at most."""

_OF_SECRET: Final = {"HS256": MIN_SECRET_BYTES, "HS384": 48, "HS512": 64}
"""With the bytes that a secret needs for each (RFC 7518, section 3.2)."""

_OF_RSA: Final = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512")
_OF_CURVE: Final = {"secp256r1": ("ES256",), "secp384r1": ("ES384",), "secp521r1": ("ES512",)}
_OF_ED25519: Final = ("EdDSA",)
_USABLE: Final = "RSA of 2048 bits or more, EC on P-256, P-384 or P-521, or Ed25519"

_log = get("auth")

_PublicKey: TypeAlias = RSAPublicKey | EllipticCurvePublicKey | Ed25519PublicKey


class Key(NamedTuple):
    """A key, and the algorithms that its kind allows."""

    material: bytes | _PublicKey
    algorithms: tuple[str, ...]


class Keys(Protocol):
    """Where the key for a token comes from."""

    async def choose(self, kid: str | None) -> Key | None:
        """Return the key that a token names by its `kid` header, or None if there is none."""


class OneKey:
    """The same key for every token, whatever its `kid`."""

    def __init__(self, key: Key) -> None:
        self._key = key

    async def choose(self, _kid: str | None) -> Key:
        """Return the key."""
        return self._key


def read_keys(
    *, secret: Path | None = None, public_key: Path | None = None, key_set: Path | None = None
) -> Keys:
    """Read the keys from the one file that is given; raises StartupError."""
    if secret is not None:
        return read_secret(secret)
    if public_key is not None:
        return read_public_key(public_key)
    if key_set is not None:
        return KeySetFile(key_set)
    raise StartupError("no key to verify tokens with")


def read_secret(path: Path) -> OneKey:
    """Read a shared secret, of which one line end at the end is no part; raises StartupError."""
    secret = _read(path).removesuffix(b"\n").removesuffix(b"\r")
    if len(secret) < MIN_SECRET_BYTES:
        raise StartupError(
            f"the secret in {path} has {len(secret)} bytes, but takes at least {MIN_SECRET_BYTES}:"
            f" `openssl rand -hex {MIN_SECRET_BYTES}` makes one"
        )
    try:
        HMACAlgorithm(HMACAlgorithm.SHA256).prepare_key(secret)
    except InvalidKeyError:
        raise StartupError(f"{path} holds a public or private key, not a shared secret") from None
    return OneKey(Key(secret, tuple(it for it, size in _OF_SECRET.items() if len(secret) >= size)))


def read_public_key(path: Path) -> OneKey:
    """Read a public key in PEM; raises StartupError."""
    content = _read(path)
    if b"PRIVATE KEY-----" in content:
        raise StartupError(f"{path} holds a private key: give the server the public one alone")
    try:
        key = _pinned(load_pem_public_key(content))
    except (ValueError, UnsupportedAlgorithm):
        raise StartupError(f"{path} holds no public key in PEM (BEGIN PUBLIC KEY)") from None
    if key is None:
        raise StartupError(f"the key in {path} cannot be used: it has to be {_USABLE}")
    return OneKey(key)


class KeySetFile:
    """The public keys of a JWKS file (RFC 7517), read again when it has changed.

    A new file that is no good leaves the old keys in use, and is logged. Raises StartupError if the
    first is no good. `clock` gives seconds and does not go back.
    """

    def __init__(self, path: Path, clock: Callable[[], float] = time.monotonic) -> None:
        self._path = path
        self._clock = clock
        self._checking = asyncio.Lock()
        self._checked_at = clock()
        self._stamp = stamp(path)
        self._keys = _read_key_set(path)

    async def choose(self, kid: str | None) -> Key | None:
        """Return the key that a token names; without a name, the only key there is."""
        await self._refresh()
        if kid is None and len(self._keys) == 1:
            return next(iter(self._keys.values()))
        return self._keys.get(kid)

    async def _refresh(self) -> None:
        # Whoever comes while the file is read waits, since their key may be in it.
        async with self._checking:
            if self._clock() - self._checked_at >= CHECKED_EACH:
                self._checked_at = self._clock()
                await asyncio.to_thread(self._reread)

    def _reread(self) -> None:
        if (now := stamp(self._path)) == self._stamp:
            return
        self._stamp = now
        try:
            self._keys = _read_key_set(self._path)
        except StartupError as error:
            _log.error("new keys are no good, the old ones stay", reason=str(error))
        else:
            _log.info("keys read again", path=str(self._path), keys=len(self._keys))


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise StartupError(f"cannot read {path}: {error.strerror}") from None


def _read_key_set(path: Path) -> dict[str | None, Key]:
    try:
        entries = json.loads(_read(path))["keys"]
        keys = dict(_usable(entries, path))
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        raise StartupError(f'{path} is no JWK Set: {{"keys": [...]}}') from None
    if not keys:
        raise StartupError(f"no key in {path} can be used: one has to be {_USABLE}")
    return keys


def _usable(entries: list[dict[str, Any]], path: Path) -> Iterator[tuple[str | None, Key]]:
    """Yield the keys that verify signatures, by their `kid`; other keys are none of ours."""
    seen: set[str | None] = set()
    for entry in entries:
        if entry.keys() & {"d", "k"}:
            raise StartupError(f"{path} holds a private key or a secret: it takes public keys only")
        key = _from_jwk(entry)
        if key is None:
            continue
        kid = entry.get("kid")
        if kid in seen:
            raise StartupError(f"two keys in {path} have the same kid, or none")
        seen.add(kid)
        yield kid, key


def _from_jwk(entry: dict[str, Any]) -> Key | None:
    if entry.get("use", "sig") != "sig" or "verify" not in entry.get("key_ops", ["verify"]):
        return None
    try:
        key = _pinned(PyJWK.from_dict(entry).key)
    except PyJWTError:  # whose text would show the key
        return None
    if key is None or "alg" not in entry:
        return key
    return Key(key.material, (entry["alg"],)) if entry["alg"] in key.algorithms else None


def _pinned(key: object) -> Key | None:
    """Return a public key with its algorithms; None if it is of a kind or size not to be used."""
    match key:
        case RSAPublicKey() if key.key_size >= MIN_RSA_BITS:
            return Key(key, _OF_RSA)
        case EllipticCurvePublicKey() if key.curve.name in _OF_CURVE:
            return Key(key, _OF_CURVE[key.curve.name])
        case Ed25519PublicKey():
            return Key(key, _OF_ED25519)
        case _:
            return None
