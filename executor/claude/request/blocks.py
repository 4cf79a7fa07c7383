"""Builds the content blocks of the Messages API. Pure.

(https://docs.claude.com/en/api/messages, content blocks)
"""

from collections.abc import Mapping

import msgspec

from executor.claude.request.tool_forms import PLAIN_FORM, ToolForm
from executor.claude.request.tool_names import WireNames
from shared.turn import Block, Document, Image, RedactedThinking, Text, Thinking, ToolResult, ToolUse

type Json = dict[str, object]

THINKING_BLOCKS = Thinking | RedactedThinking
# The CLI's own form of an instruction for models that accept no system messages.
REMINDER_TEMPLATE = "<system-reminder>\n{text}\n</system-reminder>"


class WireTools:
    """Translates the names and arguments of a turn's tools."""

    def __init__(self, names: WireNames, forms: Mapping[str, ToolForm]) -> None:
        self.names = names
        self._forms = forms

    def find_form(self, name: str) -> ToolForm:
        """Returns the form of the tool with the client's name; a plain form for a tool that is not offered."""
        return self._forms.get(name, PLAIN_FORM)


def has_content(block: Block) -> bool:
    """Whether the service accepts a block: it rejects text without a visible character."""
    return not isinstance(block, Text) or bool(block.text.strip())


def build_reminder(text: str) -> Json:
    """Builds an instruction as part of a user's message."""
    return build_text_block(REMINDER_TEMPLATE.format(text=text))


def build_text_block(text: str) -> Json:
    """Builds a text block."""
    return {"type": "text", "text": text}


def to_wire(block: Block, wire: WireTools) -> Json:
    """Builds the service's form of a block."""
    match block:
        case Text(text):
            return build_text_block(text)
        case Image(media_type, data):
            return {"type": "image", "source": {"type": "base64", "media_type": media_type, "data": data}}
        case Document():
            return _document_to_wire(block)
        case Thinking(text, signature):
            return {"type": "thinking", "thinking": text, "signature": signature}
        case RedactedThinking(data):
            return {"type": "redacted_thinking", "data": data}
        case ToolUse(call_id, name, arguments):
            wire_arguments = msgspec.Raw(wire.find_form(name).to_wire(arguments).encode())
            return {"type": "tool_use", "id": call_id, "name": wire.names.to_wire(name), "input": wire_arguments}
        case ToolResult():
            return _result_to_wire(block, wire)


def _document_to_wire(document: Document) -> Json:
    encoding = "text" if document.media_type == "text/plain" else "base64"
    source = {"type": encoding, "media_type": document.media_type, "data": document.data}
    metadata = {"title": document.title, "context": document.context}
    return {"type": "document", "source": source, **{name: text for name, text in metadata.items() if text}}


def _result_to_wire(result: ToolResult, wire: WireTools) -> Json:
    parts = [
        to_wire(part, wire) for part in result.content if has_content(part) and part not in list_attachments(result)
    ]
    error: Json = {"is_error": True} if result.is_error else {}
    return {"type": "tool_result", "tool_use_id": result.tool_use_id, "content": parts, **error}


def list_attachments(result: ToolResult) -> tuple[Image | Document, ...]:
    """Returns the parts that are sent after a result: the service accepts only text inside a result that is an error."""
    return tuple(part for part in result.content if result.is_error and not isinstance(part, Text))
