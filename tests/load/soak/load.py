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
ERROR_STATUSES = {429, 500, 502, 503, 504, 529}
NEVER = {"internal", "internal_error"}
CODE = "Use your tools: "


def answer_of(prompt: str) -> str:
    """What the scripted model says to a prompt."""
    return f"You said {prompt}. " * 6


class Client:
    """One client, on a kept connection. Mutable: its random generator, which decides about disconnects."""

    def __init__(self, stack: Stack, chance: random.Random, disconnect_rate: float) -> None:
        self.stack = stack
        self.http = httpx2.AsyncClient(base_url=stack.url, headers=stack.headers, timeout=TEST_TIMEOUT)
        self._chance = chance
        self._disconnect_rate = disconnect_rate

    def disconnects(self) -> bool:
        """Whether it disconnects during this request."""
        return self._chance.random() < self._disconnect_rate

    async def post(self, path: str, body: Any) -> httpx2.Response | None:
        """The whole response; None if the client left before."""
        if not self.disconnects():
            return await self.http.post(path, json=body)
        try:
            return await self.http.post(path, json=body, timeout=self._chance.uniform(0.01, 1.0))
        except httpx2.TimeoutException:
            return None

    async def stream(self, path: str, body: Any) -> tuple[int, list[str]] | None:
        """The status, and the data of each event of a stream; None if the client left before its end."""
        disconnects_after = self._chance.randrange(8) if self.disconnects() else None
        data: list[str] = []
        async with self.http.stream("POST", path, json=body) as response:
            if response.headers["content-type"] == "application/json":
                return response.status_code, [(await response.aread()).decode()]
            async for line in response.aiter_lines():
                if line.startswith("data: "):
                    data.append(line.removeprefix("data: "))
                if disconnects_after is not None and len(data) > disconnects_after:
                    return None
        return response.status_code, data


def check_error(status: int, body: str) -> Outcome:
    """An error before any answer, in any dialect's envelope."""
    assert status in ERROR_STATUSES, (status, body)
    envelope = json.loads(body)
    error = envelope.get("error", envelope)
    assert error.get("message") or error.get("detail"), body
    assert error.get("code") not in NEVER, body
    return "error"


def check_answer(text: str, expected: str, *, is_complete: bool) -> Outcome:
    """An answer: exactly the expected text, and a proper end."""
    assert is_complete, f"no proper end after {text!r}"
    assert text == expected, f"{text!r} is not {expected!r}"
    return "right"


async def send(client: Client, path: str, body: Any, *, stream: bool) -> list[str] | Outcome:
    """The data of each event of an answer, or its body as the only one; an outcome where there is no answer."""
    if stream:
        received = await client.stream(path, body)
    else:
        response = await client.post(path, body)
        received = (response.status_code, [response.text]) if response is not None else None
    if received is None:
        return "gone"
    status, data = received
    return data if status == 200 else check_error(status, data[0])


def read_chunks(data: list[str]) -> list[Any] | None:
    """The choices in the chunks of an OpenAI stream; None if it ends with an error."""
    assert data[-1] == "[DONE]", data[-2:]
    chunks = [json.loads(each) for each in data[:-1]]
    if "error" in chunks[-1]:
        assert chunks[-1]["error"]["code"] not in NEVER, chunks[-1]
        return None
    return [choice for chunk in chunks for choice in chunk["choices"]]


async def chat(client: Client, prompt: str, stream: bool) -> Outcome:  # noqa: FBT001 # every request's form
    """OpenAI's chat completions."""
    body = {"messages": [{"role": "user", "content": prompt}], "stream": stream}
    data = await send(client, "/v1/chat/completions", body, stream=stream)
    if isinstance(data, str):
        return data
    if not stream:
        [choice] = json.loads(data[0])["choices"]
        return check_answer(
            choice["message"]["content"], answer_of(prompt), is_complete=choice["finish_reason"] == "stop"
        )
    if (choices := read_chunks(data)) is None:
        return "error"
    text = "".join(choice["delta"].get("content") or "" for choice in choices)
    ends = [choice["finish_reason"] for choice in choices if choice["finish_reason"]]
    return check_answer(text, answer_of(prompt), is_complete=ends == ["stop"])


async def completion(client: Client, prompt: str, stream: bool) -> Outcome:  # noqa: FBT001
    """OpenAI's legacy completions."""
    body = {"prompt": prompt, "stream": stream, "max_tokens": 1000}
    data = await send(client, "/v1/completions", body, stream=stream)
    if isinstance(data, str):
        return data
    choices = read_chunks(data) if stream else json.loads(data[0])["choices"]
    if choices is None:
        return "error"
    ends = [choice["finish_reason"] for choice in choices if choice["finish_reason"]]
    return check_answer("".join(choice["text"] for choice in choices), answer_of(prompt), is_complete=ends == ["stop"])


async def message(client: Client, prompt: str, stream: bool) -> Outcome:  # noqa: FBT001
    """Anthropic's messages."""
    body = {"max_tokens": 1000, "messages": [{"role": "user", "content": prompt}], "stream": stream}
    data = await send(client, "/v1/messages", body, stream=stream)
    if isinstance(data, str):
        return data
    if not stream:
        answer = json.loads(data[0])
        text = "".join(block["text"] for block in answer["content"] if block["type"] == "text")
        return check_answer(text, answer_of(prompt), is_complete=answer["stop_reason"] == "end_turn")
    events = [json.loads(each) for each in data]
    if events[-1]["type"] == "error":
        return "error"
    text = "".join(event["delta"].get("text", "") for event in events if event["type"] == "content_block_delta")
    return check_answer(text, answer_of(prompt), is_complete=events[-1]["type"] == "message_stop")


async def response(client: Client, prompt: str, stream: bool) -> Outcome:  # noqa: FBT001
    """OpenAI's responses."""
    data = await send(client, "/v1/responses", {"input": prompt, "stream": stream}, stream=stream)
    if isinstance(data, str):
        return data
    answer = json.loads(data[-1])
    if stream:
        if answer["type"] in {"response.failed", "error"}:
            return "error"
        assert answer["type"] == "response.completed", answer
        answer = answer["response"]
    parts = [part for item in answer["output"] if item["type"] == "message" for part in item["content"]]
    text = "".join(part["text"] for part in parts)
    return check_answer(text, answer_of(prompt), is_complete=answer["status"] == "completed")


async def rest(client: Client, prompt: str, stream: bool) -> Outcome:  # noqa: FBT001
    """/api/chat."""
    return await _rest(client, "/api/chat", prompt, answer_of(prompt), stream=stream)


async def code(client: Client, prompt: str, stream: bool) -> Outcome:  # noqa: FBT001
    """/api/code, whose model runs a command."""
    prompt = f"{CODE}{prompt}"
    return await _rest(client, "/api/code", prompt, answer_of(prompt), stream=stream)


async def _rest(client: Client, path: str, prompt: str, expected: str, *, stream: bool) -> Outcome:
    data = await send(client, path, {"prompt": prompt, "stream": stream}, stream=stream)
    if isinstance(data, str):
        return data
    answer = json.loads(data[-1])
    if stream and "detail" in answer:
        return "error"
    return check_answer(answer["result"], expected, is_complete=answer["is_error"] is False)


async def bash(client: Client, prompt: str, stream: bool) -> Outcome:  # noqa: FBT001
    """/api/tools/bash."""
    data = await send(client, "/api/tools/bash", {"command": f"sleep 0.05; echo '{prompt}'"}, stream=False)
    if isinstance(data, str):
        return data
    result = json.loads(data[0])
    return check_answer(result["stdout"], f"{prompt}\n", is_complete=result["returncode"] == 0)


async def file_read(client: Client, prompt: str, stream: bool) -> Outcome:  # noqa: FBT001
    """/api/tools/file-read."""
    path = str(client.stack.files / "notes.txt")
    data = await send(client, "/api/tools/file-read", {"path": path}, stream=False)
    if isinstance(data, str):
        return data
    return check_answer(json.loads(data[0])["content"], "one\ntwo\n", is_complete=True)


async def mcp(client: Client, prompt: str, stream: bool) -> Outcome:  # noqa: FBT001
    """MCP's tool `chat`, by the protocol's stateless era: one request, one answer."""
    from tests.support.mcp_client import connect_client  # noqa: PLC0415 # the library takes its time

    async with connect_client(client.stack) as session:
        result = await session.call_tool("chat", {"prompt": prompt})
    if result.is_error:
        assert get_text(result)
        return "error"
    answer: Any = result.structured_content
    return check_answer(answer["result"], answer_of(prompt), is_complete=True)


ALL: tuple[Ask, ...] = (chat, completion, message, response, rest, code, bash, file_read, mcp)
