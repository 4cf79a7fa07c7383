"""What compares a conversation with what the model was told notices whatever is lost, moved, changed or invented."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from tests.support.generated.conversation import (
    Assistant,
    Call,
    Conversation,
    Instruction,
    Picture,
    Result,
    Tool,
    User,
    Words,
)
from tests.support.generated.dialects import DIALECTS, MESSAGES
from tests.support.generated.edge_cases import EDGE_CASES
from tests.support.generated.json_text import add_line_breaks, compare, parse_text
from tests.support.generated.pictures import png
from tests.support.generated.request_check import RequestCheck
from tests.support.scripted.upstream import ReceivedRequest

DOT = Picture("image/png", png(1))
CALLS = (Call("call_0", "Read", '{"a":1,"b":[1.5,"x"]}'), Call("call_1", "Read", "{}"))
PLAIN = Conversation(
    system=("Be kind.",),
    steps=(
        User((Words("one"), DOT, Words("two"))),
        Instruction("Be brief."),
        Assistant((Words("Hm."), *CALLS, Words("Wait."))),
        Result(CALLS[0], (Words("r"), DOT)),
        Result(CALLS[1], "no", is_error=True),
        User("end"),
    ),
    tools=(Tool("Read", "Reads.", '{"type":"object","properties":{"a":{"maximum":7},"b":{}},"required":["a"]}'),),
)


def told() -> Any:
    """What a model is told of it."""
    return json.loads(MESSAGES.request(PLAIN, "claude-sonnet-5-5", indented=False))


def check(body: Any) -> None:
    RequestCheck(ReceivedRequest(0, "POST", "/v1/messages", {}, body)).check(PLAIN)


def content(body: Any, at: int) -> Any:
    return body["messages"][at]["content"]


def test_what_is_told_as_it_is_passes():
    """The API whose form is the service's own."""
    check(told())


SPOILT: dict[str, Callable[[Any], object]] = {
    "a text is lost": lambda body: content(body, 0).pop(0),
    "a text is moved": lambda body: content(body, 0).reverse(),
    "a text is changed": lambda body: content(body, 0)[0].update(text="One"),
    "a text is invented": lambda body: content(body, 0).append({"type": "text", "text": "x"}),
    "a picture is made again": lambda body: content(body, 0)[1]["source"].update(data="AAAA"),
    "an instruction is lost": lambda body: body["messages"].pop(1),
    "an instruction is changed": lambda body: content(body, 1)[0].update(text="Be long."),
    "a call is lost": lambda body: content(body, 2).pop(1),
    "a call is moved": lambda body: content(body, 2).insert(0, content(body, 2).pop(1)),
    "a call has another input": lambda body: content(body, 2)[1]["input"].update(a=2),
    "a call has more of an input": lambda body: content(body, 2)[1]["input"].update(c=2),
    "a call has another name": lambda body: content(body, 2)[1].update(name="Write"),
    "a call has an id of another": lambda body: content(body, 2)[2].update(id="call_0"),
    "a result is of another call": lambda body: content(body, 3)[0].update(tool_use_id="call_1"),
    "a result is no error": lambda body: content(body, 3)[1].pop("is_error"),
    "a result has no picture": lambda body: content(body, 3)[0]["content"].pop(1),
    "a message is lost": lambda body: body["messages"].pop(),
    "the system text is lost": lambda body: body["system"].pop(),
    "a tool is lost": lambda body: body["tools"].pop(),
    "a tool has another name": lambda body: body["tools"][0].update(name="Reed"),
    "a schema has lost a number": lambda body: body["tools"][0]["input_schema"]["properties"]["a"].pop("maximum"),
    "a schema has lost a property": lambda body: body["tools"][0]["input_schema"]["properties"].pop("b"),
    "a schema demands nothing": lambda body: body["tools"][0]["input_schema"].update(required=[]),
}


@pytest.mark.parametrize("name", SPOILT)
def test_what_is_not_is_noticed(name: str):
    """Each by itself."""
    body = told()
    SPOILT[name](body)
    with pytest.raises((AssertionError, KeyError, ValueError)):
        check(body)


@pytest.mark.parametrize(
    ("sent", "seen", "altered"),
    [
        ('{"a":1,"2":0,"1":0}', {"1": 0, "2": 0, "a": 1}, True),
        ("[1.0,100]", [1, 100], True),
        ("[9007199254740993]", ["9007199254740993"], True),
        ("[9007199254740993]", [9007199254740992], True),
        ("[9007199254740993]", [9007199254740993], False),
        ("[0.1,-7,null,true,1e2]", [0.1, -7, None, True, 100.0], False),
    ],
)
def test_what_javascript_alters_is_told(sent: str, seen: Any, altered: bool):  # noqa: FBT001
    """And is nothing else than that."""
    assert bool(list(compare(parse_text(sent), seen))) == altered


@pytest.mark.parametrize(
    ("sent", "seen"), [("[1]", [True]), ("[1]", [2]), ('{"b":0,"a":0}', {"a": 0, "b": 0}), ("[]", {})]
)
def test_what_nothing_alters_so_is_noticed(sent: str, seen: Any):
    """A number, an order, a kind."""
    with pytest.raises(AssertionError):
        list(compare(parse_text(sent), seen))


@pytest.mark.parametrize("dialect", DIALECTS, ids=repr)
def test_an_indented_body_is_the_same_body(dialect: Any):
    """With a line break behind every token."""
    fitted = dialect.adapt(EDGE_CASES)
    compact, indented = (dialect.request(fitted, "sonnet", indented=each).decode() for each in (False, True))
    assert json.loads(add_line_breaks(compact)) == json.loads(compact)
    assert indented.count("\n") > 500
    assert "\n" not in compact
