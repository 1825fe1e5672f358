"""What the browser is told to forbid, and which pages may speak to this server.

A page of another site can open a WebSocket to here, and send what is asked of it, in the name of
whoever looks at it: no rule of browsers forbids that. So the origin that the browser states is
looked at. What states none is no browser.
"""

from collections.abc import Collection
from http import HTTPStatus
from ipaddress import ip_address
from typing import Final
from urllib.parse import urlsplit

from aiohttp import web

CONTENT_SECURITY_POLICY: Final = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self' data:",
        "connect-src 'self'",
        "manifest-src 'self'",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
        "require-trusted-types-for 'script'",
    )
)
_HEADERS: Final = {
    "Content-Security-Policy": CONTENT_SECURITY_POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
}


async def harden(_request: web.Request, response: web.StreamResponse) -> None:
    """Add what every response says to browsers."""
    if response.status != HTTPStatus.SWITCHING_PROTOCOLS:
        response.headers.update(_HEADERS)
        response.headers.setdefault("Cache-Control", "no-store")
        response.headers.popall("Server", None)


class OriginCheck:
    """Lets in the pages of this server, and of the origins that the operator has named.

    A server that only this machine can reach is known by its address: a name that leads here may be
    anybody's (DNS rebinding), and is let in only if the operator has named it.
    """

    def __init__(self, named: Collection[str], *, local: bool) -> None:
        self._named = frozenset(named)
        self._local = local

    def __call__(self, request: web.Request) -> None:
        """Raise HTTPForbidden for a page of another site."""
        origin = request.headers.get("Origin")
        if origin is None or origin in self._named or self._is_own(origin, request.host):
            return
        raise web.HTTPForbidden(
            text="this page may not speak to this server; --web-origin names those that may\n"
        )

    def _is_own(self, origin: str, host: str) -> bool:
        own = origin in (f"http://{host}", f"https://{host}")  # the latter behind a TLS proxy
        return own and (not self._local or _is_local_name(host))


def _is_local_name(host: str) -> bool:
    try:
        name = urlsplit(f"//{host}").hostname or ""
        return name == "localhost" or name.endswith(".localhost") or bool(ip_address(name))
    except ValueError:
        return False
