"""How a session comes in: what its client says and shows, and what of it goes into the log."""

import secrets
from typing import NamedTuple

from chat_service import __version__
from chat_service.auth.doorman import CLIENT_BYTES, Credentials, Doorman, Origin
from chat_service.auth.tokens import digest, new_token
from chat_service.catch_up import StartingPoint
from chat_service.core import limits
from chat_service.core.commands import Cursor, Enter, Entry, Hello, Register, Secret, SetPassword
from chat_service.core.errors import Refusal, Unauthenticated
from chat_service.core.events import Welcome
from chat_service.core.lookalike import skeleton
from chat_service.core.outcome import Entered


class Entering(NamedTuple):
    """The entry that claims a name; `expires` in seconds since 1970 where the proof ends."""

    name: str
    body: Enter
    expires: float | None


class Entrance:
    """What one session knows of its client.

    `bearer` is a token that came before the first command, `epoch` that of the log; `typing` tells
    whether it is somebody at a keyboard, who may try a password more than once.
    """

    def __init__(
        self,
        doorman: Doorman,
        origin: Origin,
        bearer: Secret | None,
        epoch: str,
        *,
        typing: bool,
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
        self._epoch = epoch
        self._typing = typing
        self._tries = 0
        self._questions = 0

    @property
    def transient(self) -> bool:
        """Whether the client has no id of its own, and will not come back."""
        return not self.hello.client_id

    async def knock(self, hello: Hello) -> Entering:
        """Look at what was shown; raises the Refusal of who is not let in."""
        self._origin = self._origin.of_client(hello.client_id)
        self.hello = hello
        self.client = self._origin.client or secrets.token_bytes(CLIENT_BYTES)
        shown = Credentials(hello.user, hello.password, hello.token or self._bearer)
        if hello.password is not None:
            shown = shown._replace(token=None)
        who = await self._doorman.identify(shown, self._origin)
        self.token = new_token()
        resume = hello.resume.seq if hello.resume and hello.resume.epoch == self._epoch else None
        body = Enter(
            self.transient, resume, who.proof, digest(self.token), skeleton(who.name), self.address
        )
        return Entering(who.name, body, who.expires)

    def may_try_again(self, refusal: Refusal) -> bool:
        """Tell whether who was refused is asked for a password, or for a better one."""
        self._tries += 1
        is_password = isinstance(refusal, Unauthenticated)
        return self._typing and is_password and self._tries <= limits.PASSWORDS_TYPED

    def welcome(
        self, entry: Entry, entered: Entered, start: StartingPoint, presence_limit: int
    ) -> Welcome:
        """Return what a session is told whose entry was let in."""
        return Welcome(
            user=entry.user,
            session_id=entry.session,
            cursor=Cursor(self._epoch, start.after),
            resumed=start.resumed,
            last_nonce=entered.last_nonce,
            rooms=entered.rooms,
            presence_limit=presence_limit,
            version=__version__,
            token="" if entered.account else self.token,
        )

    def may_take_time(self) -> bool:
        """Tell whether who makes an account, and types, is given time to answer once more."""
        self._questions += 1
        return self._questions <= 2 * limits.PASSWORDS_TYPED  # each is asked for twice

    def check_registration(self, name: str) -> None:
        """Raise PermissionDenied where this client can make no account of a name."""
        self._doorman.check_registration()
        self._doorman.check_own_name(name, self._origin)

    async def check_unregistered(self, name: str) -> None:
        """Raise NameTaken where a name is an account's already."""
        await self._doorman.check_unregistered(name)

    async def check_change(self, name: str) -> None:
        """Raise InvalidCommand where there is no password to change."""
        await self._doorman.check_has_password(name)

    async def registration(self, name: str, password: Secret) -> Register:
        """Return the entry that makes an account; raises PermissionDenied where none is made."""
        self.check_registration(name)
        hashed = await self._doorman.passwords.hash(password, self.address)
        return Register(hashed, skeleton(name), address=self.address)

    async def change(self, name: str, old: Secret, new: Secret) -> SetPassword:
        """Return the entry that sets a password, by the old one; raises Unauthenticated."""
        proof = await self._doorman.by_password(name, old, self._origin)
        hashed = await self._doorman.passwords.hash(new, self.address)
        token = self.hello.token or self._bearer
        return SetPassword(hashed, proof, digest(token) if token else b"")
