"""The page at /docs: in itself, and in a real browser (Chromium by WebDriver, https://www.w3.org/TR/webdriver2/)."""

import asyncio
import base64
import contextlib
import hashlib
import json
import re
import shutil
from collections.abc import AsyncGenerator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import httpx2
import pytest

from api.conversation.parameters import CHAT_PARAMETERS, Policy
from api.openapi.document import TITLE, document
from tests.support.scripted.upstream import GatedReply, Upstream
from tests.support.stack import API_KEY, Stack, find_free_port, wait_until
from tests.support.timeouts import TEST_TIMEOUT

DOCUMENT = document(Policy())
OPERATIONS = [
    (method, path, operation["operationId"])
    for path, methods in DOCUMENT["paths"].items()
    for method, operation in methods.items()
]
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
FORM = "#try-createChatCompletion"


class Parts(HTMLParser):
    """What a page is made of. Mutable: what was read so far."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.ids: list[str] = []
        self.addresses: list[str] = []
        self.handlers: list[str] = []
        self.inline: dict[str, str] = {}
        self._open = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._open = tag
        for name, value in attrs:
            if name == "id":
                self.ids.append(value or "")
            elif name in {"href", "src", "action", "srcset", "data"}:
                self.addresses.append(value or "")
            elif name == "style" or name.startswith("on"):
                self.handlers.append(f"{tag} {name}")

    def handle_data(self, data: str) -> None:
        if self._open in {"script", "style"}:
            self.inline[self._open] = self.inline.get(self._open, "") + data

    def handle_endtag(self, tag: str) -> None:
        self._open = ""


async def test_page_allows_itself_and_this_server_only(stack: Stack):
    """Its policy has the hashes of its own script and style, and no other source."""
    response = await stack.client.get("/docs", headers={"authorization": ""})
    assert response.headers["content-type"] == "text/html; charset=utf-8"
    rules = [part.strip().partition(" ") for part in response.headers["content-security-policy"].split(";")]
    policy = {name: sources for name, _, sources in rules}
    inline = Parts(response.text).inline
    for kind in ("script", "style"):
        digest = base64.b64encode(hashlib.sha256(inline[kind].encode()).digest()).decode()
        assert policy[f"{kind}-src"] == f"'sha256-{digest}'"
    assert policy["default-src"] == "'none'"
    assert policy["connect-src"] == "'self'"
    assert not {"unsafe-inline", "unsafe-eval", "*", "http:", "https:"} & set(" ".join(policy.values()).split())
    assert response.headers["x-content-type-options"] == "nosniff"


async def test_page_names_no_other_host(stack: Stack):
    """Nor has it code or style in attributes, which its policy would not run."""
    parts = Parts((await stack.client.get("/docs")).text)
    assert [address for address in parts.addresses if not re.match(r"#|/openapi\.json$|data:image/svg", address)] == []
    assert parts.handlers == []
    assert len(parts.ids) == len(set(parts.ids))
    assert {address[1:] for address in parts.addresses if address.startswith("#")} <= set(parts.ids)


async def test_page_tells_of_everything(stack: Stack):
    """Of each operation, parameter, error and header, without any script."""
    page = (await stack.client.get("/docs")).text
    ids = set(Parts(page).ids)
    assert {name for *_, name in OPERATIONS} <= ids
    assert set(DOCUMENT["components"]["headers"]) <= ids
    assert {f"error-{name.removeprefix('Error')}" for name in DOCUMENT["components"]["responses"]} <= ids
    assert [name for name in CHAT_PARAMETERS if f'<code class="name">{name}</code>' not in page] == []


@pytest.mark.parametrize("host", ["evil.example/<script>", "a b", '"><b>', "x" * 300, "[::1]:8020", "example.com:80"])
async def test_host_that_a_browser_names_is_a_host_or_nothing(stack: Stack, host: str):
    """It goes into the commands to copy, and nowhere else."""
    response = await stack.client.get("/docs", headers={"host": host})
    sane = host in {"[::1]:8020", "example.com:80"}
    assert sane or host not in response.text
    if response.status_code != 400:  # the framework knows some that are none
        assert f'class="origin">http://{host if sane else "localhost"}</span>' in response.text


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

    async def find(self, selector: str) -> str:
        return (await self.do("element", using="css selector", value=selector))[ELEMENT]

    async def click(self, selector: str) -> None:
        await self.do(f"element/{await self.find(selector)}/click")

    async def write(self, selector: str, text: str) -> None:
        await self.do(f"element/{await self.find(selector)}/value", text=text)

    async def text(self, selector: str) -> str:
        return await self.run("return document.querySelector(arguments[0])?.textContent ?? ''", selector)

    async def shows(self, selector: str, text: str, timeout: float = TEST_TIMEOUT) -> None:
        """Wait until an element holds exactly this."""

        async def is_shown() -> bool:
            return await self.text(selector) == text

        try:
            await wait_until(is_shown, timeout)
        except TimeoutError:
            raise AssertionError(f"{selector} holds {await self.text(selector)!r}") from None

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
        asked = {m["params"]["request"]["url"] for m in messages if m["method"] == "Network.requestWillBeSent"}
        assert f"{stack.url}/docs" in asked
        # The browser's own first page is made of files of its own.
        assert [url for url in asked if not url.startswith((f"{stack.url}/", "data:", "chrome:"))] == []


async def test_browser_shows_the_page(docs: Window, stack: Stack):
    """Title, every operation, and commands with the address that the browser knows."""
    assert await docs.run("return document.title") == TITLE
    shown = await docs.run("return [...document.querySelectorAll('.route')].map((route) => route.innerText)")
    assert sorted(" ".join(route.split()) for route in shown) == sorted(f"{m.upper()} {p}" for m, p, _ in OPERATIONS)
    linked = await docs.run("return [...document.querySelectorAll('nav li a')].map((link) => link.hash.slice(1))")
    assert {name for *_, name in OPERATIONS} <= set(linked)
    assert (await docs.text(".example code")).startswith(f"curl {stack.url}/v1/chat/completions")


async def test_what_is_linked_to_is_shown(docs: Window):
    """A link to an error opens nothing else and goes there."""
    await docs.run("document.querySelector('a[href=\"#error-429\"]').click()")
    assert await docs.run("return location.hash") == "#error-429"


async def test_try_it_shows_an_answer_as_it_is_written(docs: Window, stack: Stack, upstream: Upstream):
    """Word by word, while the model is still writing."""
    upstream.script(GatedReply(("One ", "two ", "three.")))
    await docs.run(f"document.querySelector('{FORM} select').value = 'streaming'")
    await docs.run(f"document.querySelector('{FORM} select').dispatchEvent(new Event('change'))")
    await docs.write(f"{FORM} [data-key]", API_KEY)
    await docs.click(f"{FORM} .send")
    for said in ("One ", "One two ", "One two three."):
        await upstream.release()
        await docs.shows(f"{FORM} .said .text", said)
    await docs.shows(f"{FORM} .stop[hidden]", "Stop")
    assert (await docs.text(f"{FORM} .state")).startswith("200 · ")
    assert (await docs.text(f"{FORM} .got pre")).endswith("data: [DONE]\n\n")
    assert "x-request-id: req_" in await docs.text(f"{FORM} .heads pre")
    assert upstream.requests[0].body["stream"] is True


async def test_try_it_can_be_stopped(docs: Window, upstream: Upstream):
    """Which ends the answer at its source."""
    upstream.script(GatedReply(("One ", "two.")))
    body = json.dumps({"messages": [{"role": "user", "content": "Count."}], "stream": True})
    await docs.run(f"document.querySelector('{FORM} textarea').value = arguments[0]", body)
    await docs.write(f"{FORM} [data-key]", API_KEY)
    await docs.click(f"{FORM} .send")
    await upstream.release()
    await docs.shows(f"{FORM} .said .text", "One ")
    await docs.click(f"{FORM} .stop")
    await docs.shows(f"{FORM} .state", "Stopped")
    await upstream.wait_until(lambda: upstream.hangups == 1)


async def test_key_is_kept_in_the_tab_and_nowhere_else(docs: Window):
    """For every form of the page, and over a reload."""
    await docs.write("#try-listModels [data-key]", "a-key-of-mine")
    await docs.do("refresh")
    keys = "return [...document.querySelectorAll('[data-key]')].map((input) => input.value)"
    assert set(await docs.run(keys)) == {"a-key-of-mine"}
    assert await docs.run("return [localStorage.length, document.cookie, sessionStorage.length]") == [0, "", 1]


async def test_try_it_answers_questions_without_a_body(docs: Window):
    """The address is what was filled in."""
    await docs.write("#try-getModel [data-key]", API_KEY)
    await docs.click("#try-getModel .send")
    await docs.shows("#try-getModel .stop[hidden]", "Stop")
    assert json.loads(await docs.text("#try-getModel .got pre"))["id"] == "sonnet"


async def test_page_is_dark_where_the_reader_is(docs: Window):
    """And light elsewhere."""
    seen: list[str] = []
    for scheme in ("light", "dark"):
        features = [{"name": "prefers-color-scheme", "value": scheme}]
        await docs.do("goog/cdp/execute", cmd="Emulation.setEmulatedMedia", params={"features": features})
        seen.append(await docs.run("return getComputedStyle(document.body).backgroundColor"))
    assert seen == ["rgb(251, 250, 247)", "rgb(25, 24, 21)"]


async def test_copy_copies(docs: Window, stack: Stack):
    """The command, with the address in it."""
    await docs.run("navigator.clipboard.writeText = async (text) => { window.copied = text }")
    await docs.click(".example button.copy")
    await docs.shows(".example button.copy", "Copied")
    assert (await docs.run("return window.copied")).startswith(f"curl {stack.url}/v1/chat/completions")


async def test_page_can_be_read_without_scripts(stack: Stack, tmp_path: Path):
    """Everything is there but the forms, and what would do nothing is not shown."""
    if not DRIVER or not BROWSER:
        pytest.skip(NONE)
    off = {"profile.managed_default_content_settings.javascript": 2}
    async with window(tmp_path, **off) as opened:
        await opened.do("url", url=f"{stack.url}/docs")
        assert await opened.run("return document.documentElement.className") == ""
        assert await opened.run("return document.querySelector('form').checkVisibility()") is False
        assert await opened.run("return document.querySelector('#getHealth').checkVisibility()") is True
        assert "needs JavaScript" in await opened.run("return document.querySelector('noscript').innerText")
