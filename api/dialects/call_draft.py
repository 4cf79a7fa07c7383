"""Collects the arguments of a streaming tool call, for every dialect.

Invariants: the text for a custom tool is inside JSON, so it is known only when the JSON is complete.
"""

import json

import msgspec

from api.conversation.tools import CUSTOM_TOOL_FIELD
from shared.events import ToolCall


class CallDraft:
    """A streaming call. Mutable: its arguments so far."""

    def __init__(self, call: ToolCall, *, custom: bool) -> None:
        self.id = call.id
        self.name = call.name
        self.custom = custom
        self.arguments = ""

    def parse_free_text(self) -> str:
        """Returns the text for a custom tool: the call's only argument; invalid JSON is returned unchanged."""
        try:
            text = msgspec.convert(json.loads(self.arguments), dict[str, str])[CUSTOM_TOOL_FIELD]
        except (ValueError, KeyError, RecursionError):
            return self.arguments
        # Half of a surrogate pair, which a model may write as an escape, can't be encoded in UTF-8.
        return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
