"""What a response shows of its request: the parameters as they were sent, and the items of its input. Pure."""

from collections.abc import Sequence
from typing import cast

import msgspec

from api.conversation.fields import number as whole_number
from api.core.problems import invalid
from api.dialects.openai_responses.decode import ResponsesCall
from api.dialects.openai_responses.output import ItemList, ResponseObject

MOST_ITEMS = 100
# item type -> the beginning of its ids
IDS = {
    "message": "msg",
    "function_call": "fc",
    "function_call_output": "fco",
    "custom_tool_call": "ctc",
    "custom_tool_call_output": "ctco",
    "reasoning": "rs",
}

type Json = dict[str, object]


def begun(response_id: str, created: int, model: str, call: ResponsesCall) -> ResponseObject:
    """A response that has just begun."""
    request, sent = call.request, call.echoed
    text: Json = {"format": {"type": "text"}, **_fields(sent.get("text"))}
    reasoning: Json = {"effort": None, "summary": None, **_fields(sent.get("reasoning"))}
    return ResponseObject(
        id=response_id,
        created_at=created,
        status="queued" if call.background else "in_progress",
        background=call.background,
        instructions=request.instructions,
        max_output_tokens=request.max_output_tokens,
        max_tool_calls=_whole(_value(sent.get("max_tool_calls"))),
        model=model,
        output=[],
        parallel_tool_calls=request.parallel_tool_calls is not False,
        previous_response_id=request.previous_response_id,
        reasoning=_raw(reasoning),
        store=call.store,
        temperature=_number(_value(sent.get("temperature"))),
        text=_raw({**text, "format": _said(text["format"]) or {"type": "text"}}),
        tool_choice=_said(sent.get("tool_choice")) or _raw("auto"),
        tools=_said(sent.get("tools")) or _raw([]),
        top_p=_number(_value(sent.get("top_p"))),
        truncation=request.truncation or "disabled",
        user=user if isinstance(user := _value(sent.get("user")), str) else None,
        metadata=request.metadata or {},
    )


def shown(item: msgspec.Raw, number: str) -> msgspec.Raw:
    """An item of the input as it is kept: with a type, an id, and its content in parts."""
    # What the client wrote stays as it was written.
    sent = _fields(item)
    fields = msgspec.json.decode(bytes(item), type=dict[str, object])
    kind = fields.get("type") or "message"
    start = IDS.get(kind, "item") if isinstance(kind, str) else "item"
    whole: Json = {**sent, "type": kind, "id": fields.get("id") or f"{start}_{number}"}
    content = fields.get("content")
    if kind == "message" and isinstance(content, str):
        part = "output_text" if fields.get("role") == "assistant" else "input_text"
        extra: Json = {"annotations": []} if part == "output_text" else {}
        whole["content"] = [{"type": part, "text": content, **extra}]
    if kind == "message":
        whole.setdefault("status", "completed")
    return _raw(whole)


def listed(items: Sequence[msgspec.Raw], limit: str, order: str, after: str | None) -> ItemList:
    """A page of items. Raises Problem (400)."""
    if not 1 <= whole_number(limit) <= MOST_ITEMS:
        raise invalid(f"`limit` must be from 1 to {MOST_ITEMS}.", "limit")
    if order not in {"asc", "desc"}:
        raise invalid("`order` must be asc or desc.", "order")
    ordered = list(items if order == "asc" else reversed(items))
    ids = [cast("str", msgspec.json.decode(bytes(item), type=dict[str, object]).get("id")) for item in ordered]
    if after is not None and after not in ids:
        raise invalid(f"`after`: no item with id `{after}` is among them.", "after")
    first = ids.index(after) + 1 if after is not None else 0
    last = first + whole_number(limit)
    page = ids[first:last]
    return ItemList(
        data=ordered[first:last],
        first_id=page[0] if page else None,
        last_id=page[-1] if page else None,
        has_more=last < len(ordered),
    )


def _fields(raw: msgspec.Raw | None) -> Json:
    """The fields of an object, each as it was written; none of what is no object."""
    sent = _said(raw)
    return cast("Json", msgspec.json.decode(sent, type=dict[str, msgspec.Raw])) if isinstance(sent, msgspec.Raw) else {}


def _said(value: object) -> msgspec.Raw | None:
    """What was sent, unless it is null or not there."""
    return value if isinstance(value, msgspec.Raw) and bytes(value) != b"null" else None


def _value(raw: msgspec.Raw | None) -> object:
    return msgspec.json.decode(raw) if raw else None


def _raw(value: object) -> msgspec.Raw:
    return msgspec.Raw(msgspec.json.encode(value))


def _number(value: object) -> float | None:
    return float(value) if isinstance(value, int | float) else None


def _whole(value: object) -> int | None:
    return value if isinstance(value, int) else None
