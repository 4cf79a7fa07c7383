"""Bodies of one API that clients post to another's address, put into the shape that belongs there. Pure.

Law: only the shape changes; a body that is already in shape is given back as it is, the very same object.

Cursor's agent mode posts Responses bodies (`input`, `instructions`) and Anthropic's `system` to `/chat/completions`. What
the items of an `input` mean, `api.items` says.
"""

from collections.abc import Mapping
from typing import cast

type Fields = dict[str, object]


def as_chat(fields: Fields) -> Fields:
    """The fields of a chat completion request, with an `input` in the place of `messages` if that is what it has."""
    system = fields.get("system") if "system" in fields else fields.get("instructions")
    # Cursor sends an empty `messages` beside its `input`.
    has_messages = bool(fields.get("messages")) or "input" not in fields
    if has_messages and (system is None or "messages" not in fields):
        return fields
    left_out = {"instructions", "system", "input" if has_messages else "messages"}
    shaped: Fields = {name: value for name, value in fields.items() if name not in left_out}
    if system is not None:
        rest = cast("list[object]", sent) if isinstance(sent := shaped.get("messages"), list) else []
        shaped["messages"] = [{"role": "system", "content": system}, *rest]
    if "max_output_tokens" in shaped:
        shaped["max_completion_tokens"] = shaped.pop("max_output_tokens")
    text = shaped.get("text")
    if isinstance(text, Mapping) and "response_format" not in shaped:
        shaped["response_format"] = cast("Mapping[str, object]", text).get("format")
    return shaped
