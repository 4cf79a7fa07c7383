"""What a vendor adds to its lists tomorrow is taken for the nearest that is known, and named; so are tools."""

from typing import Any

import pytest

from api.conversation.parameters import Policy
from tests.support.messages_requests import HI, TOOL, assistant, call, problem, system, user_says


@pytest.mark.wire(73)
@pytest.mark.parametrize(
    ("fields", "names", "effort", "thinking", "shown"),
    [
        ({"thinking": {"type": "adaptive", "display": "updates"}}, ["thinking.display"], None, True, True),
        ({"thinking": {"type": "adaptive", "display": "highlights"}}, ["thinking.display"], None, True, True),
        ({"thinking": {"type": "between_tools"}}, ["thinking.type"], "low", True, True),
        ({"thinking": {"type": "tomorrow", "display": "omitted"}}, ["thinking.type"], None, True, False),
        ({"thinking": {"type": "adaptive", "block_binding": {}}}, ["thinking.block_binding"], None, True, True),
        ({"output_config": {"effort": "huge"}}, ["output_config.effort"], None, True, False),
        ({"output_config": {"task_budget": {"total": 1}}}, ["output_config.task_budget"], None, True, False),
    ],
)
def test_a_value_that_the_vendor_adds_is_taken_for_the_nearest_and_named(
    fields: dict[str, Any], names: list[str], effort: str | None, *, thinking: bool, shown: bool
):
    """Never a refusal, but under REJECT_UNSUPPORTED_PARAMS."""
    understood = call(**fields)
    assert list(understood.ignored) == names
    assert (understood.effort, understood.thinking, understood.show_thinking) == (effort, thinking, shown)
    assert problem(policy=Policy(strict=True), **fields).param == names[0]


def test_an_unknown_form_or_choice_leaves_the_model_free():
    """The answer has no schema, and the model may call a tool or not."""
    form = {"type": "grammar", "schema": 5}
    inner, outer = call(output_config={"format": form}), call(output_format=form)
    assert (inner.schema, inner.ignored) == (None, ("output_config.format.type",))
    assert (outer.schema, outer.ignored) == (None, ("output_format.type",))
    understood = call(tools=[TOOL], tool_choice={"type": "several", "name": 5, "least": 2})
    assert understood.tool_set.choice == "auto"
    assert understood.ignored == ("tool_choice.type", "tool_choice.least")


@pytest.mark.parametrize(
    "fields",
    [
        {"service_tier": "express"},
        {"service_tier": {"type": "x"}},
        {"cache_control": {"type": "eternal", "ttl": "1y"}},
        {"cache_control": "x"},
        {"speed": "ludicrous"},
        {"diagnostics": {"previous_message_id": None}},
        {"fallback_credit_token": "x"},
        {"tools": [{**TOOL, "cache_control": {"type": "eternal"}, "defer_loading": True, "type": "custom"}]},
        {"messages": [user_says({"type": "text", "text": "a", "cache_control": 5, "citations": None})]},
    ],
)
def test_bookkeeping_of_the_vendors_is_taken_in_any_form(fields: dict[str, Any]):
    """Of whatever type and value."""
    assert call(**fields).ignored == ()


def test_what_a_conversation_is_not_edited_by_is_named():
    """Whatever the edits are called."""
    sent: dict[str, Any] = {"context_management": {"edits": [{"type": "tomorrow"}]}, "fallbacks": "default"}
    assert call(**sent).ignored == ("context_management", "fallbacks")


@pytest.mark.parametrize(
    ("kind", "names"),
    [
        ("bash_20301231", ("bash",)),
        ("text_editor_20301231", ("str_replace_based_edit_tool",)),
        ("memory_20301231", ("memory",)),
        ("web_search_20301231", ()),
        ("telepathy_20301231", ()),
    ],
)
def test_a_tool_of_a_version_to_come_is_the_nearest_or_left_out(kind: str, names: tuple[str, ...]):
    """And named; the client's own beside it stay."""
    understood = call(tools=[{"type": kind, "description": 5}, TOOL])
    assert tuple(tool.name for tool in understood.tool_set.tools) == (*names, "Read")
    assert understood.ignored == (f"tools.{kind}",)
    assert problem(tools=[{"type": kind}], policy=Policy(strict=True)).param == "tools[0].type"


def test_a_tool_of_an_unknown_type_with_a_schema_is_the_clients_own():
    """Its type is named; no name of a type can break the header."""
    understood = call(tools=[{**TOOL, "type": "custom_2030\r\nx-evil: 1"}])
    assert [tool.name for tool in understood.tool_set.tools] == ["Read"]
    assert understood.ignored == ("tools.type",)


def test_a_tool_in_the_form_of_openai_is_a_tool():
    """Clients post each other's forms."""
    function = {"name": "look", "parameters": {"type": "object"}}
    understood = call(tools=[{"type": "function", "function": function}])
    assert [(tool.name, tool.schema) for tool in understood.tool_set.tools] == [("look", '{"type": "object"}')]


def change(kind: str, tool: Any) -> dict[str, Any]:
    return {"type": kind, "tool": tool}


REFERENCE = {"type": "tool_reference", "name": "Read"}
ADDED = {"type": "tool_definition", "definition": {**TOOL, "name": "Write"}}


@pytest.mark.parametrize(
    ("changes", "names"),
    [
        ([change("tool_addition", REFERENCE)], ["Read"]),
        ([change("tool_removal", REFERENCE)], []),
        ([change("tool_removal", REFERENCE), change("tool_addition", REFERENCE)], ["Read"]),
        ([change("tool_addition", ADDED)], ["Read", "Write"]),
        ([change("tool_addition", ADDED), change("tool_removal", {"name": "Write"})], ["Read"]),
        ([change("tool_addition", {"type": "mcp_toolset_reference", "server_name": "x"})], ["Read"]),
        ([change("tool_removal", {"type": "mcp_tool_reference", "server_name": "x", "name": "Read"})], ["Read"]),
        ([change("tool_removal", {"type": "tool_reference", "name": ["Read"]})], ["Read"]),
    ],
)
def test_tools_that_messages_add_and_remove(changes: list[Any], names: list[str]):
    """The list at the end of the conversation is offered; the place of the change is lost, so it is named."""
    understood = call(tools=[TOOL], messages=[*HI, system(changes)])
    assert [tool.name for tool in understood.tool_set.tools] == names
    assert [draft.role for draft in understood.drafts] == ["user"]
    assert understood.ignored == tuple(dict.fromkeys(f"messages.content.{each['type']}" for each in changes))
    compacted = {"type": "compaction", "content": "Before.", "tool_changes": changes}
    again = call(tools=[TOOL], messages=[assistant(compacted), *HI])
    assert [tool.name for tool in again.tool_set.tools] == names


def test_two_tools_of_one_name_are_refused_where_messages_change_the_tools_too():
    """As they are elsewhere."""
    sent = [*HI, system([change("tool_addition", ADDED)])]
    assert problem(tools=[TOOL, TOOL], messages=sent).param == "tools"


def test_a_fault_of_an_added_tool_is_named_by_its_place():
    """In the message that adds it."""
    added = {"type": "tool_definition", "definition": {"name": "x", "input_schema": {"type": "objet"}}}
    found = problem(messages=[*HI, system([change("tool_addition", added)])])
    assert found.param == "messages[1].content[0].tool.definition.input_schema.type"
