"""The CLI's stream-json output as values: one line in, one Line out. Pure.

Invariants: a line of an unknown type is UnknownLine and changes nothing; a line that is not JSON, or a known line without a
required field, is InvalidLine and ends the job. The shapes are those of `SDKMessage` and of the control protocol in the
type declarations of the CLI's agent SDK, and of the Messages API's streaming events inside of it
(https://docs.claude.com/en/api/messages-streaming).
"""

import json
import re

import msgspec
from msgspec import Struct

from executor.claude.cli.lines import (
    RawApiRetry,
    RawAssistant,
    RawControlRequest,
    RawControlResponse,
    RawHead,
    RawInit,
    RawRateLimit,
    RawRateLimitInfo,
    RawResult,
)
from executor.claude.output.service_events import ServiceEvent
from shared.events import UsageWindow, UsageWindows


class StreamEvent(Struct, frozen=True):
    """`stream_event`: an event of the service, unchanged."""

    event: ServiceEvent


class ControlResponse(Struct, frozen=True):
    """`control_response`: the CLI carried a control request out, or refused it with `error`."""

    request_id: str
    error: str | None
    response: msgspec.Raw


class ControlRequest(Struct, frozen=True):
    """`control_request`: the CLI sends a request to the executor.

    message: the JSON-RPC message of an `mcp_message`. input: the arguments that `can_use_tool` asks about, as JSON text.
    """

    request_id: str
    subtype: str
    message: dict[str, object] | None
    input: str = "{}"


class CliError(Struct, frozen=True):
    """A synthetic `assistant` line: the CLI reports an error in the form of a message. error: its kind."""

    error: str
    status: int | None
    text: str


class Init(Struct, frozen=True):
    """`system/init`: a turn starts. tools: the wire names of all tools that the model gets. model: its full id."""

    tools: tuple[str, ...]
    model: str = ""


class ApiRetry(Struct, frozen=True):
    """`system/api_retry`: the service refused, and the CLI will retry. delay: in seconds."""

    error: str
    status: int | None
    delay: float


class RateLimitEvent(Struct, frozen=True):
    """`rate_limit_event`: the subscription's usage windows."""

    windows: UsageWindows


class ResultLine(Struct, frozen=True):
    """`result`: the CLI has finished a query. num_turns is 0 if it did not call the model.

    structured: the answer met the schema. api_error, terminal_reason: the CLI's codes for an error.
    """

    is_error: bool
    num_turns: int
    status: int | None
    text: str
    structured: bool
    cost_usd: float | None
    subtype: str
    api_error: str
    terminal_reason: str


class UnknownLine(Struct, frozen=True):
    """A line that is not used."""

    type: str


class InvalidLine(Struct, frozen=True):
    """A line outside of the protocol."""

    reason: str


type Line = (
    StreamEvent
    | ControlResponse
    | ControlRequest
    | CliError
    | Init
    | ApiRetry
    | RateLimitEvent
    | ResultLine
    | UnknownLine
    | InvalidLine
)


ESCAPED_SURROGATE = re.compile(rb"\\u[dD][89a-fA-F]")

_head_decoder = msgspec.json.Decoder(RawHead)
_stream_event_decoder = msgspec.json.Decoder(StreamEvent)
_control_response_decoder = msgspec.json.Decoder(RawControlResponse)
_control_request_decoder = msgspec.json.Decoder(RawControlRequest)
_assistant_decoder = msgspec.json.Decoder(RawAssistant)
_result_decoder = msgspec.json.Decoder(RawResult)
_init_decoder = msgspec.json.Decoder(RawInit)
_api_retry_decoder = msgspec.json.Decoder(RawApiRetry)
_rate_limit_decoder = msgspec.json.Decoder(RawRateLimit)


def parse_line(line: bytes) -> Line:
    """Parses one line of the CLI's output. Never raises."""
    try:
        return _parse_json(line)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        return _parse_repaired(line) or InvalidLine(str(error))


def _parse_repaired(line: bytes) -> Line | None:
    """Parses a line with half of a surrogate pair as an escape: JavaScript accepts it, UTF-8 can't encode it."""
    if not ESCAPED_SURROGATE.search(line):
        return None
    try:
        text = json.dumps(json.loads(line), ensure_ascii=False)
        return _parse_json(text.encode("utf-16", "surrogatepass").decode("utf-16", "replace").encode())
    except (ValueError, RecursionError):
        return None


def _parse_json(line: bytes) -> Line:
    head = _head_decoder.decode(line)
    match head.type:
        case "stream_event":
            return _stream_event_decoder.decode(line)
        case "control_response":
            response = _control_response_decoder.decode(line).response
            error = None if response.subtype == "success" else response.error or "refused"
            return ControlResponse(response.request_id, error, response.response)
        case "control_request":
            control = _control_request_decoder.decode(line)
            request = control.request
            return ControlRequest(control.request_id, request.subtype, request.message, bytes(request.input).decode())
        case "assistant":
            assistant = _assistant_decoder.decode(line)
            if assistant.error is None:
                return UnknownLine("assistant")
            text = "".join(block.text for block in assistant.message.content if block.type == "text")
            return CliError(assistant.error, assistant.api_error_status, text)
        case "result":
            result = _result_decoder.decode(line)
            return ResultLine(
                is_error=result.is_error,
                num_turns=result.num_turns,
                status=result.api_error_status,
                text=result.result or "",
                structured=bytes(result.structured_output) != b"null",
                cost_usd=result.total_cost_usd,
                subtype=result.subtype,
                api_error=result.api_error or "",
                terminal_reason=result.terminal_reason or "",
            )
        case "system" if head.subtype == "init":
            init = _init_decoder.decode(line)
            return Init(init.tools, init.model)
        case "system" if head.subtype == "api_retry":
            retry = _api_retry_decoder.decode(line)
            return ApiRetry(retry.error, retry.error_status, retry.retry_delay_ms / 1000)
        case "rate_limit_event":
            return RateLimitEvent(_build_windows(_rate_limit_decoder.decode(line).rate_limit_info))
        case other:
            return UnknownLine(other)


def _build_windows(info: RawRateLimitInfo) -> UsageWindows:
    windows = {
        name: UsageWindow(name, window.utilization, window.resets_at) for name, window in info.unified_windows.items()
    }
    if info.rate_limit_type and info.rate_limit_type not in windows:
        windows[info.rate_limit_type] = UsageWindow(info.rate_limit_type, info.utilization, info.resets_at)
    return UsageWindows(info.status, tuple(windows.values()), info.is_using_overage)


class OfferedModel(Struct, frozen=True, rename="camel"):
    """A model in the answer to `initialize`."""

    value: str
    resolved_model: str = ""
    display_name: str = ""
    description: str = ""


class InitializeResponse(Struct, frozen=True):
    """The fields of the CLI's answer to `initialize` that are used."""

    claude_code_version: str = ""
    models: list[OfferedModel] = []


_initialize_decoder = msgspec.json.Decoder(InitializeResponse)


def parse_initialize_response(response: msgspec.Raw) -> InitializeResponse:
    """Parses the answer to `initialize`. Raises msgspec.DecodeError."""
    return _initialize_decoder.decode(response)
