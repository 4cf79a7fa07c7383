"""The CLI's stream-json output as values: one line in, one Line out. Pure.

Law: a line this file does not know is Other, and changes nothing; a line that is not JSON, or a known line without what
it must have, is Garbage, and ends the job. The shapes are those of `SDKMessage` and of the control protocol in the
type declarations of the CLI's agent SDK, and of the Messages API's streaming events that ride inside
(https://docs.claude.com/en/api/messages-streaming).
"""

import json
import re

import msgspec
from msgspec import Struct

from executor.claude.cli.lines import (
    ApiRetry,
    Assistant,
    ControlRequest,
    ControlResponse,
    Head,
    Init,
    RateLimit,
    RateLimitInfo,
    Result,
)
from executor.claude.output.service_events import ServiceEvent
from shared.events import Window, Windows


class Streamed(Struct, frozen=True):
    """`stream_event`: what the service sent, as it came."""

    event: ServiceEvent


class Answered(Struct, frozen=True):
    """`control_response`: the CLI did what it was told, or why not."""

    request_id: str
    error: str | None
    response: msgspec.Raw


class Asked(Struct, frozen=True):
    """`control_request`: the CLI wants an answer of us.

    message: the JSON-RPC message of an `mcp_message`. input: what `can_use_tool` asks leave for, as JSON text.
    """

    request_id: str
    subtype: str
    message: dict[str, object] | None
    input: str = "{}"


class Complained(Struct, frozen=True):
    """A synthetic `assistant` line: the CLI speaks of an error in the model's place. error: its kind."""

    error: str
    status: int | None
    text: str


class Introduced(Struct, frozen=True):
    """`system/init`: a turn begins. tools: every tool the model is about to be offered, by wire name. model: its full id."""

    tools: tuple[str, ...]
    model: str = ""


class Retrying(Struct, frozen=True):
    """`system/api_retry`: the service refused, and the CLI will ask again. delay: in how many seconds."""

    error: str
    status: int | None
    delay: float


class Limited(Struct, frozen=True):
    """`rate_limit_event`: the subscription's usage windows."""

    windows: Windows


class Ended(Struct, frozen=True):
    """`result`: the CLI is through with what it was sent. num_turns is 0 when it did not ask the model.

    structured: the answer met the schema. api_error, terminal_reason: the CLI's words for what went wrong.
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


class Other(Struct, frozen=True):
    """A line that says nothing of interest here."""

    type: str


class Garbage(Struct, frozen=True):
    """Not a line of this protocol."""

    reason: str


type Line = Streamed | Answered | Asked | Complained | Introduced | Retrying | Limited | Ended | Other | Garbage


SURROGATE = re.compile(rb"\\u[dD][89a-fA-F]")

_head = msgspec.json.Decoder(Head)
_streamed = msgspec.json.Decoder(Streamed)
_control_response = msgspec.json.Decoder(ControlResponse)
_control_request = msgspec.json.Decoder(ControlRequest)
_assistant = msgspec.json.Decoder(Assistant)
_result = msgspec.json.Decoder(Result)
_init = msgspec.json.Decoder(Init)
_api_retry = msgspec.json.Decoder(ApiRetry)
_rate_limit = msgspec.json.Decoder(RateLimit)


def parse(line: bytes) -> Line:
    """What one line of the CLI's output says. Never raises."""
    try:
        return _parse(line)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        return _parse_repaired(line) or Garbage(str(error))


def _parse_repaired(line: bytes) -> Line | None:
    """A line with half of a surrogate pair written as an escape, which JavaScript takes and UTF-8 has no bytes for."""
    if not SURROGATE.search(line):
        return None
    try:
        text = json.dumps(json.loads(line), ensure_ascii=False)
        return _parse(text.encode("utf-16", "surrogatepass").decode("utf-16", "replace").encode())
    except (ValueError, RecursionError):
        return None


def _parse(line: bytes) -> Line:
    head = _head.decode(line)
    match head.type:
        case "stream_event":
            return _streamed.decode(line)
        case "control_response":
            response = _control_response.decode(line).response
            error = None if response.subtype == "success" else response.error or "refused"
            return Answered(response.request_id, error, response.response)
        case "control_request":
            asked = _control_request.decode(line)
            request = asked.request
            return Asked(asked.request_id, request.subtype, request.message, bytes(request.input).decode())
        case "assistant":
            assistant = _assistant.decode(line)
            if assistant.error is None:
                return Other("assistant")
            text = "".join(block.text for block in assistant.message.content if block.type == "text")
            return Complained(assistant.error, assistant.api_error_status, text)
        case "result":
            result = _result.decode(line)
            return Ended(
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
            begun = _init.decode(line)
            return Introduced(begun.tools, begun.model)
        case "system" if head.subtype == "api_retry":
            retry = _api_retry.decode(line)
            return Retrying(retry.error, retry.error_status, retry.retry_delay_ms / 1000)
        case "rate_limit_event":
            return Limited(_windows(_rate_limit.decode(line).rate_limit_info))
        case other:
            return Other(other)


def _windows(info: RateLimitInfo) -> Windows:
    windows = {
        name: Window(name, window.utilization, window.resets_at) for name, window in info.unified_windows.items()
    }
    if info.rate_limit_type and info.rate_limit_type not in windows:
        windows[info.rate_limit_type] = Window(info.rate_limit_type, info.utilization, info.resets_at)
    return Windows(info.status, tuple(windows.values()), info.is_using_overage)


class OfferedModel(Struct, frozen=True, rename="camel"):
    """A model in the answer to `initialize`."""

    value: str
    resolved_model: str = ""
    display_name: str = ""
    description: str = ""


class Introduction(Struct, frozen=True):
    """The CLI's answer to `initialize`, as far as it is used."""

    claude_code_version: str = ""
    models: list[OfferedModel] = []


_introduction = msgspec.json.Decoder(Introduction)


def introduction(response: msgspec.Raw) -> Introduction:
    """Read the answer to `initialize`. Raises msgspec.DecodeError."""
    return _introduction.decode(response)
