"""What a response repeats of its request: the parameters as they were sent, and its input items. Pure."""

from collections.abc import Sequence
from typing import cast

import msgspec

from api.conversation.fields import check_choice, parse_page_size
from api.core.problems import invalid_problem
from api.dialects.openai_responses.decode import ResponsesTurnRequest
from api.dialects.openai_responses.output import ItemList, ResponseObject

MAX_PAGE_ITEMS = 100
# By item type.
ID_PREFIXES = {
    "message": "msg",
    "function_call": "fc",
    "function_call_output": "fco",
    "custom_tool_call": "ctc",
    "custom_tool_call_output": "ctco",
    "reasoning": "rs",
}

type Json = dict[str, object]


def build_response(response_id: str, created: int, model: str, call: ResponsesTurnRequest) -> ResponseObject:
    """Returns a response that has just started."""
    request, sent = call.request, call.raw_fields
    text: Json = {"format": {"type": "text"}, **_decode_fields(sent.get("text"))}
    reasoning: Json = {"effort": None, "summary": None, **_decode_fields(sent.get("reasoning"))}
    return ResponseObject(
        id=response_id,
        created_at=created,
        status="queued" if call.background else "in_progress",
        background=call.background,
        instructions=request.instructions,
        max_output_tokens=request.max_output_tokens,
        max_tool_calls=number if isinstance(number := _decode_value(sent.get("max_tool_calls")), int) else None,
        model=model,
        output=[],
        parallel_tool_calls=request.parallel_tool_calls is not False,
        previous_response_id=request.previous_response_id,
        reasoning=_encode_raw(reasoning),
        store=call.store,
        temperature=_to_number(_decode_value(sent.get("temperature"))),
        text=_encode_raw({**text, "format": _drop_null(text["format"]) or {"type": "text"}}),
        tool_choice=_drop_null(sent.get("tool_choice")) or _encode_raw("auto"),
        tools=_drop_null(sent.get("tools")) or _encode_raw([]),
        top_p=_to_number(_decode_value(sent.get("top_p"))),
        truncation=request.truncation or "disabled",
        user=user if isinstance(user := _decode_value(sent.get("user")), str) else None,
        metadata=request.metadata or {},
    )


def to_input_items(items: Sequence[msgspec.Raw], response_id: str) -> tuple[msgspec.Raw, ...]:
    """Returns the input items as they are stored with the response of this id."""
    prefix = response_id.removeprefix("resp_")
    return tuple(to_input_item(item, f"{prefix}i{index:02x}") for index, item in enumerate(items))


def to_input_item(item: msgspec.Raw, number: str) -> msgspec.Raw:
    """Returns an item as it is stored: with a type, an id, and its content in parts."""
    # As raw JSON, so that values stay as the client wrote them.
    sent = _decode_fields(item)
    fields = msgspec.json.decode(bytes(item), type=dict[str, object])
    kind = fields.get("type") or "message"
    prefix = ID_PREFIXES.get(kind, "item") if isinstance(kind, str) else "item"
    stored: Json = {**sent, "type": kind, "id": fields.get("id") or f"{prefix}_{number}"}
    content = fields.get("content")
    if kind == "message" and isinstance(content, str):
        part = "output_text" if fields.get("role") == "assistant" else "input_text"
        extra: Json = {"annotations": []} if part == "output_text" else {}
        stored["content"] = [{"type": part, "text": content, **extra}]
    if kind == "message":
        stored.setdefault("status", "completed")
    return _encode_raw(stored)


def paginate_items(items: Sequence[msgspec.Raw], limit: str, order: str, after: str | None) -> ItemList:
    """Returns a page of items. Raises Problem (400)."""
    size = parse_page_size(limit, MAX_PAGE_ITEMS)
    ordered = list(items if check_choice(order, ("asc", "desc"), "order") == "asc" else reversed(items))
    ids = [cast("str", msgspec.json.decode(bytes(item), type=dict[str, object]).get("id")) for item in ordered]
    if after is not None and after not in ids:
        raise invalid_problem(f"`after`: no item with id `{after}` is among them.", "after")
    first = ids.index(after) + 1 if after is not None else 0
    last = first + size
    page = ids[first:last]
    return ItemList(
        data=ordered[first:last],
        first_id=page[0] if page else None,
        last_id=page[-1] if page else None,
        has_more=last < len(ordered),
    )


def _decode_fields(raw: msgspec.Raw | None) -> Json:
    """Returns the fields of an object, each as it was written; none if the value is null or missing."""
    sent = _drop_null(raw)
    return cast("Json", msgspec.json.decode(sent, type=dict[str, msgspec.Raw])) if isinstance(sent, msgspec.Raw) else {}


def _drop_null(value: object) -> msgspec.Raw | None:
    """Returns the value, or None if it is null or missing."""
    return value if isinstance(value, msgspec.Raw) and bytes(value) != b"null" else None


def _decode_value(raw: msgspec.Raw | None) -> object:
    return msgspec.json.decode(raw) if raw else None


def _encode_raw(value: object) -> msgspec.Raw:
    return msgspec.Raw(msgspec.json.encode(value))


def _to_number(value: object) -> float | None:
    return float(value) if isinstance(value, int | float) else None
