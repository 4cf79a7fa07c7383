"""Tools' names reach the model as they are, or as stand-ins that come back as they were given."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from executor.claude.request.tool_names import (
    STRUCTURED_TOOL_NAME,
    TOOL_NAME,
    WireNames,
    assign_wire_ids,
    build_tool_names,
)
from shared.turn import Message, Text, Tool, ToolResult, ToolUse, Turn

VALID = re.compile(r"^[a-zA-Z0-9_-]{1,64}$")

plain = st.from_regex(r"[a-zA-Z0-9_-]{1,64}", fullmatch=True)
odd = st.text(min_size=1, max_size=80)
any_names = st.lists(
    plain | odd | st.sampled_from([STRUCTURED_TOOL_NAME, "a.b", "a_b", "a b", "Read", "read"]), unique=True
)


def made(names: list[str]) -> WireNames:
    """Names without any that is reserved."""
    return WireNames(names, TOOL_NAME)


def turn(*tools: str, called: tuple[str, ...] = (), schema: str | None = None) -> Turn:
    history = Message("assistant", tuple(ToolUse(f"id{n}", name, "{}") for n, name in enumerate(called)))
    asked = Message("user", (Text("hi"),))
    return Turn("m", (history, asked), tools=tuple(Tool(name, "", "{}") for name in tools), schema=schema)


@pytest.mark.wire(9)
@given(any_names, st.booleans())
def test_every_name_has_a_valid_one_of_its_own_and_comes_back(names: list[str], structured: bool):  # noqa: FBT001
    """There and back, whatever its characters; no two share one."""
    mapped = WireNames(names, TOOL_NAME, {STRUCTURED_TOOL_NAME} if structured else ())
    wire = [mapped.to_wire(name) for name in names]
    assert all(VALID.match(one) for one in wire)
    assert len(set(wire)) == len(names)
    assert [mapped.to_client(one) for one in wire] == names
    assert not structured or STRUCTURED_TOOL_NAME not in wire


@pytest.mark.wire(9)
@given(plain, any_names)
def test_a_name_that_can_travel_travels_as_it_is(name: str, others: list[str]):
    """Whoever else is there, and in whatever order."""
    assert made([*others, name]).to_wire(name) == name
    assert made([name, *others]).to_wire(name) == name


@pytest.mark.wire(9)
@given(odd, any_names, any_names)
def test_a_name_has_the_same_stand_in_on_every_request(name: str, some: list[str], others: list[str]):
    """So the model sees one name through a conversation, and the prompt cache holds."""
    assert made([name, *some]).to_wire(name) == made([*others, name]).to_wire(name)


@pytest.mark.wire(9)
def test_a_name_that_is_anothers_stand_in_takes_it_from_nobody():
    """A client can't make two of its own tools one."""
    stand_in = made(["a.b"]).to_wire("a.b")
    assert stand_in != "a.b"
    for names in (["a.b", stand_in], [stand_in, "a.b"]):
        mapped = made(names)
        assert mapped.to_wire(stand_in) == stand_in
        assert mapped.to_wire("a.b") not in {"a.b", stand_in}
        assert [mapped.to_client(mapped.to_wire(name)) for name in names] == names


@pytest.mark.wire(9)
def test_names_of_the_clis_own_are_the_clients():
    """`Read` is not the CLI's here; only its tool for structured answers has to be told apart, if it is in play."""
    names = build_tool_names(turn("Read", "Bash", STRUCTURED_TOOL_NAME))
    assert [names.to_wire(name) for name in ("Read", "Bash", STRUCTURED_TOOL_NAME)] == [
        "Read",
        "Bash",
        STRUCTURED_TOOL_NAME,
    ]
    beside = build_tool_names(turn(STRUCTURED_TOOL_NAME, schema="{}"))
    assert beside.to_wire(STRUCTURED_TOOL_NAME) != STRUCTURED_TOOL_NAME
    assert beside.to_client(beside.to_wire(STRUCTURED_TOOL_NAME)) == STRUCTURED_TOOL_NAME


@pytest.mark.wire(9)
def test_calls_of_the_history_have_the_names_of_the_tools():
    """Also of tools that are no longer on offer."""
    names = build_tool_names(turn("a.b", called=("a.b", "old/tool")))
    assert names.to_wire("a.b") == build_tool_names(turn("a.b")).to_wire("a.b")
    assert VALID.match(names.to_wire("old/tool"))
    assert names.to_client(names.to_wire("old/tool")) == "old/tool"


ids = st.sampled_from(["call_0", "call_1", "toolu_1", "call:été", "call_0_2", "x" * 200])


@pytest.mark.wire(5)
@given(st.lists(st.lists(ids, min_size=1, max_size=3, unique=True), max_size=5))
def test_each_call_has_an_id_of_its_own_and_its_result_the_same(rounds: list[list[str]]):
    """Whatever the client's numbering; a longer conversation begins as the shorter one did."""
    messages: list[Message] = []
    for calls in rounds:
        messages.append(Message("assistant", tuple(ToolUse(one, "f", "{}") for one in calls)))
        messages.append(Message("user", tuple(ToolResult(one, ()) for one in reversed(calls))))
    sent = assign_wire_ids(messages)
    uses = [block.id for message in sent for block in message.content if isinstance(block, ToolUse)]
    assert len(set(uses)) == len(uses)
    assert all(re.fullmatch(r"[a-zA-Z0-9_-]{1,128}", one) for one in uses)
    for called, answered in zip(sent[::2], sent[1::2], strict=True):
        results = [block.tool_use_id for block in answered.content if isinstance(block, ToolResult)]
        assert results == [block.id for block in reversed(called.content) if isinstance(block, ToolUse)]
    assert assign_wire_ids(messages[:2]) == sent[:2]
