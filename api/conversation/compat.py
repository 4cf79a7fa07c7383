"""Converts bodies of one API that clients post to an address of another. Pure.

Invariants: only the shape changes; fields that already have the right shape are returned as the same object.

Cursor's agent mode posts Responses bodies (`input`, `instructions`) and Anthropic's `system` to `/chat/completions`.
`api.conversation.items` interprets the items of an `input`.
"""

from collections.abc import Mapping
from typing import cast

import msgspec

type Fields = dict[str, object]

_messages = msgspec.json.Decoder(list[msgspec.Raw])


def to_chat_fields(fields: Fields) -> Fields:
    """Returns the fields of a chat completion request, with `messages`, or `input` if there are none."""
    system = fields.get("system") if "system" in fields else fields.get("instructions")
    # Cursor sends an empty `messages` with its `input`.
    has_messages = bool(fields.get("messages")) or "input" not in fields
    if has_messages and (system is None or "messages" not in fields):
        return fields
    left_out = {"instructions", "system", "input" if has_messages else "messages"}
    shaped: Fields = {name: value for name, value in fields.items() if name not in left_out}
    rest = shaped.get("messages")
    # A value that is not a list stays as it is; validation rejects it.
    if system is not None and (not rest or isinstance(rest, list)):
        shaped["messages"] = [{"role": "system", "content": system}, *cast("list[object]", rest or [])]
    if "max_output_tokens" in shaped:
        shaped["max_completion_tokens"] = shaped.pop("max_output_tokens")
    text = shaped.get("text")
    if isinstance(text, Mapping) and "response_format" not in shaped:
        shaped["response_format"] = cast("Mapping[str, object]", text).get("format")
    return shaped


def rewrite_body(body: bytes, sent: Fields, shaped: Fields) -> bytes:
    """Returns the fields from `to_chat_fields` as JSON, with the client's own text for every unchanged value.

    Decoding and encoding would change numbers.
    """
    raw_fields = _decode_raw_fields(body)
    fields: Fields = {
        name: raw_fields[name] if name in raw_fields and sent[name] is value else value
        for name, value in shaped.items()
    }
    if isinstance(sent.get("messages"), list) and shaped.get("messages", sent["messages"]) is not sent["messages"]:
        first, *_ = cast("list[object]", shaped["messages"])
        fields["messages"] = [first, *_messages.decode(raw_fields["messages"])]
    if "response_format" in shaped and "response_format" not in sent:
        fields["response_format"] = _decode_raw_fields(raw_fields["text"]).get("format")
    return msgspec.json.encode(fields)


def _decode_raw_fields(value: bytes | msgspec.Raw) -> dict[str, msgspec.Raw]:
    return msgspec.json.decode(value, type=dict[str, msgspec.Raw])
