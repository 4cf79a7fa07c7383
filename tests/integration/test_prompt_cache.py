"""Consecutive requests of one conversation share their prefix up to what the last one marked: the provider's cache hits."""

import json

from tests.support.calls import build_assistant_message, build_call, build_tool, build_tool_result, get_choice
from tests.support.chat import Json, parse_text, send_chat
from tests.support.scripted.upstream import AnswerReply, ReceivedRequest, Upstream
from tests.support.stack import Stack

WEATHER = build_tool("get_weather")


def prefixes(received: ReceivedRequest) -> list[str]:
    """The request up to each of its cache breakpoints, as the service hashes it: tools, system, messages."""
    parts: list[tuple[str, Json]] = [("tool", tool) for tool in received.body.get("tools", [])]
    parts += [("system", block) for block in received.body["system"]]
    for message in received.body["messages"]:
        parts += [(message["role"], block) for block in message["content"]]
    found: list[str] = []
    for at, (_, part) in enumerate(parts):
        if "cache_control" in part:
            plain = [(role, {k: v for k, v in each.items() if k != "cache_control"}) for role, each in parts[: at + 1]]
            found.append(json.dumps(plain))
    return found


def lifetimes(received: ReceivedRequest) -> set[str]:
    """The lifetimes of its breakpoints."""
    marks = [block.get("cache_control") for block in received.body["system"]]
    marks += [block.get("cache_control") for message in received.body["messages"] for block in message["content"]]
    return {mark.get("ttl", "5m") for mark in marks if mark}


async def test_a_growing_conversation_reads_its_whole_history_from_the_cache(
    each_credential_stack: Stack, upstream: Upstream
):
    """From a held process or another one: the longest prefix that the request before wrote comes again."""
    messages: list[Json] = [{"role": "system", "content": "Be brief."}]
    last: ReceivedRequest | None = None
    for turn in range(4):
        upstream.requests.clear()
        messages.append({"role": "user", "content": f"question {turn}"})
        parse_text(await send_chat(each_credential_stack, messages, tools=[WEATHER]))
        call = build_call("call_0", "get_weather", f'{{"n": {turn}}}')
        messages += [
            build_assistant_message(call, content="Let me see."),
            build_tool_result("call_0", f"result {turn}"),
        ]
        if turn % 2:
            messages.append({"role": "system", "content": f"note {turn}"})
        [received] = upstream.requests
        assert len(prefixes(received)) <= 4
        if last:
            assert prefixes(last)[-1] in prefixes(received)
        last = received


async def test_the_cache_lives_as_long_as_the_cli_would_have_it(
    stack: Stack, subscription_stack: Stack, upstream: Upstream
):
    """An hour within a plan, five minutes with an API key; all of a request's breakpoints alike."""
    for server, lifetime in ((stack, "5m"), (subscription_stack, "1h")):
        upstream.requests.clear()
        parse_text(await send_chat(server, "hi"))
        [received] = upstream.requests
        assert lifetimes(received) == {lifetime}


async def test_the_rounds_of_a_structured_answer_share_their_prefix(each_credential_stack: Stack, upstream: Upstream):
    """A second round adds to the first."""
    schema = {"type": "object", "properties": {"x": {"type": "integer"}}, "required": ["x"]}
    wrong, right = (("toolu_1", "StructuredOutput", ['{"x": "a"}']), ("toolu_2", "StructuredOutput", ['{"x": 1}']))
    upstream.script(AnswerReply(tools=[wrong]), AnswerReply(tools=[right]))
    form = {"type": "json_schema", "json_schema": {"name": "x", "schema": schema}}
    assert get_choice(await send_chat(each_credential_stack, response_format=form))["message"]["content"] == '{"x": 1}'
    first, second = upstream.requests
    assert prefixes(first)[-1] in prefixes(second)


async def test_no_word_of_the_clis_own_is_in_the_conversation(each_credential_stack: Stack, upstream: Upstream):
    """Neither its note of the environment nor a reminder."""
    parse_text(await send_chat(each_credential_stack, "hi"))
    [received] = upstream.requests
    assert [message["role"] for message in received.body["messages"]] == ["user"]
    assert [block["text"] for block in received.body["messages"][0]["content"]] == ["hi"]
