"""Thinking, stopping, choosing, spending: each limit and switch does what it says, and what can't be had is said."""

import asyncio
import json
from collections.abc import AsyncGenerator
from typing import Any

import httpx2
import msgspec
import pytest

from tests.support.calls import build_tool, collect_calls, get_choice, list_calls
from tests.support.chat import (
    Json,
    build_body,
    collect_chunks,
    join_text,
    list_finish_reasons,
    open_stream,
    parse_error,
    parse_text,
    send_chat,
)
from tests.support.scripted.upstream import AnswerReply, GatedReply, StalledReply, Upstream
from tests.support.stack import Stack, wait_until
from tests.support.timeouts import TEST_TIMEOUT

STRAY = ("toolu_0", "no_such_tool", ["{}"])
WEATHER = build_tool("get_weather")
# A request that must not be waited for: if the CLI is quick enough to make it, it ends with the CLI.
NEVER = StalledReply(0)


@pytest.fixture(scope="module")
async def shared_strict(shared_upstream: Upstream) -> AsyncGenerator[Stack]:
    """Programs whose owner refuses what would be ignored, and more than two answers at once; thinking is always shown."""
    settings = {"REJECT_UNSUPPORTED_PARAMS": "true", "MAX_CHOICES": "2", "SHOW_REASONING": "always"}
    async with Stack(shared_upstream.url, settings=settings, pool_size=0) as stack:
        yield stack


@pytest.fixture
async def strict(shared_strict: Stack, upstream: Upstream) -> AsyncGenerator[Stack]:
    """As `stack`, with `REJECT_UNSUPPORTED_PARAMS` and `MAX_CHOICES=2`."""
    yield shared_strict
    await shared_strict.wait_until_quiet()


def reasoning_of(chunks: list[Json]) -> str:
    """The thoughts in chunks."""
    return "".join(choice["delta"].get("reasoning_content", "") for chunk in chunks for choice in chunk["choices"])


# --- Thinking ---------------------------------------------------------------------------------------------------------


@pytest.mark.wire(18)
@pytest.mark.parametrize(
    ("fields", "effort"),
    [
        ({"reasoning_effort": "minimal"}, "low"),
        ({"reasoning_effort": "max"}, "max"),
    ],
    ids=json.dumps,
)
async def test_each_effort_is_the_services_own(stack: Stack, upstream: Upstream, fields: Json, effort: str):
    """As OpenAI names them, and as other gateways do."""
    assert parse_text(await send_chat(stack, **fields)) == "Hello world!"
    [received] = upstream.requests
    assert received.body["output_config"]["effort"] == effort


@pytest.mark.wire(23, 26)
async def test_thinking_is_beside_the_answer_and_never_in_it(stack: Stack, upstream: Upstream):
    """Streamed as it comes, and whole; its tokens are counted."""
    upstream.script(AnswerReply(["Four", "."], thinking=["Two and ", "two…"], output=9, reasoning=6))
    response = await send_chat(stack, reasoning_effort="high")
    message = get_choice(response)["message"]
    assert message["content"] == "Four."
    assert message["reasoning_content"] == "Two and two…"
    assert response.json()["usage"]["completion_tokens_details"]["reasoning_tokens"] == 6
    assert response.json()["usage"]["completion_tokens"] == 9
    chunks = await collect_chunks(stack, reasoning_effort="high", stream_options={"include_usage": True})
    assert join_text(chunks) == "Four."
    assert reasoning_of(chunks) == "Two and two…"
    assert chunks[-1]["usage"]["completion_tokens_details"]["reasoning_tokens"] == 6


@pytest.mark.wire(26)
async def test_thinking_streams_while_the_model_thinks(stack: Stack, upstream: Upstream):
    """Each thought is out before the next is thought."""
    upstream.script(GatedReply("Done.", thinking=["one ", "two "]))
    async with open_stream(stack, reasoning_effort="high") as stream:
        await stream.read_chunk()
        for thought in ("one ", "two "):
            await upstream.release()
            chunk = await stream.read_chunk()
            assert chunk["choices"][0]["delta"] == {"reasoning_content": thought}
        for _ in range(2):  # the signature, the answer
            await upstream.release()
        assert join_text(await stream.read_rest()) == "Done."


@pytest.mark.wire(26)
async def test_thinking_is_shown_only_to_who_asks_for_it(stack: Stack, strict: Stack, upstream: Upstream):
    """Unless the owner shows it always; it is counted in any case, and who forbids it never gets it."""
    hidden: list[Json] = [{"include_reasoning": False, "reasoning_effort": "high"}, {"reasoning": {"exclude": True}}]
    for fields in hidden:
        upstream.script(AnswerReply("Four.", thinking="Two and two.", output=9, reasoning=6))
        response = await send_chat(stack, **fields)
        assert "reasoning_content" not in get_choice(response)["message"]
        assert response.json()["usage"]["completion_tokens_details"]["reasoning_tokens"] == 6
    shown: list[tuple[Stack, Json]] = [(stack, {"include_reasoning": True}), (strict, {})]
    for where, fields in shown:
        upstream.script(AnswerReply("Four.", thinking="Two and two."))
        assert reasoning_of(await collect_chunks(where, **fields)) == "Two and two."
    upstream.script(AnswerReply("Four.", thinking="Two and two."))
    assert reasoning_of(await collect_chunks(stack)) == ""


async def test_an_answer_without_thinking_does_not_speak_of_it(stack: Stack, upstream: Upstream):
    """The field is absent, not empty."""
    assert "reasoning_content" not in get_choice(await send_chat(stack))["message"]


# --- Stopping ---------------------------------------------------------------------------------------------------------


@pytest.mark.wire(14)
@pytest.mark.parametrize(
    ("pieces", "stop", "expected"),
    [
        (["one ST", "O", "P two"], "STOP", "one "),
        (["one  ", " two"], "   ", "one"),
    ],
    ids=repr,
)
async def test_an_answer_ends_exactly_before_a_stop_text(
    stack: Stack, upstream: Upstream, pieces: list[str], stop: Any, expected: str
):
    """Wherever deltas are cut; what only looked like the beginning of one is kept."""
    upstream.script(AnswerReply(pieces))
    choice = get_choice(await send_chat(stack, stop=stop))
    assert (choice["message"]["content"], choice["finish_reason"]) == (expected, "stop")
    chunks = await collect_chunks(stack, stop=stop)
    assert (join_text(chunks), list_finish_reasons(chunks)) == (expected, ["stop"])


@pytest.mark.wire(14)
async def test_stop_texts_are_the_services_own_where_it_takes_them(stack: Stack, upstream: Upstream):
    """Texts without a visible character it refuses; those are watched for here. Nothing is stopped by an empty one."""
    upstream.script(AnswerReply("one ", stop_reason="stop_sequence", stop_sequence="STOP"))
    choice = get_choice(await send_chat(stack, stop=["STOP", "\n\n", "\t", "END"]))
    assert choice["message"]["content"] == "one "
    assert choice["finish_reason"] == "stop"
    assert parse_text(await send_chat(stack, stop="")) == "one "
    assert [received.body.get("stop_sequences") for received in upstream.requests] == [["STOP", "END"], None]


@pytest.mark.wire(14)
async def test_a_stop_ends_the_cli_and_its_connection_at_once(stack: Stack, upstream: Upstream):
    """What comes after it is not paid for."""
    upstream.script(GatedReply(["one ", "STOP", "two", "three"]))
    async with open_stream(stack, stop="STOP") as stream:
        for _ in range(2):
            await upstream.release()
        assert join_text(await stream.read_rest()) == "one "
    await upstream.wait_until(lambda: upstream.hangups == 1)
    await stack.wait_until_idle()
    assert len(upstream.requests) == 1


async def test_thoughts_and_arguments_do_not_stop_an_answer(stack: Stack, upstream: Upstream):
    """Only its words do."""
    upstream.script(AnswerReply("fine", thinking="STOP?", tools=[("toolu_1", "get_weather", ['{"city": "STOP"}'])]))
    response = await send_chat(stack, tools=[WEATHER], stop="STOP")
    assert get_choice(response)["message"]["content"] == "fine"
    assert list_calls(response) == [("toolu_1", "get_weather", '{"city": "STOP"}')]


# --- Tokens -----------------------------------------------------------------------------------------------------------


@pytest.mark.wire(24)
async def test_an_answer_cut_by_the_token_limit_ends_there(each_credential_stack: Stack, upstream: Upstream):
    """The CLI would ask the model to go on; nobody asked for that."""
    cut = AnswerReply("half an ans", stop_reason="max_tokens")
    upstream.script(cut, NEVER)
    choice = get_choice(await send_chat(each_credential_stack, max_tokens=5))
    assert (choice["message"]["content"], choice["finish_reason"]) == ("half an ans", "length")
    await each_credential_stack.wait_until_idle()
    upstream.script(cut, NEVER)
    chunks = await collect_chunks(each_credential_stack, max_tokens=5)
    assert (join_text(chunks), list_finish_reasons(chunks)) == ("half an ans", ["length"])
    await each_credential_stack.wait_until_idle()
    assert upstream.answering == 0


@pytest.mark.wire(57)
@pytest.mark.parametrize("reply", [AnswerReply(" \n"), AnswerReply("", thinking="hm")], ids=["blank", "thought"])
async def test_an_answer_of_no_words_is_one(stack: Stack, upstream: Upstream, reply: AnswerReply):
    """The CLI would ask the model for some; nobody asked for that, and no sentence stands in for it."""
    upstream.script(reply, NEVER)
    choice = get_choice(await send_chat(stack))
    assert (choice["message"]["content"].strip(), choice["finish_reason"]) == ("", "stop")
    await stack.wait_until_idle()
    assert upstream.answering == 0


async def test_a_call_that_can_not_be_read_is_the_clients_to_judge(stack: Stack, upstream: Upstream):
    """The CLI would ask the model for another; nobody asked for that."""
    upstream.script(AnswerReply(tools=[("toolu_1", "get_weather", ['{"city": '])]), NEVER)
    assert list_calls(await send_chat(stack, tools=[WEATHER])) == [("toolu_1", "get_weather", '{"city": ')]
    await stack.wait_until_idle()
    assert upstream.answering == 0


async def test_a_call_cut_by_the_token_limit_says_so(stack: Stack, upstream: Upstream):
    """Its arguments are no JSON, and the finish reason tells why."""
    upstream.script(AnswerReply(tools=[("toolu_1", "get_weather", ['{"city": "Pa'])], stop_reason="max_tokens"))
    response = await send_chat(stack, tools=[WEATHER], max_tokens=5)
    assert list_calls(response) == [("toolu_1", "get_weather", '{"city": "Pa')]
    assert get_choice(response)["finish_reason"] == "length"


async def priced(stack: Stack, **fields: Any) -> httpx2.Response:
    """An answer with its price. A busy CLI may not tell it in time, and the answer does not wait for it."""
    async with asyncio.timeout(TEST_TIMEOUT):
        while "x-cost-usd" not in (response := await send_chat(stack, **fields)).headers:
            pass
    return response


# --- Several answers --------------------------------------------------------------------------------------------------


async def test_several_answers_run_side_by_side(stack: Stack, upstream: Upstream):
    """Three at once, each with its own words; tokens and costs add up."""
    upstream.script(GatedReply("one", tools=()), GatedReply("two"), GatedReply("three"))
    async with open_stream(stack, n=3, stream_options={"include_usage": True}) as stream:
        await upstream.wait_until(lambda: len(upstream.held) == 3)
        await upstream.release()
        chunks = await stream.read_rest()
    words = {n: join_text([c for c in chunks if c["choices"] and c["choices"][0]["index"] == n]) for n in range(3)}
    assert sorted(words.values()) == ["one", "three", "two"]
    assert list_finish_reasons(chunks) == ["stop"] * 3
    assert len({chunk["id"] for chunk in chunks}) == 1
    roles = [c["choices"][0]["index"] for c in chunks if c["choices"] and "role" in c["choices"][0]["delta"]]
    assert sorted(roles) == [0, 1, 2]
    assert chunks[-1]["choices"] == []
    assert chunks[-1]["usage"]["prompt_tokens"] == 30
    assert chunks[-1]["usage"]["completion_tokens"] == 3


async def test_several_whole_answers_come_in_order(stack: Stack, upstream: Upstream):
    """With one id, their tokens and costs added up, calls and all."""
    upstream.script(AnswerReply("Hi", tools=[("toolu_1", "get_weather", ["{}"])], output=5))
    response = await priced(stack, n=2, tools=[WEATHER])
    choices = response.json()["choices"]
    assert [choice["index"] for choice in choices] == [0, 1]
    assert [choice["finish_reason"] for choice in choices] == ["tool_calls"] * 2
    assert response.json()["usage"]["completion_tokens"] == 10
    assert float(response.headers["x-cost-usd"]) == response.json()["usage"]["cost_usd"] > 0


@pytest.mark.wire(15)
async def test_more_answers_than_the_owner_allows_are_refused(stack: Stack, strict: Stack, upstream: Upstream):
    """`MAX_CHOICES` is the owner's."""
    for server, most in ((stack, 5), (strict, 3)):
        response = await send_chat(server, n=most)
        assert response.status_code == 400
        assert parse_error(response)["param"] == "n"
        assert "MAX_CHOICES" in parse_error(response)["message"]
    assert parse_error(await send_chat(stack, n=0))["param"] == "n"
    assert upstream.requests == []
    assert len((await send_chat(strict, n=2)).json()["choices"]) == 2


# --- Spending ---------------------------------------------------------------------------------------------------------


async def test_what_an_answer_cost_is_in_a_header_and_in_its_usage(each_credential_stack: Stack, upstream: Upstream):
    """An answer of words and one that ends with a call; a stream tells at its end, if asked."""
    costs: list[float] = []
    for expected in (AnswerReply("Hi"), AnswerReply(tools=[("toolu_1", "get_weather", [])])):
        upstream.script(msgspec.structs.replace(expected, input=1000, output=100))
        response = await priced(each_credential_stack, tools=[WEATHER])
        assert float(response.headers["x-cost-usd"]) == response.json()["usage"]["cost_usd"]
        costs.append(response.json()["usage"]["cost_usd"])
    assert costs[0] == costs[1] > 0.001
    chunks = await collect_chunks(each_credential_stack, tools=[WEATHER], stream_options={"include_usage": True})
    assert collect_calls(chunks)
    assert chunks[-1]["usage"].get("cost_usd", costs[1]) == costs[1]


async def test_a_spent_budget_ends_an_answer_that_needs_more(stack: Stack, upstream: Upstream):
    """Before the model is asked once more; trying again does not help."""
    upstream.script(AnswerReply("Well", output=100_000), AnswerReply("never"))
    response = await send_chat(stack, max_budget_usd=0.01, response_format={"type": "json_object"})
    assert response.status_code == 402
    assert parse_error(response)["code"] == "budget_exceeded"
    assert "max_budget_usd" in parse_error(response)["message"]
    assert response.headers["x-should-retry"] == "false"
    assert len(upstream.requests) == 1


# --- Everything else that may be said ---------------------------------------------------------------------------------

UNKNOWN: Json = {
    "id": "x",
    "opts": {"a": [1]},
    "metadata": {"k": "v"},
    "store": True,
    "service_tier": "auto",
    "user": "u",
    "prompt_cache_key": "k",
    "safety_identifier": "s",
    "thinking_budget": 7,
    "stream_options": None,
    "tool_choice": None,
    "temperature": None,
    "logprobs": False,
    "top_logprobs": 0,
    "logit_bias": {},
    "modalities": ["text"],
    "n": 1,
    "stop": None,
    "response_format": None,
    "stream": None,
}


@pytest.mark.wire(1, 15, 17, 67)
async def test_unknown_and_empty_fields_change_nothing(stack: Stack, strict: Stack, upstream: Upstream):
    """At every level; not even where the owner is strict, and nothing is said to be ignored."""
    messages = [{"role": "user", "content": [{"type": "text", "text": "hi", "x": 1}], "extra": {}}]
    for server in (stack, strict):
        response = await send_chat(server, messages, **UNKNOWN)
        assert parse_text(response) == "Hello world!"
        assert "x-ignored-parameters" not in response.headers


@pytest.mark.wire(16)
async def test_what_is_ignored_is_named_in_a_header(stack: Stack, upstream: Upstream):
    """Streamed and not; nothing of it reaches the service."""
    fields: Json = {"temperature": 0.3, "top_p": 1, "seed": 7, "presence_penalty": -2, "frequency_penalty": 2}
    response = await send_chat(stack, **fields)
    assert parse_text(response) == "Hello world!"
    names = "temperature, top_p, seed, frequency_penalty, presence_penalty"
    assert response.headers["x-ignored-parameters"] == names
    async with open_stream(stack, **fields) as stream:
        assert stream.response.headers["x-ignored-parameters"] == names
        await stream.read_rest()
    for received in upstream.requests:
        assert not set(fields) & set(received.body)


@pytest.mark.wire(15, 16)
@pytest.mark.parametrize("path", ["/v1/chat/completions", "/v1/completions"])
async def test_probabilities_are_named_as_ignored_and_null(stack: Stack, upstream: Upstream, path: str):
    """Programs that ask for them by habit work all the same."""
    fields: Json = (
        {"prompt": "hi", "logprobs": 5}
        if path == "/v1/completions"
        else build_body("hi", logprobs=True, top_logprobs=5)
    )
    response = await stack.client.post(path, json=fields)
    assert response.status_code == 200, response.text
    assert response.json()["choices"][0]["logprobs"] is None
    assert response.headers["x-ignored-parameters"] == ", ".join(name for name in fields if "logprobs" in name)


@pytest.mark.wire(16)
async def test_a_strict_owner_refuses_what_would_be_ignored(strict: Stack, upstream: Upstream):
    """By its name."""
    response = await send_chat(strict, temperature=0.5)
    assert response.status_code == 400
    assert parse_error(response)["param"] == "temperature"
    assert parse_error(response)["code"] == "unsupported_parameter"
    assert upstream.requests == []


async def test_everything_of_an_answer_is_gone_after_it(stack: Stack, upstream: Upstream):
    """Only idle and held processes are left, none with a request's words on its command line."""
    upstream.script(AnswerReply("Hi", thinking="hm"))
    await send_chat(stack, "my secret words", max_budget_usd=1, n=2, stop="x")
    await stack.wait_until_idle()
    assert not any("secret" in " ".join(cli.cmdline()) for cli in stack.list_clis())
    await stack.end_held()
    await wait_until(lambda: len(list((stack.run_dir / "claude-1.work").iterdir())) == 1)
