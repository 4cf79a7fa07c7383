"""A real Prometheus scrapes the running server: every panel and every alert finds what it looks for.

What this does not show is that Grafana draws it.
"""

import asyncio
import contextlib
import shutil
import time
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import httpx2
import openai
import pytest
import yaml

from shared.tool_jobs import ToolsStatus
from shared.wire import GetStatus, encode_frame, read_to_executor
from tests.conftest import OAUTH_TOKEN
from tests.observability.expressions import alerts, panels, watched
from tests.observability.test_dashboard import promtool
from tests.support.http_raw import open_connection
from tests.support.scripted.upstream import AnswerReply, ErrorEventReply, ErrorReply, Upstream
from tests.support.stack import Stack, find_free_port, wait_until
from tests.support.timeouts import TEST_TIMEOUT

WINDOWS = {
    "anthropic-ratelimit-unified-status": "allowed",
    "anthropic-ratelimit-unified-representative-claim": "five_hour",
    "anthropic-ratelimit-unified-5h-status": "allowed",
    "anthropic-ratelimit-unified-5h-utilization": "0.25",
}
# Some jobs failed, and a busy machine is slow.
MAY_FIRE = {"ClaudeApiManyFailures", "ClaudeApiQueueLong", "ClaudeApiFirstTokenSlow"}
TOOLS = ToolsStatus(("/work",), (), ("ls",), 4, 0, 0, draining=False, jobs_done=7, refusals={"not_allowed": 3})


@contextlib.asynccontextmanager
async def answer_status(path: Path) -> AsyncGenerator[None]:
    """A tools executor's words at this socket, so that its panels have numbers whatever the host's kernel can do."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        assert isinstance(await read_to_executor(reader), GetStatus)
        writer.write(encode_frame(TOOLS))
        await writer.drain()
        writer.close()

    async with await asyncio.start_unix_server(answer, path):
        yield


@contextlib.asynccontextmanager
async def prometheus(folder: Path, target: str) -> AsyncGenerator[httpx2.AsyncClient]:
    """A Prometheus that asks `target` twice a second, without a key."""
    program = shutil.which("prometheus")
    if program is None:
        pytest.skip("prometheus is not installed: `make system` installs it")
    config = folder / "prometheus.yml"
    scrape = {"job_name": "claude-api", "scrape_interval": "500ms", "static_configs": [{"targets": [target]}]}
    config.write_text(yaml.safe_dump({"scrape_configs": [scrape]}), encoding="utf-8")
    port = find_free_port()
    with (folder / "prometheus.log").open("wb") as log:
        process = await asyncio.create_subprocess_exec(
            program,
            f"--config.file={config}",
            f"--storage.tsdb.path={folder / 'data'}",
            f"--web.listen-address=127.0.0.1:{port}",
            stdout=log,
            stderr=log,
        )
        try:
            async with httpx2.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=TEST_TIMEOUT) as client:
                yield client
        finally:
            process.terminate()
            await process.wait()


async def ask(client: httpx2.AsyncClient, expression: str) -> list[Any]:
    """What Prometheus finds."""
    response = await client.get("/api/v1/query", params={"query": expression})
    answer = response.json()
    assert answer["status"] == "success", answer
    return answer["data"]["result"]


async def traffic(stack: Stack, upstream: Upstream) -> None:
    """A little of everything: whole and streamed answers, and failures."""
    reset = str(round(time.time()) + 3600)
    headers = {**WINDOWS, **{f"anthropic-ratelimit-unified-{name}reset": reset for name in ("", "5h-")}}
    upstream.script(AnswerReply(("Hello", " world", "!"), headers=headers))
    question: Any = [{"role": "user", "content": "Hello!"}]
    await stack.openai.chat.completions.create(model="sonnet", messages=question)
    async for _ in await stack.openai.chat.completions.create(model="sonnet", messages=question, stream=True):
        pass
    # Of the client's, and of the service's.
    for trouble in (ErrorReply(400, "invalid_request_error"), ErrorEventReply(("Hel",))):
        upstream.script(trouble)
        with pytest.raises(openai.APIStatusError):
            await stack.openai.with_options(max_retries=0).chat.completions.create(model="sonnet", messages=question)
    async with open_connection(stack) as connection:
        await connection.send(b"no HTTP\r\n\r\n")
        assert await connection.read_all()


async def test_every_panel_and_every_alert_finds_its_series(tmp_path: Path):
    """Asked of a real Prometheus after some traffic; an alert is asked for what it compares."""
    promtool("--version")
    settings = {"METRICS_ALLOW": "127.0.0.1"}
    async with (
        Upstream() as upstream,
        Stack(upstream.url, credential={"CLAUDE_CODE_OAUTH_TOKEN": OAUTH_TOKEN}, api_settings=settings) as stack,
        answer_status(stack.run_dir / "tools-9.sock"),
        prometheus(tmp_path, f"127.0.0.1:{stack.port}") as client,
    ):
        await traffic(stack, upstream)
        promtool("check", "metrics", given=(await stack.client.get("/metrics")).content)

        async def nothing_is_empty() -> bool:
            """A rate needs two scrapes, so what is empty is asked for again."""
            for expression in list(empty):
                with contextlib.suppress(httpx2.TransportError):
                    if await ask(client, expression.text):
                        empty.remove(expression)
            return not empty

        # Only after a credential was refused is there a number of such refusals.
        watching = [watched(alert) for alert in alerts() if alert.where != "ClaudeApiCredentialRefused"]
        empty = [*panels(), *watching]
        with contextlib.suppress(TimeoutError):
            await wait_until(nothing_is_empty)
        assert empty == []
        for alert in alerts():
            assert alert.where in MAY_FIRE or await ask(client, alert.text) == [], alert
