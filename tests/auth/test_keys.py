"""The keys of those who sign tokens: what is read, what it may be used with, what is refused."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed448, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from chat_service.auth import keys as keys_module
from chat_service.auth.keys import (
    Key,
    KeySetFile,
    OneKey,
    read_keys,
    read_public_key,
    read_secret,
)
from chat_service.startup import StartupError
from tests.auth import issuer
from tests.auth.issuer import jwk, pem, private_pem, write, write_key_set

SPKI = (Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


async def algorithms(keys: OneKey | KeySetFile, kid: str | None = None) -> tuple[str, ...]:
    key = await keys.choose(kid)
    assert key is not None
    return key.algorithms


# --- a shared secret ---


@pytest.mark.parametrize(
    ("size", "allowed"),
    [(32, ("HS256",)), (48, ("HS256", "HS384")), (64, ("HS256", "HS384", "HS512"))],
)
async def test_a_secret_is_used_with_hashes_no_longer_than_itself(
    tmp_path: Path, size: int, allowed: tuple[str, ...]
) -> None:
    assert await algorithms(read_secret(write(tmp_path / "secret", b"s" * size))) == allowed


@pytest.mark.parametrize("end", [b"", b"\n", b"\r\n"])
async def test_one_line_end_is_no_part_of_a_secret(tmp_path: Path, end: bytes) -> None:
    keys = read_secret(write(tmp_path / "secret", issuer.SECRET + end))
    assert await keys.choose(None) == Key(issuer.SECRET, ("HS256",))


@pytest.mark.parametrize("content", [b"", b"\n", b"s" * 31, b"s" * 31 + b"\n"])
def test_a_short_secret_is_refused_with_what_to_do(tmp_path: Path, content: bytes) -> None:
    with pytest.raises(StartupError, match=r"takes at least 32: `openssl rand -hex 32` makes one"):
        read_secret(write(tmp_path / "secret", content))


def test_a_public_key_is_no_secret(tmp_path: Path) -> None:
    with pytest.raises(StartupError, match="holds a public or private key, not a shared secret"):
        read_secret(write(tmp_path / "secret", pem(issuer.RSA)))


# --- a public key ---


@pytest.mark.parametrize(
    ("key", "allowed"),
    [
        (issuer.RSA, ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512")),
        (issuer.P256, ("ES256",)),
        (issuer.P384, ("ES384",)),
        (issuer.P521, ("ES512",)),
        (issuer.ED25519, ("EdDSA",)),
    ],
    ids=["RSA", "P-256", "P-384", "P-521", "Ed25519"],
)
async def test_the_kind_of_a_public_key_decides_the_algorithms(
    tmp_path: Path, key: issuer.PrivateKey, allowed: tuple[str, ...]
) -> None:
    assert await algorithms(read_public_key(write(tmp_path / "key.pem", pem(key)))) == allowed


@pytest.mark.parametrize(
    "content",
    [
        rsa.generate_private_key(65537, 1024).public_key().public_bytes(*SPKI),
        ec.generate_private_key(ec.SECP256K1()).public_key().public_bytes(*SPKI),
        ed448.Ed448PrivateKey.generate().public_key().public_bytes(*SPKI),
        dsa.generate_private_key(2048).public_key().public_bytes(*SPKI),
    ],
    ids=["RSA of 1024 bits", "secp256k1", "Ed448", "DSA"],
)
def test_a_key_too_weak_or_of_another_kind_is_refused(tmp_path: Path, content: bytes) -> None:
    with pytest.raises(StartupError, match="cannot be used: it has to be RSA of 2048 bits or more"):
        read_public_key(write(tmp_path / "key.pem", content))


def test_a_private_key_is_refused(tmp_path: Path) -> None:
    with pytest.raises(StartupError, match="holds a private key: give the server the public one"):
        read_public_key(write(tmp_path / "key.pem", private_pem(issuer.P256)))


@pytest.mark.parametrize(
    "content",
    [b"", b"nonsense", issuer.SECRET, pem(issuer.P256)[:80]],
    ids=["nothing", "nonsense", "a secret", "half a key"],
)
def test_what_is_no_pem_is_refused(tmp_path: Path, content: bytes) -> None:
    with pytest.raises(StartupError, match="holds no public key in PEM"):
        read_public_key(write(tmp_path / "key.pem", content))


# --- a key set ---


async def test_a_token_names_its_key(tmp_path: Path) -> None:
    entries = jwk(issuer.RSA, "RS256", kid="a"), jwk(issuer.P256, "ES256", kid="b")
    keys = KeySetFile(write_key_set(tmp_path / "jwks.json", *entries))
    assert await algorithms(keys, "a") == ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512")
    assert await algorithms(keys, "b") == ("ES256",)
    assert await keys.choose("c") is None
    assert await keys.choose(None) is None


async def test_without_a_name_a_token_means_the_only_key(tmp_path: Path) -> None:
    keys = KeySetFile(write_key_set(tmp_path / "jwks.json", jwk(issuer.P256, "ES256", kid="a")))
    assert await algorithms(keys, None) == ("ES256",)
    assert await keys.choose("b") is None


async def test_a_key_that_says_its_algorithm_is_used_with_no_other(tmp_path: Path) -> None:
    entry = jwk(issuer.RSA, "RS256", kid="a", alg="PS384")
    keys = KeySetFile(write_key_set(tmp_path / "jwks.json", entry))
    assert await algorithms(keys, "a") == ("PS384",)


async def test_keys_for_other_purposes_are_left_out(tmp_path: Path) -> None:
    small = rsa.generate_private_key(65537, 1024)
    path = write_key_set(
        tmp_path / "jwks.json",
        jwk(issuer.RSA, "RS256", kid="encrypts", use="enc"),
        jwk(issuer.RSA, "RS256", kid="encrypts too", alg="RSA-OAEP"),
        jwk(issuer.RSA, "RS256", kid="wraps", key_ops=["wrapKey"]),
        jwk(issuer.P256, "ES256", kid="at odds", alg="HS256"),
        jwk(small, "RS256", kid="small"),
        {"kty": "unheard of", "kid": "new"},
        jwk(issuer.ED25519, "EdDSA", kid="signs", use="sig", key_ops=["verify"]),
    )
    keys = KeySetFile(path)
    found = {kid for kid in ("encrypts", "wraps", "small", "signs") if await keys.choose(kid)}
    assert found == {"signs"}
    assert await keys.choose("at odds") is None
    assert await keys.choose("encrypts too") is None
    assert await algorithms(keys) == ("EdDSA",)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("", "is no JWK Set"),
        ("[]", "is no JWK Set"),
        ('"keys"', "is no JWK Set"),
        ("{}", "is no JWK Set"),
        ('{"keys": 1}', "is no JWK Set"),
        ('{"keys": ["kty"]}', "is no JWK Set"),
        ("[" * 100_000, "is no JWK Set"),
        ('{"keys": []}', "no key in .* can be used"),
        ('{"keys": [{}]}', "no key in .* can be used"),
        ('{"keys": [{"kty": "oct", "k": "c2VjcmV0"}]}', "a private key or a secret"),
        ('{"keys": [{"kty": "OKP", "crv": "Ed25519", "d": "x"}]}', "a private key or a secret"),
    ],
)
def test_what_is_no_set_of_public_keys_is_refused(
    tmp_path: Path, content: str, reason: str
) -> None:
    with pytest.raises(StartupError, match=reason):
        KeySetFile(write(tmp_path / "jwks.json", content.encode()))


@pytest.mark.parametrize("members", [{"kid": "a"}, {}])
def test_two_keys_of_one_name_are_refused(tmp_path: Path, members: dict[str, str]) -> None:
    path = write_key_set(
        tmp_path / "jwks.json",
        jwk(issuer.RSA, "RS256", **members),
        jwk(issuer.P256, "ES256", **members),
    )
    with pytest.raises(StartupError, match=r"two keys in .* have the same kid, or none"):
        KeySetFile(path)


async def test_a_new_file_is_read_within_a_second(tmp_path: Path) -> None:
    clock = Clock()
    path = write_key_set(tmp_path / "jwks.json", jwk(issuer.P256, "ES256", kid="old"))
    keys = KeySetFile(path, clock)
    write_key_set(path, jwk(issuer.P384, "ES384", kid="new"))
    clock.now = 0.9
    assert await keys.choose("new") is None
    clock.now = 1.0
    assert await algorithms(keys, "new") == ("ES384",)
    assert await keys.choose("old") is None


async def test_a_file_that_is_replaced_is_read_though_its_time_and_size_are_the_same(
    tmp_path: Path,
) -> None:
    clock = Clock()
    path = write_key_set(tmp_path / "jwks.json", jwk(issuer.P256, "ES256", kid="a"))
    keys = KeySetFile(path, clock)
    other = write_key_set(tmp_path / "new.json", jwk(issuer.P256, "ES256", kid="b"))
    time = path.stat().st_mtime_ns
    other.replace(path)
    os.utime(path, ns=(time, time))
    clock.now = 1.0
    assert await keys.choose("b")


@pytest.mark.parametrize("spoil", [Path.unlink, lambda path: path.write_text("{")])
async def test_a_bad_new_file_leaves_the_old_keys_and_is_logged_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, spoil: Callable[[Path], object]
) -> None:
    logged: list[str] = []
    monkeypatch.setattr(keys_module._log, "error", lambda event, **_: logged.append(event))
    clock = Clock()
    path = write_key_set(tmp_path / "jwks.json", jwk(issuer.P256, "ES256", kid="a"))
    keys = KeySetFile(path, clock)
    spoil(path)
    for clock.now in (1.0, 2.0, 3.0):
        assert await keys.choose("a")
    assert logged == ["new keys are no good, the old ones stay"]
    write_key_set(path, jwk(issuer.P384, "ES384", kid="b"))
    clock.now = 4.0
    assert await keys.choose("b")


# --- any of them ---


def test_the_one_file_that_is_given_is_read(tmp_path: Path) -> None:
    secret = write(tmp_path / "secret", issuer.SECRET)
    public = write(tmp_path / "key.pem", pem(issuer.RSA))
    key_set = write_key_set(tmp_path / "jwks.json", jwk(issuer.RSA, "RS256"))
    assert isinstance(read_keys(secret=secret), OneKey)
    assert isinstance(read_keys(public_key=public), OneKey)
    assert isinstance(read_keys(key_set=key_set), KeySetFile)


@pytest.mark.parametrize("read", [read_secret, read_public_key, KeySetFile])
def test_a_file_that_cannot_be_read_is_named(
    tmp_path: Path, read: Callable[[Path], object]
) -> None:
    with pytest.raises(StartupError, match=r"^cannot read .*nothing: No such file or directory$"):
        read(tmp_path / "nothing")
