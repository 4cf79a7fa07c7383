"""The arguments of strict tools keep their promise or the answer fails; all others stream as they come."""

from collections.abc import AsyncGenerator, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.conversation.strict_tools import enforce, strict_schemas
from api.conversation.tools import ToolSet
from api.core.problems import Problem
from shared.errors import ErrorKind
from shared.events import Done, Event, Failed, Started, TextDelta, ToolArgumentsDelta, ToolCall, Usage
from shared.json_schema.validator import Validator
from shared.turn import Tool

SCHEMAS = {
    "strict": Validator('{"type":"object","properties":{"a":{}},"required":["a"],"additionalProperties":false}'),
}
DONE = Done("tool_use", Usage())


async def played(events: Sequence[Event], closed: list[bool] | None = None) -> AsyncGenerator[Event]:
    try:
        for event in events:
            yield event
    finally:
        if closed is not None:
            closed.append(True)


async def through(*events: Event, closed: list[bool] | None = None) -> list[Event]:
    return [event async for event in enforce(played(events, closed), SCHEMAS)]


def call(name: str, *pieces: str) -> list[Event]:
    return [ToolCall(f"id-{name}", name), *map(ToolArgumentsDelta, pieces)]


def test_promises_are_the_schemas_of_the_strict_tools():
    """By name, and with the numbers that were sent."""
    exact = '{"properties":{"n":{"maximum":9223372036854775807}}}'
    promised = strict_schemas(ToolSet((Tool("a", "", exact), Tool("b", "", "{}")), strict=frozenset({"a"})))
    assert promised.keys() == {"a"}
    assert promised["a"].find_fault('{"n":9223372036854775807}') is None
    assert promised["a"].find_fault('{"n":9223372036854775808}') is not None
    assert strict_schemas(ToolSet()) == {}


def test_a_strict_tool_whose_schema_has_a_number_that_nobody_can_hold_is_refused():
    """What is only seen when the numbers are read as they are written."""
    with pytest.raises(Problem, match="`a` can't be used"):
        strict_schemas(ToolSet((Tool("a", "", '{"maximum":' + "9" * 2000 + "}"),), strict=frozenset({"a"})))


async def test_what_is_no_promise_passes_untouched():
    """Words and the arguments of other tools, piece by piece, valid or not."""
    events = [Started("m"), TextDelta("a"), *call("free", '{"x', "oops"), *call("free", "{}"), DONE]
    assert await through(*events) == events


@pytest.mark.wire(33)
async def test_a_kept_promise_is_given_out_in_one_piece():
    """Byte for byte as the model wrote it, once it is whole."""
    pieces = ['{ "a"', ": 1.0", "}"]
    assert await through(*call("strict", *pieces), *call("free", "{", "}"), DONE) == [
        *call("strict", "".join(pieces)),
        *call("free", "{", "}"),
        DONE,
    ]
    assert await through(*call("free", "{}"), *call("strict", *pieces), *call("strict", '{"a":2}'), DONE) == [
        *call("free", "{}"),
        *call("strict", "".join(pieces)),
        *call("strict", '{"a":2}'),
        DONE,
    ]


@pytest.mark.parametrize("pieces", [["{}"], ['{"a":1,"b":2}'], ['{"a":'], [], ["[]"]])
@pytest.mark.parametrize("after", [[DONE], call("free", "{}"), call("strict", '{"a":1}')])
async def test_a_broken_promise_fails_the_answer_and_closes_the_job(pieces: list[str], after: list[Event]):
    """Nothing of those arguments is given out, and nothing follows."""
    closed: list[bool] = []
    *before, last = await through(Started("m"), *call("strict", *pieces), *after, closed=closed)
    assert before == [Started("m"), ToolCall("id-strict", "strict")]
    assert isinstance(last, Failed)
    assert last.kind is ErrorKind.OUTPUT_VALIDATION_FAILED
    assert "`strict`" in last.detail
    assert closed == [True]


@pytest.mark.wire(24)
async def test_arguments_that_the_limit_cut_off_are_no_broken_promise():
    """The finish reason says why they are not whole."""
    done = Done("max_tokens", Usage())
    assert await through(*call("strict", '{"a":"once', " upon"), done) == [*call("strict", '{"a":"once upon'), done]


async def test_a_job_that_fails_inside_a_promise_fails_as_itself():
    """Half of the arguments are held back for good."""
    failed = Failed(ErrorKind.UPSTREAM_CUT)
    assert await through(*call("strict", '{"a"'), failed) == [*call("strict"), failed]


async def test_closing_closes_the_job():
    """A client that goes leaves nothing running."""
    closed: list[bool] = []
    events = enforce(played([Started("m"), DONE], closed), SCHEMAS)
    assert await anext(events) == Started("m")
    await events.aclose()
    assert closed == [True]


pieces_of_arguments = st.lists(st.text(alphabet='{}"a:1, ', max_size=4), max_size=4)
scripts = st.lists(
    st.tuples(st.sampled_from(["strict", "free"]), pieces_of_arguments).map(lambda made: call(made[0], *made[1])),
    max_size=4,
)


@given(scripts)
async def test_what_is_given_out_is_what_the_model_wrote_up_to_the_first_broken_promise(script: list[list[Event]]):
    """No argument is lost, doubled or put to another call."""
    events = [event for one in script for event in one]
    came = await through(*events, DONE)
    assert sum(isinstance(event, Done | Failed) for event in came) == 1
    assert isinstance(came[-1], Done | Failed)

    def written(some: Sequence[Event]) -> list[tuple[str, str]]:
        calls: list[tuple[str, str]] = []
        for event in some:
            if isinstance(event, ToolCall):
                calls.append((event.name, ""))
            elif isinstance(event, ToolArgumentsDelta):
                calls[-1] = (calls[-1][0], calls[-1][1] + event.json)
        return calls

    given_out, all_written = written(came), written(events)
    if isinstance(came[-1], Done):
        assert given_out == all_written
    else:
        *whole, broken = given_out
        assert whole == all_written[: len(whole)]
        assert broken == ("strict", "")
