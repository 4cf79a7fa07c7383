"""What clients really sent, sent again: the model is asked what they meant, and they get what they read.

`tests/recordings` was made by `python -m tests.support.recorder`. With UPDATE_GOLDEN=1 what was asked and answered is written there
instead of compared; read it before you keep it.
"""

import json
import os
import re
from collections.abc import Callable, Iterator
from typing import Any

import httpx2
import pytest

from tests.support.recorder.clients import CLIENTS
from tests.support.recorder.recording import RECORDINGS_FOLDER, SERVER_ID, Exchange, load_recording, save_recording
from tests.support.scripted.upstream import ReceivedRequest, Upstream
from tests.support.stack import Stack

type Json = dict[str, Any]

# Thoughts as a client of Responses keeps them.
SEALED = re.compile(r"claude-api-server\.1\.[\w=-]+")
SIGNATURES = re.compile(r'"signature": "[^"]+"')
SIGNATURE = '"signature": "c2lnbmF0dXJl"'

RECORDED = sorted(path.stem for path in RECORDINGS_FOLDER.glob("*.json"))


@pytest.mark.slow
@pytest.mark.wire(50, 61, 71)
@pytest.mark.parametrize("name", RECORDED)
async def test_a_client_s_requests_are_answered_as_it_reads_answers(stack: Stack, upstream: Upstream, name: str):
    """Each request is what the model is asked, nothing lost, and its answer is whole in the form of its dialect."""
    session = load_recording(name)
    upstream.script(session.model())
    ids: dict[str, str] = {}
    sealed: list[str] = []
    for exchange in session.exchanges:
        before = len(upstream.requests)
        ids |= zip(dict.fromkeys(SEALED.findall(json.dumps(exchange.body))), sealed, strict=False)
        response = await _send(stack, exchange, ids)
        sealed = SEALED.findall(response.text)
        ids |= _same(exchange.ids, list(dict.fromkeys(SERVER_ID.findall(response.text))))
        model_requests = [_describe_request(received) for received in upstream.requests[before:]]
        answer = _answered(response, exchange.path.partition("?")[0])
        if os.environ.get("UPDATE_GOLDEN"):
            exchange.asked, exchange.answered = model_requests, answer
        assert model_requests == exchange.asked
        assert answer == exchange.answered
    if os.environ.get("UPDATE_GOLDEN"):
        save_recording(name, session)


def test_each_client_has_its_recording():
    """And nothing else is there."""
    assert set(RECORDED) == set(CLIENTS)


async def _send(stack: Stack, exchange: Exchange, ids: dict[str, str]) -> httpx2.Response:
    """Send a request again, with the ids and the thoughts that this server gave this time."""
    given = re.compile(f"{SERVER_ID.pattern}|{SEALED.pattern}")
    body = given.sub(lambda found: ids.get(found[0], found[0]), json.dumps(exchange.body)) if exchange.body else None
    headers = {**exchange.headers, **stack.headers, "accept-encoding": "identity"}
    return await stack.client.request(exchange.method, exchange.path, content=body, headers=headers)


def _same(recorded: list[str], given: list[str]) -> dict[str, str]:
    """The ids of an answer by those that it had in the recording; a model may think now that did not then."""
    left = list(given)
    pairs: dict[str, str] = {}
    for name in recorded:
        kind = name.partition("_")[0]
        pairs[name] = next(each for each in left if each.partition("_")[0] == kind)
        left.remove(pairs[name])
    return pairs


def _describe_request(received: ReceivedRequest) -> Json:
    """What the model was asked, without what the CLI chooses by itself."""
    body = received.body
    tools = [tool["name"] for tool in body.get("tools", ())]
    # A signature depends on what came before it, so it is another each time.
    messages = SIGNATURES.sub(SIGNATURE, json.dumps(received.conversation))
    description = {"system": received.system_texts, "messages": json.loads(messages), "tools": tools}
    return description | {name: body[name] for name in ("tool_choice", "stop_sequences") if name in body}


def _answered(response: httpx2.Response, path: str) -> Json:
    """What the client reads of an answer: its text, its calls, how it ends."""
    assert response.status_code == 200, response.text
    streamed = response.headers["content-type"].startswith("text/event-stream")
    read = next((read for end, read in READERS.items() if path.endswith(end)), None)
    if read is None:
        return {"keys": sorted(response.json())}
    events = [json.loads(data) for data in _data(response.text)] if streamed else [response.json()]
    assert not any("error" in event and event["error"] for event in events)
    return {"streamed": streamed, **read(events)}


def _data(text: str) -> Iterator[str]:
    for line in text.splitlines():
        if line.startswith("data: ") and line != "data: [DONE]":
            yield line.removeprefix("data: ")


def _chat(events: list[Json]) -> Json:
    text, end = "", None
    calls: list[list[str]] = []
    for event in events:
        for choice in event["choices"]:
            message = choice.get("delta") or choice.get("message") or {}
            text += message.get("content") or ""
            end = choice["finish_reason"] or end
            for call in message.get("tool_calls", ()):
                if "id" in call:
                    calls.append([call["function"]["name"], ""])
                calls[-1][1] += call["function"]["arguments"]
    return {"text": text, "calls": calls, "end": end}


def _responses(events: list[Json]) -> Json:
    final = events[-1].get("response", events[-1])
    items = final["output"]
    text = "".join(part["text"] for item in items if item["type"] == "message" for part in item["content"])
    calls = [[item["name"], item["arguments"]] for item in items if item["type"] == "function_call"]
    return {"text": text, "calls": calls, "end": final["status"]}


def _messages(events: list[Json]) -> Json:
    if events[0]["type"] == "message":
        [message] = events
        calls = [[part["name"], part["input"]] for part in message["content"] if part["type"] == "tool_use"]
        text = "".join(part.get("text", "") for part in message["content"])
        return {"text": text, "calls": calls, "end": message["stop_reason"]}
    deltas = [event["delta"] for event in events if event["type"] == "content_block_delta"]
    starts = [event["content_block"] for event in events if event["type"] == "content_block_start"]
    calls = [block["name"] for block in starts if block["type"] == "tool_use"]
    arguments = "".join(delta.get("partial_json", "") for delta in deltas)
    assert events[-1]["type"] == "message_stop"
    return {
        "text": "".join(delta.get("text", "") for delta in deltas),
        "calls": [[name, arguments] for name in calls],
        "end": events[-2]["delta"]["stop_reason"],
    }


READERS: dict[str, Callable[[list[Json]], Json]] = {
    "/chat/completions": _chat,
    "/responses": _responses,
    "/messages": _messages,
}
