"""Somebody who signs tokens: their keys, and the files that a server is given."""

import json
import time
from pathlib import Path
from typing import Any, Final, TypeAlias

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)
from jwt.algorithms import get_default_algorithms

PrivateKey: TypeAlias = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey

RSA: Final = rsa.generate_private_key(65537, 2048)
OTHER_RSA: Final = rsa.generate_private_key(65537, 2048)
P256: Final = ec.generate_private_key(ec.SECP256R1())
P384: Final = ec.generate_private_key(ec.SECP384R1())
P521: Final = ec.generate_private_key(ec.SECP521R1())
ED25519: Final = ed25519.Ed25519PrivateKey.generate()

SECRET: Final = b"0123456789abcdef0123456789abcdef"


def claims(**changes: object) -> dict[str, Any]:
    """Return the claims of a good token, but for these; None leaves one out."""
    every = {"sub": "bob", "exp": int(time.time()) + 3600, **changes}
    return {claim: value for claim, value in every.items() if value is not None}


def sign(
    key: PrivateKey | bytes,
    algorithm: str,
    headers: dict[str, Any] | None = None,
    /,
    **changes: object,
) -> str:
    return jwt.encode(claims(**changes), key, algorithm, headers)


def pem(key: PrivateKey) -> bytes:
    return key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


def private_pem(key: PrivateKey) -> bytes:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def jwk(key: PrivateKey, algorithm: str, **members: object) -> dict[str, Any]:
    """Return the public half of a key as a JSON Web Key."""
    entry = get_default_algorithms()[algorithm].to_jwk(key.public_key(), as_dict=True)
    return {**{k: v for k, v in entry.items() if k not in ("key_ops", "alg")}, **members}


def write(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path


def write_key_set(path: Path, *entries: dict[str, Any]) -> Path:
    return write(path, json.dumps({"keys": entries}).encode())
