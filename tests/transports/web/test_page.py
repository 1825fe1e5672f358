"""What the web listener serves but for WebSockets: the page, its files, and its health."""

import asyncio
import gzip
import re
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest

from chat_service.node import Node
from chat_service.startup import StartupError
from chat_service.transports.page import Page
from tests.conftest import ANY_PORT, StartNode
from tests.transports.web.clients import RawSocket


@pytest.fixture
async def http(node: Node) -> AsyncIterator[aiohttp.ClientSession]:
    """A session whose paths lead to the node, and that unpacks nothing by itself."""
    base = f"http://{node.endpoints['web']}"
    async with aiohttp.ClientSession(base, auto_decompress=False) as session:
        yield session


async def assets(http: aiohttp.ClientSession) -> set[str]:
    """Return the paths that the page refers to."""
    async with http.get("/", headers={"Accept-Encoding": "identity"}) as response:
        return set(re.findall(r'"(/?assets/[^"]+)"', await response.text()))


async def test_the_page_is_html_that_is_asked_for_anew_each_time(
    http: aiohttp.ClientSession,
) -> None:
    async with http.get("/") as response:
        assert response.status == 200
        assert response.headers["Content-Type"] == "text/html; charset=utf-8"
        assert response.headers["Cache-Control"] == "no-cache"
        assert gzip.decompress(await response.read()).startswith(b"<!doctype html>")
        etag = response.headers["ETag"]
    async with http.get("/", headers={"If-None-Match": etag}) as response:
        assert response.status == 304
        assert await response.read() == b""
        assert response.headers["ETag"] == etag
    async with http.get("/", headers={"If-None-Match": 'W/"other"'}) as response:
        assert response.status == 200


async def test_its_files_are_named_by_their_content_and_kept_for_ever(
    http: aiohttp.ClientSession,
) -> None:
    found = await assets(http)
    assert found
    for path in found:
        async with http.get("/" + path.lstrip("/")) as response:
            assert response.status == 200, path
            assert response.headers["Cache-Control"] == "public, max-age=31536000, immutable"
            assert response.headers["X-Content-Type-Options"] == "nosniff"
            assert response.headers["Content-Type"] != "application/octet-stream", path


async def test_what_takes_gzip_gets_gzip_and_others_get_it_plain(
    http: aiohttp.ClientSession,
) -> None:
    async with http.get("/", headers={"Accept-Encoding": "br, gzip"}) as response:
        assert response.headers["Content-Encoding"] == "gzip"
        assert response.headers["Vary"] == "Accept-Encoding"
        packed = await response.read()
    async with http.get("/", headers={"Accept-Encoding": "identity"}) as response:
        assert "Content-Encoding" not in response.headers
        assert response.headers["Vary"] == "Accept-Encoding"
        assert await response.read() == gzip.decompress(packed)


@pytest.mark.parametrize(
    "path",
    [
        "/nothing",
        "/assets/",
        "/assets/app.js",
        "/assets/000000000000/app.js",
        "/assets/..%2f..%2fnode.py",
        "/assets/000000000000/..%2findex.html",
    ],
)
async def test_there_is_nothing_else(http: aiohttp.ClientSession, path: str) -> None:
    async with http.get(path) as response:
        assert response.status == 404


@pytest.mark.parametrize("path", ["/", "/healthz", "/nothing", "/ws", "/chat.v1.Accounts/Login"])
async def test_every_answer_tells_browsers_what_to_forbid(
    http: aiohttp.ClientSession, path: str
) -> None:
    async with http.get(path) as response:
        headers = response.headers
        policy = headers["Content-Security-Policy"].split("; ")
        assert {"default-src 'none'", "script-src 'self'", "frame-ancestors 'none'"} <= set(policy)
        assert "unsafe" not in headers["Content-Security-Policy"]
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["Referrer-Policy"] == "no-referrer"
        assert headers["Cross-Origin-Opener-Policy"] == "same-origin"
        assert "Set-Cookie" not in headers
        assert "aiohttp" not in headers.get("Server", "").lower()
        assert "Access-Control-Allow-Origin" not in headers


async def test_it_is_well_and_ready(http: aiohttp.ClientSession) -> None:
    for path in ("/healthz", "/readyz"):
        async with http.get(path) as response:
            assert response.status == 200
            assert response.headers["Cache-Control"] == "no-store"


async def test_while_it_shuts_down_it_is_well_and_not_ready(
    node: Node, http: aiohttp.ClientSession
) -> None:
    lingering = await RawSocket.open(node)  # and never answers the close
    stopping = asyncio.create_task(node.stop())
    await lingering.until_closed()
    async with http.get("/healthz") as response:
        assert response.status == 200
    async with http.get("/readyz") as response:
        assert response.status == 503
    late = await RawSocket.open(node)
    told, code = await late.until_closed()
    assert [next(iter(it)) for it in told] == ["error", "goodbye"]
    assert told[0]["error"]["code"] == "ERROR_CODE_UNAVAILABLE"
    assert told[1]["goodbye"]["reconnect"]
    assert code == 1013
    await lingering.hang_up()
    await late.hang_up()
    await stopping


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [("POST", "/", 405), ("DELETE", "/ws", 405), ("GET", "/chat.v1.Accounts/Login", 405),
     ("HEAD", "/", 200), ("OPTIONS", "/", 405)],
)  # fmt: skip
async def test_other_methods_are_refused(
    http: aiohttp.ClientSession, method: str, path: str, status: int
) -> None:
    async with http.request(method, path) as response:
        assert response.status == status


async def test_who_asks_for_nothing_is_not_waited_for(
    start_node: StartNode, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("chat_service.transports.web.IDLE", 0.3)
    node = await start_node(web=ANY_PORT)
    endpoint = node.endpoints["web"]
    for beginning in (b"", b"GET / HTTP/1.1\r\nHost: x\r\nX-Slow: "):
        reader, writer = await asyncio.open_connection(endpoint.host, endpoint.port)
        writer.write(beginning)
        assert await asyncio.wait_for(reader.read(), 5) == b""
        writer.close()
        await writer.wait_closed()


async def test_a_port_in_use_is_told(node: Node, start_node: StartNode, tmp_path: Path) -> None:
    taken = node.endpoints["web"]
    with pytest.raises(StartupError, match=f"^cannot listen on web {taken}: .*in use"):
        await start_node(web=taken, data=tmp_path / "other")


async def test_a_page_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(StartupError, match=r"^the page is not where it was"):
        Page(tmp_path)


async def test_a_change_of_any_file_renames_them_all(tmp_path: Path) -> None:
    def names() -> str:
        return Page(tmp_path)._index.plain.decode()

    (tmp_path / "assets" / "more").mkdir(parents=True)
    (tmp_path / "index.html").write_text('<script type="module" src="assets/a.js"></script>')
    (tmp_path / "assets" / "a.js").write_text('import "./more/b.js"')
    (tmp_path / "assets" / "more" / "b.js").write_text("1")
    before = names()
    assert re.search(r'"assets/[0-9a-f]{12}/a\.js"', before)
    assert names() == before
    (tmp_path / "assets" / "more" / "b.js").write_text("2")
    assert names() != before


async def test_a_node_may_serve_the_page_alone(start_node: StartNode) -> None:
    node = await start_node(grpc=None, tcp=None, web=ANY_PORT)
    assert list(node.endpoints) == ["web"]


async def test_all_modules_are_asked_for_at_once(tmp_path: Path) -> None:
    (tmp_path / "assets").mkdir()
    (tmp_path / "index.html").write_text(
        '<script src="assets/plain.js"></script><script type="module" src="assets/a.js"></script>'
    )
    for name in ("plain.js", "a.js", "b.js", "c.js", "d.css"):
        (tmp_path / "assets" / name).write_text("1")
    page = Page(tmp_path)._index.plain.decode()
    preloaded = re.findall(r'<link rel="modulepreload" href="assets/[0-9a-f]{12}/(.+?)">', page)
    assert preloaded == ["b.js", "c.js"]
    assert page.index("c.js") < page.index('<script type="module"')
