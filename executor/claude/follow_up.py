"""What the model is told before its next round. Pure.

Invariants: each call of the model's message has exactly one result, in the order of the calls.
"""

from collections.abc import Mapping

from executor.claude.output.parser import OutputParser
from executor.claude.output.recorder import Call
from executor.claude.output.structured import DEMAND, StructuredOutput
from executor.claude.request.blocks import Json, Wire, beside, text_block, to_wire
from shared.turn import Document, Text, ToolResult

NOT_MADE = "This call was not made: one call at a time is allowed."
NOT_OFFERED = "Error: No such tool available: {name}"
NOT_READABLE = "Error: The arguments are not a JSON object. Write them again."
OTHER_FIRST = "This call was not made: the tool that the request demands must be called first."
NOT_YET = "Call this tool again, alone, once the other results are known."
NO_FILE = "A file of type {type} came here, which can't be shown in a result."
CALL_NOW = "Call the tool now. An answer in words can't be used."


def build_follow_up(parser: OutputParser, results: Mapping[str, ToolResult], wire: Wire) -> list[Json]:
    """The model's message and what answers it. results: those of the calls that were given to the caller."""
    content: list[Json] = []
    behind: list[Json] = []
    for call in parser.recorder.calls:
        if call.fate == "given" and call.id in results:
            result = _showable(results[call.id])
            content.append(to_wire(result, wire))
            behind.extend(to_wire(part, wire) for part in beside(result))
        else:
            content.append(_refuse(call, _reason(call, parser)))
    if not content:
        content.append(text_block(DEMAND if parser.structured else CALL_NOW))
    said = parser.recorder.content()
    answer: Json = {"role": "user", "content": [*content, *behind]}
    return [{"role": "assistant", "content": said}, answer] if said else [answer]


def _refuse(call: Call, reason: str) -> Json:
    return {"type": "tool_result", "tool_use_id": call.id, "content": reason, "is_error": True}


def _reason(call: Call, parser: OutputParser) -> str:
    match call.fate:
        case "surplus":
            return NOT_MADE
        case "not_offered":
            return NOT_OFFERED.format(name=call.name)
        case "undemanded":
            return OTHER_FIRST
        case "structured":
            return _explain(parser.structured)
        case "given":
            return NOT_READABLE


def _explain(structured: StructuredOutput | None) -> str:
    return structured.explain() if structured and structured.problem else NOT_YET


def _showable(result: ToolResult) -> ToolResult:
    """The result as the service takes it: a text file as text, no other file."""
    return ToolResult(result.tool_use_id, tuple(map(_part, result.content)), result.is_error)


def _part[P](part: P) -> P | Text:
    match part:
        case Document("text/plain", data):
            return Text(data)
        case Document(media_type) if media_type != "application/pdf":
            return Text(NO_FILE.format(type=media_type))
        case _:
            return part
