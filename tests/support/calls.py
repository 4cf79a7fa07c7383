"""Tools and calls, for tests: what a client offers, and what it gets back."""

from collections.abc import Sequence
from typing import Any

import httpx2

from tests.support.chat import Json

type Call = tuple[str, str, str]  # id, name, arguments

CITY: Json = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}


def build_tool(name: str, parameters: Json | None = None, **more: Any) -> Json:
    """A tool on offer."""
    return {"type": "function", "function": {"name": name, "parameters": parameters or CITY, **more}}


def build_call(call_id: str, name: str, arguments: str = "{}") -> Json:
    """A call, as a history has it."""
    return {"id": call_id, "type": "function", "function": {"name": name, "arguments": arguments}}


def build_assistant_message(*calls: Json, content: Any = None) -> Json:
    """An assistant's message that calls."""
    return {"role": "assistant", "content": content, "tool_calls": list(calls)}


def build_tool_result(call_id: str, content: Any = "done") -> Json:
    """What a call brought."""
    return {"role": "tool", "tool_call_id": call_id, "content": content}


def get_choice(response: httpx2.Response) -> Json:
    """The one choice of a whole answer."""
    assert response.status_code == 200, response.text
    [choice] = response.json()["choices"]
    return choice


def list_calls(response: httpx2.Response) -> list[Call]:
    """The calls of a whole answer."""
    calls = get_choice(response)["message"].get("tool_calls", [])
    assert all(set(call) == {"id", "type", "function"} and call["type"] == "function" for call in calls)
    return [(call["id"], call["function"]["name"], call["function"]["arguments"]) for call in calls]


def collect_calls(chunks: Sequence[Json]) -> list[Call]:
    """The calls of a stream.

    The first fragment of a call has its index, id, type and name, and no arguments; later ones only its index and the
    next piece. Calls are counted from 0 without gaps, and a new one begins where the one before has ended.
    """
    calls: list[Call] = []
    for chunk in chunks:
        for choice in chunk["choices"]:
            for piece in choice["delta"].get("tool_calls", ()):
                if piece["index"] == len(calls):
                    assert piece["type"] == "function"
                    assert piece["function"]["arguments"] == ""
                    calls.append((piece["id"], piece["function"]["name"], ""))
                else:
                    assert set(piece) == {"index", "function"}
                    assert set(piece["function"]) == {"arguments"}
                    assert piece["index"] == len(calls) - 1
                    call_id, name, arguments = calls[-1]
                    calls[-1] = (call_id, name, arguments + piece["function"]["arguments"])
    return calls
