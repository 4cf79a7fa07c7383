"""Builds the messages that precede the model's next round. Pure.

Invariants: each call of the model's message has exactly one result, in the order of the calls.
"""

from collections.abc import Mapping

from executor.claude.output.parser import OutputParser
from executor.claude.output.recorder import RecordedCall
from executor.claude.output.structured import CALL_REMINDER, StructuredOutput
from executor.claude.request.blocks import Json, WireTools, build_text_block, list_attachments, to_wire
from shared.turn import Document, Text, ToolResult

SURPLUS_CALL = "This call was not made: one call at a time is allowed."
UNKNOWN_TOOL = "Error: No such tool available: {name}"
INVALID_ARGUMENTS = "Error: The arguments are not a JSON object. Write them again."
FORCED_TOOL_FIRST = "This call was not made: the tool that the request demands must be called first."
CALL_AGAIN = "Call this tool again, alone, once the other results are known."
UNSUPPORTED_FILE = "A file of type {type} came here, which can't be shown in a result."
CALL_NOW = "Call the tool now. An answer in words can't be used."


def build_follow_up(parser: OutputParser, results: Mapping[str, ToolResult], wire: WireTools) -> list[Json]:
    """Returns the model's message and the answer to it. results: of the calls that the caller answered."""
    content: list[Json] = []
    attachments: list[Json] = []
    for call in parser.message.recorder.calls:
        if call.status == "accepted" and call.id in results:
            result = _to_supported_result(results[call.id])
            content.append(to_wire(result, wire))
            attachments.extend(to_wire(part, wire) for part in list_attachments(result))
        else:
            content.append(_build_refusal(call, _find_reason(call, parser)))
    if not content:
        content.append(build_text_block(CALL_REMINDER if parser.end_rules.structured else CALL_NOW))
    message = parser.message.recorder.build_content()
    answer: Json = {"role": "user", "content": [*content, *attachments]}
    return [{"role": "assistant", "content": message}, answer] if message else [answer]


def _build_refusal(call: RecordedCall, reason: str) -> Json:
    return {"type": "tool_result", "tool_use_id": call.id, "content": reason, "is_error": True}


def _find_reason(call: RecordedCall, parser: OutputParser) -> str:
    match call.status:
        case "surplus":
            return SURPLUS_CALL
        case "not_offered":
            return UNKNOWN_TOOL.format(name=call.name)
        case "rejected":
            return FORCED_TOOL_FIRST
        case "structured":
            return _explain(parser.end_rules.structured)
        case "accepted":
            return INVALID_ARGUMENTS


def _explain(structured: StructuredOutput | None) -> str:
    return structured.explain() if structured and structured.problem else CALL_AGAIN


def _to_supported_result(result: ToolResult) -> ToolResult:
    """Converts a result to what the service accepts: a text file becomes text, another file a note."""
    return ToolResult(result.tool_use_id, tuple(map(_to_supported_part, result.content)), result.is_error)


def _to_supported_part[P](part: P) -> P | Text:
    match part:
        case Document("text/plain", data):
            return Text(data)
        case Document(media_type) if media_type != "application/pdf":
            return Text(UNSUPPORTED_FILE.format(type=media_type))
        case _:
            return part
