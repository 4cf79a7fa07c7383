"""A chat client of few words, for tests: nothing between the test and the bytes but HTTP."""

import contextlib
import json
from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from typing import Any

import httpx2

from tests.support.stack import Stack
from tests.support.timeouts import TEST_TIMEOUT

type Json = dict[str, Any]
type Messages = str | Sequence[Json]

CHAT_PATH = "/v1/chat/completions"


def build_body(messages: Messages, **fields: Any) -> Json:
    """A request; a string is one user message."""
    if isinstance(messages, str):
        messages = [{"role": "user", "content": messages}]
    return {"model": "sonnet", "messages": list(messages), **fields}


async def send_chat(
    stack: Stack, messages: Messages = "hi", headers: Mapping[str, str] | None = None, **fields: Any
) -> httpx2.Response:
    """The whole response to a request."""
    return await stack.client.post(CHAT_PATH, json=build_body(messages, **fields), headers=headers)


def parse_text(response: httpx2.Response) -> str:
    """The text of a whole answer."""
    assert response.status_code == 200, response.text
    return response.json()["choices"][0]["message"]["content"]


def parse_error(response: httpx2.Response) -> Json:
    """What an error's envelope holds; there is nothing beside it."""
    assert response.headers["content-type"] == "application/json"
    envelope = response.json()
    assert list(envelope) == ["error"]
    assert set(envelope["error"]) == {"message", "type", "param", "code"}
    return envelope["error"]


class Stream:
    """A streamed response. Mutable: what was received of it so far."""

    def __init__(self, response: httpx2.Response) -> None:
        self.response = response
        self._chunks: AsyncIterator[bytes] = response.aiter_bytes()
        self._received = b""

    async def _event(self) -> bytes | None:
        """The next event or comment; None at the end of the stream."""
        while b"\n\n" not in self._received:
            chunk = await anext(self._chunks, None)
            if chunk is None:
                assert not self._received, f"the stream ends inside an event: {self._received!r}"
                return None
            self._received += chunk
        event, _, self._received = self._received.partition(b"\n\n")
        return event

    async def read_comment(self) -> None:
        """The next event, which is a comment."""
        event = await self._event()
        assert event is not None
        assert event.startswith(b":"), event

    async def read_data(self) -> str | None:
        """The data of the next event; None at the end of the stream. Comments are skipped."""
        while (event := await self._event()) is not None:
            if event.startswith(b"data: "):
                return event.removeprefix(b"data: ").decode()
            assert event.startswith(b":"), event
        return None

    async def read_chunk(self) -> Json:
        """The next event, which is a chunk."""
        data = await self.read_data()
        assert data is not None
        return json.loads(data)

    async def read_text(self) -> str:
        """The text of the next chunk that has some."""
        while True:
            chunk = await self.read_chunk()
            assert "error" not in chunk, chunk
            if text := join_text([chunk]):
                return text

    async def read_rest(self) -> list[Json]:
        """Every chunk until `[DONE]`, after which nothing comes."""
        chunks: list[Json] = []
        while (data := await self.read_data()) != "[DONE]":
            assert data is not None, f"the stream ended without [DONE], after {chunks[-1:]}"
            chunks.append(json.loads(data))
        assert await self.read_data() is None
        return chunks


@contextlib.asynccontextmanager
async def open_stream(stack: Stack, messages: Messages = "hi", **fields: Any) -> AsyncGenerator[Stream]:
    """A running stream; leaving the block disconnects."""
    request = build_body(messages, stream=True, **fields)
    async with (
        httpx2.AsyncClient(base_url=stack.url, headers=stack.headers, timeout=TEST_TIMEOUT) as client,
        client.stream("POST", CHAT_PATH, json=request) as response,
    ):
        yield Stream(response)


async def collect_chunks(stack: Stack, messages: Messages = "hi", **fields: Any) -> list[Json]:
    """Every chunk of a streamed answer."""
    async with open_stream(stack, messages, **fields) as stream:
        assert stream.response.status_code == 200, await stream.response.aread()
        return await stream.read_rest()


def join_text(chunks: Sequence[Json]) -> str:
    """The words in chunks."""
    return "".join(choice["delta"].get("content") or "" for chunk in chunks for choice in chunk.get("choices", ()))


def list_finish_reasons(chunks: Sequence[Json]) -> list[str]:
    """Every finish reason in chunks."""
    reasons = [choice["finish_reason"] for chunk in chunks for choice in chunk.get("choices", ())]
    return [reason for reason in reasons if reason is not None]
