"""Requests of every dialect whose right answer is known, and what became of each.

Invariants: an outcome is `right` (the very answer), `error` (an error of the dialect's own form, with a status or kind that the
manual has) or `gone` (the client disconnected); everything else is an AssertionError that says what came.
"""

import json
import random
from collections.abc import Awaitable, Callable
from typing import Any, Literal

import httpx2

from tests.support.mcp_client import get_text
from tests.support.stack import Stack
from tests.support.timeouts import TEST_TIMEOUT

type Outcome = Literal["right", "error", "gone"]
type Ask = Callable[["Client", str, bool], Awaitable[Outcome]]

# What a request may end in when executors die and the service fails (docs/errors.md).
HONEST = {429, 500, 502, 503, 504, 529}
NEVER = {"internal", "internal_error"}
CODE = "Use your tools: "


def answer_of(prompt: str) -> str:
    """What the scripted model says to a prompt."""
    return f"You said {prompt}. " * 6


class Client:
    """One client, on a kept connection. Mutable: its random generator, which decides about disconnects."""

    def __init__(self, stack: Stack, chance: random.Random, hang_up: float) -> None:
        self.stack = stack
        self.http = httpx2.AsyncClient(base_url=stack.url, headers=stack.headers, timeout=TEST_TIMEOUT)
        self._chance = chance
        self._hang_up = hang_up

    def leaves(self) -> bool:
        """Whether it disconnects during this request."""
        return self._chance.random() < self._hang_up

    async def post(self, path: str, body: Any) -> httpx2.Response | None:
        """The whole response; None if the client left before."""
        if not self.leaves():
            return await self.http.post(path, json=body)
        try:
            return await self.http.post(path, json=body, timeout=self._chance.uniform(0.01, 1.0))
        except httpx2.TimeoutException:
            return None

    async def stream(self, path: str, body: Any) -> tuple[int, list[str]] | None:
        """The status, and the data of each event of a stream; None if the client left before its end."""
        leaves_after = self._chance.randrange(8) if self.leaves() else None
        data: list[str] = []
        async with self.http.stream("POST", path, json=body) as response:
            if response.headers["content-type"] == "application/json":
                return response.status_code, [(await response.aread()).decode()]
            async for line in response.aiter_lines():
                if line.startswith("data: "):
                    data.append(line.removeprefix("data: "))
                if leaves_after is not None and len(data) > leaves_after:
                    return None
        return response.status_code, data


def honest(status: int, body: str) -> Outcome:
    """An error before any answer, in any dialect's envelope."""
    assert status in HONEST, (status, body)
    told = json.loads(body)
    error = told.get("error", told)
    assert error.get("message") or error.get("detail"), body
    assert error.get("code") not in NEVER, body
    return "error"


def judged(said: str, wanted: str, *, whole: bool) -> Outcome:
    """An answer: the very words, and its proper end."""
    assert whole, f"no proper end after {said!r}"
    assert said == wanted, f"{said!r} is not {wanted!r}"
    return "right"


async def chat(client: Client, prompt: str, stream: bool) -> Outcome:  # noqa: FBT001 # every request's form
    """OpenAI's chat completions."""
    body = {"messages": [{"role": "user", "content": prompt}], "stream": stream}
    if not stream:
        response = await client.post("/v1/chat/completions", body)
        if response is None:
            return "gone"
        if response.status_code != 200:
            return honest(response.status_code, response.text)
        choice = response.json()["choices"][0]
        return judged(choice["message"]["content"], answer_of(prompt), whole=choice["finish_reason"] == "stop")
    came = await client.stream("/v1/chat/completions", body)
    if came is None:
        return "gone"
    status, data = came
    if status != 200:
        return honest(status, data[0])
    assert data[-1] == "[DONE]", data[-2:]
    chunks = [json.loads(each) for each in data[:-1]]
    if "error" in chunks[-1]:
        assert chunks[-1]["error"]["code"] not in NEVER, chunks[-1]
        return "error"
    said = "".join(choice["delta"].get("content") or "" for chunk in chunks for choice in chunk["choices"])
    ends = [choice["finish_reason"] for chunk in chunks for choice in chunk["choices"] if choice["finish_reason"]]
    return judged(said, answer_of(prompt), whole=ends == ["stop"])


async def completion(client: Client, prompt: str, stream: bool) -> Outcome:  # noqa: FBT001
    """OpenAI's legacy completions."""
    body = {"prompt": prompt, "stream": stream, "max_tokens": 1000}
    if not stream:
        response = await client.post("/v1/completions", body)
        if response is None:
            return "gone"
        if response.status_code != 200:
            return honest(response.status_code, response.text)
        choice = response.json()["choices"][0]
        return judged(choice["text"], answer_of(prompt), whole=choice["finish_reason"] == "stop")
    came = await client.stream("/v1/completions", body)
    if came is None:
        return "gone"
    status, data = came
    if status != 200:
        return honest(status, data[0])
    assert data[-1] == "[DONE]", data[-2:]
    chunks = [json.loads(each) for each in data[:-1]]
    if "error" in chunks[-1]:
        assert chunks[-1]["error"]["code"] not in NEVER, chunks[-1]
        return "error"
    said = "".join(choice["text"] for chunk in chunks for choice in chunk["choices"])
    return judged(said, answer_of(prompt), whole=True)


async def message(client: Client, prompt: str, stream: bool) -> Outcome:  # noqa: FBT001
    """Anthropic's messages."""
    body = {"max_tokens": 1000, "messages": [{"role": "user", "content": prompt}], "stream": stream}
    if not stream:
        response = await client.post("/v1/messages", body)
        if response is None:
            return "gone"
        if response.status_code != 200:
            return honest(response.status_code, response.text)
        told = response.json()
        said = "".join(block["text"] for block in told["content"] if block["type"] == "text")
        return judged(said, answer_of(prompt), whole=told["stop_reason"] == "end_turn")
    came = await client.stream("/v1/messages", body)
    if came is None:
        return "gone"
    status, data = came
    if status != 200:
        return honest(status, data[0])
    events = [json.loads(each) for each in data]
    if events[-1]["type"] == "error":
        return "error"
    said = "".join(event["delta"].get("text", "") for event in events if event["type"] == "content_block_delta")
    return judged(said, answer_of(prompt), whole=events[-1]["type"] == "message_stop")


async def response(client: Client, prompt: str, stream: bool) -> Outcome:  # noqa: FBT001
    """OpenAI's responses."""
    body = {"input": prompt, "stream": stream}
    if not stream:
        came = await client.post("/v1/responses", body)
        if came is None:
            return "gone"
        if came.status_code != 200:
            return honest(came.status_code, came.text)
        told = came.json()
    else:
        events = await client.stream("/v1/responses", body)
        if events is None:
            return "gone"
        status, data = events
        if status != 200:
            return honest(status, data[0])
        last = json.loads(data[-1])
        if last["type"] in {"response.failed", "error"}:
            return "error"
        assert last["type"] == "response.completed", last
        told = last["response"]
    said = "".join(part["text"] for item in told["output"] if item["type"] == "message" for part in item["content"])
    return judged(said, answer_of(prompt), whole=told["status"] == "completed")


async def rest(client: Client, prompt: str, stream: bool) -> Outcome:  # noqa: FBT001
    """/api/chat."""
    return await _rest(client, "/api/chat", prompt, answer_of(prompt), stream=stream)


async def code(client: Client, prompt: str, stream: bool) -> Outcome:  # noqa: FBT001
    """/api/code, whose model runs a command."""
    prompt = f"{CODE}{prompt}"
    return await _rest(client, "/api/code", prompt, answer_of(prompt), stream=stream)


async def _rest(client: Client, path: str, prompt: str, wanted: str, *, stream: bool) -> Outcome:
    body = {"prompt": prompt, "stream": stream}
    if not stream:
        response = await client.post(path, body)
        if response is None:
            return "gone"
        if response.status_code != 200:
            return honest(response.status_code, response.text)
        told = response.json()
    else:
        came = await client.stream(path, body)
        if came is None:
            return "gone"
        status, data = came
        if status != 200:
            return honest(status, data[0])
        told = json.loads(data[-1])
        if "detail" in told:
            return "error"
    return judged(told["result"], wanted, whole=told["is_error"] is False)


async def bash(client: Client, prompt: str, stream: bool) -> Outcome:  # noqa: FBT001
    """/api/tools/bash."""
    response = await client.post("/api/tools/bash", {"command": f"sleep 0.05; echo '{prompt}'"})
    if response is None:
        return "gone"
    if response.status_code != 200:
        return honest(response.status_code, response.text)
    told = response.json()
    return judged(told["stdout"], f"{prompt}\n", whole=told["returncode"] == 0)


async def file_read(client: Client, prompt: str, stream: bool) -> Outcome:  # noqa: FBT001
    """/api/tools/file-read."""
    response = await client.post("/api/tools/file-read", {"path": str(client.stack.files / "notes.txt")})
    if response is None:
        return "gone"
    if response.status_code != 200:
        return honest(response.status_code, response.text)
    return judged(response.json()["content"], "one\ntwo\n", whole=True)


async def mcp(client: Client, prompt: str, stream: bool) -> Outcome:  # noqa: FBT001
    """MCP's tool `chat`, by the protocol's stateless era: one request, one answer."""
    from tests.support.mcp_client import connect_client  # noqa: PLC0415 # the library takes its time

    async with connect_client(client.stack) as session:
        result = await session.call_tool("chat", {"prompt": prompt})
    if result.is_error:
        assert get_text(result)
        return "error"
    said: Any = result.structured_content
    return judged(said["result"], answer_of(prompt), whole=True)


ALL: tuple[Ask, ...] = (chat, completion, message, response, rest, code, bash, file_read, mcp)
