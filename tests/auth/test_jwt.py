"""Tokens that somebody else signed: which are good, and every way in which they are not."""

import asyncio
import base64
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jwt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chat_service.auth.jwt import LEEWAY, MAX_TOKEN_CHARS, TokenVerifier, Vouchee
from chat_service.auth.keys import Key, KeySetFile, OneKey, read_public_key, read_secret
from chat_service.core.errors import Unauthenticated
from tests.auth import issuer
from tests.auth.issuer import RSA, SECRET, claims, jwk, pem, sign, write, write_key_set

Read = Callable[[Path], OneKey]

SHARED = OneKey(Key(SECRET, ("HS256",)))


@pytest.fixture
def by_rsa(tmp_path: Path) -> TokenVerifier:
    return TokenVerifier(read_public_key(write(tmp_path / "key.pem", pem(RSA))))


@pytest.fixture
def by_secret() -> TokenVerifier:
    return TokenVerifier(SHARED)


async def refusal(verifier: TokenVerifier, token: str) -> str:
    """Return why a token is refused, which shows nothing of it."""
    with pytest.raises(Unauthenticated) as refused:
        await verifier.verify(token)
    assert refused.value.__cause__ is None
    assert not any(len(it) > 8 and it in str(refused.value) for it in token.split("."))
    return str(refused.value)


def forge(header: dict[str, Any], payload: dict[str, Any], signature: bytes = b"") -> str:
    def part(octets: bytes) -> str:
        return base64.urlsafe_b64encode(octets).rstrip(b"=").decode()

    parts = (json.dumps(header).encode(), json.dumps(payload).encode(), signature)
    return ".".join(map(part, parts))


# --- good ones ---


@pytest.mark.parametrize(
    ("key", "algorithm"),
    [
        *[(RSA, f"{kind}{bits}") for kind in ("RS", "PS") for bits in (256, 384, 512)],
        (issuer.P256, "ES256"),
        (issuer.P384, "ES384"),
        (issuer.P521, "ES512"),
        (issuer.ED25519, "EdDSA"),
    ],
    ids=lambda it: it if isinstance(it, str) else "",
)
async def test_a_token_signed_by_the_key_vouches_for_its_subject(
    tmp_path: Path, key: issuer.PrivateKey, algorithm: str
) -> None:
    verifier = TokenVerifier(read_public_key(write(tmp_path / "key.pem", pem(key))))
    expires = int(time.time()) + 60
    vouchee = await verifier.verify(sign(key, algorithm, exp=expires))
    assert vouchee == Vouchee("bob", expires + LEEWAY)


async def test_so_does_one_signed_with_the_secret(tmp_path: Path) -> None:
    verifier = TokenVerifier(read_secret(write(tmp_path / "secret", SECRET + b"\n")))
    assert (await verifier.verify(sign(SECRET, "HS256"))).name == "bob"


async def test_the_name_is_in_its_normal_form(by_secret: TokenVerifier) -> None:
    assert (await by_secret.verify(sign(SECRET, "HS256", sub="B\uff4fB"))).name == "bob"


async def test_another_claim_may_hold_the_name() -> None:
    verifier = TokenVerifier(SHARED, name_claim="preferred_username")
    token = sign(SECRET, "HS256", sub="7f3a-11", preferred_username="alice")
    assert (await verifier.verify(token)).name == "alice"


async def test_clocks_may_differ_a_little(by_secret: TokenVerifier) -> None:
    now = int(time.time())
    for times in ({"exp": now - 20}, {"nbf": now + 20}, {"iat": now + 20}):
        await by_secret.verify(sign(SECRET, "HS256", **times))


# --- time ---


async def test_an_expired_token_is_refused(by_secret: TokenVerifier) -> None:
    token = sign(SECRET, "HS256", exp=int(time.time() - LEEWAY) - 1)
    assert await refusal(by_secret, token) == "the token has expired"


async def test_a_replayed_token_is_good_until_it_expires_and_no_longer(
    by_secret: TokenVerifier,
) -> None:
    token = sign(SECRET, "HS256", exp=int(time.time()) + 2 - int(LEEWAY))
    assert await by_secret.verify(token) == await by_secret.verify(token)
    await asyncio.sleep(3)
    assert await refusal(by_secret, token) == "the token has expired"


async def test_clocks_may_differ_by_as_much_as_is_said() -> None:
    token = sign(SECRET, "HS256", exp=int(time.time()) - 20)
    assert await refusal(TokenVerifier(SHARED, leeway=0.0), token) == "the token has expired"
    vouchee = await TokenVerifier(SHARED, leeway=60.0).verify(token)
    assert time.time() + 30 < vouchee.expires < time.time() + 45


async def test_a_token_issued_too_long_ago_is_refused_however_late_it_expires() -> None:
    verifier = TokenVerifier(SHARED, max_age=600.0)
    now = int(time.time())
    assert await verifier.verify(sign(SECRET, "HS256", iat=now)) == Vouchee("bob", now + 630)
    late = await verifier.verify(sign(SECRET, "HS256", iat=now, exp=now + 60))
    assert late.expires == now + 90
    await verifier.verify(sign(SECRET, "HS256", iat=now - 620))
    old = sign(SECRET, "HS256", iat=now - 630)
    assert await refusal(verifier, old) == "the token is too old"


@pytest.mark.parametrize("issued", [None, "lately", [], float("nan"), float("-inf"), -(10**400)])
async def test_a_token_that_does_not_tell_its_age_is_refused_where_that_counts(
    issued: object,
) -> None:
    verifier = TokenVerifier(SHARED, max_age=600.0)
    reason = await refusal(verifier, sign(SECRET, "HS256", iat=issued))
    assert reason in ("the token is not valid", "the token is too old")


@pytest.mark.parametrize("expires", [None, "soon", [], {}, "1e999", float("nan")])
async def test_a_token_that_never_expires_is_refused(
    by_secret: TokenVerifier, expires: object
) -> None:
    assert await refusal(by_secret, sign(SECRET, "HS256", exp=expires)) == "the token is not valid"


@pytest.mark.parametrize("expires", [float("inf"), 10**400])
async def test_a_time_beyond_all_numbers_is_refused(
    by_secret: TokenVerifier, expires: float
) -> None:
    assert await refusal(by_secret, sign(SECRET, "HS256", exp=expires)) == "the token is not valid"


@pytest.mark.parametrize("claim", ["nbf", "iat"])
async def test_a_token_of_the_future_is_refused(by_secret: TokenVerifier, claim: str) -> None:
    changes = {claim: int(time.time()) + 120}
    assert await refusal(by_secret, sign(SECRET, "HS256", **changes)) == "the token is not valid"


# --- signatures ---


async def test_a_token_signed_by_somebody_else_is_refused(by_rsa: TokenVerifier) -> None:
    token = sign(issuer.OTHER_RSA, "RS256")
    assert await refusal(by_rsa, token) == "the token is not valid"


@pytest.mark.parametrize("name", ["none", "None", "NONE", "nOnE", "", None, 0, ["RS256"], {}])
async def test_an_unsigned_token_is_refused_whatever_it_calls_that(
    by_rsa: TokenVerifier, by_secret: TokenVerifier, name: object
) -> None:
    for verifier in (by_rsa, by_secret):
        for signature in (b"", b"x", b"x" * 256):
            token = forge({"alg": name, "typ": "JWT"}, claims(), signature)
            assert await refusal(verifier, token) == "the token is not valid"


async def test_without_an_algorithm_it_is_refused(by_secret: TokenVerifier) -> None:
    assert await refusal(by_secret, forge({"typ": "JWT"}, claims())) == "the token is not valid"


async def test_the_public_key_is_no_secret_to_sign_with(by_rsa: TokenVerifier) -> None:
    """HS256 with the text of the public key, which everybody has."""
    for text in (pem(RSA), pem(RSA).strip()):
        header = {"alg": "HS256", "typ": "JWT"}
        unsigned = forge(header, claims()).rpartition(".")[0].encode()
        signature = jwt.algorithms.HMACAlgorithm(jwt.algorithms.HMACAlgorithm.SHA256).sign(
            unsigned, text
        )
        token = forge(header, claims(), signature)
        assert await refusal(by_rsa, token) == "the token is not valid"


async def test_an_algorithm_that_the_secret_is_too_short_for_is_refused(
    by_secret: TokenVerifier,
) -> None:
    with pytest.warns(jwt.InsecureKeyLengthWarning):
        token = sign(SECRET, "HS512")
    assert await refusal(by_secret, token) == "the token is not valid"


async def test_a_key_that_a_token_brings_along_is_not_looked_at(by_rsa: TokenVerifier) -> None:
    own = jwk(issuer.OTHER_RSA, "RS256", kid="mine")
    for header in ({"jwk": own}, {"jku": "https://example.org/keys"}, {"x5u": "file:///etc"}):
        token = sign(issuer.OTHER_RSA, "RS256", header)
        assert await refusal(by_rsa, token) == "the token is not valid"


async def test_a_changed_token_is_refused(by_secret: TokenVerifier) -> None:
    header, payload, signature = sign(SECRET, "HS256").split(".")
    other = sign(SECRET, "HS256", sub="root").split(".")
    for token in (
        f"{header}.{other[1]}.{signature}",
        f"{header}.{payload}.{other[2]}",
        f"{header}.{payload}.",
        f"{header}.{payload}",
        f"{header}.{payload}.{signature}.{signature}",
        f"{header}.{payload}.{signature}".swapcase(),
    ):
        assert await refusal(by_secret, token) == "the token is not valid"


async def test_a_truncated_token_is_refused_wherever_it_ends(by_secret: TokenVerifier) -> None:
    token = sign(SECRET, "HS256")
    for end in range(len(token)):
        assert await refusal(by_secret, token[:end]) == "the token is not valid"


# --- whom it is for ---


async def test_the_issuer_has_to_be_the_configured_one() -> None:
    verifier = TokenVerifier(SHARED, issuer="https://id.example.org")
    await verifier.verify(sign(SECRET, "HS256", iss="https://id.example.org"))
    for other in ("https://id.example.org/", "https://evil.example.org"):
        token = sign(SECRET, "HS256", iss=other)
        assert await refusal(verifier, token) == "the token is not meant for this server"
    assert await refusal(verifier, sign(SECRET, "HS256")) == "the token is not valid"


async def test_the_audience_has_to_hold_the_configured_one() -> None:
    verifier = TokenVerifier(SHARED, audience="chat")
    await verifier.verify(sign(SECRET, "HS256", aud="chat"))
    await verifier.verify(sign(SECRET, "HS256", aud=["mail", "chat"]))
    for other in ("mail", ["mail"], "chat2", "Chat"):
        token = sign(SECRET, "HS256", aud=other)
        assert await refusal(verifier, token) == "the token is not meant for this server"
    without: list[object] = [None, [], {"chat": 1}, 7]
    for audience in without:
        await refusal(verifier, sign(SECRET, "HS256", aud=audience))


async def test_a_token_made_for_others_is_refused_where_no_audience_is_configured(
    by_secret: TokenVerifier,
) -> None:
    token = sign(SECRET, "HS256", aud="mail")
    assert await refusal(by_secret, token) == "the token is not meant for this server"


@pytest.mark.parametrize("name", [None, 7, ["bob"], {"name": "bob"}, True])
async def test_a_token_that_names_nobody_is_refused(name: object) -> None:
    verifier = TokenVerifier(SHARED, name_claim="name")
    assert await refusal(verifier, sign(SECRET, "HS256", name=name)) == "the token names nobody"


@pytest.mark.parametrize("name", ["", "a b", "#room", "x" * 33, "a\u202eb", "\ud800"])
async def test_a_name_that_is_none_here_is_refused(by_secret: TokenVerifier, name: str) -> None:
    reason = await refusal(by_secret, sign(SECRET, "HS256", sub=name))
    assert reason == "the name in the token cannot be a name here"


# --- which key ---


async def test_a_token_is_verified_by_the_key_that_it_names_and_no_other(tmp_path: Path) -> None:
    entries = jwk(RSA, "RS256", kid="a"), jwk(issuer.OTHER_RSA, "RS256", kid="b")
    verifier = TokenVerifier(KeySetFile(write_key_set(tmp_path / "jwks.json", *entries)))
    assert (await verifier.verify(sign(RSA, "RS256", {"kid": "a"}))).name == "bob"
    for kid in ("b", "c", "", "../a", "a\0", "A"):
        token = sign(RSA, "RS256", {"kid": kid})
        assert await refusal(verifier, token) == "the token is not valid"
    assert await refusal(verifier, sign(RSA, "RS256")) == "the token is not valid"
    for odd in (7, None, ["a"], {"a": 1}):
        await refusal(verifier, forge({"alg": "RS256", "kid": odd}, claims(), b"x" * 256))


async def test_a_key_named_is_used_with_its_own_algorithms_alone(tmp_path: Path) -> None:
    path = write_key_set(tmp_path / "jwks.json", jwk(RSA, "RS256", kid="a", alg="RS256"))
    verifier = TokenVerifier(KeySetFile(path))
    assert (await verifier.verify(sign(RSA, "RS256", {"kid": "a"}))).name == "bob"
    assert await refusal(verifier, sign(RSA, "PS256", {"kid": "a"})) == "the token is not valid"
    assert await refusal(verifier, sign(SECRET, "HS256", {"kid": "a"})) == "the token is not valid"


async def test_a_token_of_a_key_that_was_taken_away_is_refused(tmp_path: Path) -> None:
    now = [0.0]
    path = write_key_set(tmp_path / "jwks.json", jwk(RSA, "RS256", kid="a"))
    verifier = TokenVerifier(KeySetFile(path, lambda: now[0]))
    token = sign(RSA, "RS256", {"kid": "a"})
    await verifier.verify(token)
    write_key_set(path, jwk(issuer.OTHER_RSA, "RS256", kid="b"))
    now[0] = 1.0
    assert await refusal(verifier, token) == "the token is not valid"
    await verifier.verify(sign(issuer.OTHER_RSA, "RS256", {"kid": "b"}))


# --- anything else ---


async def test_an_endless_token_is_not_even_parsed(by_secret: TokenVerifier) -> None:
    token = sign(SECRET, "HS256", padding="x" * MAX_TOKEN_CHARS)
    assert await refusal(by_secret, token) == "the token is not valid"


PARTS = st.binary(max_size=60).map(lambda it: base64.urlsafe_b64encode(it).rstrip(b"=").decode())
JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner),
    max_leaves=6,
)


@given(st.text() | st.lists(PARTS, max_size=5).map(".".join))
async def test_whatever_is_no_token_is_refused(text: str) -> None:
    await refusal(TokenVerifier(SHARED), text)


@given(
    st.dictionaries(st.sampled_from(["alg", "kid", "typ", "crit", "b64", "zip"]), JSON),
    st.dictionaries(st.sampled_from(["exp", "nbf", "iat", "iss", "aud", "sub", "jti"]), JSON),
)
async def test_whatever_an_unsigned_token_says_it_is_refused(
    header: dict[str, Any], payload: dict[str, Any]
) -> None:
    await refusal(TokenVerifier(SHARED), forge(header, payload, b"x"))


@given(st.dictionaries(st.sampled_from(["exp", "nbf", "iat", "aud", "sub", "jti"]), JSON))
async def test_whatever_an_issuer_signs_it_is_taken_or_refused(payload: dict[str, Any]) -> None:
    token = jwt.api_jws.encode(json.dumps(payload).encode(), SECRET, "HS256")
    try:
        vouchee = await TokenVerifier(SHARED, issuer=None).verify(token)
    except Unauthenticated:
        return
    assert vouchee.expires > time.time()
