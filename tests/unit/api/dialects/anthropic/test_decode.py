"""A request for a message becomes a turn as it is, or a refusal that names the field and the fix."""

import json
from typing import Any

import pytest

from api.conversation.drafts import Draft, DraftResult
from api.conversation.parameters import Policy
from api.dialects.anthropic.client_tools import TOOLS_BY_TYPE
from api.dialects.anthropic.tokens import estimate_tokens
from api.media.blocks import RemoteMedia
from shared.turn import Document, Image, RedactedThinking, Text, Thinking, ToolUse
from tests.support.manual import find_section
from tests.support.messages_requests import (
    FOUND,
    HI,
    PICTURE,
    PIXEL,
    THOUGHT,
    TOOL,
    USE,
    WEB,
    assistant,
    brought,
    call,
    problem,
    system,
    user,
    user_says,
)


def test_every_block_becomes_what_it_is():
    """In its place, byte for byte."""
    base64 = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": PIXEL}}
    address = {"type": "image", "source": {"type": "url", "url": "https://example.com/a.png"}}
    text = {"type": "document", "title": "T", "source": {"type": "text", "media_type": "text/plain", "data": "words"}}
    of_parts = {"type": "document", "source": {"type": "content", "content": [{"type": "text", "text": "part"}]}}
    place = "messages[0].content"
    assert user(base64, address, text, of_parts) == (
        Draft(
            "user",
            (
                Image("image/png", PIXEL),
                RemoteMedia("https://example.com/a.png", f"{place}[1].source"),
                Document("text/plain", "words", "T"),
                Document("text/plain", "part"),
            ),
            "messages[0]",
        ),
    )


def test_calls_results_and_thinking_come_back_as_they_went_out():
    """With signatures; numbers stay as they were written."""
    said = [
        {"type": "thinking", "thinking": "Hm.", "signature": "c2ln"},
        {"type": "redacted_thinking", "data": "eA=="},
        USE,
    ]
    result = {"type": "tool_result", "tool_use_id": "toolu_1", "content": "no", "is_error": True}
    drafts = call(messages=[*HI, {"role": "assistant", "content": said}, {"role": "user", "content": [result]}]).drafts
    assert drafts[1].content == (
        Thinking("Hm.", "c2ln"),
        RedactedThinking("eA=="),
        ToolUse("toolu_1", "Read", '{"a": 1.0}'),
    )
    assert drafts[2].content == (DraftResult("toolu_1", (Text("no"),), is_error=True),)


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"max_tokens": None}, "max_tokens"),
        ({"max_tokens": 0}, "max_tokens"),
        ({"max_tokens": -1}, "max_tokens"),
        ({"messages": [{"role": "user"}]}, "messages[0].content"),
        ({"messages": [{"role": "user", "content": [{"text": "x"}]}]}, "messages[0].content[0].type"),
        ({"messages": [user_says({"type": "text", "text": None})]}, "messages[0].content[0].text"),
        ({"messages": [user_says({"type": "image", "source": {"type": "ftp"}})]}, "messages[0].content[0].source.type"),
        ({"messages": [user_says({"type": "image", "source": {"type": "url"}})]}, "messages[0].content[0].source.url"),
        ({"messages": [*HI, assistant({"type": "tool_use", "name": "x"})]}, "messages[1].content[0].id"),
        ({"messages": [*HI, assistant(PICTURE)]}, "messages[1].content[0]"),
        ({"messages": [*HI, assistant(FOUND)]}, "messages[1].content[0]"),
        ({"messages": [*HI, system([PICTURE])]}, "messages[1].content[0].type"),
        ({"tools": [WEB, {"name": "x", "input_schema": {"type": "objet"}}]}, "tools[1].input_schema.type"),
        ({"compaction": {"type": "summarize"}}, "compaction"),
        ({"messages": []}, "messages"),
        ({"messages": [{"role": "tool", "content": "x"}]}, "messages[0].role"),
        ({"messages": [{"role": "user", "content": [{"type": "search_results"}]}]}, "messages[0].content[0].type"),
        ({"messages": [{"role": "user", "content": [{"type": "search_result"}]}]}, "messages[0].content[0].source"),
        ({"messages": [{"role": "user", "content": [{**FOUND, "content": 5}]}]}, "messages[0].content[0].content"),
        ({"messages": [{"role": "user", "content": [{"type": "image"}]}]}, "messages[0].content[0].source"),
        (
            {"messages": [{"role": "user", "content": [{"type": "image", "source": "x"}]}]},
            "messages[0].content[0].source",
        ),
        (brought({"type": "text", "text": 5}), "messages[2].content[0].content[0].text"),
        (brought({"type": "text"}, {"type": "x"}), "messages[2].content[0].content[0].text"),
        (brought({"type": "x"}), "messages[2].content[0].content[0].type"),
        (brought(5), "messages[2].content[0].content[0]"),
        ({"messages": [{"role": "user", "content": [{"type": "text"}]}]}, "messages[0].content[0].text"),
        ({"messages": [{"role": "user", "content": [USE]}]}, "messages[0].content[0]"),
        ({"messages": [{"role": "assistant", "content": [{"type": "thinking"}]}]}, "messages[0].content[0].thinking"),
        ({"messages": [{"role": "assistant", "content": [USE]}]}, "messages[0]"),
        ({"tools": [{"name": "x"}]}, "tools[0].input_schema"),
        ({"tools": [{"type": "computer_20251124", "name": "computer"}]}, "tools[0].type"),
        ({"tools": [WEB], "tool_choice": {"type": "tool", "name": "web_search"}}, "tool_choice"),
        ({"tool_choice": {"type": "any"}}, "tool_choice"),
        ({"thinking": {"type": "enabled"}}, "thinking.budget_tokens"),
        ({"thinking": {"type": "enabled", "budget_tokens": "2000"}}, "thinking.budget_tokens"),
        ({"thinking": {"type": "enabled", "budget_tokens": 1}}, "thinking.budget_tokens"),
        ({"thinking": {"type": "enabled", "budget_tokens": 9000}}, "thinking.budget_tokens"),
        (
            {"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": [THOUGHT]}]},
            "messages[1].content",
        ),
        ({"messages": [{"role": "assistant", "content": [THOUGHT]}]}, "messages"),
        ({"output_config": {"format": {"type": "json_schema"}}}, "output_config.format.schema"),
        ({"stop_sequences": ["x"] * 65}, "stop_sequences"),
        ({"temperature": 2}, "temperature"),
        ({"mcp_servers": [{}]}, "mcp_servers"),
        ({"container": "x"}, "container"),
    ],
)
def test_what_is_wrong_is_named(fields: dict[str, Any], param: str):
    """A 400 with the field at fault."""
    found = problem(**fields)
    assert (found.status, found.param) == (400, param)


def test_a_thread_is_refused_so_that_the_runner_sends_everything():
    """Its details are what the vendor's library looks for."""
    found = problem(thread={"type": "create"})
    assert found.details == {"error_code": "thread_unsupported_request", "unsupported": ["thread"]}


def test_server_tools_are_dropped_and_named():
    """Clients send them by default; REJECT_UNSUPPORTED_PARAMS refuses them."""
    understood = call(tools=[WEB, TOOL], temperature=1.0)
    assert [tool.name for tool in understood.tool_set.tools] == ["Read"]
    assert understood.ignored == ("temperature", "tools.web_search_20250305")
    assert problem(tools=[WEB], policy=Policy(strict=True)).param == "tools[0].type"


def test_what_a_search_found_is_a_text_with_its_title_and_source():
    """In a message, and in a tool's result."""
    found = Document("text/plain", "w", "T", "https://a.example")
    assert user(FOUND) == (Draft("user", (found,), "messages[0]"),)
    understood = call(**brought(FOUND, {"type": "text", "text": "x"}))
    assert understood.drafts[-1].content == (DraftResult("toolu_1", (found, Text("x"))),)
    assert user({**FOUND, "content": []}) == (
        Draft("user", (Document("text/plain", "https://a.example", "T", "https://a.example"),), "messages[0]"),
    )


def test_what_server_tools_did_is_left_out_and_named():
    """Of a history that was made elsewhere; REJECT_UNSUPPORTED_PARAMS refuses it."""
    said = [
        {"type": "text", "text": "I look."},
        {"type": "server_tool_use", "id": "srvtoolu_1", "name": "web_search", "input": {"query": "x"}},
        {"type": "web_search_tool_result", "tool_use_id": "srvtoolu_1", "content": [{"type": "web_search_result"}]},
        USE,
    ]
    [first, *rest] = brought({"type": "tool_reference", "tool_name": "Read"}, {"type": "text", "text": "x"})["messages"]
    sent = [first, {"role": "assistant", "content": said}, rest[1]]
    understood = call(messages=sent)
    assert understood.drafts[1].content == (Text("I look."), ToolUse("toolu_1", "Read", '{"a": 1.0}'))
    assert understood.drafts[2].content == (DraftResult("toolu_1", (Text("x"),)),)
    names = ("server_tool_use", "web_search_tool_result", "tool_reference")
    assert understood.ignored == tuple(f"messages.content.{name}" for name in names)
    assert problem(messages=sent, policy=Policy(strict=True)).param == "messages.content.server_tool_use"


@pytest.mark.parametrize(
    ("kind", "name", "fields"),
    [
        ("bash_20250124", "bash", {"command", "restart"}),
        ("text_editor_20250124", "str_replace_editor", {"command", "path", "new_str", "insert_line"}),
        ("text_editor_20250728", "str_replace_based_edit_tool", {"command", "path", "old_str", "insert_text"}),
        ("memory_20250818", "memory", {"command", "path", "insert_text", "old_path", "new_path"}),
    ],
)
def test_anthropic_s_tools_that_a_client_runs_are_offered_as_its_own(kind: str, name: str, fields: set[str]):
    """By the names and the input that are documented; one may be forced; nothing is ignored."""
    choice = {"type": "tool", "name": name}
    understood = call(tools=[{"type": kind, "name": name, "max_characters": 10}], tool_choice=choice)
    [tool] = understood.tool_set.tools
    assert (tool.name, understood.tool_set.forced_tool, understood.ignored) == (name, name, ())
    assert tool.description
    assert fields <= set(json.loads(tool.schema)["properties"])


def test_each_tool_that_is_offered_so_is_in_the_manual():
    """By its type."""
    assert [kind for kind in TOOLS_BY_TYPE if f"`{kind}`" not in find_section("`POST /v1/messages`")] == []


@pytest.mark.wire(78)
@pytest.mark.parametrize("name", ["temperature", "top_p", "top_k"])
def test_parameters_that_a_version_took_away_are_ignored_in_any_version(name: str):
    """Named in a header, and refused under REJECT_UNSUPPORTED_PARAMS."""
    sent: dict[str, Any] = {name: 1}
    assert call(**sent).ignored == (name,)
    assert problem(policy=Policy(strict=True), **sent).param == name


@pytest.mark.wire(76)
def test_a_forced_choice_of_one_call():
    """As the AI SDK asks for JSON."""
    offered = call(tools=[TOOL], tool_choice={"type": "any", "disable_parallel_tool_use": True}).tool_set
    assert (offered.choice, offered.parallel) == ("any", False)
    schema = {"type": "object", "properties": {"a": {"type": "string"}}}
    assert call(output_config={"format": {"type": "json_schema", "schema": schema}}).schema == json.dumps(schema)


@pytest.mark.parametrize(
    ("fields", "effort", "thinking", "shown"),
    [
        ({}, None, True, False),
        ({"thinking": {"type": "disabled"}}, "low", False, True),
        ({"thinking": {"type": "adaptive"}}, None, True, True),
        ({"thinking": {"type": "adaptive", "budget_tokens": "x"}}, None, True, True),
        ({"thinking": {"type": "adaptive", "display": "omitted"}}, None, True, False),
        ({"thinking": {"type": "enabled", "budget_tokens": 2000}}, "low", True, True),
        (
            {"thinking": {"type": "enabled", "budget_tokens": 5000}, "output_config": {"effort": "max"}},
            "max",
            True,
            True,
        ),
    ],
)
def test_thinking_is_an_effort_and_whether_it_is_shown(
    fields: dict[str, Any], effort: str | None, *, thinking: bool, shown: bool
):
    """A named effort wins over a budget."""
    understood = call(**fields)
    assert (understood.effort, understood.thinking, understood.show_thinking) == (effort, thinking, shown)


def test_a_documents_context_is_kept_and_its_citations_are_named():
    """In messages and in results; of what a call or a schema holds nothing is taken for a wish of the client's."""
    source = {"type": "text", "media_type": "text/plain", "data": "words"}
    paper = {"type": "document", "source": source, "title": "T", "context": "C", "citations": {"enabled": True}}
    pdf = {"type": "base64", "media_type": "application/pdf", "data": "JVBERi0xLjQKJSVFT0Y="}
    scan = {"type": "document", "source": pdf, "context": "D", "citations": {"enabled": False}}
    asked = [{"role": "user", "content": [paper, scan]}]
    understood = call(messages=asked)
    [draft] = understood.drafts
    assert draft.content[0] == Document("text/plain", "words", "T", "C")
    assert isinstance(draft.content[1], Document)
    assert draft.content[1].context == "D"
    assert understood.ignored == ("messages.content.citations",)
    assert problem(messages=asked, policy=Policy(strict=True)).param == "messages.content.citations"
    assert call(messages=[{"role": "user", "content": [scan]}]).ignored == ()
    result = {"type": "tool_result", "tool_use_id": "toolu_1", "content": [paper]}
    use = {**USE, "input": {"citations": {"enabled": True}, "content": [paper]}}
    history = [{"role": "assistant", "content": [use]}, {"role": "user", "content": [result]}]
    assert call(messages=history).ignored == ("messages.content.citations",)
    history[1] = {"role": "user", "content": [{**result, "content": "done"}]}
    assert call(messages=history).ignored == ()


def test_examples_of_a_tools_calls_are_named():
    """The CLI has no place for them."""
    assert call(tools=[{**TOOL, "input_examples": [{"path": "a"}]}]).ignored == ("tools.input_examples",)
    assert call(tools=[{**TOOL, "input_examples": []}]).ignored == ()


def test_an_estimate_grows_with_everything_that_is_read():
    """Words, tools, pictures, pages; and far beyond what is counted."""
    hi = estimate_tokens(call())
    assert 0 < hi < 50
    image = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": PIXEL}}
    long = estimate_tokens(call(messages=[{"role": "user", "content": "word " * 100_000}]))
    assert estimate_tokens(call(tools=[TOOL])) > hi
    assert estimate_tokens(call(system="Be brief.")) > hi
    assert estimate_tokens(call(messages=[{"role": "user", "content": [*[image] * 30]}])) > hi
    assert 90_000 < long < 220_000
