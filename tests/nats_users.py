"""Users of NATS as its decentralized accounts have them: JWTs that are signed by nkeys.

https://docs.nats.io/running-a-nats-service/configuration/securing_nats/auth_intro/jwt
"""

import base64
import json
import secrets
import time
from pathlib import Path
from typing import Any

import nkeys

CREDENTIALS = """\
-----BEGIN NATS USER JWT-----
{jwt}
------END NATS USER JWT------

-----BEGIN USER NKEY SEED-----
{seed}
------END USER NKEY SEED------
"""


class Issuer:
    """An operator with one account, and another one that servers need for themselves."""

    def __init__(self) -> None:
        self._operator = Key(nkeys.PREFIX_BYTE_OPERATOR)
        self._account = Key(nkeys.PREFIX_BYTE_ACCOUNT)
        self._system = Key(nkeys.PREFIX_BYTE_ACCOUNT)

    @property
    def config(self) -> str:
        """What a server takes to let this account's users in."""
        operator = self._operator.sign(self._operator.public, {"type": "operator"})
        limits = {"subs": -1, "data": -1, "payload": -1, "conn": -1, "imports": -1, "exports": -1}
        claims = {"type": "account", "limits": limits}
        accounts = [
            f"{it.public}: {self._operator.sign(it.public, claims)}"
            for it in (self._account, self._system)
        ]
        return (
            f"operator: {operator}\nresolver: MEMORY\nsystem_account: {self._system.public}\n"
            f"resolver_preload: {{ {', '.join(accounts)} }}\n"
        )

    def write_user(self, file: Path, seconds: int | None = None) -> Path:
        """Write the credentials of a new user of the account, good for so long."""
        user = Key(nkeys.PREFIX_BYTE_USER)
        claims = {"type": "user", "subs": -1, "data": -1, "payload": -1}
        jwt = self._account.sign(user.public, claims, seconds)
        file.write_text(CREDENTIALS.format(jwt=jwt, seed=user.seed))
        return file


class Key:
    """A pair of keys."""

    def __init__(self, prefix: int) -> None:
        self.seed = nkeys.encode_seed(secrets.token_bytes(32), prefix).decode()
        self._pair = nkeys.from_seed(bytearray(self.seed.encode()))
        self.public = self._pair.public_key.decode()

    def sign(self, subject: str, claims: dict[str, Any], seconds: int | None = None) -> str:
        """Return a JWT about somebody, good for so long; None: for ever."""
        body = {
            "jti": secrets.token_hex(8),
            "iat": 1_700_000_000,
            "iss": self.public,
            "sub": subject,
            "name": "test",
            "nats": {"version": 2, **claims},
        }
        if seconds is not None:
            body["exp"] = int(time.time()) + seconds
        head = {"typ": "JWT", "alg": "ed25519-nkey"}
        signed = ".".join(_encode(json.dumps(it).encode()) for it in (head, body))
        return f"{signed}.{_encode(self._pair.sign(signed.encode()))}"


def _encode(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()
