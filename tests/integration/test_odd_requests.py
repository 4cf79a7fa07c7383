"""Requests that are odd to the byte, to the real programs: each is answered or refused as the document says."""

import gzip
import json
from typing import Any

import pytest

from api.openapi.replies import CHAT_ERRORS
from tests.support.scripted.upstream import AnswerReply, Upstream
from tests.support.stack import Stack


@pytest.fixture
def stack(either: Stack) -> Stack:
    """Both launches of the CLI."""
    return either


PATH = "/v1/chat/completions"
DEEP = 100_000


def asked(content: Any = "Hello!", **fields: Any) -> bytes:
    return json.dumps({"model": "sonnet", "messages": [{"role": "user", "content": content}], **fields}).encode()


def put(text: str, into: str = '{"model": "sonnet", "messages": [{"role": "user", "content": @}]}') -> bytes:
    """JSON that no encoder would write, in a request."""
    return into.replace("@", text).encode("utf-8", "surrogatepass")


def with_field(name: str, text: str) -> bytes:
    return put(text, '{"messages": [{"role": "user", "content": "Hello!"}], "NAME": @}'.replace("NAME", name))


def with_call(arguments: str) -> bytes:
    call = {"id": "c", "type": "function", "function": {"name": "f", "arguments": arguments}}
    messages = [
        {"role": "user", "content": "Hello!"},
        {"role": "assistant", "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "c", "content": "x"},
    ]
    return json.dumps({"model": "sonnet", "messages": messages}).encode()


def nested(depth: int, opening: str = "[", closing: str = "]", inside: str = "1") -> str:
    return opening * depth + inside + closing * depth


BODIES: dict[str, bytes] = {
    "empty": b"",
    "null": b"null",
    "list": b"[]",
    "text": b'"hello"',
    "number": b"1",
    "cut off": asked()[:-5],
    "two bodies": asked() * 2,
    "UTF-16": asked().decode().encode("utf-16"),
    "Latin-1": '{"messages": [{"role": "user", "content": "é"}]}'.encode("latin-1"),
    "byte order mark": b"\xef\xbb\xbf" + asked(),
    "lone surrogate, escaped": put('"\\ud800"'),
    "surrogates the wrong way round": put('"\\udc00\\ud800"'),
    "lone surrogate, encoded": put('"\ud800"'),
    "NUL in a text": asked("a\0b"),
    "control characters": asked("".join(map(chr, range(32))) + "\x7f\x85\u2028\u2029\ufeff\uffff"),
    "beyond the first plane": asked("😀\U0010ffff"),
    "NaN": with_field("temperature", "NaN"),
    "Infinity": with_field("max_budget_usd", "Infinity"),
    "number beyond floats": with_field("temperature", "1e999"),
    "number beyond ints": with_field("max_tokens", "1" + "0" * 400),
    "a thousand digits": with_field("seed", "1" * 5000),
    "huge n": with_field("n", "9223372036854775808"),
    "negative zero": with_field("n", "-0"),
    "whole float": with_field("max_tokens", "10.0"),
    "deep content": put(nested(DEEP)),
    "deep unknown field": with_field("whatever", nested(DEEP)),
    "deep field that is not read": with_field("metadata", nested(DEEP, '{"a":', "}")),
    "deep parts": put(nested(2_000, '[{"type": "tool_result", "tool_use_id": "x", "content": ', "}]", '"x"')),
    "deep tool choice": with_field("tool_choice", nested(DEEP, '{"a":', "}")),
    "deep arguments": with_call(nested(DEEP, '{"a":', "}")),
    "arguments with a lone surrogate": with_call('{"a": "\\ud800"}'),
    "arguments that are a list": with_call("[]"),
    "arguments with NUL": with_call('{"a": "\\u0000"}'),
    "model with NUL": with_field("model", '"a\\u0000b"'),
    "model of a megabyte": with_field("model", '"claude-%s"' % ("x" * 1_000_000)),
    "model that looks like an option": with_field("model", '"claude-sonnet --help"'),
    "model of white space": with_field("model", '"  "'),
    "duplicate keys": b'{"messages": [], "messages": [{"role": "user", "content": "Hello!"}]}',
    "stop of white space": asked(stop=[" ", "\n", ""]),
    "stop with NUL": asked(stop=["\0"]),
    "tool name with odd characters": asked(tools=[{"type": "function", "function": {"name": "é \0\n😀"}}]),
    "data URL of nothing": asked([{"type": "image_url", "image_url": {"url": "data:"}}]),
    "data URL with odd characters": asked([{"type": "image_url", "image_url": {"url": "data:image/png;base64,é\0"}}]),
    "address of nothing": asked([{"type": "image_url", "image_url": {"url": "http://"}}]),
    "address with an odd host": asked([{"type": "image_url", "image_url": {"url": "http://[::1"}}]),
    "address with an odd port": asked([{"type": "image_url", "image_url": {"url": "https://a:99999999/x"}}]),
    "address with a long label": asked([{"type": "image_url", "image_url": {"url": "https://" + "a" * 300}}]),
    "address with odd characters": asked([{"type": "image_url", "image_url": {"url": "https://\0\r\n é"}}]),
}
SCHEMAS: dict[str, str] = {
    "number": "1",
    "true": "true",
    "deep": nested(DEEP, '{"not":', "}", "{}"),
    "not so deep": nested(300, '{"not":', "}", "{}"),
    "reference to itself": '{"$ref": "#"}',
    "references in a circle": '{"$ref": "#/$defs/a", "$defs": {"a": {"$ref": "#/$defs/b"}, "b": {"$ref": "#/$defs/a"}}}',
    "reference to elsewhere": '{"$ref": "http://127.0.0.1:1/x"}',
    "reference with odd characters": '{"$ref": "#/%zz/~9"}',
    "dynamic reference that is none": '{"$dynamicRef": "#nowhere"}',
    "dynamic reference": '{"$dynamicRef": "#a", "$defs": {"b": {"$dynamicAnchor": "a", "type": "object"}}}',
    "anchor": '{"$anchor": "\\u0000"}',
    "id": '{"$id": "::::", "type": "object"}',
    "unknown dialect": '{"$schema": "urn:nobody", "type": "object"}',
    "dialect that is no text": '{"$schema": 5, "type": "object"}',
    "dialect that can't be hashed": '{"$schema": [], "type": "object"}',
    "pattern that is none": '{"type": "object", "properties": {"a": {"type": "string", "pattern": "("}}}',
    "pattern of another language": '{"type": "object", "properties": {"a": {"pattern": "^\\\\p{L}+$"}}}',
    "names that are odd": '{"type": "object", "properties": {"": {}, "\\u0000": {}, "$ref": {}}}',
    "type that is none": '{"type": "thing"}',
    "properties that are none": '{"type": "object", "properties": []}',
    "numbers beyond floats": '{"type": "object", "maximum": 1e999}',
    "lone surrogate": '{"type": "object", "description": "\\ud800"}',
}
INTO = {
    "tools": '[{"type": "function", "function": {"name": "f", "strict": true, "parameters": @}}]',
    "functions": '[{"name": "f", "parameters": @}]',
    "response_format": '{"type": "json_schema", "json_schema": {"name": "x", "schema": @}}',
}


async def understood(stack: Stack, body: bytes, headers: dict[str, str] | None = None) -> int:
    """The status of the answer, which is one that the document tells of, and no fault of the server's."""
    response = await stack.client.post(PATH, content=body, headers=headers or {})
    told = response.text[:500]
    assert response.status_code == 200 or response.status_code in CHAT_ERRORS, told
    assert response.status_code < 500, told
    if response.status_code != 200:
        assert set(response.json()["error"]) == {"message", "type", "param", "code"}
        assert len(response.content) < 5_000, "an error does not repeat what was sent"
    return response.status_code


@pytest.mark.parametrize("name", BODIES)
async def test_odd_body_is_answered_or_refused(stack: Stack, name: str):
    """Never a fault, and never more words than help."""
    await understood(stack, BODIES[name])


@pytest.mark.parametrize("field", INTO)
@pytest.mark.parametrize("name", SCHEMAS)
async def test_odd_schema_is_used_or_refused(stack: Stack, upstream: Upstream, name: str, field: str):
    """Wherever a request has one."""

    def answer(received: Any) -> AnswerReply:
        offered = [tool["name"] for tool in received.body.get("tools", [])]
        return AnswerReply(tools=[("toolu_1", offered[0], ['{"a": "x"}'])]) if offered else AnswerReply("{}")

    upstream.script(answer)
    await understood(stack, with_field(field, INTO[field].replace("@", SCHEMAS[name])))


@pytest.mark.parametrize(
    "content_type",
    [
        "",
        "text/plain",
        "application/x-www-form-urlencoded",
        "multipart/form-data",
        "application/json; charset=utf-16",
    ],
)
@pytest.mark.wire(20)
async def test_content_type_means_nothing(stack: Stack, content_type: str):
    """What is JSON is read as JSON."""
    assert await understood(stack, asked(), {"content-type": content_type}) == 200


@pytest.mark.parametrize(
    ("encoding", "body", "status"),
    [
        ("gzip", gzip.compress(asked()), 200),
        ("gzip", asked(), 400),
        ("gzip", gzip.compress(asked())[:-9], 400),
        ("gzip", gzip.compress(b" " * 64_000_000), 413),
        ("br", asked(), 415),
        ("gzip, gzip", gzip.compress(gzip.compress(asked())), 415),
        ("identity", asked(), 200),
    ],
    ids=["gzip", "not gzip", "cut off", "bomb", "unknown", "twice", "none"],
)
@pytest.mark.wire(20)
async def test_content_encoding_is_undone_or_refused(stack: Stack, encoding: str, body: bytes, status: int):
    """In bounds."""
    assert await understood(stack, body, {"content-encoding": encoding}) == status


@pytest.mark.parametrize("name", ["%00", "%ff", "a%2Fb", "a/b", "é", "x" * 5000, "%0d%0aset-cookie:a=b"])
async def test_odd_model_name_in_the_address_is_a_404(stack: Stack, name: str):
    """Never a fault."""
    response = await stack.client.get(f"/v1/models/{name}")
    assert response.status_code == 404, response.text
