"""Requests for a message, and what becomes of them: what the tests of the decoder share."""

import json
from typing import Any

import pytest

from api.conversation.drafts import Draft
from api.conversation.parameters import Policy
from api.core.problems import Problem
from api.dialects.anthropic.decode import MessagesTurnRequest, decode

PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
HI: list[dict[str, Any]] = [{"role": "user", "content": "hi"}]
TOOL = {"name": "Read", "description": "reads", "input_schema": {"type": "object"}}
USE = {"type": "tool_use", "id": "toolu_1", "name": "Read", "input": {"a": 1.0}}
THOUGHT = {"type": "thinking", "thinking": "Hm.", "signature": "c2ln"}
WEB = {"type": "web_search_20250305", "name": "web_search"}
PICTURE = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": PIXEL}}

FOUND = {
    "type": "search_result",
    "title": "T",
    "source": "https://a.example",
    "content": [{"type": "text", "text": "w"}],
}


def system(content: Any) -> dict[str, Any]:
    return {"role": "system", "content": content}


def user_says(*content: Any) -> dict[str, Any]:
    return {"role": "user", "content": content[0] if isinstance(content[0], str) else list(content)}


def assistant(*content: Any) -> dict[str, Any]:
    return {"role": "assistant", "content": content[0] if isinstance(content[0], str) else list(content)}


def brought(*content: Any) -> dict[str, Any]:
    """The fields of a request whose tool brought these blocks."""
    result = {"type": "tool_result", "tool_use_id": "toolu_1", "content": list(content)}
    messages = [*HI, {"role": "assistant", "content": [USE]}, {"role": "user", "content": [result]}]
    return {"messages": messages}


def call(*, policy: Policy | None = None, **fields: Any) -> MessagesTurnRequest:
    """A request of these fields, decoded; one that says nothing else says hi."""
    return decode(json.dumps({"max_tokens": 9000, "messages": HI, **fields}).encode(), policy or Policy())


def problem(*, policy: Policy | None = None, **fields: Any) -> Problem:
    """The refusal of a request."""
    with pytest.raises(Problem) as caught:
        call(policy=policy, **fields)
    return caught.value


def user(*content: Any) -> Problem | tuple[Draft, ...]:
    """The drafts of a user's message of these blocks."""
    return call(messages=[{"role": "user", "content": list(content)}]).drafts
