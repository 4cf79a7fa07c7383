"""Whatever the events, their chunks keep OpenAI's rules and add up to the plain answer."""

import json
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from openai.lib.streaming.chat import ChatCompletionStreamState
from openai.types.chat import ChatCompletion, ChatCompletionChunk

from api.core.problems import STATUS_AND_CODE, Problem, problem_from_failure
from api.dialects.openai_chat.encode import FINISH_REASONS, ChatEncoder, ChatOutputOptions
from api.http.sse import render_data
from shared.errors import ERROR_INFO, ErrorKind
from shared.events import (
    Admitted,
    Done,
    Event,
    Failed,
    Queued,
    RefusedOutput,
    Started,
    StopReason,
    TextDelta,
    ThinkingDelta,
    ToolArgumentsDelta,
    ToolCall,
    Usage,
    UsageWindows,
)

words = st.text(max_size=8)
names = st.from_regex(r"[a-zA-Z_][a-zA-Z0-9_.-]{0,10}", fullmatch=True)
arguments = st.dictionaries(words, st.integers() | words, max_size=2).map(json.dumps)
counts = st.integers(0, 10**9)
usages = st.builds(Usage, counts, counts, counts, counts, counts)


def cut(text: str, at: Sequence[int]) -> list[str]:
    """A text in pieces, some of which may be empty."""
    places = sorted({place % (len(text) + 1) for place in at} | {0, len(text)})
    return [text[start:end] for start, end in pairwise(places)] or [text]


calls = st.builds(
    lambda name, text, at: (name, cut(text, at)), names, arguments, st.lists(st.integers(0, 50), max_size=3)
)
speech = st.builds(TextDelta, words.filter(bool)) | st.builds(ThinkingDelta, words.filter(bool))


@st.composite
def answers(draw: st.DrawFn) -> list[Event]:
    """The events of one whole answer: words and thoughts, then calls."""
    spoken: list[Event] = draw(st.lists(speech, max_size=6))
    called: list[Event] = []
    for number, (name, pieces) in enumerate(draw(st.lists(calls, max_size=3))):
        called += [ToolCall(f"toolu_{number}", name), *(ToolArgumentsDelta(piece) for piece in pieces)]
    reason: StopReason = "tool_use" if called else draw(st.sampled_from(["end_turn", "max_tokens", "stop_sequence"]))
    waited: list[Event] = [Queued(1), Admitted(pooled=True, offline=False), UsageWindows("allowed", ())]
    return [*waited, Started("claude-x"), *spoken, *called, Done(reason, draw(usages), 0.5)]


def encoder(form: ChatOutputOptions | None = None, choices: int = 1) -> ChatEncoder:
    return ChatEncoder("chatcmpl-1", 1_700_000_000, "sonnet", form or ChatOutputOptions(reasoning=True), choices)


def streamed(events: list[Event], form: ChatOutputOptions | None = None) -> list[Any]:
    """The data of the stream's events: JSON, and the last word as it is."""
    made = encoder(form)
    body = b"".join(made.encode_event(event) for event in events).decode()
    assert body.endswith("\n\n")
    payloads = [line.removeprefix("data: ") for line in body.removesuffix("\n\n").split("\n\n")]
    return [json.loads(payload) for payload in payloads[:-1]] + [payloads[-1]]


def whole(events: list[Event], form: ChatOutputOptions | None = None) -> dict[str, Any]:
    made = encoder(form)
    for event in events:
        made.encode_event(event)
    return json.loads(made.encode_answer())


@pytest.mark.wire(29, 30, 31, 33)
@given(answers(), st.booleans())
def test_every_stream_keeps_the_rules_of_streams(events: list[Event], include_usage: bool):  # noqa: FBT001
    """One id, time and model; the role once and first; the finish reason once and last; `[DONE]` once, at the end."""
    *chunks, done = streamed(events, ChatOutputOptions(include_usage=include_usage))
    assert done == "[DONE]"
    assert {(chunk["id"], chunk["created"], chunk["model"], chunk["object"]) for chunk in chunks} == {
        ("chatcmpl-1", 1_700_000_000, "claude-x", "chat.completion.chunk")
    }
    parts = [chunk["choices"][0] for chunk in chunks if chunk["choices"]]
    assert [part["index"] for part in parts] == [0] * len(parts)
    assert parts[0]["delta"] == {"role": "assistant", "content": ""}
    assert ["role" in part["delta"] for part in parts] == [True] + [False] * (len(parts) - 1)
    assert [part["finish_reason"] for part in parts[:-1]] == [None] * (len(parts) - 1)
    assert parts[-1]["delta"] == {}
    assert parts[-1]["finish_reason"] in {"stop", "length", "tool_calls"}
    for chunk in chunks:
        ChatCompletionChunk.model_validate(chunk, strict=True)


@pytest.mark.wire(32)
@given(answers())
def test_usage_is_in_a_stream_only_if_it_was_asked_for(events: list[Event]):
    """Then in every chunk, null but in the last, which has no choices."""
    for chunk in streamed(events)[:-1]:
        assert "usage" not in chunk
        assert len(chunk["choices"]) == 1
    *chunks, last, _ = streamed(events, ChatOutputOptions(include_usage=True))
    assert all(chunk["usage"] is None and len(chunk["choices"]) == 1 for chunk in chunks)
    assert last["choices"] == []
    assert last["usage"] == whole(events)["usage"]


@pytest.mark.wire(33)
@given(answers())
def test_calls_are_counted_from_nought_and_say_their_id_and_name_once(events: list[Event]):
    """Later pieces have the number and the piece alone."""
    deltas = [
        call
        for chunk in streamed(events)[:-1]
        for choice in chunk["choices"]
        for call in choice["delta"].get("tool_calls", [])
    ]
    given_calls = [event for event in events if isinstance(event, ToolCall)]
    begun = [call for call in deltas if "id" in call]
    assert [(call["index"], call["id"], call["function"]["name"]) for call in begun] == [
        (number, call.id, call.name) for number, call in enumerate(given_calls)
    ]
    assert all(call["type"] == "function" and call["function"]["arguments"] == "" for call in begun)
    assert all(
        set(call) == {"index", "function"} and set(call["function"]) == {"arguments"}
        for call in deltas
        if "id" not in call
    )
    assert [call["index"] for call in deltas] == sorted(call["index"] for call in deltas)


@pytest.mark.wire(21, 22, 26, 61)
@given(answers())
def test_the_stream_adds_up_to_the_plain_answer(events: list[Event]):
    """The official client gathers the very words, thoughts and calls that a plain request gets at once."""
    state = ChatCompletionStreamState()
    thoughts = ""
    for chunk in streamed(events)[:-1]:
        state.handle_chunk(ChatCompletionChunk.model_validate(chunk, strict=True))
        thoughts += chunk["choices"][0]["delta"].get("reasoning_content", "")
    gathered = state.current_completion_snapshot.choices[0]
    answer = whole(events)
    ChatCompletion.model_validate(answer, strict=True)
    message = answer["choices"][0]["message"]
    assert (gathered.message.content or "") == (message["content"] or "")
    assert thoughts == message.get("reasoning_content", "")
    assert gathered.finish_reason == answer["choices"][0]["finish_reason"]
    assert [(call.id, call.function.name, call.function.arguments) for call in gathered.message.tool_calls or []] == [
        (call["id"], call["function"]["name"], call["function"]["arguments"]) for call in message.get("tool_calls", [])
    ]


@pytest.mark.wire(21, 22, 27, 58)
@given(answers())
def test_a_plain_answer_has_every_field_that_clients_read(events: list[Event]):
    """Content is null only beside calls; what there is none of is left out, not null."""
    answer = whole(events)
    assert list(answer) == ["id", "object", "created", "model", "choices", "usage"]
    assert (answer["object"], answer["created"]) == ("chat.completion", 1_700_000_000)
    (choice,) = answer["choices"]
    assert (choice["index"], choice["logprobs"]) == (0, None)
    message = choice["message"]
    assert (message["role"], message["refusal"]) == ("assistant", None)
    assert message["content"] is not None or message["tool_calls"]
    assert message.get("tool_calls", ["absent"]) != []
    assert "function_call" not in message
    assert message.get("reasoning_content", "absent")


@pytest.mark.wire(23)
@given(st.lists(usages, min_size=1, max_size=3))
def test_tokens_add_up_and_the_cache_is_part_of_the_prompt(spent: list[Usage]):
    """Of all answers together."""
    made = encoder(choices=len(spent))
    for number, usage in enumerate(spent):
        made.encode_event(Started("claude-x"), number)
        made.encode_event(Done("end_turn", usage), number)
    counted = json.loads(made.encode_answer())["usage"]
    read, written = sum(one.cache_read_tokens for one in spent), sum(one.cache_write_tokens for one in spent)
    assert counted["prompt_tokens"] == sum(one.input_tokens for one in spent) + read + written
    assert counted["completion_tokens"] == sum(one.output_tokens for one in spent)
    assert counted["total_tokens"] == counted["prompt_tokens"] + counted["completion_tokens"]
    assert counted["prompt_tokens_details"] == {"cached_tokens": read, "cache_write_tokens": written}
    assert counted["completion_tokens_details"] == {"reasoning_tokens": sum(one.reasoning_tokens for one in spent)}
    assert "cost_usd" not in counted


@pytest.mark.wire(24)
@pytest.mark.parametrize(
    ("reason", "finish"),
    [
        ("end_turn", "stop"),
        ("stop_sequence", "stop"),
        ("pause_turn", "stop"),
        ("max_tokens", "length"),
        ("tool_use", "tool_calls"),
        ("refusal", "content_filter"),
    ],
)
def test_each_reason_of_the_services_is_one_of_openais(reason: StopReason, finish: str):
    """None reaches a client raw, and there is one for each."""
    assert FINISH_REASONS[reason] == finish
    assert len(FINISH_REASONS) == 6


@pytest.mark.wire(12, 24)
def test_a_legacy_answer_has_one_function_call_and_its_own_finish_reason():
    """A request with `functions` knows no `tool_calls`."""
    events: list[Event] = [
        Started("m"),
        ToolCall("toolu_1", "f"),
        ToolArgumentsDelta('{"a":1}'),
        Done("tool_use", Usage()),
    ]
    answer = whole(events, ChatOutputOptions(legacy=True))["choices"][0]
    assert answer["message"]["function_call"] == {"name": "f", "arguments": '{"a":1}'}
    assert "tool_calls" not in answer["message"]
    assert answer["finish_reason"] == "function_call"
    quiet = whole([Started("m"), TextDelta("hi"), Done("end_turn", Usage())], ChatOutputOptions(legacy=True))[
        "choices"
    ][0]
    assert (quiet["finish_reason"], quiet["message"]["content"]) == ("stop", "hi")


@pytest.mark.wire(13, 22)
def test_a_refusal_stands_in_the_contents_place():
    """Also an empty one: the SDKs look whether there is one."""
    for text in ("I won't.", ""):
        answer = whole([Started("m"), RefusedOutput(text), Done("end_turn", Usage())])["choices"][0]["message"]
        assert (answer["content"], answer["refusal"]) == (None, text)


@pytest.mark.wire(8)
@given(words, st.lists(st.integers(0, 50), max_size=4))
def test_a_custom_tools_text_arrives_as_the_model_meant_it(text: str, at: list[int]):
    """However its JSON is cut; and it is said once, whole."""
    pieces = cut(json.dumps({"input": text}), at)
    events: list[Event] = [
        Started("m"),
        ToolCall("t", "patch"),
        *map(ToolArgumentsDelta, pieces),
        Done("tool_use", Usage()),
    ]
    form = ChatOutputOptions(custom=frozenset({"patch"}))
    expected = {"id": "t", "type": "custom", "custom": {"name": "patch", "input": text}}
    assert whole(events, form)["choices"][0]["message"]["tool_calls"] == [expected]
    _, call, _, _ = streamed(events, form)
    assert call["choices"][0]["delta"]["tool_calls"] == [{"index": 0, **expected}]


@pytest.mark.wire(8)
@pytest.mark.parametrize("odd", ["", "[1]", '{"input":', '{"input":5}', '{"other":"x"}'])
def test_a_custom_tools_text_that_cannot_be_read_is_given_as_it_is(odd: str):
    """Nothing the model wrote is dropped."""
    events: list[Event] = [Started("m"), ToolCall("t", "patch"), ToolArgumentsDelta(odd), Done("tool_use", Usage())]
    (call,) = whole(events, ChatOutputOptions(custom=frozenset({"patch"})))["choices"][0]["message"]["tool_calls"]
    assert call["custom"]["input"] == odd


@pytest.mark.wire(37)
@given(st.text() | st.sampled_from(["\r\n", "\n\ndata: x", "\u2028\u2029\u0085", "👩‍👧", "\x00", "\ufeff", "e\u0301"]))
def test_an_event_is_one_line_to_every_reader_and_holds_every_character(text: str):
    """Also to readers that take Unicode's line ends for line ends."""
    encoded = encoder().encode_event(TextDelta(text)).decode()
    assert encoded.splitlines() == [encoded.removesuffix("\n\n"), ""]
    assert json.loads(encoded.removeprefix("data: "))["choices"][0]["delta"]["content"] == text


def test_an_event_is_its_data_and_an_empty_line():
    """The shape of the standard."""
    assert render_data(b"{}") == b"data: {}\n\n"


EXPECTED: dict[ErrorKind, tuple[int, str, bool]] = {
    ErrorKind.INVALID_REQUEST: (400, "invalid_request_error", False),
    ErrorKind.MODEL_NOT_FOUND: (404, "invalid_request_error", False),
    ErrorKind.PROMPT_TOO_LONG: (400, "invalid_request_error", False),
    ErrorKind.NOT_LOGGED_IN: (503, "server_error", False),
    ErrorKind.CREDENTIAL_REFUSED: (503, "server_error", False),
    ErrorKind.BILLING: (402, "invalid_request_error", False),
    ErrorKind.USAGE_LIMIT: (429, "insufficient_quota", False),
    ErrorKind.RATE_LIMIT: (429, "rate_limit_error", True),
    ErrorKind.OVERLOADED: (503, "server_error", True),
    ErrorKind.UPSTREAM: (502, "server_error", True),
    ErrorKind.UPSTREAM_CUT: (502, "server_error", True),
    ErrorKind.OUTPUT_VALIDATION_FAILED: (502, "server_error", True),
    ErrorKind.BUDGET: (402, "invalid_request_error", False),
    ErrorKind.QUEUE_FULL: (429, "rate_limit_error", True),
    ErrorKind.QUEUE_TIMEOUT: (429, "rate_limit_error", True),
    ErrorKind.REQUEST_TIMEOUT: (504, "server_error", True),
    ErrorKind.CLI_FAILED: (502, "server_error", True),
    ErrorKind.NO_EXECUTOR: (503, "server_error", True),
    ErrorKind.EXECUTOR_LOST: (502, "server_error", True),
    ErrorKind.NOT_ALLOWED: (403, "permission_error", False),
    ErrorKind.NOT_FOUND: (404, "invalid_request_error", False),
    ErrorKind.BAD_JOB: (400, "invalid_request_error", False),
    ErrorKind.TOO_LARGE: (413, "invalid_request_error", False),
    ErrorKind.TOOLS_UNAVAILABLE: (503, "server_error", True),
    ErrorKind.KEY_REVOKED: (401, "authentication_error", False),
    ErrorKind.KEY_LIMIT: (429, "rate_limit_error", True),
    ErrorKind.KEY_BUDGET: (429, "insufficient_quota", False),
    ErrorKind.DRAINING: (503, "server_error", True),
    ErrorKind.INTERNAL: (500, "server_error", True),
}


@pytest.mark.wire(36, 40, 41, 42, 44)
@pytest.mark.parametrize("kind", ErrorKind)
def test_each_kind_of_failure_has_its_status_type_code_and_advice(kind: ErrorKind):
    """The same body before a stream and in its middle; there `[DONE]` follows, and no finish reason."""
    status, error, retryable = EXPECTED[kind]
    failed = Failed(kind, "More.", retry_after=2.4)
    problem = problem_from_failure(failed)
    assert problem.status == status
    assert problem.build_headers() == {
        "x-should-retry": str(retryable).lower(),
        "retry-after": "2",
        "retry-after-ms": "2400",
        **({"www-authenticate": "Bearer"} if status == 401 else {}),
    }
    body = {
        "message": f"{ERROR_INFO[kind].message} More.",
        "type": error,
        "param": None,
        "code": STATUS_AND_CODE[kind][1],
    }
    assert json.loads(encoder().encode_error(problem)) == {"error": body}
    assert streamed([failed]) == [{"error": body}, "[DONE]"]
    *_, last, done = streamed([Started("m"), TextDelta("Hel"), failed])
    assert (last, done) == ({"error": body}, "[DONE]")


@pytest.mark.wire(42)
@pytest.mark.parametrize("kind", ErrorKind)
@pytest.mark.parametrize("said", [True, False, None])
def test_what_the_service_says_must_not_be_sent_again_is_not_advised(kind: ErrorKind, said: bool | None):  # noqa: FBT001
    """That it may be sent again makes nothing of ours retryable."""
    advised = EXPECTED[kind][2] and said is not False
    assert problem_from_failure(Failed(kind, retry=said)).build_headers()["x-should-retry"] == str(advised).lower()


@pytest.mark.wire(42)
@pytest.mark.parametrize(
    ("seconds", "expected"),
    [
        (None, {}),
        (0.2, {"retry-after": "1", "retry-after-ms": "200"}),
        (0, {"retry-after": "1", "retry-after-ms": "1"}),
    ],
)
def test_how_long_to_wait_is_said_in_seconds_and_in_milliseconds_if_it_is_known(
    seconds: float | None, expected: dict[str, str]
):
    """At least a second, since the header has no fractions; never a guess."""
    assert problem_from_failure(Failed(ErrorKind.OVERLOADED, retry_after=seconds)).build_headers() == {
        "x-should-retry": "true",
        **expected,
    }


@pytest.mark.wire(40, 41)
@pytest.mark.parametrize(
    ("status", "code", "error"),
    [
        (400, "invalid_value", "invalid_request_error"),
        (401, "invalid_api_key", "authentication_error"),
        (403, "forbidden", "permission_error"),
        (404, "not_found", "invalid_request_error"),
        (413, "request_too_large", "invalid_request_error"),
        (429, "queue_full", "rate_limit_error"),
        (500, "internal_error", "server_error"),
    ],
)
def test_a_problem_is_openais_envelope(status: int, code: str, error: str):
    """Four fields, always all of them."""
    problem = Problem(status, code, "Words.", param="messages")
    assert json.loads(encoder().encode_error(problem)) == {
        "error": {"message": "Words.", "type": error, "param": "messages", "code": code}
    }
    assert problem.build_headers().get("www-authenticate") == ("Bearer" if status == 401 else None)
