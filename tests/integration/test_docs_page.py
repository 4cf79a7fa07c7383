"""The page at /docs: in itself, and in a real browser (Chromium by WebDriver, https://www.w3.org/TR/webdriver2/)."""

import asyncio
import contextlib
import gzip
import json
import re
import shutil
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import httpx2
import pytest

from api.openapi.routes import FOLDER, TITLE
from tests.support.document import build_document
from tests.support.stack import Stack, find_free_port, wait_until
from tests.support.timeouts import TEST_TIMEOUT

PATHS = {path for path, methods in build_document()["paths"].items() for _ in methods}
DRIVER = shutil.which("chromedriver")
BROWSER = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
NONE = "no Chromium with its driver here (apt-get install chromium chromium-driver): NOTHING OF /docs IS TRIED IN A BROWSER"
QUIET = [
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-dev-shm-usage"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
    *(
        "--window-size=1500,1000",
        "--force-prefers-reduced-motion",
        "--host-resolver-rules=MAP * ~NOTFOUND , EXCLUDE 127.0.0.1",
    ),
]
ELEMENT = "element-6066-11e4-a52e-4f735466cecf"


async def test_page_allows_this_server_only(stack: Stack):
    """Its policy has no other source, and lets no script run that is not one of its files."""
    response = await stack.client.get("/docs", headers={"authorization": ""})
    assert response.headers["content-type"] == "text/html; charset=utf-8"
    rules = [part.strip().partition(" ") for part in response.headers["content-security-policy"].split(";")]
    policy = {name: sources for name, _, sources in rules}
    assert policy["default-src"] == "'none'"
    assert policy["script-src"] == policy["connect-src"] == "'self'"
    assert not {"unsafe-eval", "*", "http:", "https:"} & set(" ".join(policy.values()).split())
    assert response.headers["x-content-type-options"] == "nosniff"
    assert response.headers["referrer-policy"] == "no-referrer"


async def test_every_file_of_the_page_is_served_here_without_a_key(stack: Stack):
    """As it was published."""
    page = (await stack.client.get("/docs", headers={"authorization": ""})).text
    addresses = [address for address in re.findall(r'(?:href|src)="([^"]*)"', page) if address != "data:,"]
    assert len(addresses) == 4
    for address in addresses:
        response = await stack.client.get(address, headers={"authorization": ""})
        assert response.status_code == 200, address
        assert response.headers["x-content-type-options"] == "nosniff"
    bundle = await stack.client.get("/docs/swagger-ui-bundle.js")
    assert bundle.headers["content-type"].startswith("text/javascript")
    assert bundle.content == gzip.decompress(FOLDER.joinpath("swagger-ui-bundle.js.gz").read_bytes())


async def test_document_of_the_page_is_the_document(stack: Stack):
    """At the address that the framework gives it, too."""
    known = await stack.client.get("/openapi.json")
    assert (await stack.client.get("/docs/openapi.json")).json() == known.json()


class Window:
    """A window of a browser."""

    def __init__(self, client: httpx2.AsyncClient, session: str) -> None:
        self._client = client
        self._session = session

    async def do(self, command: str, **fields: Any) -> Any:
        answer = (await self._client.post(f"/session/{self._session}/{command}", json=fields)).json()["value"]
        assert not (isinstance(answer, dict) and "error" in answer), answer
        return answer

    async def run(self, script: str, *arguments: Any) -> Any:
        """What a script returns."""
        return await self.do("execute/sync", script=script, args=arguments)

    async def log(self, kind: str) -> list[Any]:
        return await self.do("se/log", type=kind)


@contextlib.asynccontextmanager
async def window(folder: Path, **preferences: Any) -> AsyncGenerator[Window]:
    """A browser of its own."""
    assert DRIVER
    port = find_free_port()
    driver = await asyncio.create_subprocess_exec(
        DRIVER, f"--port={port}", stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL
    )
    try:
        async with httpx2.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=TEST_TIMEOUT) as client:

            async def is_up() -> bool:
                with contextlib.suppress(httpx2.TransportError):
                    return (await client.get("/status")).json()["value"]["ready"]
                return False

            await wait_until(is_up)
            options = {"binary": BROWSER, "args": [*QUIET, f"--user-data-dir={folder}"], "prefs": preferences}
            logs = {"performance": "ALL", "browser": "ALL"}
            wanted = {"alwaysMatch": {"goog:chromeOptions": options, "goog:loggingPrefs": logs}}
            session = (await client.post("/session", json={"capabilities": wanted})).json()["value"]
            assert "sessionId" in session, session
            try:
                yield Window(client, session["sessionId"])
            finally:
                await client.delete(f"/session/{session['sessionId']}")
    finally:
        driver.terminate()
        await driver.wait()


@pytest.fixture
async def docs(stack: Stack, tmp_path: Path) -> AsyncGenerator[Window]:
    """The page in a browser; what it asked of the network is looked at in the end."""
    if not DRIVER or not BROWSER:
        pytest.skip(NONE)
    async with window(tmp_path) as opened:
        await opened.do("url", url=f"{stack.url}/docs")
        yield opened
        assert await opened.log("browser") == []
        messages = [json.loads(entry["message"])["message"] for entry in await opened.log("performance")]
        requested_urls = {m["params"]["request"]["url"] for m in messages if m["method"] == "Network.requestWillBeSent"}
        assert f"{stack.url}/docs" in requested_urls
        # The browser's own first page is made of files of its own.
        assert [url for url in requested_urls if not url.startswith((f"{stack.url}/", "data:", "chrome:"))] == []


async def test_browser_shows_the_page(docs: Window):
    """Title and every operation."""
    assert await docs.run("return document.title") == TITLE

    async def is_shown() -> bool:
        find = "return [...document.querySelectorAll('.opblock-summary-path')].map((path) => path.dataset.path)"
        return set(await docs.run(find)) == PATHS

    await wait_until(is_shown, TEST_TIMEOUT)
