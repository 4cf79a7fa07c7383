"""A call of the model's in the making, whichever dialect it is told in.

Law: a custom tool's text is inside JSON, so it is known only when that is whole.
"""

import json

import msgspec

from api.conversation.tools import CUSTOM_TOOL_FIELD
from shared.events import ToolCall


class CallDraft:
    """A call in the making. Mutable: its arguments so far."""

    def __init__(self, call: ToolCall, *, custom: bool) -> None:
        self.id = call.id
        self.name = call.name
        self.custom = custom
        self.arguments = ""

    def parse_free_text(self) -> str:
        """What a custom tool is given: the one argument that its call has; what can't be read stays as it is."""
        try:
            text = msgspec.convert(json.loads(self.arguments), dict[str, str])[CUSTOM_TOOL_FIELD]
        except (ValueError, KeyError, RecursionError):
            return self.arguments
        # Half of a surrogate pair, which a model may write as an escape, is no text in UTF-8.
        return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
