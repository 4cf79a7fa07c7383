"""Decodes a Responses request into drafts of a Turn. Pure.

Invariants: as in chat completions, nothing that a client sends is dropped silently. The items of earlier responses come
before those of this request, and follow the same rules.
"""

from collections.abc import Mapping, Sequence
from typing import ClassVar

import msgspec

from api.conversation.drafts import split_system_texts
from api.conversation.fields import check_choice, decode_json, parse_effort
from api.conversation.items import parse_items
from api.conversation.parameters import Policy, check_ignored, check_parameters
from api.conversation.schemas import parse_answer_format
from api.conversation.turn_request import TurnRequest
from api.conversation.unused_fields import RESPONSES_FIELDS, find_unused_fields, is_description_lost
from api.core.problems import Problem, invalid_problem
from api.dialects.openai_parameters import RESPONSES_PARAMETERS
from api.dialects.openai_responses.models import ResponsesRequest, TextFormat
from api.dialects.openai_responses.store import KeyResponses
from api.dialects.openai_responses.tools import NamespacedName, parse_tools

ENCRYPTED_CONTENT = "reasoning.encrypted_content"
SUMMARIES = ("auto", "concise", "detailed", "none")
VERBOSITIES = ("low", "medium", "high")
MAX_METADATA_PAIRS = 16

_fields = msgspec.json.Decoder(dict[str, object])
_request = msgspec.json.Decoder(ResponsesRequest)
_raws = msgspec.json.Decoder(dict[str, msgspec.Raw])


class ResponsesTurnRequest(TurnRequest, frozen=True, kw_only=True):
    """A decoded Responses request.

    previous_items: the items of earlier responses. items: those of this request. namespaces: the names of tools in them, by
    offered name. show_summaries: show the model's thinking. include_encrypted: return the thinking sealed, to be sent
    back. raw_fields: the fields as they were written.
    """

    schema_place: ClassVar[str] = "text.format"

    request: ResponsesRequest
    previous_items: tuple[msgspec.Raw, ...]
    items: tuple[msgspec.Raw, ...]
    namespaces: Mapping[str, NamespacedName]
    store: bool
    background: bool
    show_summaries: bool
    include_encrypted: bool
    raw_fields: dict[str, msgspec.Raw]


def decode(body: bytes, policy: Policy, history: KeyResponses) -> ResponsesTurnRequest:
    """Decodes the body of POST /v1/responses. Raises Problem (400, 413) with the invalid field in `param`."""
    fields = decode_json(body, _fields)
    ignored = check_parameters(RESPONSES_PARAMETERS, fields, strict=policy.strict)
    request = decode_json(body, _request)
    previous_items = _load_previous_items(request.previous_response_id, history)
    items = tuple(resolve_references(request.input, history))
    places = [(f"previous_response_id[{index}]", item) for index, item in enumerate(previous_items)]
    parsed_drafts, skipped = parse_items([*places, *((f"input[{index}]", item) for index, item in enumerate(items))])
    missing = invalid_problem("`input` must have a message or another item with content.", "input")
    instructions = (request.instructions,) if request.instructions else ()
    system, drafts = split_system_texts(instructions, parsed_drafts, missing)
    check_limits(request)
    tool_set, namespaces, ignored_tools = parse_tools(request)
    unused = find_unused_fields(fields, RESPONSES_FIELDS)
    without_effect = check_ignored(
        (*ignored_tools, *skipped, *list_without_effect(request), *unused), strict=policy.strict
    )
    text_format = (request.text and request.text.format) or TextFormat()
    reasoning = request.reasoning
    summary = (reasoning.summary or reasoning.generate_summary) if reasoning else None
    if summary is not None:
        check_choice(summary, SUMMARIES, "reasoning.summary")
    return ResponsesTurnRequest(
        model=request.model,
        request=request,
        previous_items=previous_items,
        items=items,
        system=system,
        drafts=drafts,
        max_tokens=request.max_output_tokens,
        max_budget_usd=request.max_budget_usd,
        tool_set=tool_set,
        namespaces=namespaces,
        schema=parse_answer_format(text_format.type, text_format.schema, "text.format", "text.format.schema"),
        effort=parse_effort(reasoning.effort, "reasoning.effort") if reasoning else None,
        store=request.store is not False,
        background=bool(request.background),
        stream=bool(request.stream),
        show_summaries=summary not in {None, "none"},
        include_encrypted=ENCRYPTED_CONTENT in (request.include or ()),
        ignored=(*ignored, *without_effect),
        raw_fields=decode_json(body, _raws),
    )


def _load_previous_items(response_id: str | None, history: KeyResponses) -> tuple[msgspec.Raw, ...]:
    if not response_id:
        return ()
    found = history.get_conversation(response_id)
    if found is None:
        message = (
            f"Previous response with id '{response_id}' not found: it was not stored, or it has expired. Send its "
            "conversation as `input`."
        )
        raise Problem(400, "previous_response_not_found", message, param="previous_response_id")
    return tuple(found)


def resolve_references(sent: str | list[msgspec.Raw] | None, history: KeyResponses) -> Sequence[msgspec.Raw]:
    """Returns the input items, with each reference replaced by its item. Raises Problem."""
    if sent is None:
        return []
    if isinstance(sent, str):
        return [_build_user_message(sent)]
    references: dict[int, str] = {}
    for index, raw in enumerate(sent):
        if bytes(raw).startswith(b'"'):
            continue
        fields = decode_json(bytes(raw), _raws, f"input[{index}]")
        kind, item_id = _decode_text(fields.get("type")), _decode_text(fields.get("id"))
        # Some clients leave the type out of a reference, which then has nothing but an id.
        if kind == "item_reference" or (kind is None and "role" not in fields and item_id is not None):
            references[index] = item_id or ""
    # In one lookup, because it scans the stored responses.
    found = history.get_items(frozenset(references.values()))
    items: list[msgspec.Raw] = []
    for index, raw in enumerate(sent):
        item_id = references.get(index)
        if item_id is None:
            # Some clients send plain text as an item.
            items.append(_build_user_message(raw) if bytes(raw).startswith(b'"') else raw)
        elif item_id in found:
            items.append(found[item_id])
        elif not item_id.startswith("rs_"):
            message = f"`input[{index}]`: no item with id `{item_id}` is stored; send the item itself."
            raise invalid_problem(message, f"input[{index}].id", "item_not_found")
    return items


def _build_user_message(text: str | msgspec.Raw) -> msgspec.Raw:
    return msgspec.Raw(msgspec.json.encode({"type": "message", "role": "user", "content": text}))


def _decode_text(raw: msgspec.Raw | None) -> str | None:
    """Returns a field's text; None if it has another type or is missing."""
    value: object = msgspec.json.decode(raw) if raw else None
    return value if isinstance(value, str) else None


def check_limits(request: ResponsesRequest) -> None:
    """Checks limits and enumerations. Raises Problem."""
    if request.background and request.store is False:
        raise invalid_problem("`background` needs `store`, so that the response can be looked up later.", "background")
    if request.truncation is not None:
        check_choice(request.truncation, ("auto", "disabled"), "truncation")
    if request.metadata and len(request.metadata) > MAX_METADATA_PAIRS:
        raise invalid_problem(
            f"`metadata` takes up to {MAX_METADATA_PAIRS} pairs, not {len(request.metadata)}.", "metadata"
        )
    if request.text and request.text.verbosity is not None:
        check_choice(request.text.verbosity, VERBOSITIES, "text.verbosity")


def list_without_effect(request: ResponsesRequest) -> tuple[str, ...]:
    """Returns the names of fields that have no effect in this request."""
    truncation = ("truncation",) if request.truncation == "auto" else ()
    verbosity = ("text.verbosity",) if request.text and request.text.verbosity else ()
    text_format = request.text.format if request.text else None
    lost = text_format is not None and is_description_lost(text_format.description, text_format.schema)
    description = ("text.format.description",) if lost else ()
    others = tuple(f"include.{each}" for each in request.include or () if each != ENCRYPTED_CONTENT)
    return (*truncation, *verbosity, *description, *others)
