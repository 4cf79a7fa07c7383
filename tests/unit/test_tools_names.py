"""Tools' names reach the model as they are, or as stand-ins that come back as they were given."""

import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from executor.claude.tools import STRUCTURED, Names, answered, names_of, offer
from shared.turn import Message, Text, Tool, ToolUse, Turn

VALID = re.compile(r"^[a-zA-Z0-9_-]{1,64}$")

plain = st.from_regex(r"[a-zA-Z0-9_-]{1,64}", fullmatch=True)
odd = st.text(min_size=1, max_size=80)
any_names = st.lists(plain | odd | st.sampled_from([STRUCTURED, "a.b", "a_b", "a b", "Read", "read"]), unique=True)


def turn(*tools: str, called: tuple[str, ...] = (), schema: str | None = None) -> Turn:
    history = Message("assistant", tuple(ToolUse(f"id{n}", name, "{}") for n, name in enumerate(called)))
    asked = Message("user", (Text("hi"),))
    return Turn("m", (history, asked), tools=tuple(Tool(name, "", "{}") for name in tools), schema=schema)


@pytest.mark.wire(9)
@given(any_names, st.booleans())
def test_every_name_has_a_valid_one_of_its_own_and_comes_back(names: list[str], structured: bool):  # noqa: FBT001
    """There and back, whatever its characters; no two share one."""
    made = Names(names, structured=structured)
    wire = [made.wire(name) for name in names]
    assert all(VALID.match(one) for one in wire)
    assert len(set(wire)) == len(names)
    assert [made.client(one) for one in wire] == names
    assert not structured or STRUCTURED not in wire


@pytest.mark.wire(9)
@given(plain, any_names)
def test_a_name_that_can_travel_travels_as_it_is(name: str, others: list[str]):
    """Whoever else is there, and in whatever order."""
    assert Names([*others, name], structured=False).wire(name) == name
    assert Names([name, *others], structured=False).wire(name) == name


@pytest.mark.wire(9)
@given(odd, any_names, any_names)
def test_a_name_has_the_same_stand_in_on_every_request(name: str, some: list[str], others: list[str]):
    """So the model sees one name through a conversation, and the prompt cache holds."""
    assert Names([name, *some], structured=False).wire(name) == Names([*others, name], structured=False).wire(name)


@pytest.mark.wire(9)
def test_a_name_that_is_anothers_stand_in_takes_it_from_nobody():
    """A client can't make two of its own tools one."""
    stand_in = Names(["a.b"], structured=False).wire("a.b")
    assert stand_in != "a.b"
    for names in (["a.b", stand_in], [stand_in, "a.b"]):
        made = Names(names, structured=False)
        assert made.wire(stand_in) == stand_in
        assert made.wire("a.b") not in {"a.b", stand_in}
        assert [made.client(made.wire(name)) for name in names] == names


@pytest.mark.wire(9)
def test_names_of_the_clis_own_are_the_clients():
    """`Read` is not the CLI's here; only its tool for structured answers has to be told apart, if it is in play."""
    names = names_of(turn("Read", "Bash", STRUCTURED))
    assert [names.wire(name) for name in ("Read", "Bash", STRUCTURED)] == ["Read", "Bash", STRUCTURED]
    beside = names_of(turn(STRUCTURED, schema="{}"))
    assert beside.wire(STRUCTURED) != STRUCTURED
    assert beside.client(beside.wire(STRUCTURED)) == STRUCTURED


@pytest.mark.wire(9)
def test_calls_of_the_history_have_the_names_of_the_tools():
    """Also of tools that are no longer on offer."""
    names = names_of(turn("a.b", called=("a.b", "old/tool")))
    assert names.wire("a.b") == names_of(turn("a.b")).wire("a.b")
    assert VALID.match(names.wire("old/tool"))
    assert names.client(names.wire("old/tool")) == "old/tool"


@pytest.mark.wire(9)
@given(any_names)
def test_what_is_offered_has_the_clients_descriptions_and_schemas(names: list[str]):
    """As the CLI takes it: a server of ours whose handshake is answered before it is asked."""
    tools = [Tool(name, f"about {name}", '{"properties":{"a":{"maximum":1.0}},"type":"object"}') for name in names]
    made: Any = offer(tools, Names(names, structured=False))
    if not tools:
        assert made == {}
        return
    (server,) = made["sdkMcpServers"]
    listed = made["sdkMcpServerManifests"][server]["toolsListResult"]["tools"]
    assert [Names(names, structured=False).client(one["name"]) for one in listed] == names
    assert [one["description"] for one in listed] == [tool.description for tool in tools]
    assert {bytes(one["inputSchema"]).decode() for one in listed} == {tools[0].schema}


@pytest.mark.wire(8)
def test_a_schema_without_a_type_is_that_of_an_object():
    """The protocol demands it, and it is what was meant."""
    made: Any = offer([Tool("a", "", "{}")], Names(["a"], structured=False))
    (listed,) = made["sdkMcpServerManifests"]["client"]["toolsListResult"]["tools"]
    assert bytes(listed["inputSchema"]) == b'{"type":"object"}'


def test_the_clis_questions_to_our_server_are_answered_from_the_offer():
    """Should it not use the handshake it was given."""
    tools = offer([Tool("a", "", "{}")], Names(["a"], structured=False))
    listed: Any = answered({"id": 3, "method": "tools/list"}, tools)
    assert (listed["id"], listed["result"]["tools"][0]["name"]) == (3, "a")
    assert answered({"id": 4, "method": "tools/list"}, {})["result"] == {"tools": []}
    assert answered({"id": 5, "method": "ping"}, tools)["result"] == {}
