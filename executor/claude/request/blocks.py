"""Blocks of a conversation as the Messages API has them. Pure.

(https://docs.claude.com/en/api/messages, content blocks)
"""

from collections.abc import Mapping

import msgspec

from executor.claude.request.tool_forms import PLAIN_FORM, ToolForm
from executor.claude.request.tool_names import WireNames
from shared.turn import Block, Document, Image, RedactedThinking, Text, Thinking, ToolResult, ToolUse

type Json = dict[str, object]

THINKING_BLOCKS = Thinking | RedactedThinking
# How the CLI itself words an instruction where the model takes no system messages.
REMINDER_TEMPLATE = "<system-reminder>\n{text}\n</system-reminder>"


class WireTools:
    """How names and arguments of a turn's tools travel."""

    def __init__(self, names: WireNames, forms: Mapping[str, ToolForm]) -> None:
        self.names = names
        self._forms = forms

    def find_form(self, name: str) -> ToolForm:
        """The form of the tool that the client calls so; a tool that is not on offer is taken as it is."""
        return self._forms.get(name, PLAIN_FORM)


def has_content(block: Block) -> bool:
    """Whether the service takes a block: it refuses text without a visible character."""
    return not isinstance(block, Text) or bool(block.text.strip())


def build_reminder(text: str) -> Json:
    """An instruction as part of a user's message."""
    return build_text_block(REMINDER_TEMPLATE.format(text=text))


def build_text_block(text: str) -> Json:
    """A block of text."""
    return {"type": "text", "text": text}


def to_wire(block: Block, wire: WireTools) -> Json:
    """A block as the service takes it."""
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
            sent = msgspec.Raw(wire.find_form(name).to_wire(arguments).encode())
            return {"type": "tool_use", "id": call_id, "name": wire.names.to_wire(name), "input": sent}
        case ToolResult():
            return _result_to_wire(block, wire)


def _document_to_wire(document: Document) -> Json:
    form = "text" if document.media_type == "text/plain" else "base64"
    source = {"type": form, "media_type": document.media_type, "data": document.data}
    about = {"title": document.title, "context": document.context}
    return {"type": "document", "source": source, **{name: text for name, text in about.items() if text}}


def _result_to_wire(result: ToolResult, wire: WireTools) -> Json:
    parts = [
        to_wire(part, wire) for part in result.content if has_content(part) and part not in list_attachments(result)
    ]
    error: Json = {"is_error": True} if result.is_error else {}
    return {"type": "tool_result", "tool_use_id": result.tool_use_id, "content": parts, **error}


def list_attachments(result: ToolResult) -> tuple[Image | Document, ...]:
    """What stands beside a result: the service takes nothing but text inside of one that is an error."""
    return tuple(part for part in result.content if result.is_error and not isinstance(part, Text))
