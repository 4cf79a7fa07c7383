"""Anthropic's messages on the wire: pictures, documents, thinking, tokens and signs of life reach who they are for."""

import json
from collections.abc import AsyncGenerator
from typing import Any

import httpx2
import pytest

from tests.support.scripted.service_thinking import sign
from tests.support.scripted.upstream import AnswerReply, GatedReply, Upstream
from tests.support.stack import Stack

type Json = dict[str, Any]

PATH = "/v1/messages"
PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
PDF = "JVBERi0xLjQKJSVFT0YK"
PICTURE: Json = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": PIXEL}}
PAPER: Json = {
    "type": "document",
    "source": {"type": "base64", "media_type": "application/pdf", "data": PDF},
    "title": "A paper",
    "context": "Of last year.",
}
NOTE: Json = {
    "type": "document",
    "source": {"type": "text", "media_type": "text/plain", "data": "words\n"},
    "title": "N",
}


def body(*content: Json, **fields: Any) -> Json:
    return {"model": "sonnet", "max_tokens": 2000, "messages": [{"role": "user", "content": list(content)}], **fields}


def text(words: str) -> Json:
    return {"type": "text", "text": words}


def events_of(response: httpx2.Response) -> list[Json]:
    assert response.status_code == 200, response.text
    return [json.loads(line[6:]) for line in response.text.splitlines() if line.startswith("data: ")]


async def test_pictures_and_documents_reach_the_model_as_they_are(each_credential_stack: Stack, upstream: Upstream):
    """In their places, with title and context; in the result of a tool too."""
    content = [text("Look:"), PICTURE, PAPER, NOTE, text("What is it?")]
    response = await each_credential_stack.client.post(PATH, json=body(*content))
    assert response.status_code == 200, response.text
    [request] = upstream.requests[-1].conversation
    assert request["content"] == content
    use = {"type": "tool_use", "id": "toolu_1", "name": "look", "input": {}}
    result = {"type": "tool_result", "tool_use_id": "toolu_1", "content": [text("Here:"), PICTURE, NOTE]}
    history = [{"role": "user", "content": "Look."}, {"role": "assistant", "content": [use]}]
    tool = {"name": "look", "input_schema": {"type": "object"}}
    request = body(tools=[tool], messages=[*history, {"role": "user", "content": [result]}])
    assert (await each_credential_stack.client.post(PATH, json=request)).status_code == 200
    assert upstream.requests[-1].conversation[-1]["content"] == [result]


async def test_a_document_of_parts_is_its_text(stack: Stack, upstream: Upstream):
    """A part is a line of it."""
    source = {"type": "content", "content": [text("one"), text("two")]}
    assert (await stack.client.post(PATH, json=body({"type": "document", "source": source}))).status_code == 200
    [request] = upstream.requests[-1].conversation
    assert request["content"][0]["source"] == {"type": "text", "media_type": "text/plain", "data": "one\ntwo"}


async def test_anthropic_s_shell_is_called_as_a_tool_of_the_client_s(each_credential_stack: Stack, upstream: Upstream):
    """Declared by its type alone; its result, what a search found among it, goes back."""
    found = {"type": "search_result", "title": "T", "source": "https://a.example", "content": [text("words")]}
    upstream.script(AnswerReply(tools=[("toolu_1", "bash", ['{"command": ', '"ls"}'])]), AnswerReply("One file."))
    shell = [{"type": "bash_20250124", "name": "bash"}]
    first = (await each_credential_stack.client.post(PATH, json=body(text("List."), tools=shell))).json()
    _, call = first["content"]
    assert call == {"type": "tool_use", "id": "toolu_1", "name": "bash", "input": {"command": "ls"}}
    [offered] = upstream.requests[-1].body["tools"]
    assert (offered["name"], set(offered["input_schema"]["properties"])) == ("bash", {"command", "restart"})
    result = {"type": "tool_result", "tool_use_id": "toolu_1", "content": [text("a.txt"), found]}
    messages = [{"role": "user", "content": "List."}, {"role": "assistant", "content": [call]}]
    request = body(tools=shell, messages=[*messages, {"role": "user", "content": [result]}])
    assert (await each_credential_stack.client.post(PATH, json=request)).json()["content"][-1]["text"] == "One file."
    [back] = upstream.requests[-1].conversation[-1]["content"]
    assert back["content"][0] == text("a.txt")
    assert (back["content"][1]["title"], back["content"][1]["context"]) == ("T", "https://a.example")
    assert back["content"][1]["source"]["data"] == "words"


@pytest.mark.parametrize("kind", ["url", "file"])
async def test_a_document_elsewhere_is_refused_by_its_place(stack: Stack, upstream: Upstream, kind: str):
    """Only its bytes can be sent."""
    source = {"type": kind, "url": "https://example.com/a.pdf", "file_id": "file_1"}
    response = await stack.client.post(PATH, json=body({"type": "document", "source": source}))
    assert response.status_code == 400
    assert response.json()["error"]["type"] == "invalid_request_error"
    assert "messages[0].content[0].source" in response.json()["error"]["message"]
    assert not upstream.requests


async def test_citations_that_can_not_be_had_are_named(stack: Stack):
    """In the header of the answer."""
    response = await stack.client.post(PATH, json=body({**NOTE, "citations": {"enabled": True}}))
    assert response.status_code == 200, response.text
    assert response.headers["x-ignored-parameters"] == "messages.content.citations"


async def test_thinking_is_streamed_with_its_signature(stack: Stack, upstream: Upstream):
    """A block of its own, before the words."""
    upstream.script(AnswerReply("Noon.", thinking=("Which ", "time?")))
    request = body(text("When?"), stream=True, thinking={"type": "adaptive"})
    events = events_of(await stack.client.post(PATH, json=request))
    deltas = [(event["index"], *event["delta"].values()) for event in events if event["type"] == "content_block_delta"]
    assert deltas == [
        (0, "thinking_delta", "Which "),
        (0, "thinking_delta", "time?"),
        (0, "signature_delta", sign(upstream.requests[0].body, "Which time?")),
        (1, "text_delta", "Noon."),
    ]


async def test_tokens_are_told_at_the_beginning_and_at_the_end(stack: Stack, upstream: Upstream):
    """What is read is known when the answer begins."""
    upstream.script(AnswerReply(("Hello", " you"), input=10, output=5, cache_read=4, cache_write=2))
    events = events_of(await stack.client.post(PATH, json=body(text("hi"), stream=True)))
    read = {"input_tokens": 10, "cache_creation_input_tokens": 2, "cache_read_input_tokens": 4}
    assert events[0]["message"]["usage"] == {**read, "output_tokens": 1}
    assert events[-2]["usage"] == {**read, "output_tokens": 5}


@pytest.fixture
async def keepalive_stack(upstream: Upstream) -> AsyncGenerator[Stack]:
    """Programs that show often that they are alive."""
    async with Stack(upstream.url, settings={"SSE_KEEPALIVE_INTERVAL": "0.2"}) as stack:
        yield stack


@pytest.mark.wire(35, 53, 54)
async def test_a_stream_that_waits_says_ping(keepalive_stack: Stack, upstream: Upstream):
    """By the vendor's own event, before the first words and between them; the SDK's clients skip it."""
    upstream.script(GatedReply(("one ", "two")))
    names: list[str] = []
    request = body(text("hi"), stream=True, thinking={"type": "disabled"})
    async with keepalive_stack.client.stream("POST", PATH, json=request) as response:
        lines = response.aiter_lines()

        async def named() -> str:
            while not (line := await anext(lines)).startswith("event: "):
                pass
            names.append(line.removeprefix("event: "))
            return names[-1]

        while await named() != "message_start":
            pass
        # The first belongs to the beginning of every stream.
        assert [await named(), await named()] == ["ping", "ping"]
        await upstream.release()
        while await named() != "content_block_delta":
            pass
        assert await named() == "ping"
        await upstream.release()
        while await named() != "message_stop":
            pass
    assert [name for name in names if name != "ping"] == [
        "message_start",
        "content_block_start",
        *["content_block_delta"] * 2,
        "content_block_stop",
        "message_delta",
        "message_stop",
    ]
