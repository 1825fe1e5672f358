"""What proves that somebody is who they say, and may be here."""

from chat_service.core.commands import ByPassword, ByToken, Proof, Vouched
from chat_service.core.errors import Banned, PermissionDenied, Unauthenticated
from chat_service.core.rules.facts import Account, Facts

CONSOLE = ""
"""The user of what the operator asks from the server's own console."""


def prove(account: Account, proof: Proof, at: int, facts: Facts) -> None:
    """Raise Unauthenticated unless the proof is good for this account at that time."""
    if proof is None:
        raise Unauthenticated(f"{account.name} is registered: a password or a token is needed")
    match proof:
        case Vouched():
            return
        case ByPassword(generation) if generation == account.generation:
            return
        case ByToken(digest):
            sign_in = facts.sign_in(digest)
            if sign_in is not None and sign_in.name == account.name and at < sign_in.expires:
                return
    raise Unauthenticated


def require_admin(name: str, proof: Proof, at: int, facts: Facts) -> None:
    """Raise unless it is the console who asks, or an admin who proves it."""
    if name == CONSOLE:
        return
    account = facts.account(name)
    if account is None:
        raise Unauthenticated
    prove(account, proof, at, facts)
    if not account.admin:
        raise PermissionDenied("only an admin of this server may do that")


def is_admin(name: str, facts: Facts) -> bool:
    """Tell whether a name is that of an admin of this server."""
    account = facts.account(name)
    return account is not None and account.admin


def check_ban(name: str, address: str, at: int, facts: Facts) -> None:
    """Raise Banned if a name or an address is kept out of this server."""
    ban = facts.banned(name, address, at)
    if ban is not None:
        raise Banned(f"you are banned from this server{ban.why}", retry_after=ban.left(at))
