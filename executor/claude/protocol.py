"""The CLI's stream-json output as values: one line in, one Line out. Pure.

Law: a line this file does not know is Other, and changes nothing; a line that is not JSON, or a known line without what
it must have, is Garbage, and ends the job. The shapes are those of `SDKMessage` and of the control protocol in the
type declarations of the CLI's agent SDK, and of the Messages API's streaming events that ride inside
(https://docs.claude.com/en/api/messages-streaming).
"""

import msgspec
from msgspec import Struct


class ServiceUsage(Struct, frozen=True):
    """Token counts as the service sends them; None where a message does not speak of one."""

    input_tokens: int | None = None
    output_tokens: int | None = None
    cache_read_input_tokens: int | None = None
    cache_creation_input_tokens: int | None = None


class ServiceMessage(Struct, frozen=True):
    """The `message` of `message_start`."""

    model: str = ""
    usage: ServiceUsage = ServiceUsage()


class ServiceDelta(Struct, frozen=True):
    """The `delta` of `content_block_delta` and of `message_delta`."""

    type: str = ""
    text: str = ""
    stop_reason: str | None = None


class ServiceEvent(Struct, frozen=True):
    """One event of the Messages API's stream."""

    type: str
    message: ServiceMessage = ServiceMessage()
    delta: ServiceDelta = ServiceDelta()
    usage: ServiceUsage = ServiceUsage()


class Streamed(Struct, frozen=True):
    """`stream_event`: what the service sent, as it came."""

    event: ServiceEvent


class Answered(Struct, frozen=True):
    """`control_response`: the CLI did what it was told, or why not."""

    request_id: str
    error: str | None
    response: msgspec.Raw


class Asked(Struct, frozen=True):
    """`control_request`: the CLI wants an answer of us."""

    request_id: str
    subtype: str


class Complained(Struct, frozen=True):
    """A synthetic `assistant` line: the CLI speaks of an error in the model's place. error: its kind."""

    error: str
    status: int | None
    text: str


class Ended(Struct, frozen=True):
    """`result`: the CLI is through with what it was sent. num_turns is 0 when it did not ask the model."""

    is_error: bool
    num_turns: int
    status: int | None
    text: str


class Other(Struct, frozen=True):
    """A line that says nothing of interest here."""

    type: str


class Garbage(Struct, frozen=True):
    """Not a line of this protocol."""

    reason: str


type Line = Streamed | Answered | Asked | Complained | Ended | Other | Garbage


class _Head(Struct, frozen=True):
    type: str


class _Response(Struct, frozen=True):
    subtype: str
    request_id: str
    error: str | None = None
    response: msgspec.Raw = msgspec.Raw(b"null")


class _ControlResponse(Struct, frozen=True):
    response: _Response


class _Request(Struct, frozen=True):
    subtype: str


class _ControlRequest(Struct, frozen=True):
    request_id: str
    request: _Request


class _Block(Struct, frozen=True):
    type: str = ""
    text: str = ""


class _AssistantMessage(Struct, frozen=True):
    content: list[_Block] = []


class _Assistant(Struct, frozen=True):
    message: _AssistantMessage
    error: str | None = None
    api_error_status: int | None = None


class _Result(Struct, frozen=True):
    is_error: bool = False
    num_turns: int = 0
    api_error_status: int | None = None
    result: str = ""


_head = msgspec.json.Decoder(_Head)
_streamed = msgspec.json.Decoder(Streamed)
_control_response = msgspec.json.Decoder(_ControlResponse)
_control_request = msgspec.json.Decoder(_ControlRequest)
_assistant = msgspec.json.Decoder(_Assistant)
_result = msgspec.json.Decoder(_Result)


def parse(line: bytes) -> Line:
    """What one line of the CLI's output says. Never raises."""
    try:
        return _parse(line)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        return Garbage(str(error))


def _parse(line: bytes) -> Line:
    match _head.decode(line).type:
        case "stream_event":
            return _streamed.decode(line)
        case "control_response":
            response = _control_response.decode(line).response
            error = None if response.subtype == "success" else response.error or "refused"
            return Answered(response.request_id, error, response.response)
        case "control_request":
            asked = _control_request.decode(line)
            return Asked(asked.request_id, asked.request.subtype)
        case "assistant":
            assistant = _assistant.decode(line)
            if assistant.error is None:
                return Other("assistant")
            text = "".join(block.text for block in assistant.message.content if block.type == "text")
            return Complained(assistant.error, assistant.api_error_status, text)
        case "result":
            result = _result.decode(line)
            return Ended(result.is_error, result.num_turns, result.api_error_status, result.result)
        case other:
            return Other(other)


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
