"""The offline model answers as the Messages API does, and never passes for a model."""

import asyncio
import socket
import struct
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx2
import jsonschema
import msgspec
import pytest
import uvloop

from executor.offline.instance import build_instance
from executor.offline.reply import (
    ECHO_LIMIT,
    NOTICE,
    OfflineBlock,
    OfflineMessage,
    OfflineRequest,
    OfflineTool,
    ToolChoice,
    build_echo,
    build_events,
    build_reply,
)
from executor.offline.server import OfflineModel
from tests.support.scripted import start_cli
from tests.support.timeouts import TEST_TIMEOUT

COLOUR = {
    "type": "object",
    "properties": {"colour": {"enum": ["red", "blue"]}, "shade": {"type": "integer"}},
    "required": ["colour"],
    "additionalProperties": False,
}


def asked(*messages: OfflineMessage, **more: Any) -> OfflineRequest:
    """A request for the next message."""
    return OfflineRequest("claude-x", list(messages), **more)


def text_of(request: OfflineRequest) -> str:
    """The whole text of the answer."""
    return "".join(build_reply(request).pieces)


@asynccontextmanager
async def serving(delay: float = 0) -> AsyncGenerator[str]:
    """An offline model that listens; its base URL."""
    model = OfflineModel(delay)
    try:
        yield await model.start()
    finally:
        await model.close()


@asynccontextmanager
async def connected(url: str) -> AsyncGenerator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    """A bare connection."""
    reader, writer = await asyncio.open_connection("127.0.0.1", httpx2.URL(url).port)
    try:
        yield reader, writer
    finally:
        writer.close()


def body(**more: Any) -> dict[str, Any]:
    """A request's body."""
    return {"model": "claude-x", "max_tokens": 1000, "messages": [{"role": "user", "content": "hi"}], **more}


def test_the_answer_says_it_is_offline_and_echoes_the_last_user_message():
    """What was said before, and by others, is not echoed."""
    text = text_of(
        asked(
            OfflineMessage("user", "before"), OfflineMessage("assistant", "yes"), OfflineMessage("user", "hi  @you\n")
        )
    )
    assert text == f"{NOTICE} You asked: «hi  @you\n»."


def test_the_messages_that_the_cli_adds_are_not_what_was_asked():
    """Messages of role system come after the client's own."""
    text = text_of(
        asked(OfflineMessage("user", "hi"), OfflineMessage("system", [OfflineBlock("text", "# Environment")]))
    )
    assert text == f"{NOTICE} You asked: «hi»."


@pytest.mark.parametrize(
    ("blocks", "said"),
    [
        ([], "You asked nothing."),
        ([OfflineBlock("text", "a"), OfflineBlock("text", "b")], "You asked: «a\nb»."),
        ([OfflineBlock("text", "what?"), OfflineBlock("image")], "You asked: «what?» and sent 1 image."),
        ([OfflineBlock("image"), OfflineBlock("image"), OfflineBlock("document")], "You sent 2 images and 1 document."),
        ([OfflineBlock("tool_result")], "You sent 1 tool result."),
    ],
)
def test_the_echo_joins_texts_and_counts_files(blocks: list[OfflineBlock], said: str):
    """Files are never echoed, only counted."""
    assert build_echo(blocks) == said


def test_a_long_question_is_echoed_in_part_and_says_so():
    """An answer stays short enough to read."""
    said = build_echo([OfflineBlock("text", "a" * 3_000_000)])
    assert said == f"You asked: «{'a' * ECHO_LIMIT}…» (the first {ECHO_LIMIT} of 3000000 characters)."


def test_max_tokens_cuts_the_text_at_so_many_words():
    """One word is one token, and the stop reason says that it was cut."""
    answer = build_reply(asked(OfflineMessage("user", "hi"), max_tokens=5))
    assert ("".join(answer.pieces), answer.stop_reason) == ("This is the offline model:", "max_tokens")
    whole = build_reply(
        asked(OfflineMessage("user", "hi"), max_tokens=len(build_reply(asked(OfflineMessage("user", "hi"))).pieces))
    )
    assert whole.stop_reason == "end_turn"


def test_an_answer_of_a_schema_is_a_call_of_the_clis_own_tool():
    """The CLI offers `StructuredOutput` when an answer must keep to a schema."""
    tools = [OfflineTool("other"), OfflineTool("StructuredOutput", COLOUR)]
    answer = build_reply(asked(OfflineMessage("user", "hi"), tools=tools))
    assert (answer.tool, answer.stop_reason) == ("StructuredOutput", "tool_use")
    assert msgspec.json.decode("".join(answer.pieces)) == {"colour": "red"}


def test_the_result_of_a_call_is_answered_with_words():
    """The same call again would go on for ever."""
    tools = [OfflineTool("StructuredOutput", COLOUR)]
    assert build_reply(asked(OfflineMessage("user", [OfflineBlock("tool_result")]), tools=tools)).tool is None


@pytest.mark.parametrize(
    ("choice", "called"),
    [
        (None, None),
        (ToolChoice("auto"), None),
        (ToolChoice("none"), None),
        (ToolChoice("any"), "first"),
        (ToolChoice("tool", "second"), "second"),
        (ToolChoice("tool", "third"), None),
    ],
)
def test_a_tool_is_called_only_when_it_must_be(choice: ToolChoice | None, called: str | None):
    """An offer alone is no reason to call."""
    request = asked(
        OfflineMessage("user", "hi"), tools=[OfflineTool("first"), OfflineTool("second")], tool_choice=choice
    )
    assert build_reply(request).tool == called


PROPERTIES: dict[str, Any] = {
    "kind": {"const": "x"},
    "name": {"type": "string", "minLength": 12},
    "short": {"type": "string", "maxLength": 3},
    "when": {"type": "string", "format": "date-time"},
    "age": {"type": "integer", "minimum": 18},
    "below": {"type": "number", "exclusiveMaximum": 0},
    "above": {"type": "integer", "exclusiveMinimum": 0, "maximum": 9},
    "some": {"type": "array", "items": {"type": "boolean"}, "minItems": 2},
    "none": {"type": "array", "items": {"type": "boolean"}},
    "maybe": {"type": ["string", "null"]},
    "one": {"oneOf": [{"type": "integer"}, {"type": "string"}]},
    "all": {"allOf": [{"$ref": "#/definitions/a~1b"}]},
    "any": {},
    "unset": {"type": "string", "default": "d"},
}
NODE = {
    "type": "object",
    "properties": {"value": {"type": "number"}, "next": {"anyOf": [{"$ref": "#/$defs/node"}, {"type": "null"}]}},
    "required": ["value", "next"],
}


@pytest.mark.parametrize(
    "schema",
    [
        COLOUR,
        {"type": "object"},
        {"$ref": "#/$defs/node", "$defs": {"node": NODE}},
        {
            "type": "object",
            "properties": PROPERTIES,
            "required": list(PROPERTIES),
            "definitions": {"a/b": COLOUR},
        },
    ],
)
def test_arguments_meet_an_ordinary_schema(schema: dict[str, Any]):
    """Judged by a validator of JSON Schema."""
    jsonschema.validate(build_instance(schema), schema)


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "object", "properties": {"a": {"$ref": "#"}}, "required": ["a"]},
        {"type": "object", "properties": {"a": {"$ref": "#/lost"}}, "required": ["a"]},
        {"type": "object", "properties": {"a": {"type": "array", "minItems": 10**9}}, "required": ["a"]},
        {"type": "object", "properties": [], "required": ["a"]},
        {"type": "string"},
        {
            "$ref": "#/$defs/0",
            "$defs": {
                str(n): {
                    "type": "object",
                    "properties": {"a": {"$ref": f"#/$defs/{n + 1}"}, "b": {"$ref": f"#/$defs/{n + 1}"}},
                    "required": ["a", "b"],
                }
                for n in range(60)
            }
            | {"60": {"type": "null"}},
        },
    ],
)
def test_a_schema_that_no_small_object_meets_gives_an_empty_one(schema: dict[str, Any]):
    """Endless, lost, huge, odd: none of them costs more than a moment."""
    assert build_instance(schema) == {}


def test_a_stream_starts_empty_and_adds_up_to_the_answer():
    """The events are those of https://docs.claude.com/en/api/messages-streaming."""
    request = asked(OfflineMessage("user", "hi"), max_tokens=2)
    assert list(build_events(request, build_reply(request), "x")) == [
        {
            "type": "message_start",
            "message": {
                "id": "msg_x",
                "type": "message",
                "role": "assistant",
                "model": "claude-x",
                "content": [],
                "stop_reason": None,
                "stop_sequence": None,
                "usage": {"input_tokens": 1, "output_tokens": 1},
            },
        },
        {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
        {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "This"}},
        {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": " is"}},
        {"type": "content_block_stop", "index": 0},
        {
            "type": "message_delta",
            "delta": {"stop_reason": "max_tokens", "stop_sequence": None},
            "usage": {"output_tokens": 2},
        },
        {"type": "message_stop"},
    ]


def test_a_streamed_call_starts_without_input_which_follows_in_pieces():
    """As the service does it: `input_json_delta`s that join to one JSON object."""
    request = asked(OfflineMessage("user", "hi"), tools=[OfflineTool("pick", COLOUR)], tool_choice=ToolChoice("any"))
    start, block, *deltas, _, end, _ = build_events(request, build_reply(request), "x")
    assert start["message"]["content"] == []
    assert block["content_block"] == {"type": "tool_use", "id": "toolu_x", "name": "pick", "input": {}}
    assert [delta["delta"]["type"] for delta in deltas] == ["input_json_delta"] * len(deltas)
    joined = "".join(delta["delta"]["partial_json"] for delta in deltas)
    assert msgspec.json.decode(joined) == {"colour": "red"}
    assert end["delta"]["stop_reason"] == "tool_use"


async def test_one_connection_carries_answers_counts_and_refusals():
    """Streamed and whole answers say the same; what is not served is a 404 in the service's envelope."""
    async with serving() as url, httpx2.AsyncClient(base_url=url, trust_env=False) as client:
        whole = (await client.post("/v1/messages?beta=true", json=body())).json()
        stream = await client.post("/v1/messages?beta=true", json=body(stream=True))
        counted = await client.post("/v1/messages/count_tokens", json=body())
        missing = await client.get("/v1/models")
        nothing = await client.head("/")
    deltas = [msgspec.json.decode(line[6:]) for line in stream.text.split("\n") if "text_delta" in line]
    assert stream.headers["content-type"].startswith("text/event-stream")
    assert "".join(delta["delta"]["text"] for delta in deltas) == whole["content"][0]["text"]
    assert whole["content"][0]["text"] == f"{NOTICE} You asked: «hi»."
    assert whole["usage"] == {"input_tokens": 1, "output_tokens": len(deltas)}
    assert counted.json() == {"input_tokens": 1}
    assert (missing.status_code, missing.json()["error"]["type"]) == (404, "not_found_error")
    assert (nothing.status_code, nothing.content) == (404, b"")


def sent(body: bytes) -> bytes:
    """A request for a message with this body."""
    return b"POST /v1/messages HTTP/1.1\r\nhost: x\r\ncontent-length: %d\r\n\r\n%b" % (len(body), body)


@pytest.mark.parametrize(
    "raw",
    [
        b"\x16\x03\x01\r\n\r\n",
        b"GET /\r\n\r\n",
        b"POST /v1/messages HTTP/1.0\r\n\r\n",
        b"POST /v1/messages HTTP/1.1\r\nhost: x\r\ncontent-length: -1\r\n\r\n",
        b"POST /v1/messages HTTP/1.1\r\nhost: x\r\ncontent-length: 999999999999\r\n\r\n",
        b"POST /v1/messages HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n-1\r\n",
        b"GET / HTTP/1.1\r\nhost: x\r\na: " + b"a" * 100_000 + b"\r\n\r\n",
        sent(b""),
        sent(b"{"),
        sent(b"\xff"),
        sent(b'{"model":"m","messages":[{"role":"user","content":7}]}'),
        sent(b'{"model":"m","messages":[],"max_tokens":0}'),
        sent(b'{"system":' + b"[" * 100_000),
    ],
)
async def test_what_is_malformed_is_a_400_in_the_services_envelope_and_closes(raw: bytes):
    """Whatever a client sends, no exception leaves the server."""
    async with serving() as url, connected(url) as (reader, writer):
        writer.write(raw)
        async with asyncio.timeout(TEST_TIMEOUT):
            head, _, answer = (await reader.read()).partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 400 ")
    assert b"connection: close" in head.lower()
    assert msgspec.json.decode(answer)["error"]["type"] == "invalid_request_error"


@pytest.mark.parametrize("run", [asyncio.run, uvloop.run], ids=["asyncio", "uvloop"])
@pytest.mark.parametrize("raw", [b"", b"POST /v1/mess", sent(b"{}")[:-1], sent(msgspec.json.encode(body(stream=True)))])
@pytest.mark.parametrize("linger", [struct.pack("ii", 0, 0), struct.pack("ii", 1, 0)], ids=["politely", "rudely"])
def test_clients_that_leave_at_any_time_leave_nothing_behind(raw: bytes, linger: bytes, run: Callable[[Any], Any]):
    """No task stays, and none ends in a traceback; uvloop is the executor's own loop, and differs in what it raises."""
    run(leave_after(raw, linger))


async def leave_after(raw: bytes, linger: bytes) -> None:
    """Talk to it, send this, leave with a FIN or (linger for no time) a RST, and wait until it has noticed."""
    async with serving(delay=0.001) as url:
        before = asyncio.all_tasks()
        async with connected(url) as (reader, writer):
            writer.write(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n")
            await reader.readuntil(b"}}")
            serving_it = asyncio.all_tasks() - before
            writer.write(raw)
            if raw.endswith(b"}"):
                await reader.readuntil(b"text_delta")
            writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        done, _ = await asyncio.wait(serving_it, timeout=TEST_TIMEOUT)
    assert [task.exception() for task in done] == [None]


async def test_closing_ends_the_streams_under_way():
    """An executor that ends does not wait for the offline model's words."""
    model = OfflineModel(delay=3600)
    url = await model.start()
    async with connected(url) as (reader, writer):
        writer.write(sent(msgspec.json.encode(body(stream=True))))
        await reader.readuntil(b"content_block_start")
        async with asyncio.timeout(TEST_TIMEOUT):
            await model.close()
            assert b"message_stop" not in await reader.read()


async def test_the_real_cli_takes_it_for_the_service_and_streams_its_words(tmp_path: Path):
    """The whole path of an owner without a credential."""
    async with serving() as url, start_cli(url, tmp_path) as process:
        process.send_message([{"type": "text", "text": "hi @there"}])
        first = await process.read("content_block_delta")
        assert first["delta"] == {"type": "text_delta", "text": "This"}
        result = await process.read("result")
    assert (result["is_error"], result["num_turns"]) == (False, 1)
    assert result["result"] == f"{NOTICE} You asked: «hi @there»."
    assert result["usage"]["output_tokens"] == len(result["result"].split())


async def test_the_real_cli_accepts_its_structured_output(tmp_path: Path):
    """An answer that must keep to a schema keeps to it, at the first try."""
    setup = {"subtype": "initialize", "systemPrompt": ["s"], "systemPromptSnapshot": False, "jsonSchema": COLOUR}
    async with serving() as url, start_cli(url, tmp_path) as process:
        process.write({"type": "control_request", "request_id": "1", "request": setup})
        process.send_message("hi")
        result = await process.read("result")
    assert (result["is_error"], result["structured_output"]) == (False, {"colour": "red"})
