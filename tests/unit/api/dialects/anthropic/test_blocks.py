"""Each block of a message is read by its type: what has words reaches the model, what has none is named."""

import json
from typing import Any

import pytest

from api.conversation.drafts import Draft, DraftResult
from api.conversation.parameters import Policy
from api.dialects.anthropic.decode import decode
from api.dialects.anthropic.tokens import estimate_tokens
from api.media.blocks import RemoteDocument
from shared.turn import Image, Text, Thinking, ToolUse
from tests.support.messages_requests import (
    HI,
    PIXEL,
    TOOL,
    USE,
    assistant,
    brought,
    call,
    problem,
    system,
    user,
    user_says,
)


def test_a_summary_of_what_was_before_reaches_the_model_as_text():
    """In its place; one that failed says nothing and is named."""
    summary = {"type": "compaction", "content": "They spoke of Bern.", "signature": "x", "encrypted_content": "y"}
    understood = call(messages=[assistant(summary, {"type": "text", "text": "Go on."}), *HI])
    assert understood.drafts[0].content == (Text("They spoke of Bern."), Text("Go on."))
    assert understood.ignored == ()
    failed = call(messages=[*HI, assistant({"type": "compaction", "content": None}, {"type": "text", "text": "a"})])
    assert failed.drafts[1].content == (Text("a"),)
    assert failed.ignored == ("messages.content.compaction",)


@pytest.mark.parametrize(
    "block",
    [
        {"type": "fallback", "from": {"model": "a"}, "to": {"model": "b"}, "trigger": None},
        {"type": "tool_removal", "tool": {"type": "tool_reference", "name": "Read"}},
        {"type": "container_upload", "file_id": "file_1"},
        {"type": "mcp_tool_listing", "mcp_server_name": "x", "tools": []},
        {"type": "tomorrow_tool_result", "tool_use_id": 5},
        {"type": "thinking", "thinking": "cut o", "signature": ""},
        {"type": "thinking", "thinking": "cut o"},
    ],
)
def test_a_block_without_words_for_the_model_is_left_out_and_named(block: dict[str, Any]):
    """The others of its message stay."""
    understood = call(messages=[*HI, assistant({"type": "text", "text": "a"}, block, {"type": "text", "text": "b"})])
    assert understood.drafts[1].content == (Text("a"), Text("b"))
    assert understood.ignored == (f"messages.content.{block['type']}",)


def test_words_in_blocks_of_the_clis_own_reach_the_model():
    """What it writes between calls, and what it says by the way."""
    said = {"type": "connector_text", "connector_text": "Now the tests.", "signature": "x"}
    told = {"type": "mid_conv_system", "content": [{"type": "text", "text": "Be brief."}]}
    understood = call(messages=[*HI, assistant(said), user_says({"type": "text", "text": "go"}, told)])
    assert [draft.content for draft in understood.drafts[1:]] == [
        (Text("Now the tests."),),
        (Text("go"), Text("Be brief.")),
    ]
    assert understood.ignored == ("messages.content.mid_conv_system",)


@pytest.mark.parametrize(
    "other",
    [
        {"type": "text", "text": "a", "source": "a.pdf", "input": 5, "title": 5, "signature": 5, "content": 5, "id": 5},
        {"type": "text", "text": "a", "data": {}, "is_error": "no", "tool_use_id": [], "thinking": False},
    ],
)
def test_a_field_is_checked_only_where_it_belongs(other: dict[str, Any]):
    """What another type of block has means nothing on this one, whatever it holds."""
    assert call(messages=[user_says(other)]).drafts[0].content == (Text("a"),)
    source = {"type": "base64", "media_type": "image/png", "data": PIXEL, "url": 5, "content": 5}
    image = {"type": "image", "source": source, "text": 5, "title": 5}
    assert call(messages=[user_says(image)]).drafts[0].content == (Image("image/png", PIXEL),)
    result = brought({"type": "text", "text": "a", "source": 5})
    assert call(**result).drafts[-1].content == (DraftResult("toolu_1", (Text("a"),)),)


@pytest.mark.parametrize("sent", ["null", "[]", '"{\\"city\\":\\"Os"', '" "', "5", "[1.0]", "{}"])
def test_arguments_that_are_no_object_reach_the_model_as_they_were_sent(sent: str):
    """Once written by a model, they would poison the conversation for ever if they were refused."""
    body = (
        '{"max_tokens":9,"messages":[{"role":"user","content":"hi"},{"role":"assistant","content":[{"type":"tool_use",'
        f'"id":"toolu_1","name":"Read","input":{sent}}}]}},{{"role":"user","content":[{{"type":"tool_result",'
        '"tool_use_id":"toolu_1","content":"invalid JSON"}]}]}'
    )
    drafts = decode(body.encode(), Policy()).drafts
    assert drafts[1].content == (ToolUse("toolu_1", "Read", sent),)


def test_ids_may_come_again_in_a_later_turn_but_not_in_one_message():
    """Clients number their calls from 0 in each turn."""
    turn = brought({"type": "text", "text": "a"})["messages"]
    assert len(call(messages=[*turn, assistant("done"), *turn]).drafts) == 7
    twice = [*HI, assistant(USE, USE), turn[2]]
    assert problem(messages=twice).code == "invalid_tool_results"


def test_thinking_without_words_goes_back_unchanged():
    """As it was given out to who did not ask for it."""
    empty = {"type": "thinking", "thinking": "", "signature": "c2ln"}
    sent = [*HI, assistant(empty, USE), brought({"type": "text", "text": "a"})["messages"][2]]
    understood = call(tools=[TOOL], messages=sent)
    assert understood.drafts[1].content[0] == Thinking("", "c2ln")
    assert understood.ignored == ()


def test_a_document_by_address_is_still_to_be_fetched():
    """In a message and in a tool's result, with its title and context."""
    source = {"type": "url", "url": "https://example.com/a.pdf"}
    block = {"type": "document", "source": source, "title": "T", "context": "C"}
    place = "messages[0].content[0].source"
    assert user(block) == (
        Draft("user", (RemoteDocument("https://example.com/a.pdf", place, "T", "C"),), "messages[0]"),
    )
    [result] = call(**brought(block)).drafts[-1].content
    assert isinstance(result, DraftResult)
    assert isinstance(result.content[0], RemoteDocument)
    assert estimate_tokens(call(messages=[user_says(block)])) > 1000
    for url in ("file:///etc/passwd", "", "a.pdf", "data:text/plain,x"):
        found = problem(messages=[user_says({**block, "source": {"type": "url", "url": url}})])
        assert found.param == f"{place}.url"


def test_what_only_warms_the_cache_is_refused_with_the_field_and_the_way_round():
    """And counting needs no limit at all."""
    found = problem(max_tokens=0)
    assert (found.code, found.param) == ("unsupported_parameter", "max_tokens")
    assert "`max_tokens`" in found.message
    assert "at least 1" in found.message
    sent = {"messages": HI, "max_tokens": 0, "compaction": {"type": "summarize"}}
    assert decode(json.dumps(sent).encode(), Policy(), counting=True).max_tokens == 0


def test_more_tokens_than_any_model_writes_are_the_services_to_refuse():
    """It knows its models."""
    assert call(max_tokens=10**9).max_tokens == 10**9


@pytest.mark.parametrize("between", [[user_says("wait")], [system("wait")], []], ids=["a user", "a system", "nothing"])
def test_a_result_that_comes_later_is_put_behind_its_call(between: list[dict[str, Any]]):
    """What was sent between the two comes after it; two results in messages of their own are one."""
    other = {**USE, "id": "toolu_2"}
    results = [{"type": "tool_result", "tool_use_id": each, "content": each} for each in ("toolu_2", "toolu_1")]
    sent = [*HI, assistant(USE, other), *between, user_says(results[0]), user_says(results[1])]
    drafts = call(messages=sent).drafts
    assert [draft.role for draft in drafts] == ["user", "assistant", "user", *(each["role"] for each in between)]
    assert {block.tool_use_id for block in drafts[2].content if isinstance(block, DraftResult)} == {
        "toolu_1",
        "toolu_2",
    }
