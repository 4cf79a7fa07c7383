"""A client that disconnects, in every phase: its slot is free, its CLI has ended, the request to the service too.

How fast that is depends on the machine; without the disconnect, none of these jobs would end.
"""

import asyncio
import json
import socket

import psutil
import pytest

from tests.support.chat import CHAT_PATH, build_body, open_stream, parse_text, send_chat
from tests.support.scripted.upstream import AnswerReply, StalledReply, Upstream
from tests.support.stack import API_KEY, Stack, list_group, wait_until
from tests.support.timeouts import TEST_TIMEOUT


async def assert_ended(stack: Stack, upstream: Upstream, cli: psutil.Process) -> None:
    """Assert that the job of `cli` is over, and that the next one is answered."""
    async with asyncio.timeout(TEST_TIMEOUT):
        await wait_until(lambda: not list_group(cli.pid))
        await upstream.wait_until(lambda: upstream.hangups == 1 and upstream.answering == 0)
        await stack.wait_until_quiet()
    upstream.script(AnswerReply("next"))
    assert parse_text(await send_chat(stack)) == "next"


@pytest.mark.parametrize("words", [0, 3], ids=["before the first word", "mid-stream"])
@pytest.mark.wire(39)
async def test_a_stream_that_is_left_ends_its_job(stack: Stack, upstream: Upstream, words: int):
    """Whether or not a word was said."""
    upstream.script(StalledReply(words))
    cli = await stack.find_idle_cli()
    async with asyncio.timeout(TEST_TIMEOUT), open_stream(stack) as stream:
        assert (await stream.read_chunk())["choices"][0]["delta"]["role"] == "assistant"
        for number in range(words):
            assert await stream.read_text() == f"w{number} "
        assert list_group(cli.pid)
    await assert_ended(stack, upstream, cli)


@pytest.mark.parametrize("words", [0, 3], ids=["before the first word", "mid-answer"])
@pytest.mark.wire(39)
async def test_a_whole_answer_that_is_not_waited_for_ends_its_job(stack: Stack, upstream: Upstream, words: int):
    """A client of plain JSON is seen to leave too."""
    upstream.script(StalledReply(words))
    cli = await stack.find_idle_cli()
    waiting = asyncio.create_task(send_chat(stack))
    await upstream.wait_until(lambda: upstream.answering == 1)
    waiting.cancel()
    await assert_ended(stack, upstream, cli)


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.wire(39)
async def test_a_queued_client_that_leaves_never_reaches_the_model(
    single_slot_stack: Stack, upstream: Upstream, *, stream: bool
):
    """Its place in the queue is free at once, and the one who is being answered notices nothing."""
    upstream.script(StalledReply(1))
    async with asyncio.timeout(TEST_TIMEOUT), open_stream(single_slot_stack, "first") as first:
        await first.read_text()
        queued = asyncio.create_task(send_chat(single_slot_stack, "queued", stream=stream))
        await wait_until(lambda: waiting(single_slot_stack, 1))
        queued.cancel()
        await wait_until(lambda: waiting(single_slot_stack, 0))
        await upstream.release()
        await first.read_rest()
    assert len(upstream.requests) == 1


async def waiting(stack: Stack, count: int) -> bool:
    health = await stack.fetch_health()
    assert health
    return sum(executor["waiting"] for executor in health["executors"]) == count


@pytest.mark.wire(38, 39)
async def test_a_client_that_does_not_read_can_still_be_seen_to_leave(stack: Stack, upstream: Upstream):
    """An answer that nobody takes off the socket holds its place only while its client is there."""
    upstream.script(AnswerReply(["x" * 1000] * 20_000))
    cli = await stack.find_idle_cli()
    request = json.dumps(build_body("hi", stream=True)).encode()
    head = f"POST {CHAT_PATH} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {API_KEY}\r\ncontent-length: {len(request)}\r\n\r\n"
    with socket.socket() as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.connect(("127.0.0.1", stack.port))
        client.sendall(head.encode() + request)
        # The whole answer waits on this side of the CLI.
        await wait_until(lambda: upstream.requests and not upstream.answering)
        health = await stack.fetch_health()
        assert health
        assert [executor["running"] for executor in health["executors"]] == [1]
    async with asyncio.timeout(TEST_TIMEOUT):
        await wait_until(lambda: not list_group(cli.pid))
        await stack.wait_until_quiet()
    upstream.script(AnswerReply("next"))
    assert parse_text(await send_chat(stack)) == "next"


@pytest.mark.wire(39, 79)
async def test_twenty_clients_that_leave_at_once_leave_nothing(stack: Stack, upstream: Upstream):
    """Running and queued, streamed and not."""
    upstream.script(StalledReply(1))
    clients = [asyncio.create_task(send_chat(stack, stream=number % 2 == 0)) for number in range(20)]
    await upstream.wait_until(lambda: upstream.answering >= 3)
    for client in clients:
        client.cancel()
    # One that waits may be given the place of one that left just before it is seen to leave as well.
    await stack.wait_until_idle()
    await upstream.wait_until(lambda: upstream.answering == 0)
    upstream.script(AnswerReply("next"))
    assert parse_text(await send_chat(stack)) == "next"


HELLO = [{"role": "user", "content": "hi"}]
DIALECTS = {
    "/v1/completions": {"prompt": "hi"},
    "/v1/responses": {"input": "hi"},
    "/v1/messages": {"max_tokens": 99, "messages": HELLO},
    "/api/chat": {"prompt": "hi"},
}


@pytest.mark.parametrize("path", DIALECTS)
@pytest.mark.wire(79)
async def test_the_next_request_after_a_disconnect_gets_the_slot(
    single_slot_stack: Stack, upstream: Upstream, path: str
):
    """There is one slot: a client disconnects during its answer and sends the next request at once, three times."""
    request = {"model": "sonnet", "stream": True, **DIALECTS[path]}
    upstream.script(StalledReply(1))
    async with asyncio.timeout(TEST_TIMEOUT):
        for number in range(3):
            async with single_slot_stack.client.stream("POST", path, json=request) as response:
                assert response.status_code == 200
                await upstream.wait_until(lambda: upstream.answering == 1 and len(upstream.requests) > number)  # noqa: B023
        upstream.script(AnswerReply("next"))
        response = await single_slot_stack.client.post(path, json={**request, "stream": False})
    assert response.status_code == 200
    assert "next" in response.text
