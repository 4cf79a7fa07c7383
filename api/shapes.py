"""Bodies of one API that clients post to another's address, put into the shape that belongs there. Pure.

Law: only the shape changes; a body that is already in shape is given back as it is, the very same object.

Cursor's agent mode posts Responses bodies (`input`, `instructions`) and Anthropic's `system` to `/chat/completions`.
"""

from collections.abc import Mapping
from typing import cast

type Fields = dict[str, object]


def as_chat(fields: Fields) -> Fields:
    """The fields of a chat completion request."""
    system = fields.get("system") if "system" in fields else fields.get("instructions")
    # Cursor sends an empty `messages` beside its `input`.
    has_messages = bool(fields.get("messages")) or "input" not in fields
    if has_messages and (system is None or "messages" not in fields):
        return fields
    messages = fields["messages"] if has_messages else _messages(fields["input"])
    if system is not None and isinstance(messages, list):
        messages = [{"role": "system", "content": system}, *cast("list[object]", messages)]
    shaped: Fields = {name: value for name, value in fields.items() if name not in {"input", "instructions", "system"}}
    shaped["messages"] = messages
    if "max_output_tokens" in shaped:
        shaped["max_completion_tokens"] = shaped.pop("max_output_tokens")
    text = shaped.get("text")
    if isinstance(text, Mapping) and "response_format" not in shaped:
        shaped["response_format"] = cast("Mapping[str, object]", text).get("format")
    return shaped


def _messages(said: object) -> object:
    """The messages of a Responses `input`: a text, or a list of items."""
    if not isinstance(said, list):
        return [{"role": "user", "content": said}]
    messages: list[Fields] = []
    for item in cast("list[object]", said):
        if not isinstance(item, Mapping):
            messages.append({"role": "user", "content": item})
            continue
        fields = cast("Mapping[str, object]", item)
        match fields.get("type", "message"):
            case "function_call":
                function = {"name": fields.get("name"), "arguments": fields.get("arguments")}
                call = {"id": fields.get("call_id"), "type": "function", "function": function}
                _calls(messages).append(call)
            case "custom_tool_call":
                custom = {"name": fields.get("name"), "input": fields.get("input")}
                _calls(messages).append({"id": fields.get("call_id"), "type": "custom", "custom": custom})
            case "function_call_output" | "custom_tool_call_output":
                result = {"role": "tool", "tool_call_id": fields.get("call_id"), "content": fields.get("output")}
                messages.append(result)
            case "reasoning" | "item_reference":
                # What a model thought can't be given to another; what a reference points at was never stored here.
                continue
            case "message":
                messages.append({"role": fields.get("role", "user"), "content": fields.get("content")})
            case other:
                # No such role: the refusal names it.
                messages.append({"role": other})
    return messages


def _calls(messages: list[Fields]) -> list[object]:
    """The calls of the assistant's message that is being put together."""
    if not messages or messages[-1].get("role") != "assistant":
        messages.append({"role": "assistant", "content": None})
    return cast("list[object]", messages[-1].setdefault("tool_calls", []))
