"""The CLI's lines as values. The recorded lines are those of the CLI 2.1.330, with the lists inside them shortened."""

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from executor.claude.cli.protocol import (
    CliError,
    ControlRequest,
    ControlResponse,
    InitializeResponse,
    InvalidLine,
    OfferedModel,
    RateLimitEvent,
    ResultLine,
    StreamEvent,
    UnknownLine,
    parse_initialize_response,
    parse_line,
)
from executor.claude.output.service_events import ServiceDelta, ServiceEvent, ServiceMessage, ServiceUsage
from shared.events import UsageWindows

START = (
    b'{"type":"stream_event","event":{"type":"message_start","message":{"id":"msg_0","type":"message","role":'
    b'"assistant","model":"claude-opus-5-5","content":[],"stop_reason":null,"stop_sequence":null,"usage":'
    b'{"input_tokens":10,"cache_creation_input_tokens":3,"cache_read_input_tokens":4,"output_tokens":1}}},"session_id":'
    b'"5c1a9919-5c00-45e0-ac96-857336bd0b21","parent_tool_use_id":null,"uuid":"68ac545c-5dca-4365-b20f-da18d74f9dad",'
    b'"ttft_ms":35,"thinking_display":"updates","api_message_id":"msg_0"}\n'
)
DELTA = (
    b'{"type":"stream_event","event":{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":'
    b'"Hel\\u2028\\n"}},"session_id":"5c1a9919-5c00-45e0-ac96-857336bd0b21","parent_tool_use_id":null,"uuid":'
    b'"965cf06b-f71a-4807-b097-a0705d6c85b2","api_message_id":"msg_0"}\n'
)
STOP = (
    b'{"type":"stream_event","event":{"type":"message_delta","delta":{"stop_reason":"end_turn","stop_sequence":null},'
    b'"usage":{"output_tokens":2}},"session_id":"5c1a9919-5c00-45e0-ac96-857336bd0b21","parent_tool_use_id":null,'
    b'"uuid":"00484e87-af4a-41d4-968b-e4cfc4867c4c","api_message_id":"msg_0"}\n'
)
BLOCK = (
    b'{"type":"assistant","message":{"id":"msg_0","type":"message","role":"assistant","model":"claude-opus-5-5",'
    b'"content":[{"type":"text","text":"Hello"}],"stop_reason":null,"stop_sequence":null,"usage":{"input_tokens":10},'
    b'"context_management":null},"parent_tool_use_id":null,"session_id":"5c1a9919-5c00-45e0-ac96-857336bd0b21","uuid":'
    b'"d2dd109e-c0a0-4a38-864c-b5d253916340","timestamp":"2026-11-23T20:09:39.147Z","request_id":"req_scripted"}\n'
)
COMPLAINT = (
    b'{"type":"assistant","message":{"diagnostics":null,"id":"658bebbc-6da4-41ee-a8e9-12dfc789c57f","container":null,'
    b'"model":"<synthetic>","role":"assistant","stop_details":null,"stop_reason":"stop_sequence","stop_sequence":"",'
    b'"type":"message","usage":{"output_tokens_details":null,"input_tokens":0,"service_tier":null},"content":[{"type":'
    b'"text","text":"API Error: 400 refused by the script"}],"context_management":null},"parent_tool_use_id":null,'
    b'"session_id":"4b5daa61-6171-4fe0-844e-f30dd929568b","uuid":"4914a58d-e420-48a5-a336-0d65aaf0c609","timestamp":'
    b'"2026-11-23T20:10:17.726Z","error":"unknown","request_id":"req_scripted","is_api_error_message":true,'
    b'"api_error_status":400,"api_error_type":"invalid_request_error"}\n'
)
RESULT = (
    b'{"duration_api_ms":98,"stop_reason":"end_turn","session_id":"5c1a9919-5c00-45e0-ac96-857336bd0b21",'
    b'"total_cost_usd":0.00007999999999999999,"usage":{"input_tokens":10,"output_tokens":2,"iterations":[],"speed":'
    b'"standard","fallback_credit":null},"modelUsage":{"claude-opus-5-5":{"inputTokens":10,"costUSD":0.00008}},'
    b'"permission_denials":[],"terminal_reason":"completed","safety_stops":0,"is_error":false,"num_turns":1,"subtype":'
    b'"success","api_error_status":null,"result":"Hello","ttft_ms":197,"type":"result","duration_ms":220,"uuid":'
    b'"d8cb059b-2086-443a-a70b-c481f6135e5e","queued_turn_count":0}\n'
)
FAILED_RESULT = (
    b'{"duration_api_ms":0,"stop_reason":"stop_sequence","total_cost_usd":0,"modelUsage":{},"permission_denials":[],'
    b'"terminal_reason":"api_error","is_error":true,"num_turns":1,"subtype":"success","api_error_status":400,'
    b'"api_error_type":"invalid_request_error","result":"API Error: 400 refused by the script","type":"result"}\n'
)
HELLO = (
    b'{"type":"control_response","response":{"subtype":"success","request_id":"hello","response":{"commands":[],'
    b'"agents":[{"name":"claude","description":"Catch-all"}],"output_style":"default","models":[{"value":"opus",'
    b'"resolvedModel":"claude-opus-5-5","displayName":"Opus","description":"Opus 5.5","supportsEffort":true,'
    b'"supportedEffortLevels":["low","max"]},{"value":"odd"}],"account":{"apiKeySource":"ANTHROPIC_API_KEY"},"pid":1,'
    b'"claude_code_version":"2.1.330"}}}\n'
)
UNSUPPORTED = (
    b'{"type":"control_response","response":{"subtype":"error","request_id":"bad","error":"Unsupported control request '
    b'subtype: nonsense","error_code":"unsupported_request"}}\n'
)
PERMISSION = (
    b'{"type":"control_request","request_id":"7d","request":{"subtype":"can_use_tool","tool_name":"Bash","input":'
    b'{"command":"id"}}}\n'
)


def ended(
    text: str,
    *,
    is_error: bool = False,
    status: int | None = None,
    cost_usd: float | None = None,
    terminal_reason: str = "",
) -> ResultLine:
    """A result of one turn."""
    return ResultLine(is_error, 1, status, text, False, cost_usd, "success", "", terminal_reason)


@pytest.mark.parametrize(
    ("line", "value"),
    [
        (
            START,
            StreamEvent(
                ServiceEvent(
                    "message_start", message=ServiceMessage("claude-opus-5-5", ServiceUsage(10, 1, None, 4, 3))
                )
            ),
        ),
        (DELTA, StreamEvent(ServiceEvent("content_block_delta", delta=ServiceDelta("text_delta", "Hel\u2028\n")))),
        (
            STOP,
            StreamEvent(
                ServiceEvent("message_delta", delta=ServiceDelta(stop_reason="end_turn"), usage=ServiceUsage(None, 2))
            ),
        ),
        (BLOCK, UnknownLine("assistant")),
        (COMPLAINT, CliError("unknown", 400, "API Error: 400 refused by the script")),
        (RESULT, ended("Hello", cost_usd=0.00007999999999999999, terminal_reason="completed")),
        (
            FAILED_RESULT,
            ended(
                "API Error: 400 refused by the script",
                is_error=True,
                status=400,
                cost_usd=0.0,
                terminal_reason="api_error",
            ),
        ),
        (UNSUPPORTED, ControlResponse("bad", "Unsupported control request subtype: nonsense", msgspec.Raw(b"null"))),
        (PERMISSION, ControlRequest("7d", "can_use_tool", None, '{"command":"id"}')),
        (b'{"type":"system","subtype":"ui_invalidate","event":"ui.render","uuid":"5d"}\n', UnknownLine("system")),
        (
            b'{"type":"rate_limit_event","rate_limit_info":{"status":"allowed"}}\n',
            RateLimitEvent(UsageWindows("allowed", ())),
        ),
        (b'{"type":"user","message":{"role":"user","content":"Output token limit hit."}}\n', UnknownLine("user")),
    ],
)
def test_a_line_the_cli_wrote_is_read_as_what_it_says(line: bytes, value: object) -> None:
    """Recorded lines, with all their further fields."""
    assert parse_line(line) == value


def test_the_service_is_read_of_in_its_own_words() -> None:
    """Each count lands in the field of its name: a swap would be billed to the wrong column."""
    line = parse_line(START)
    assert isinstance(line, StreamEvent)
    usage = line.event.message.usage
    assert usage.input_tokens == 10
    assert usage.output_tokens == 1
    assert usage.cache_creation_input_tokens == 3
    assert usage.cache_read_input_tokens == 4


def test_the_answer_to_initialize_tells_the_version_and_the_models() -> None:
    """The rest of a long answer is passed over; a model may leave out all but its value."""
    line = parse_line(HELLO)
    assert isinstance(line, ControlResponse)
    assert line.request_id == "hello"
    assert line.error is None
    assert parse_initialize_response(line.response) == InitializeResponse(
        "2.1.330", [OfferedModel("opus", "claude-opus-5-5", "Opus", "Opus 5.5"), OfferedModel("odd")]
    )


@pytest.mark.parametrize("response", [b"[]", b"null", b'{"models":[{}]}', b'{"models":{}}', b"{"])
def test_an_introduction_of_another_shape_is_refused(response: bytes) -> None:
    """What the CLI says of itself is checked like anything else it says."""
    with pytest.raises(msgspec.DecodeError):
        parse_initialize_response(msgspec.Raw(response))


def test_a_refused_control_request_has_a_reason_even_if_the_cli_gives_none() -> None:
    """An error is never mistaken for a success because its text is missing."""
    for line in (
        b'{"type":"control_response","response":{"subtype":"error","request_id":"r"}}',
        b'{"type":"control_response","response":{"subtype":"error","request_id":"r","error":""}}',
        b'{"type":"control_response","response":{"subtype":"later","request_id":"r"}}',
    ):
        assert parse_line(line) == ControlResponse("r", "refused", msgspec.Raw(b"null"))


def test_the_texts_of_a_complaint_are_joined_and_other_blocks_passed_over() -> None:
    """A complaint's words are looked at for what they mean."""
    content = b'[{"type":"text","text":"Not "},{"type":"image","text":"x"},{"type":"text","text":"logged in"}]'
    line = b'{"type":"assistant","error":"authentication_failed","message":{"content":' + content + b"}}"
    assert parse_line(line) == CliError("authentication_failed", None, "Not logged in")


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"\n",
        b"null",
        b"[]",
        b'"stream_event"',
        b"{}",
        b'{"type":null}',
        b'{"type":1}',
        b'{"type":"stream_event"}',
        b'{"type":"stream_event","event":{}}',
        b'{"type":"stream_event","event":{"type":"content_block_delta","delta":{"text":1}}}',
        b'{"type":"control_response"}',
        b'{"type":"control_response","response":{"subtype":"success"}}',
        b'{"type":"control_response","response":{"request_id":"r"}}',
        b'{"type":"control_request","request_id":"r"}',
        b'{"type":"control_request","request":{"subtype":"x"}}',
        b'{"type":"assistant"}',
        b'{"type":"assistant","error":"x","message":{"content":"words"}}',
        b'{"type":"result","is_error":"no"}',
        b'{"type":"result"} {"type":"result"}',
        b"Error: Cannot find module",
        b'{"type":"resu',
        b'{"type":"\xff"}',
    ],
)
def test_a_line_without_what_it_must_have_is_garbage(line: bytes) -> None:
    """A known type does not excuse missing or mistyped fields, and a reason is always given."""
    parsed = parse_line(line)
    assert isinstance(parsed, InvalidLine)
    assert parsed.reason


@pytest.mark.parametrize("escape", ["\\ud83d", "\\uDE00", "\\ud83d\\ud83d"])
def test_half_a_surrogate_pair_in_a_line_does_not_make_it_unreadable(escape: str) -> None:
    """JavaScript writes one as an escape; UTF-8 has no bytes for it, so the reader sees the replacement character."""
    said = parse_line(f'{{"type":"result","result":"a{escape}b \\ud83d\\ude00"}}'.encode())
    assert isinstance(said, ResultLine)
    assert said.text.strip("\ufffd") == said.text
    assert said.text.replace("\ufffd", "") == "ab 😀"


KNOWN = ("stream_event", "control_response", "control_request", "assistant", "result")


@given(st.text().filter(lambda name: name not in KNOWN), st.dictionaries(st.text(), st.integers() | st.text()))
def test_a_type_that_is_not_known_is_other_whatever_it_holds(name: str, fields: dict[str, object]) -> None:
    """A newer CLI may say more without harm."""
    assert parse_line(msgspec.json.encode({**fields, "type": name})) == UnknownLine(name)


@given(st.binary(max_size=200))
@example(b'{"type":"x","a":' + b"[" * 100_000)
@example(b"[" * 100_000)
@example(b'{"type":"result","num_turns":1e400}')
def test_no_bytes_make_the_parser_raise(line: bytes) -> None:
    """Whatever the CLI writes is some Line."""
    assert parse_line(line) is not None


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["type", "event", "delta", "text", "message", "content", "response", "request", "usage"])
            | st.text(max_size=5),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@given(st.sampled_from(KNOWN), st.dictionaries(st.text(max_size=9), JSON, max_size=3), JSON, st.data())
def test_no_fields_of_a_known_type_make_the_parser_raise(
    name: str, more: dict[str, object], value: object, data: st.DataObject
) -> None:
    """Neither does what looks right at first sight, also when it is cut short."""
    fields = st.sampled_from(["event", "response", "request", "message", "error", "result", "is_error"])
    line = msgspec.json.encode({**more, "type": name, data.draw(fields): value})
    assert parse_line(line) is not None
    assert parse_line(line[: data.draw(st.integers(0, len(line)))]) is not None


@given(st.sampled_from([START, DELTA, STOP, COMPLAINT, RESULT, FAILED_RESULT, UNSUPPORTED, PERMISSION]), st.data())
def test_a_recorded_line_cut_short_is_garbage(line: bytes, data: st.DataObject) -> None:
    """A line that the CLI could not finish says nothing."""
    cut = data.draw(st.integers(0, len(line) - 2))
    assert isinstance(parse_line(line[:cut]), InvalidLine)
