"""Answers as they are made: every word when it comes, what it cost, and where it ends."""

import asyncio
from typing import Any

import pytest

from tests.support.chat import collect_chunks, join_text, list_finish_reasons, open_stream, parse_text, send_chat
from tests.support.scripted.upstream import AnswerReply, GatedReply, StalledReply, Upstream
from tests.support.stack import Stack, list_group, wait_until
from tests.support.timeouts import TEST_TIMEOUT

WORDS = ("Once", " upon", " a\u2028", "time", " 🦀", "\n\n", "data: x\n\n", " the end")


@pytest.mark.wire(38)
async def test_each_delta_reaches_the_client_before_the_next_is_made(each_credential_stack: Stack, upstream: Upstream):
    """Nothing is held back on the way, not even until the next delta pushes it on."""
    upstream.script(GatedReply(WORDS))
    async with asyncio.timeout(TEST_TIMEOUT), open_stream(each_credential_stack) as stream:
        for word in WORDS:
            await upstream.release()
            assert await stream.read_text() == word
        assert list_finish_reasons(await stream.read_rest()) == ["stop"]


@pytest.mark.wire(29)
async def test_the_first_chunk_comes_before_the_first_word(stack: Stack, upstream: Upstream):
    """A client sees that its answer has begun: status, role and id."""
    upstream.script(GatedReply(("word",)))
    async with asyncio.timeout(TEST_TIMEOUT), open_stream(stack) as stream:
        assert stream.response.status_code == 200
        assert stream.response.headers["content-type"] == "text/event-stream; charset=utf-8"
        assert (await stream.read_chunk())["choices"][0]["delta"] == {"role": "assistant", "content": ""}
        await upstream.release()
        assert await stream.read_text() == "word"


@pytest.mark.wire(30, 31)
async def test_a_streamed_answer_has_one_id_one_time_and_one_model(stack: Stack, upstream: Upstream):
    """The chunks of an answer belong together; the role is said once, the end once."""
    upstream.script(AnswerReply(WORDS))
    first, second = await collect_chunks(stack), await collect_chunks(stack)
    for chunks in (first, second):
        assert len({(chunk["id"], chunk["created"], chunk["model"], chunk["object"]) for chunk in chunks}) == 1
        assert [chunk["choices"][0]["delta"].get("role") for chunk in chunks] == ["assistant"] + [None] * (
            len(chunks) - 1
        )
        assert list_finish_reasons(chunks) == list_finish_reasons(chunks[-1:]) == ["stop"]
        assert join_text(chunks) == "".join(WORDS)
        assert all("usage" not in chunk for chunk in chunks)
    assert first[0]["id"] != second[0]["id"]
    assert first[0]["model"].startswith("claude-sonnet-")


@pytest.mark.wire(21)
async def test_both_ways_give_the_same_answer(stack: Stack, upstream: Upstream):
    """Streamed or not, the words are the model's."""
    upstream.script(AnswerReply(WORDS))
    assert parse_text(await send_chat(stack)) == join_text(await collect_chunks(stack)) == "".join(WORDS)


COUNTED = AnswerReply("hi", input=10, output=7, cache_read=100, cache_write=20)
USAGE = {
    "prompt_tokens": 130,
    "completion_tokens": 7,
    "total_tokens": 137,
    "prompt_tokens_details": {"cached_tokens": 100, "cache_write_tokens": 20},
    "completion_tokens_details": {"reasoning_tokens": 0},
}


def counted(usage: dict[str, Any]) -> dict[str, Any]:
    """Usage without what it cost, which is the CLI's to say."""
    return {name: value for name, value in usage.items() if name != "cost_usd"}


@pytest.mark.wire(23)
async def test_usage_is_what_the_model_counted(stack: Stack, upstream: Upstream):
    """Tokens read from and written to the cache are part of the prompt, and told apart."""
    upstream.script(COUNTED)
    assert counted((await send_chat(stack)).json()["usage"]) == USAGE


@pytest.mark.wire(32)
async def test_a_stream_has_usage_when_it_was_asked_for(stack: Stack, upstream: Upstream):
    """A last chunk without choices has it; those before say null."""
    upstream.script(COUNTED)
    *chunks, last = await collect_chunks(stack, stream_options={"include_usage": True})
    assert (last["choices"], counted(last["usage"])) == ([], USAGE)
    assert [chunk["usage"] for chunk in chunks] == [None] * len(chunks)
    assert list_finish_reasons(chunks) == ["stop"]


@pytest.mark.parametrize(
    ("stop_reason", "finish_reason", "stream"),
    [
        ("stop_sequence", "stop", False),
        ("max_tokens", "length", True),
        ("model_context_window_exceeded", "length", False),
        ("refusal", "content_filter", True),
        ("pause_turn", "stop", False),
    ],
)
@pytest.mark.wire(24)
async def test_an_answer_ends_where_the_model_ended_it(
    stack: Stack, upstream: Upstream, stop_reason: str, finish_reason: str, *, stream: bool
):
    """The CLI likes to go on after some of these: it is ended as soon as the reason is read.

    It may just have asked again by then, if the machine is busy; nobody waits for what comes of it.
    """
    upstream.script(AnswerReply(("only", " this"), stop_reason=stop_reason), StalledReply(0))
    cli = await stack.find_idle_cli()
    if stream:
        chunks = await collect_chunks(stack)
        assert (join_text(chunks), list_finish_reasons(chunks)) == ("only this", [finish_reason])
    else:
        response = await send_chat(stack)
        assert parse_text(response) == "only this"
        assert response.json()["choices"][0]["finish_reason"] == finish_reason
    await wait_until(lambda: not list_group(cli.pid))
    await upstream.wait_until(lambda: upstream.answering == 0)
    assert len(upstream.requests) <= 2
    # Whoever killed it may also have cut the last bytes of the first answer.
    assert upstream.hangups >= len(upstream.requests) - 1


@pytest.mark.parametrize(
    ("fields", "limit"),
    [
        ({"max_tokens": 77, "max_completion_tokens": 79}, 79),
        ({"max_tokens": 1}, 1),
    ],
)
@pytest.mark.wire(2)
async def test_the_limit_reaches_the_model(
    each_credential_stack: Stack, upstream: Upstream, fields: dict[str, Any], limit: int
):
    """The newer name wins."""
    parse_text(await send_chat(each_credential_stack, **fields))
    assert upstream.requests[0].body["max_tokens"] == limit


@pytest.mark.wire(26)
async def test_thoughts_are_not_part_of_the_answer(stack: Stack, upstream: Upstream):
    """What the model thinks is not what it says."""
    upstream.script(AnswerReply("said", thinking=("thought", " more")))
    assert parse_text(await send_chat(stack)) == "said"
    assert join_text(await collect_chunks(stack)) == "said"


@pytest.mark.wire(57)
async def test_an_empty_answer_is_an_answer(stack: Stack, upstream: Upstream):
    """The model may say nothing."""
    upstream.script(AnswerReply())
    assert parse_text(await send_chat(stack)) == ""
    chunks = await collect_chunks(stack)
    assert (join_text(chunks), list_finish_reasons(chunks)) == ("", ["stop"])


async def test_a_long_answer_loses_nothing(stack: Stack, upstream: Upstream):
    """Five thousand deltas, in order."""
    upstream.script(AnswerReply(5000))
    chunks = await collect_chunks(stack)
    assert join_text(chunks) == "".join(f"w{number} " for number in range(5000))
    assert len(chunks) == 5002
