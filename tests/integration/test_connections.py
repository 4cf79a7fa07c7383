"""HTTP/1.1 as proxies and libraries speak it: connections that are kept, closed, and asked before they are used."""

import asyncio
import json

import pytest

from tests.support.chat import CHAT_PATH, build_body
from tests.support.stack import API_KEY, Stack
from tests.support.timeouts import TEST_TIMEOUT


def request(stack: Stack, *headers: str, stream: bool) -> tuple[bytes, bytes]:
    """The head and the body of a chat."""
    payload = json.dumps(build_body("hi", stream=stream)).encode()
    lines = [
        f"POST {CHAT_PATH} HTTP/1.1",
        f"Host: 127.0.0.1:{stack.port}",
        f"Authorization: Bearer {API_KEY}",
        "Content-Type: application/json",
        f"Content-Length: {len(payload)}",
        *headers,
    ]
    return "\r\n".join([*lines, "", ""]).encode(), payload


async def response(reader: asyncio.StreamReader) -> tuple[str, bytes]:
    """One response's head, in small letters, and its whole body."""
    head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
    if "transfer-encoding: chunked" not in head:
        length = int(head.partition("content-length: ")[2].partition("\r\n")[0])
        return head, await reader.readexactly(length)
    body = b""
    while size := int(await reader.readline(), 16):
        body += await reader.readexactly(size)
        assert await reader.readexactly(2) == b"\r\n"
    assert await reader.readline() == b"\r\n"
    return head, body


@pytest.mark.wire(59)
async def test_a_connection_serves_streams_and_answers_one_after_another(stack: Stack):
    """A stream is chunked and ends properly, so the connection can be used again."""
    async with asyncio.timeout(TEST_TIMEOUT):
        reader, writer = await asyncio.open_connection("127.0.0.1", stack.port)
        for stream in (True, False, True):
            writer.write(b"".join(request(stack, stream=stream)))
            head, body = await response(reader)
            assert head.startswith("http/1.1 200")
            assert ("transfer-encoding: chunked" in head) == stream
            assert body.endswith(b"data: [DONE]\n\n") == stream
        writer.close()


@pytest.mark.wire(59)
@pytest.mark.parametrize("stream", [True, False])
async def test_a_client_that_wants_the_connection_closed_gets_it_closed(stack: Stack, stream: bool):  # noqa: FBT001
    """After the answer, not before its end."""
    async with asyncio.timeout(TEST_TIMEOUT):
        reader, writer = await asyncio.open_connection("127.0.0.1", stack.port)
        writer.write(b"".join(request(stack, "Connection: close", stream=stream)))
        head, body = await response(reader)
        assert "connection: close" in head
        assert body.endswith(b"data: [DONE]\n\n") == stream
        assert await reader.read() == b""
        writer.close()


@pytest.mark.wire(59)
async def test_a_client_that_asks_before_it_sends_its_body_is_told_to_go_on(stack: Stack):
    """`Expect: 100-continue`, as curl sends it with large bodies."""
    async with asyncio.timeout(TEST_TIMEOUT):
        reader, writer = await asyncio.open_connection("127.0.0.1", stack.port)
        head, payload = request(stack, "Expect: 100-continue", stream=False)
        writer.write(head)
        assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 100")
        writer.write(payload)
        answer, _ = await response(reader)
        assert answer.startswith("http/1.1 200")
        writer.close()


@pytest.mark.wire(28, 59, 66)
async def test_a_stream_is_a_stream_whatever_the_client_accepts_and_not_to_be_kept_back_on_its_way(stack: Stack):
    """Only `stream` decides; libraries ask for JSON all the same. Nobody packs it, not even we."""
    async with asyncio.timeout(TEST_TIMEOUT):
        reader, writer = await asyncio.open_connection("127.0.0.1", stack.port)
        writer.write(b"".join(request(stack, "Accept: application/json", "Accept-Encoding: gzip, br", stream=True)))
        head, _ = await response(reader)
        assert "content-type: text/event-stream; charset=utf-8" in head
        assert "cache-control: no-cache" in head
        assert "x-accel-buffering: no" in head
        assert "content-encoding" not in head
        writer.close()


@pytest.mark.parametrize("keep", ["", "Connection: keep-alive"])
@pytest.mark.parametrize("stream", [True, False])
async def test_http_1_0_gets_the_answer_without_chunks_and_then_the_end(stack: Stack, stream: bool, keep: str):  # noqa: FBT001
    """Nginx asks so by default; what it is told of the answer's end it would pass on as a part of it."""
    async with asyncio.timeout(TEST_TIMEOUT):
        reader, writer = await asyncio.open_connection("127.0.0.1", stack.port)
        head, payload = request(stack, *([keep] if keep else []), stream=stream)
        writer.write(head.replace(b"HTTP/1.1", b"HTTP/1.0") + payload)
        lines = (await reader.readuntil(b"\r\n\r\n")).decode().lower().split("\r\n")
        body = await reader.read()
        assert lines[0].endswith("200 ok")
        assert "connection: close" in lines
        assert not any(line.startswith("transfer-encoding") or line == "connection: keep-alive" for line in lines)
        if stream:
            assert body.startswith(b"data: {")
            assert body.endswith(b"data: [DONE]\n\n")
        else:
            assert f"content-length: {len(body)}" in lines
            assert json.loads(body)["choices"]
        writer.close()


@pytest.mark.parametrize(
    "path", ["/", "/v1/models", "/health", "/metrics", "/docs", "/openapi.json", "/mcp", CHAT_PATH]
)
async def test_head_is_answered_without_a_body_and_the_connection_goes_on(stack: Stack, path: str):
    """Whatever GET would bring, a stream without end too."""
    async with asyncio.timeout(TEST_TIMEOUT):
        reader, writer = await asyncio.open_connection("127.0.0.1", stack.port)
        lines = f"Host: 127.0.0.1:{stack.port}\r\nAuthorization: Bearer {API_KEY}\r\nAccept: */*\r\n\r\n"
        writer.write(f"HEAD {path} HTTP/1.1\r\n{lines}GET /health/live HTTP/1.1\r\n{lines}".encode())
        assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 ")
        head, body = await response(reader)
        assert head.startswith("http/1.1 200")
        assert json.loads(body)
        writer.close()
