"""Clients that continue conversations: each keeps the history as its API has it, and sends it again with every request."""

import copy
import json
from abc import ABC, abstractmethod
from typing import Any

import httpx2

from tests.support.chat import Json
from tests.support.stack import Stack

SCHEMA: Json = {"type": "object", "properties": {"n": {"type": "integer"}}}
PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="


class Talk(ABC):
    """One conversation of one client. Mutable: its history, the ids of open calls, and the last response's headers.

    headers: the client's key. extra: further fields of each request.
    """

    path: str

    def __init__(self, headers: dict[str, str], **extra: Any) -> None:
        self.headers = headers
        self.extra = extra
        self.history: list[Json] = []
        self.open_calls: list[str] = []
        self.conversation = ""

    def branch(self) -> "Talk":
        """Returns a client with the same history."""
        return copy.deepcopy(self)

    async def ask(self, stack: Stack, text: str, *, picture: bool = False) -> list[str]:
        """Adds a user message and sends the conversation. Returns the answer in words, and records it."""
        self.add_user(text, picture=picture)
        return await self.send(stack)

    async def bring_results(self, stack: Stack, *results: str, is_error: bool = False) -> list[str]:
        """Adds the results of the open calls, the last call's first, and sends the conversation."""
        for call, result in reversed(list(zip(self.open_calls, results, strict=True))):
            self.add_result(call, result, is_error=is_error)
        return await self.send(stack)

    async def send(self, stack: Stack) -> list[str]:
        """Sends the conversation. Returns the answer in words, and records it."""
        response = await self.post(stack)
        assert response.status_code == 200, response.text
        self.conversation = response.headers.get("x-conversation", "")
        return self.record(response.json())

    async def post(self, stack: Stack) -> httpx2.Response:
        """Sends the conversation and records nothing."""
        return await stack.client.post(self.path, json=self.build_body(), headers=self.headers)

    @abstractmethod
    def build_body(self) -> Json: ...

    @abstractmethod
    def add_user(self, text: str, *, picture: bool = False) -> None: ...

    @abstractmethod
    def add_result(self, call: str, result: str, *, is_error: bool = False) -> None: ...

    @abstractmethod
    def record(self, answer: Json) -> list[str]: ...


class ChatTalk(Talk):
    """Of /v1/chat/completions."""

    path = "/v1/chat/completions"

    def build_body(self) -> Json:
        tools = [{"type": "function", "function": {"name": name, "parameters": SCHEMA}} for name in ("look", "go")]
        return {"model": "sonnet", "messages": self.history, "tools": tools, **self.extra}

    def add_user(self, text: str, *, picture: bool = False) -> None:
        parts: list[Json] = [{"type": "text", "text": text}]
        if picture:
            parts.append({"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PIXEL}"}})
        self.history.append({"role": "user", "content": parts if picture else text})

    def add_result(self, call: str, result: str, *, is_error: bool = False) -> None:
        self.history.append({"role": "tool", "tool_call_id": call, "content": result})

    def record(self, answer: Json) -> list[str]:
        message = answer["choices"][0]["message"]
        self.history.append({name: value for name, value in message.items() if value is not None})
        calls = message.get("tool_calls") or []
        self.open_calls = [call["id"] for call in calls]
        return [message["content"] or "", *(f"{c['id']} {c['function']}" for c in calls)]


class MessagesTalk(Talk):
    """Of /v1/messages."""

    path = "/v1/messages"

    def build_body(self) -> Json:
        tools = [{"name": name, "input_schema": SCHEMA} for name in ("look", "go")]
        return {"model": "sonnet", "max_tokens": 1000, "messages": self.history, "tools": tools, **self.extra}

    def add_user(self, text: str, *, picture: bool = False) -> None:
        source = {"type": "base64", "media_type": "image/png", "data": PIXEL}
        blocks: list[Json] = [{"type": "text", "text": text}]
        self._add([{"type": "image", "source": source}, *blocks] if picture else blocks)

    def add_result(self, call: str, result: str, *, is_error: bool = False) -> None:
        self._add([{"type": "tool_result", "tool_use_id": call, "content": result, "is_error": is_error}])

    def _add(self, blocks: list[Json]) -> None:
        if self.history and self.history[-1]["role"] == "user":
            self.history[-1]["content"] += blocks
        else:
            self.history.append({"role": "user", "content": blocks})

    def record(self, answer: Json) -> list[str]:
        self.history.append({"role": "assistant", "content": answer["content"]})
        self.open_calls = [block["id"] for block in answer["content"] if block["type"] == "tool_use"]
        return [json.dumps(block) for block in answer["content"]]


class ResponsesTalk(Talk):
    """Of /v1/responses. stored: it sends the id of the response before, and only what is new."""

    path = "/v1/responses"

    def __init__(self, headers: dict[str, str], *, stored: bool = False, **extra: Any) -> None:
        super().__init__(headers, **extra)
        self._stored = stored
        self._last_id: str | None = None

    def build_body(self) -> Json:
        tools = [{"type": "function", "name": name, "parameters": SCHEMA, "strict": False} for name in ("look", "go")]
        last = {"previous_response_id": self._last_id} if self._last_id else {}
        return {"model": "sonnet", "input": self.history, "tools": tools, **last, **self.extra}

    def add_user(self, text: str, *, picture: bool = False) -> None:
        parts: list[Json] = [{"type": "input_text", "text": text}]
        if picture:
            parts.append({"type": "input_image", "image_url": f"data:image/png;base64,{PIXEL}"})
        self.history.append({"role": "user", "content": parts})

    def add_result(self, call: str, result: str, *, is_error: bool = False) -> None:
        self.history.append({"type": "function_call_output", "call_id": call, "output": result})

    def record(self, answer: Json) -> list[str]:
        if self._stored:
            self._last_id, self.history = answer["id"], []
        else:
            self.history += answer["output"]
        calls = [item for item in answer["output"] if item["type"] == "function_call"]
        self.open_calls = [call["call_id"] for call in calls]
        texts = [part["text"] for item in answer["output"] if item["type"] == "message" for part in item["content"]]
        return [*texts, *(f"{call['call_id']} {call['name']} {call['arguments']}" for call in calls)]
