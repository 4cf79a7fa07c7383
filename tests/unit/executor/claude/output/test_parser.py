"""Tools, structured answers, stop texts and costs: the CLI's lines as the events of one answer."""

import json
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from executor.claude.cli.protocol import (
    ApiRetry,
    CliError,
    ControlRequest,
    ControlResponse,
    Init,
    InvalidLine,
    Line,
    RateLimitEvent,
    ResultLine,
    StreamEvent,
    UnknownLine,
)
from executor.claude.output.message_end import MISSING_CALL
from executor.claude.output.parser import OutputParser
from executor.claude.output.service_events import (
    OutputDetails,
    ServiceBlock,
    ServiceDelta,
    ServiceEvent,
    ServiceMessage,
    ServiceUsage,
)
from executor.claude.request.body import build_request
from executor.claude.request.model_rules import PERMISSIVE_RULES, find_rules
from executor.claude.request.tool_names import STRUCTURED_TOOL_NAME, build_tool_names
from shared.errors import ErrorKind
from shared.events import (
    Done,
    Event,
    Failed,
    RefusedOutput,
    Started,
    TextDelta,
    ThinkingDelta,
    ThinkingRedacted,
    ThinkingSignature,
    ToolArgumentsDelta,
    ToolCall,
    Usage,
    UsageWindows,
)
from shared.turn import Message, Text, Tool, Turn

SYNTHETIC = "API Error: the CLI's own words"
HI = (Message("user", (Text("hi"),)),)
TOOLS = (Tool("get_weather", "", "{}"), Tool("a.b", "", "{}"), Tool("Read", "", "{}"))
OBJECT = '{"type":"object"}'


def turn(**fields: Any) -> Turn:
    return Turn("claude-x", HI, **fields)


def service(kind: str, **fields: Any) -> Line:
    return StreamEvent(ServiceEvent(kind, **fields))


def start(usage: ServiceUsage = ServiceUsage(10, 1)) -> Line:  # noqa: B008 # frozen
    return service("message_start", message=ServiceMessage("claude-x", usage))


def block(kind: str, *deltas: ServiceDelta, name: str = "", call: str = "") -> list[Line]:
    """A block of the answer, from its start to its stop."""
    return [
        service("content_block_start", content_block=ServiceBlock(kind, call, name)),
        *(service("content_block_delta", delta=delta) for delta in deltas),
        service("content_block_stop"),
    ]


def says(*texts: str) -> list[Line]:
    return block("text", *(ServiceDelta("text_delta", text) for text in texts))


def thinks(*texts: str) -> list[Line]:
    signature = ServiceDelta("signature_delta")
    return block("thinking", *(ServiceDelta("thinking_delta", thinking=text) for text in texts), signature)


def calls(name: str, *pieces: str, call: str = "toolu_1") -> list[Line]:
    return block(
        "tool_use", *(ServiceDelta("input_json_delta", partial_json=piece) for piece in pieces), name=name, call=call
    )


def stops(reason: str, tokens: int = 2, thinking: int | None = None) -> Line:
    details = None if thinking is None else OutputDetails(thinking)
    return service("message_delta", delta=ServiceDelta(stop_reason=reason), usage=ServiceUsage(None, tokens, details))


def through(*, is_error: bool = False, cost: float | None = 0.5, **fields: Any) -> Line:
    usual: dict[str, Any] = {
        "num_turns": 1,
        "status": None,
        "text": SYNTHETIC,
        "structured": False,
        "subtype": "success",
    }
    given: dict[str, Any] = {"is_error": is_error, "cost_usd": cost, "api_error": "", "terminal_reason": ""}
    return ResultLine(**{**usual, **given, **fields})


def flat(*lines: Line | Sequence[Line]) -> list[Line]:
    return [line for some in lines for line in ([some] if not isinstance(some, Sequence) else some)]


def parser_of(asked: Turn, *, emulates: bool = False) -> OutputParser:
    """A parser for a model that takes everything, or for one that must be told what others are forced to do."""
    rules = find_rules("claude-sonnet-5-5") if emulates else PERMISSIVE_RULES
    return OutputParser(build_request(asked, rules, "5m"), clock=lambda: 0.0)


def feed(parser: OutputParser, line: Line) -> list[Event]:
    """The events of a line; a round that is over is followed by another."""
    events = parser.feed(line)
    if parser.needs_next_round:
        parser.start_next_round()
    return events


def fed(asked: Turn, *lines: Line | Sequence[Line], emulates: bool = False) -> list[Event]:
    """The events of these lines, and of the end of the output behind them."""
    parser = parser_of(asked, emulates=emulates)
    return [event for line in flat(*lines) for event in feed(parser, line)] + parser.end()


def done(reason: Any = "end_turn", tokens: int = 2, cost: float | None = 0.5, **counts: int) -> Done:
    return Done(reason, Usage(**{"input_tokens": 10, "output_tokens": tokens, **counts}), cost)


STARTED = Started("claude-x", Usage(10, 1))


def test_thinking_comes_with_what_it_takes_to_be_accepted_back():
    """Its signature after its words; what only the service can read, as it came."""
    signed = block(
        "thinking",
        ServiceDelta("thinking_delta", thinking="Hm."),
        ServiceDelta(signature="c2ln", type="signature_delta"),
    )
    redacted = StreamEvent(
        ServiceEvent("content_block_start", content_block=ServiceBlock("redacted_thinking", data="ZGF0YQ=="))
    )
    events = fed(turn(), start(), signed, redacted, says("Yes."), stops("end_turn"), through())
    assert events[1:4] == [ThinkingDelta("Hm."), ThinkingSignature("c2ln"), ThinkingRedacted("ZGF0YQ==")]


def test_the_stop_text_that_the_service_met_is_told():
    """Also where the service met it before it was given out."""
    met = StreamEvent(
        ServiceEvent("message_delta", delta=ServiceDelta(stop_reason="stop_sequence", stop_sequence="END"))
    )
    last = fed(turn(stop=("END",)), start(), says("one"), met, through())[-1]
    assert isinstance(last, Done)
    assert (last.stop_reason, last.stop_sequence) == ("stop_sequence", "END")


def test_a_held_turn_does_not_end_with_a_call():
    """The next message of the model begins with a blank line behind the words before it."""
    called = block("tool_use", name="get_weather")
    held = turn(interactive=True, tools=(Tool("get_weather", "", "{}"),))
    events = fed(held, start(), says("a"), called, stops("tool_use"), start(), says("b"), stops("end_turn"), through())
    assert [event.text for event in events if isinstance(event, TextDelta)] == ["a", "\n\nb"]
    assert [type(event) for event in events].count(Done) == 1


@pytest.mark.wire(33, 34)
def test_calls_come_with_the_models_ids_the_clients_names_and_every_piece():
    """Text and thoughts before them are kept; an empty piece is nothing."""
    wire = build_tool_names(turn(tools=TOOLS)).to_wire("a.b")
    assert fed(
        turn(tools=TOOLS),
        start(),
        thinks("hm", "", "m"),
        says("Let me", " look."),
        calls("get_weather", "", '{"city"', ':"Paris"}', call="toolu_A"),
        calls(wire, "{", "}", call="toolu_B"),
        stops("tool_use"),
        through(),
    ) == [
        STARTED,
        ThinkingDelta("hm"),
        ThinkingDelta("m"),
        TextDelta("Let me"),
        TextDelta(" look."),
        ToolCall("toolu_A", "get_weather"),
        ToolArgumentsDelta('{"city"'),
        ToolArgumentsDelta(':"Paris"}'),
        ToolCall("toolu_B", "a.b"),
        ToolArgumentsDelta("{"),
        ToolArgumentsDelta("}"),
        done("tool_use"),
    ]


@pytest.mark.wire(25)
@pytest.mark.parametrize("pieces", [(), ("",), ("", "")])
def test_a_call_without_arguments_has_an_empty_object(pieces: tuple[str, ...]):
    """An empty text is no JSON, and clients parse what they get."""
    events = fed(turn(tools=TOOLS), start(), calls("Read", *pieces), stops("tool_use"), through())
    assert events[1:3] == [ToolCall("toolu_1", "Read"), ToolArgumentsDelta("{}")]


@pytest.mark.wire(9)
def test_a_tool_called_read_is_the_clients():
    """The CLI has none of its own here."""
    events = fed(turn(tools=TOOLS), start(), calls("Read", '{"path":"a"}'), stops("tool_use"), through())
    assert events[1] == ToolCall("toolu_1", "Read")


@pytest.mark.wire(56)
@pytest.mark.parametrize("tools", [TOOLS, ()])
def test_a_call_of_a_tool_that_is_not_on_offer_is_the_callers(tools: tuple[Tool, ...]):
    """As with the vendors' own APIs."""
    lines = [start(), *calls("ToolSearch", '{"query":"x"}'), stops("tool_use"), through()]
    assert fed(turn(tools=tools), lines) == [
        STARTED,
        ToolCall("toolu_1", "ToolSearch"),
        ToolArgumentsDelta('{"query":"x"}'),
        done("tool_use"),
    ]


@pytest.mark.wire(55, 56)
def test_a_held_turn_goes_on_behind_a_call_of_nothing_on_offer():
    """Both rounds are one answer: their tokens add up, and a blank line parts their words."""
    first = [start(), *says("Let me see."), *calls("ToolSearch"), stops("tool_use", 7, thinking=3), UnknownLine("user")]
    silent = [start(), *calls("ToolSearch"), stops("tool_use")]
    last = [start(ServiceUsage(20, 1, None, 5, 4)), *says("", "Sun", "ny."), stops("end_turn", 2, 1), through()]
    held = turn(tools=TOOLS, interactive=True)
    assert fed(held, first, last) == [
        STARTED,
        TextDelta("Let me see."),
        TextDelta("\n\nSun"),
        TextDelta("ny."),
        done(tokens=9, input_tokens=30, cache_read_tokens=5, cache_write_tokens=4, reasoning_tokens=4),
    ]
    assert [event.text for event in fed(held, silent, last) if isinstance(event, TextDelta)] == ["Sun", "ny."]


@pytest.mark.wire(10)
@pytest.mark.parametrize("choice", [{"tool_choice": "any"}, {"tool_choice": "tool", "forced_tool": "Read"}])
def test_words_in_the_place_of_a_demanded_call_are_held_back(choice: dict[str, Any]):
    """Where the service can't be told to force the call, the model is asked once more."""
    asked = turn(tools=TOOLS, **choice)
    talks = [start(), *says("No."), stops("end_turn"), UnknownLine("user")]
    called = [start(), *says("So."), *calls("Read", "{}"), stops("tool_use"), through()]
    assert fed(asked, talks, called, emulates=True) == [
        STARTED,
        TextDelta("So."),
        ToolCall("toolu_1", "Read"),
        ToolArgumentsDelta("{}"),
        done("tool_use", tokens=4, input_tokens=20),
    ]
    assert fed(asked, talks, talks, emulates=True) == [
        STARTED,
        Failed(ErrorKind.OUTPUT_VALIDATION_FAILED, MISSING_CALL),
    ]


@pytest.mark.wire(11)
def test_without_parallel_calls_there_is_one():
    """A second one the model makes all the same is dropped, with its arguments."""
    asked = turn(tools=TOOLS, parallel_tools=False)
    lines = [
        start(),
        *calls("Read", '{"a":1}'),
        *calls("Read", '{"a":2}', call="toolu_2"),
        stops("tool_use"),
        through(),
    ]
    assert fed(asked, lines) == [STARTED, ToolCall("toolu_1", "Read"), ToolArgumentsDelta('{"a":1}'), done("tool_use")]
    assert len([event for event in fed(turn(tools=TOOLS), lines) if isinstance(event, ToolCall)]) == 2


@pytest.mark.wire(10)
@pytest.mark.parametrize(
    ("choice", "lines"),
    [
        ({"tool_choice": "none"}, [*calls("Read", "{}"), stops("tool_use")]),
        ({"tool_choice": "any"}, [*says("No."), stops("end_turn")]),
        ({"tool_choice": "tool", "forced_tool": "Read"}, [*says("No."), stops("end_turn")]),
        ({"tool_choice": "tool", "forced_tool": "Read"}, [*calls("a.b", "{}"), *says("a"), stops("end_turn")]),
        ({"tool_choice": "tool", "forced_tool": "Read"}, [*calls("get_weather", "{}"), stops("tool_use")]),
    ],
)
def test_a_choice_that_the_model_does_not_keep_to_fails_the_answer(choice: dict[str, Any], lines: list[Line]):
    """Enforced, not hoped for: no call that was forbidden is given out, none that was demanded is missing."""
    *before, last = fed(turn(tools=TOOLS, **choice), start(), lines, through())
    assert isinstance(last, Failed)
    assert last.kind is ErrorKind.OUTPUT_VALIDATION_FAILED
    assert "`tool_choice`" in last.detail
    assert not any(isinstance(event, ToolCall | Done) for event in before)


@pytest.mark.wire(10)
@pytest.mark.parametrize("choice", [{"tool_choice": "any"}, {"tool_choice": "tool", "forced_tool": "Read"}])
def test_a_demanded_call_is_given_out(choice: dict[str, Any]):
    """And a limit or a refusal before it is what it is."""
    asked = turn(tools=TOOLS, **choice)
    assert fed(asked, start(), calls("Read", "{}"), stops("tool_use"), through())[-1] == done("tool_use")
    assert fed(asked, start(), says("a"), stops("max_tokens"))[-1] == done("max_tokens", cost=None)
    assert fed(asked, start(), stops("refusal"))[-1] == done("refusal", cost=None)


@pytest.mark.parametrize(
    ("word", "nearest"), [("model_context_window_exceeded", "max_tokens"), ("of_tomorrow", "end_turn")]
)
def test_a_stop_reason_of_the_services_growing_list_is_told_in_its_own_word(word: str, nearest: str):
    """Beside the nearest of ours."""
    last = fed(turn(), start(), says("a"), stops(word))[-1]
    assert isinstance(last, Done)
    assert (last.stop_reason, last.raw_stop_reason) == (nearest, word)


@pytest.mark.wire(13)
def test_a_structured_answer_is_the_json_the_model_wrote_and_nothing_around_it():
    """In one piece once it is known to be valid; words before it are none of it."""
    assert fed(
        turn(schema=OBJECT),
        start(),
        says("Here you are:"),
        calls(STRUCTURED_TOOL_NAME, '{ "n"', ": 1.0", "}"),
        stops("tool_use"),
        through(),
    ) == [STARTED, TextDelta('{ "n": 1.0}'), done()]


@pytest.mark.wire(13)
def test_of_several_rounds_the_last_is_the_answer_and_all_are_paid():
    """The model is asked again until the answer meets the schema."""
    asked = turn(schema='{"type":"array"}')
    bad = [start(), *calls(STRUCTURED_TOOL_NAME, '{"value":1}'), stops("tool_use", 5), UnknownLine("user")]
    good = [
        start(),
        *calls(STRUCTURED_TOOL_NAME, '{"value": [1, 2.0]}', call="toolu_2"),
        stops("tool_use", 7),
        through(),
    ]
    assert fed(asked, bad, good) == [STARTED, TextDelta("[1, 2.0]"), done(tokens=12, input_tokens=20)]


@pytest.mark.wire(13)
def test_a_model_that_will_not_give_a_structured_answer_declines():
    """With the words it said instead, once it was asked again."""
    talks = [start(), *says("I won't."), stops("end_turn")]
    assert fed(turn(schema=OBJECT), talks, talks, through()) == [
        STARTED,
        RefusedOutput("I won't."),
        done(tokens=4, input_tokens=20),
    ]


@pytest.mark.wire(13, 24)
def test_a_refusal_of_the_service_declines_at_once():
    """Nothing more of the CLI is waited for."""
    assert fed(turn(schema=OBJECT), start(), says("I "), stops("refusal"))[1:] == [
        *(RefusedOutput("I "), done("refusal", cost=None)),
    ]


def test_a_schema_that_is_never_met_fails_the_answer():
    """After so many attempts; the client reads what was wrong."""
    attempt = [start(), *calls(STRUCTURED_TOOL_NAME, "[]"), stops("tool_use")]
    last = fed(turn(schema=OBJECT), *[attempt] * 5)[-1]
    assert isinstance(last, Failed)
    assert last.kind is ErrorKind.OUTPUT_VALIDATION_FAILED
    assert "does not meet the schema" in last.detail


def test_a_clients_call_may_come_before_a_structured_answer():
    """Tools and a schema in one request: the call ends the answer, and words before it are kept."""
    asked = turn(schema=OBJECT, tools=TOOLS)
    assert fed(asked, start(), says("Let me see."), calls("Read", "{}"), stops("tool_use"), through()) == [
        STARTED,
        TextDelta("Let me see."),
        ToolCall("toolu_1", "Read"),
        ToolArgumentsDelta("{}"),
        done("tool_use"),
    ]


@pytest.mark.wire(14)
def test_a_stop_text_ends_the_answer_there_and_then():
    """Across deltas; what the model says behind it reaches nobody, and nothing is waited for."""
    assert fed(turn(stop=("END",)), start(), says("one E", "N", "D two"), says("three"), stops("end_turn")) == [
        STARTED,
        TextDelta("one "),
        Done("stop_sequence", Usage(10, 1), stop_sequence="END"),
    ]


@pytest.mark.wire(14)
@pytest.mark.parametrize("ending", [[stops("end_turn")], [stops("stop_sequence")], [stops("max_tokens")]])
def test_what_was_held_back_is_said_when_the_answer_ends(ending: list[Line]):
    """It was no stop text after all."""
    assert TextDelta("EN") in fed(turn(stop=("END",)), start(), says("one ", "EN"), ending)


@pytest.mark.wire(14, 34)
def test_what_was_held_back_is_said_before_a_call():
    """Words come before the call they came before."""
    events = fed(turn(stop=("END",), tools=TOOLS), start(), says("E"), calls("Read"), stops("tool_use"), through())
    assert events[1:3] == [TextDelta("E"), ToolCall("toolu_1", "Read")]


@pytest.mark.wire(24)
def test_the_answer_closes_with_its_cost_if_the_cli_tells_it_in_time():
    """`closing` says that only that is awaited; without it the answer is as whole."""
    for reason in ("end_turn", "tool_use"):
        asked = turn(tools=TOOLS)
        answer = parser_of(asked)
        lines = flat(start(), calls("Read") if reason == "tool_use" else says("a"))
        for line in lines:
            answer.feed(line)
        assert answer.feed(stops(reason)) == []
        assert answer.pending_done == done(reason, cost=None)
        assert not answer.is_finished
        assert answer.feed(through(cost=0.25)) == [done(reason, cost=0.25)]
        assert answer.is_finished
        assert fed(asked, lines, stops(reason))[-1] == done(reason, cost=None)


AFTERWARDS: list[list[Line]] = [
    [start(), *says("more"), stops("end_turn")],
    [CliError("overloaded", 529, SYNTHETIC)],
    [InvalidLine("no JSON")],
    [ApiRetry("overloaded", 529, 1000)],
    [through(is_error=True, status=500)],
    [Init(())],
    [],
]


@pytest.mark.wire(24, 56)
@pytest.mark.parametrize("after", AFTERWARDS)
@pytest.mark.parametrize("asked", [turn(), turn(tools=TOOLS)])
def test_what_the_cli_does_after_the_models_end_changes_nothing(asked: Turn, after: list[Line]):
    """The answer ended where the model ended it."""
    events = fed(asked, start(), says("a"), stops("end_turn"), after)
    assert events[:-1] == [STARTED, TextDelta("a")]
    assert isinstance(events[-1], Done)
    assert (events[-1].stop_reason, events[-1].usage) == ("end_turn", Usage(10, 2))


@pytest.mark.wire(24)
@pytest.mark.parametrize("reason", ["max_tokens", "model_context_window_exceeded"])
def test_after_an_end_that_the_cli_would_go_on_from_nothing_is_awaited(reason: str):
    """It would ask the model to resume."""
    asked = turn()
    answer = parser_of(asked)
    events = [event for line in flat(start(), says("a"), stops(reason)) for event in answer.feed(line)]
    assert isinstance(events[-1], Done)
    assert answer.is_finished


@pytest.mark.wire(57)
def test_an_answer_of_nothing_is_an_answer():
    """No sentence of ours or of the CLI's stands in for it; the CLI, which would ask for more words, is not awaited."""
    assert fed(turn(), start(), stops("end_turn"), through()) == [STARTED, done(cost=None)]


@pytest.mark.wire(56)
@pytest.mark.parametrize("asked", [turn(), turn(tools=TOOLS), turn(schema=OBJECT)])
def test_the_clis_own_words_are_never_the_answer(asked: Turn):
    """A synthetic message and the text of a failed result reach nobody."""
    events = fed(asked, start(), says("a"), CliError("server_error", 500, SYNTHETIC), through(is_error=True))
    assert SYNTHETIC not in str(events)
    assert isinstance(events[-1], Failed)


def test_a_pause_that_is_too_long_ends_the_answer_with_how_long_it_would_be():
    """A short one is waited for."""
    assert fed(turn(), ApiRetry("rate_limit", 429, 1000))[-1] == Failed(ErrorKind.RATE_LIMIT, retry_after=1000)
    retried = fed(turn(), ApiRetry("overloaded", 529, 0.5), start(), says("a"), stops("end_turn"), through())
    assert retried[-1] == done()


names = st.sampled_from(["Read", "get_weather", STRUCTURED_TOOL_NAME, "ToolSearch", ""])
pieces = st.lists(st.sampled_from(["", "{", "}", '{"value":1}', '"', "x"]), max_size=3)
reasons = st.sampled_from(["end_turn", "tool_use", "max_tokens", "stop_sequence", "refusal", "pause_turn", "new", None])
loose = st.builds(
    ServiceDelta,
    st.sampled_from(["text_delta", "thinking_delta", "input_json_delta", "signature_delta", "new_delta"]),
    st.sampled_from(["", "a", "EN", "D"]),
    st.sampled_from(["", "t"]),
    st.sampled_from(["", "{}"]),
)
blocks: st.SearchStrategy[list[Line]] = st.one_of(
    st.builds(lambda texts: says(*texts), st.lists(st.sampled_from(["", "a", "E", "N", "D"]), max_size=4)),
    st.builds(lambda texts: thinks(*texts), st.lists(st.sampled_from(["", "t"]), max_size=2)),
    st.builds(lambda name, made: calls(name, *made), names, pieces),
    st.builds(lambda delta: [service("content_block_delta", delta=delta)], loose),
    st.builds(lambda name: [service("content_block_start", content_block=ServiceBlock("tool_use", "t", name))], names),
    st.just([service("content_block_stop")]),
)


def ending(*, is_error: bool, subtype: str, structured: bool) -> list[Line]:
    return [through(is_error=is_error, subtype=subtype, structured=structured)]


broken: list[Line] = [InvalidLine("no JSON")]
ends: st.SearchStrategy[list[Line]] = st.one_of(
    st.builds(lambda reason: [service("message_delta", delta=ServiceDelta(stop_reason=reason))], reasons),
    st.builds(
        ending,
        is_error=st.booleans(),
        subtype=st.sampled_from(["success", "error_during_execution", "error_max_structured_output_retries", "new"]),
        structured=st.booleans(),
    ),
    st.just(broken),
)
between: st.SearchStrategy[list[Line]] = st.sampled_from(
    [
        [UnknownLine("user")],
        [Init((STRUCTURED_TOOL_NAME,))],
        [Init(())],
        [RateLimitEvent(UsageWindows("allowed", ()))],
        [CliError("overloaded", 529, SYNTHETIC)],
        [ControlRequest("1", "mcp_message", None)],
        [ControlResponse("1", None, b"null")],  # type: ignore[list-item, arg-type]
        [ApiRetry("overloaded", 529, 0.5)],
        [service("ping")],
        [service("of tomorrow")],
        [start()],
    ]
)
scripts = st.lists(st.one_of(blocks, blocks, between, ends, st.just([start()])), max_size=14).map(
    lambda parts: [line for part in parts for line in part]
)
asked_turns = st.builds(
    turn,
    tools=st.sampled_from([(), TOOLS]),
    schema=st.sampled_from([None, OBJECT, '{"type":"array"}']),
    tool_choice=st.sampled_from(["auto", "none", "any", "tool"]),
    forced_tool=st.just("Read"),
    parallel_tools=st.booleans(),
    stop=st.sampled_from([(), ("END",), ("a", "END")]),
)


@given(asked_turns, scripts)
def test_whatever_the_lines_an_answer_ends_exactly_once_and_nothing_follows(asked: Turn, script: list[Line]):
    """Done or Failed is last; `over` is true from then on, and not before."""
    answer = parser_of(asked)
    events: list[Event] = []
    for line in script:
        over = answer.is_finished
        made = feed(answer, line)
        assert not (over and made)
        events += made
        assert answer.is_finished == any(isinstance(event, Done | Failed) for event in events)
    events += answer.end()
    assert [isinstance(event, Done | Failed) for event in events] == [False] * (len(events) - 1) + [True]
    assert answer.end() == []


@pytest.mark.wire(10, 11, 29, 33)
@given(asked_turns, scripts)
def test_whatever_the_lines_the_events_keep_their_order_and_the_requests_promises(asked: Turn, script: list[Line]):
    """It starts at most once; arguments follow their call; only what was offered and allowed is called."""
    events = fed(asked, script)
    assert sum(isinstance(event, Started) for event in events) <= 1
    for before, event in pairwise([None, *events]):
        if isinstance(event, ToolArgumentsDelta):
            assert isinstance(before, ToolCall | ToolArgumentsDelta | UsageWindows)
    called = [event.name for event in events if isinstance(event, ToolCall)]
    assert asked.parallel_tools or len(called) <= 1
    assert asked.tool_choice != "none" or not called
    assert asked.tool_choice != "tool" or set(called) <= {"Read"}
    # A call parts the words around it.
    said = "".join("|" if isinstance(e, ToolCall) else e.text for e in events if isinstance(e, TextDelta | ToolCall))
    assert asked.schema or not any(stop in said for stop in asked.stop)
    assert SYNTHETIC not in said


@pytest.mark.wire(13)
@given(scripts)
def test_whatever_the_lines_a_structured_answer_is_json_or_there_is_none(script: list[Line]):
    """Nothing else is ever its content, as long as nothing was called."""
    events = fed(turn(schema='{"type":"array"}'), script)
    said = "".join(event.text for event in events if isinstance(event, TextDelta))
    if said:
        assert json.loads(f"[{said}]")
