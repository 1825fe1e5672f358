"""The page and its files: read, compressed and named by their content once, at the start.

The files lie together in a directory that is named by a hash of all of them, so that they find each
other by the names of the source tree, and each may be kept for ever.
"""

import gzip
import hashlib
import mimetypes
from collections.abc import Iterable
from dataclasses import dataclass
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import PurePosixPath
from typing import Final

from aiohttp import web

from chat_service.startup import StartupError

_COMPRESSION: Final = 9
_FOR_EVER: Final = "public, max-age=31536000, immutable"
_ASK_AGAIN: Final = "no-cache"
_HASH_CHARS: Final = 12
# Tables of the operating system differ, and a script of the wrong type is not run.
_TYPES: Final = {
    ".js": "text/javascript",
    ".css": "text/css",
    ".html": "text/html",
    ".svg": "image/svg+xml",
    ".json": "application/json",
    ".webmanifest": "application/manifest+json",
    ".woff2": "font/woff2",
    ".txt": "text/plain",
}
_MODULE: Final = b'<script type="module"'
_PACKED: Final = frozenset({".png", ".jpg", ".webp", ".woff2", ".ico"})
"""What does not get smaller."""


@dataclass(frozen=True, slots=True)
class _File:
    """A file as it is sent."""

    content_type: str
    caching: str
    etag: str
    plain: bytes
    packed: bytes | None
    """The same by gzip, if that is smaller."""

    @classmethod
    def of(cls, name: str, content: bytes, caching: str) -> "_File":
        """Prepare a file's content."""
        packs = PurePosixPath(name).suffix not in _PACKED
        packed = gzip.compress(content, _COMPRESSION, mtime=0) if packs else content
        smaller = packed if len(packed) < len(content) else None
        return cls(_content_type(name), caching, _hash(content), content, smaller)

    def answer(self, request: web.Request) -> web.Response:
        """Return the response to a request for this file."""
        headers = {"Cache-Control": self.caching, "Vary": "Accept-Encoding"}
        response = web.Response(headers=headers)
        response.headers["ETag"] = f'W/"{self.etag}"'  # weak: the same for both encodings
        if any(it.value in (self.etag, "*") for it in request.if_none_match or ()):
            response.set_status(304)
            return response
        response.headers["Content-Type"] = self.content_type
        if self.packed is not None and "gzip" in request.headers.get("Accept-Encoding", ""):
            response.headers["Content-Encoding"] = "gzip"
            response.body = self.packed
        else:
            response.body = self.plain
        return response


class Page:
    """What a browser loads. Reads the files; raises StartupError if they are not there."""

    def __init__(self, directory: Traversable | None = None) -> None:
        directory = directory or files("chat_service") / "web"
        try:
            index = (directory / "index.html").read_bytes()
            assets = dict(_contents(directory / "assets"))
        except OSError as error:
            raise StartupError(f"the page is not where it was installed: {error}") from None
        self._version = _hash(b"".join(f"{n}\0".encode() + assets[n] for n in sorted(assets)))
        self._assets = {
            name: _File.of(name, content, _FOR_EVER) for name, content in assets.items()
        }
        index = _with_preloads(index, assets)
        index = index.replace(b'"assets/', f'"assets/{self._version}/'.encode())
        self._index = _File.of("index.html", index, _ASK_AGAIN)

    def routes(self) -> list[web.RouteDef]:
        """Return where what is."""
        return [
            web.get("/", self._get_index),
            web.get("/assets/{version}/{name:.+}", self._get_asset),
        ]

    async def _get_index(self, request: web.Request) -> web.Response:
        return self._index.answer(request)

    async def _get_asset(self, request: web.Request) -> web.Response:
        asset = self._assets.get(request.match_info["name"])
        if asset is None or request.match_info["version"] != self._version:
            raise web.HTTPNotFound
        return asset.answer(request)


def _contents(directory: Traversable, prefix: str = "") -> list[tuple[str, bytes]]:
    """Return all files beneath a directory, by their paths in it."""
    found: list[tuple[str, bytes]] = []
    if not directory.is_dir():
        return found
    for entry in directory.iterdir():
        if entry.is_dir():
            found += _contents(entry, f"{prefix}{entry.name}/")
        else:
            found.append((prefix + entry.name, entry.read_bytes()))
    return found


def _with_preloads(index: bytes, names: Iterable[str]) -> bytes:
    """Name all scripts in the page, that a browser need not read one to find out about the next."""
    found = (f'"assets/{name}"' for name in sorted(names) if name.endswith(".js"))
    unnamed = (name.encode() for name in found if name.encode() not in index)
    links = b"".join(b'<link rel="modulepreload" href=%b>\n  ' % name for name in unnamed)
    return index.replace(_MODULE, links + _MODULE, 1)


def _content_type(name: str) -> str:
    suffix = PurePosixPath(name).suffix
    found = _TYPES.get(suffix) or mimetypes.types_map.get(suffix, "application/octet-stream")
    is_text = found.startswith("text/") or suffix in (".svg", ".json")
    return f"{found}; charset=utf-8" if is_text else found


def _hash(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:_HASH_CHARS]
