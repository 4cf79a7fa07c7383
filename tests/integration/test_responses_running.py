"""Responses under way: looked up, followed and cancelled by others than who asked; and what is kept of each end."""

import contextlib
import json
from collections.abc import AsyncGenerator, AsyncIterator
from typing import Any

import httpx2
import pytest

from tests.support.scripted.upstream import AnswerReply, ErrorEventReply, ErrorReply, GatedReply, StalledReply, Upstream
from tests.support.stack import Stack, wait_until
from tests.support.timeouts import TEST_TIMEOUT

type Json = dict[str, Any]

PATH = "/v1/responses"


async def ask(stack: Stack, **fields: Any) -> Json:
    response = await stack.client.post(PATH, json={"model": "sonnet", "input": "hi", **fields})
    assert response.status_code == 200, response.text
    return response.json()


async def look(stack: Stack, response_id: str) -> Json:
    response = await stack.client.get(f"{PATH}/{response_id}")
    assert response.status_code == 200, response.text
    return response.json()


async def cancel(stack: Stack, response_id: str) -> httpx2.Response:
    return await stack.client.post(f"{PATH}/{response_id}/cancel")


def error_of(response: httpx2.Response) -> tuple[int, str]:
    return response.status_code, response.json()["error"]["code"]


async def ended(stack: Stack, response_id: str) -> Json:
    """A response, once it has ended."""
    found: Json = {}

    async def is_over() -> bool:
        found.update(await look(stack, response_id))
        return found["status"] not in {"queued", "in_progress"}

    await wait_until(is_over)
    return found


@contextlib.asynccontextmanager
async def streaming(
    stack: Stack, method: str = "POST", path: str = PATH, **fields: Any
) -> AsyncGenerator[AsyncIterator[Json]]:
    """The events of a running stream; leaving the block disconnects."""
    body: Json | None = {"model": "sonnet", "input": "hi", "stream": True, **fields} if method == "POST" else None
    async with (
        httpx2.AsyncClient(base_url=stack.url, headers=stack.headers, timeout=TEST_TIMEOUT) as client,
        client.stream(method, path, json=body) as response,
    ):
        assert response.status_code == 200, await response.aread()
        yield events(response)


async def events(response: httpx2.Response) -> AsyncIterator[Json]:
    async for line in response.aiter_lines():
        if line.startswith("data: "):
            yield json.loads(line.removeprefix("data: "))


def words(response: Json) -> str:
    return "".join(part["text"] for item in response["output"] if item["type"] == "message" for part in item["content"])


async def test_in_the_background_it_is_answered_while_nobody_waits(stack: Stack, upstream: Upstream):
    """Told at once that it waits; looked up while it is answered, and when it is whole."""
    upstream.script(GatedReply(("one ", "two")))
    response = await ask(stack, background=True)
    assert (response["status"], response["background"], response["output"]) == ("queued", True, [])
    await upstream.wait_until(lambda: bool(upstream.held))
    assert (await look(stack, response["id"]))["status"] in {"queued", "in_progress"}
    await upstream.release()
    await upstream.release()
    final = await ended(stack, response["id"])
    assert (final["status"], words(final), final["usage"]["output_tokens"]) == ("completed", "one two", 2)
    upstream.script(AnswerReply("three"))
    assert words(await ask(stack, previous_response_id=response["id"])) == "three"
    assert len(upstream.requests[-1].conversation) == 3


async def test_its_stream_goes_on_without_its_client_and_is_picked_up_again(stack: Stack, upstream: Upstream):
    """From where the client was, while it lasts and after: each event once, in order."""
    upstream.script(GatedReply(("one ", "two")))
    async with streaming(stack, background=True) as stream:
        await upstream.wait_until(lambda: bool(upstream.held))
        await upstream.release()
        seen = [await anext(stream)]
        while seen[-1]["type"] != "response.output_text.delta":
            seen.append(await anext(stream))
    assert [event["type"] for event in seen[:3]] == ["response.created", "response.queued", "response.in_progress"]
    response_id, last = seen[0]["response"]["id"], seen[-1]["sequence_number"]
    path = f"{PATH}/{response_id}?stream=true"
    async with streaming(stack, "GET", f"{path}&starting_after={last}") as stream:
        await upstream.release()
        rest = [event async for event in stream]
    assert [event["sequence_number"] for event in [*seen, *rest]] == list(range(len(seen) + len(rest)))
    assert (rest[-1]["type"], words(rest[-1]["response"])) == ("response.completed", "one two")
    assert upstream.hangups == 0
    async with streaming(stack, "GET", path) as stream:
        assert [event async for event in stream] == [*seen, *rest]
    for last in (rest[-1]["sequence_number"], 999):
        async with streaming(stack, "GET", f"{path}&starting_after={last}") as stream:
            assert [event async for event in stream] == []
    assert await look(stack, response_id) == rest[-1]["response"]


async def test_one_in_the_background_is_cancelled(stack: Stack, upstream: Upstream):
    """Its job ends at once; what was said stays, and cancelling again gives the same."""
    upstream.script(StalledReply(("one ", "two")))
    response = await ask(stack, background=True)
    await upstream.wait_until(lambda: bool(upstream.held))

    async def has_begun() -> bool:
        return (await look(stack, response["id"]))["status"] == "in_progress"

    await wait_until(has_begun)
    cancelled = (await cancel(stack, response["id"])).json()
    assert cancelled["status"] == "cancelled"
    await upstream.wait_until(lambda: upstream.hangups == 1)
    await stack.wait_until_quiet()
    assert await look(stack, response["id"]) == cancelled == (await cancel(stack, response["id"])).json()


async def test_a_stream_is_cancelled_by_its_id(stack: Stack, upstream: Upstream):
    """From another connection: its client gets a proper end that says so, with what was said before."""
    upstream.script(StalledReply(("one ", "two")))
    async with streaming(stack) as stream:
        seen = [await anext(stream)]
        while seen[-1].get("delta") != "two":
            seen.append(await anext(stream))
        response_id = seen[0]["response"]["id"]
        cancelled = (await cancel(stack, response_id)).json()
        seen += [event async for event in stream]
    assert [event["sequence_number"] for event in seen] == list(range(len(seen)))
    assert (seen[-1]["type"], seen[-1]["response"]) == ("response.incomplete", cancelled)
    assert (cancelled["status"], words(cancelled)) == ("cancelled", "one two")
    assert cancelled["output"][-1]["status"] == "incomplete"
    await upstream.wait_until(lambda: upstream.hangups == 1)
    assert await look(stack, response_id) == cancelled


async def test_what_has_ended_can_not_be_cancelled(stack: Stack):
    """Unless it was in the background, where it is given as it is; and what is not there is not found."""
    final = await ask(stack)
    assert error_of(await cancel(stack, final["id"])) == (400, "not_cancellable")
    late = await ended(stack, (await ask(stack, background=True))["id"])
    assert (await cancel(stack, late["id"])).json() == late
    assert error_of(await cancel(stack, "resp_9")) == (404, "response_not_found")


async def test_deleting_one_under_way_ends_it(stack: Stack, upstream: Upstream):
    """And nothing of it is kept."""
    upstream.script(StalledReply(("one ",)))
    response = await ask(stack, background=True)
    await upstream.wait_until(lambda: bool(upstream.held))
    assert (await stack.client.delete(f"{PATH}/{response['id']}")).json()["deleted"] is True
    await upstream.wait_until(lambda: upstream.hangups == 1)
    assert error_of(await stack.client.get(f"{PATH}/{response['id']}")) == (404, "response_not_found")


async def test_a_failure_is_kept_with_its_reason(stack: Stack, upstream: Upstream):
    """Of a stream that broke, and of one in the background that never began."""
    upstream.script(ErrorEventReply(("one ", "two")))
    async with streaming(stack) as stream:
        seen = [event async for event in stream]
    failed = seen[-1]["response"]
    assert (seen[-1]["type"], failed["status"], failed["usage"]) == ("response.failed", "failed", None)
    assert failed["error"]["code"] == "upstream_cut"
    assert await look(stack, failed["id"]) == failed
    upstream.script(ErrorReply(401, "authentication_error"))
    late = await ended(stack, (await ask(stack, background=True))["id"])
    assert (late["status"], late["error"]["code"], late["output"]) == ("failed", "credential_refused", [])


@pytest.mark.parametrize(
    ("reason", "incomplete_reason"),
    [("max_tokens", "max_output_tokens"), ("refusal", "content_filter")],
    ids=["limit", "refusal"],
)
async def test_an_answer_that_ended_early_is_kept(
    stack: Stack, upstream: Upstream, reason: str, incomplete_reason: str
):
    """With why, and what was said of it."""
    upstream.script(AnswerReply("one", stop_reason=reason))
    early = await ask(stack)
    assert (early["status"], early["incomplete_details"], words(early)) == (
        "incomplete",
        {"reason": incomplete_reason},
        "one",
    )
    assert await look(stack, early["id"]) == early


async def test_a_disconnect_ends_the_stream_and_nothing_is_stored(stack: Stack, upstream: Upstream):
    """As in every other dialect."""
    upstream.script(StalledReply(("one ",)))
    async with streaming(stack) as stream:
        first_event = await anext(stream)
        assert (await look(stack, first_event["response"]["id"]))["status"] == "in_progress"
        await upstream.wait_until(lambda: bool(upstream.held))
    await upstream.wait_until(lambda: upstream.hangups == 1)

    async def is_gone() -> bool:
        return (await stack.client.get(f"{PATH}/{first_event['response']['id']}")).status_code == 404

    await wait_until(is_gone)


@pytest.mark.parametrize(
    ("path", "param"),
    [
        ("?stream=perhaps", "stream"),
        ("?stream=true", "stream"),
        ("?starting_after=3", "starting_after"),
        ("?stream=true&starting_after=x", "starting_after"),
    ],
)
async def test_what_can_not_be_followed_is_refused_by_name(stack: Stack, path: str, param: str):
    """A response that was waited for is given as a whole only."""
    final = await ask(stack)
    response = await stack.client.get(f"{PATH}/{final['id']}{path}")
    assert (response.status_code, response.json()["error"]["param"]) == (400, param)


async def test_background_needs_store(stack: Stack):
    """What is not kept can't be looked up."""
    response = await stack.client.post(PATH, json={"input": "hi", "background": True, "store": False})
    assert (response.status_code, response.json()["error"]["param"]) == (400, "background")
