"""How a session comes in: what its client says and shows, and what of it goes into the log."""

import hashlib
import secrets
from typing import NamedTuple

from chat_service.auth.doorman import Credentials, Doorman, Origin
from chat_service.auth.tokens import digest, new_token
from chat_service.core import limits
from chat_service.core.commands import ByPassword, Enter, Hello, Secret
from chat_service.core.errors import InvalidCommand, Refusal, Unauthenticated
from chat_service.core.lookalike import skeleton


class Entering(NamedTuple):
    """The entry that claims a name; `expires` in seconds since 1970 where the proof ends."""

    name: str
    body: Enter
    expires: float | None


class Entrance:
    """What one session knows of its client.

    `bearer` is a token that came before the first command; `typing` tells whether it is somebody at
    a keyboard, who may try a password more than once.
    """

    def __init__(
        self, doorman: Doorman, origin: Origin, bearer: Secret | None, *, typing: bool
    ) -> None:
        self.hello = Hello("")
        self.client = b""
        """The digest of the client's secret, which is all of it that is kept."""
        self.token = ""
        """The token that a guest is given."""
        self.address = origin.address
        self._doorman = doorman
        self._origin = origin
        self._bearer = bearer
        self._typing = typing
        self._tries = 0

    @property
    def transient(self) -> bool:
        """Whether the client has no id of its own, and will not come back."""
        return not self.hello.client_id

    async def knock(self, hello: Hello, epoch: str) -> Entering:
        """Look at what was shown; raises the Refusal of who is not let in."""
        if len(hello.client_id.encode()) > limits.MAX_CLIENT_ID_BYTES:
            raise InvalidCommand(f"a client_id has at most {limits.MAX_CLIENT_ID_BYTES} bytes")
        self.hello = hello
        secret = hello.client_id.encode() or secrets.token_bytes(16)
        self.client = hashlib.sha256(secret).digest()[:16]
        shown = Credentials(hello.user, hello.password, hello.token or self._bearer)
        if hello.password is not None:
            shown = shown._replace(token=None)
        who = await self._doorman.identify(shown, self._origin_of_client())
        self.token = new_token()
        resume = hello.resume.seq if hello.resume and hello.resume.epoch == epoch else None
        body = Enter(
            self.transient, resume, who.proof, digest(self.token), skeleton(who.name), self.address
        )
        return Entering(who.name, body, who.expires)

    def may_try_again(self, refusal: Refusal) -> bool:
        """Tell whether who was refused is asked for a password, or for a better one."""
        self._tries += 1
        is_password = isinstance(refusal, Unauthenticated)
        return self._typing and is_password and self._tries <= limits.PASSWORDS_TYPED

    async def hash_to_register(self, password: Secret) -> str:
        """Return the hash for an account; raises PermissionDenied where nobody makes one."""
        self._doorman.check_registration()
        return await self._doorman.passwords.hash(password)

    async def change(self, name: str, old: Secret, new: Secret) -> tuple[str, ByPassword, bytes]:
        """Return the hash of a new password, the proof by the old one, and the token to keep."""
        proof = await self._doorman.by_password(name, old, self._origin_of_client())
        hashed = await self._doorman.passwords.hash(new)
        token = self.hello.token or self._bearer
        return hashed, proof, digest(token) if token else b""

    def _origin_of_client(self) -> Origin:
        return self._origin._replace(client=b"" if self.transient else self.client)
