"""Tries of passwords, some right and some wrong, on a clock that a test moves."""

from chat_service.auth.guessing import Attempt, GuessLimiter
from chat_service.core.errors import RateLimited

HOME = "192.0.2.1"
OWN = b"digest of the owner's client id"
OTHER = b"digest of another's"


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def fail(
    limiter: GuessLimiter, account: str = "bob", address: str = HOME, client: bytes = b""
) -> Attempt:
    attempt = limiter.admit(account, address, client)
    limiter.failed(attempt)
    return attempt


def succeed(
    limiter: GuessLimiter, account: str = "bob", address: str = HOME, client: bytes = b""
) -> Attempt:
    attempt = limiter.admit(account, address, client)
    limiter.succeeded(attempt)
    return attempt


def refused(
    limiter: GuessLimiter, account: str = "bob", address: str = HOME, client: bytes = b""
) -> float:
    """Return for how long a try is refused; 0.0 if it is admitted, and then withdrawn."""
    answer = ask(limiter, account, address, client)
    if isinstance(answer, float):
        return answer
    limiter.withdrawn(answer)
    return 0.0


def ask(
    limiter: GuessLimiter, account: str = "bob", address: str = HOME, client: bytes = b""
) -> Attempt | float:
    """Return the try that is admitted, or for how long it is refused."""
    try:
        return limiter.admit(account, address, client)
    except RateLimited as limited:
        return limited.retry_after or 0.0


def elsewhere() -> list[str]:
    return [f"198.51.100.{host}" for host in range(1, 255)]
