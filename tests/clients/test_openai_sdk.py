"""The official `openai` client takes the server for the service it knows: answers, streams, models and errors."""

import asyncio
import contextlib
from typing import Any

import openai
import pytest
from openai.types.chat import ChatCompletionMessageParam

from tests.support.chat import open_stream
from tests.support.scripted.upstream import AnswerReply, ErrorReply, GatedReply, StalledReply, Upstream
from tests.support.stack import Stack, wait_until
from tests.support.timeouts import TEST_TIMEOUT

HI: list[ChatCompletionMessageParam] = [{"role": "user", "content": "hi"}]


@pytest.mark.wire(61)
async def test_an_answer(stack: Stack, upstream: Upstream):
    """With its text, its reason and its cost."""
    upstream.script(AnswerReply(("Hello", " you"), input=10, output=5, cache_read=4))
    answer = await stack.openai.chat.completions.create(model="gpt-4o", messages=HI, max_completion_tokens=50)
    [choice] = answer.choices
    assert (choice.message.role, choice.message.content, choice.finish_reason) == ("assistant", "Hello you", "stop")
    assert answer.usage
    assert answer.usage.prompt_tokens_details
    assert (answer.usage.prompt_tokens, answer.usage.completion_tokens, answer.usage.total_tokens) == (14, 5, 19)
    assert answer.usage.prompt_tokens_details.cached_tokens == 4
    assert answer._request_id


async def test_a_stream_arrives_as_it_is_made(stack: Stack, upstream: Upstream):
    """Each delta before the next."""
    words = ("Hel", "lo\u2028", " 🦀")
    upstream.script(GatedReply(words))
    async with asyncio.timeout(TEST_TIMEOUT):
        stream = await stack.openai.chat.completions.create(
            model="sonnet", messages=HI, stream=True, stream_options={"include_usage": True}
        )
        chunks = [await anext(stream)]
        for word in words:
            await upstream.release()
            chunks.append(await anext(stream))
            assert chunks[-1].choices[0].delta.content == word
        chunks += [chunk async for chunk in stream]
    assert chunks[0].choices[0].delta.role == "assistant"
    assert chunks[-2].choices[0].finish_reason == "stop"
    assert chunks[-1].usage
    assert chunks[-1].usage.completion_tokens == 3


@pytest.mark.wire(61)
async def test_the_clients_own_accumulator_gets_the_whole_answer(stack: Stack, upstream: Upstream):
    """`chat.completions.stream` checks the chunks against each other."""
    upstream.script(AnswerReply(("one ", "two")))
    async with stack.openai.chat.completions.stream(model="sonnet", messages=HI) as stream:
        answer = await stream.get_final_completion()
    assert answer.choices[0].message.content == "one two"


async def test_closing_a_stream_ends_its_job(stack: Stack, upstream: Upstream):
    """The client's way to disconnect."""
    upstream.script(StalledReply(1))
    stream = await stack.openai.chat.completions.create(model="sonnet", messages=HI, stream=True)
    await anext(stream)
    await stream.close()
    await upstream.wait_until(lambda: upstream.hangups == 1)


async def test_models(stack: Stack):
    """Listed and looked up."""
    models = [model async for model in stack.openai.models.list()]
    assert {"sonnet", "gpt-4o"} <= {model.id for model in models}
    assert await stack.openai.models.retrieve("sonnet") in models


@pytest.mark.wire(41, 61)
async def test_a_wrong_key_is_an_authentication_error(stack: Stack):
    """401."""
    with pytest.raises(openai.AuthenticationError) as caught:
        await stack.openai.with_options(api_key="wrong").chat.completions.create(model="sonnet", messages=HI)
    assert caught.value.code == "invalid_api_key"


async def test_a_parameter_that_is_not_supported_is_a_bad_request_that_names_it(stack: Stack):
    """400, with `param`."""
    with pytest.raises(openai.BadRequestError) as caught:
        await stack.openai.chat.completions.create(model="sonnet", messages=HI, logit_bias={"50256": -100})
    assert (caught.value.param, caught.value.code) == ("logit_bias", "unsupported_parameter")


async def test_a_model_that_is_not_there_is_not_found(stack: Stack):
    """404, whether it is asked or looked up."""
    calls: list[Any] = [
        stack.openai.chat.completions.create(model="gpt-9", messages=HI),
        stack.openai.models.retrieve("gpt-9"),
    ]
    for call in calls:
        with pytest.raises(openai.NotFoundError) as caught:
            await call
        assert (caught.value.code, caught.value.param) == ("model_not_found", "model")


async def test_a_full_queue_is_a_rate_limit_error(single_slot_stack: Stack, upstream: Upstream):
    """429, with the time to come back."""
    upstream.script(StalledReply(1))
    async with asyncio.timeout(TEST_TIMEOUT), open_stream(single_slot_stack) as first:
        await first.read_text()
        waiting = asyncio.create_task(single_slot_stack.openai.chat.completions.create(model="sonnet", messages=HI))

        async def is_full() -> bool:
            health = await single_slot_stack.fetch_health()
            return bool(health and health["executors"][0]["waiting"] == 1)

        await wait_until(is_full)
        with pytest.raises(openai.RateLimitError) as caught:
            await single_slot_stack.openai.chat.completions.create(model="sonnet", messages=HI, stream=True)
        assert caught.value.code == "queue_full"
        assert int(caught.value.response.headers["retry-after"]) >= 1
        waiting.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await waiting


async def test_a_failure_of_the_service_is_a_server_error(stack: Stack, upstream: Upstream):
    """500 and above, which the client may try again."""
    upstream.script(ErrorReply(401, "authentication_error"))
    with pytest.raises(openai.InternalServerError) as caught:
        await stack.openai.chat.completions.create(model="sonnet", messages=HI)
    assert (caught.value.status_code, caught.value.code) == (503, "credential_refused")


@pytest.mark.wire(36, 61)
async def test_a_failure_amid_a_stream_is_raised(stack: Stack, upstream: Upstream):
    """The loop over the chunks ends with the error, not as if all were said."""
    upstream.script(StalledReply(("half ", "an answer")))
    cli = await stack.find_idle_cli()
    stream = await stack.openai.chat.completions.create(model="sonnet", messages=HI, stream=True)
    for _ in range(3):
        assert (await anext(stream)).choices[0].finish_reason is None
    cli.kill()
    with pytest.raises(openai.APIError) as caught:
        await anext(stream)
    assert caught.value.code == "cli_failed"
