"""A Responses request as drafts of a Turn. Pure.

Invariants: as of chat completions: nothing that was sent is lost without a word. What an earlier response said comes before
what this request says, by the same rules.
"""

from collections.abc import Collection, Mapping, Sequence
from typing import ClassVar, Protocol

import msgspec

from api.conversation.drafts import split_system_texts
from api.conversation.fields import check_budget, check_max_tokens, decode_json, parse_effort
from api.conversation.items import parse_items
from api.conversation.parameters import RESPONSES_PARAMETERS, Policy, check_ignored, check_parameters
from api.conversation.schemas import read_answer_schema
from api.conversation.turn_request import TurnRequest
from api.conversation.unused_fields import RESPONSES_FIELDS, find_unused_fields, is_description_lost
from api.core.problems import Problem, invalid_problem
from api.dialects.openai_responses.models import ResponsesRequest, TextFormat, TextOptions
from api.dialects.openai_responses.tools import ResponsesToolSet, parse_tools

ENCRYPTED_CONTENT = "reasoning.encrypted_content"
SUMMARIES = ("auto", "concise", "detailed", "none")
VERBOSITIES = ("low", "medium", "high")
MAX_METADATA_PAIRS = 16

_fields = msgspec.json.Decoder(dict[str, object])
_request = msgspec.json.Decoder(ResponsesRequest)
_raws = msgspec.json.Decoder(dict[str, msgspec.Raw])


class ResponseHistory(Protocol):
    """What earlier responses left."""

    def get_conversation(self, response_id: str) -> Sequence[msgspec.Raw] | None:
        """Every item up to the end of a response; None when it is not kept."""
        ...

    def get_items(self, ids: Collection[str]) -> Mapping[str, msgspec.Raw]:
        """The items of these ids, as far as they are kept."""
        ...


class ResponsesTurnRequest(TurnRequest, frozen=True, kw_only=True):
    """A request for a response, understood.

    before: the items of the responses before. items: those of this request. summaries: show the model's thoughts. sealed:
    give out what gives them back to the model. echoed: the request's fields, as they were written.
    """

    schema_place: ClassVar[str] = "text.format"

    request: ResponsesRequest
    previous_items: tuple[msgspec.Raw, ...]
    items: tuple[msgspec.Raw, ...]
    tools: ResponsesToolSet
    store: bool
    background: bool
    show_summaries: bool
    include_encrypted: bool
    raw_fields: dict[str, msgspec.Raw]


def decode(body: bytes, policy: Policy, memory: ResponseHistory) -> ResponsesTurnRequest:
    """Read the body of POST /v1/responses. Raises Problem (400, 413), with the field at fault in `param`."""
    fields = decode_json(body, _fields)
    ignored = check_parameters(RESPONSES_PARAMETERS, fields, strict=policy.strict)
    request = decode_json(body, _request)
    before = _load_previous_items(request.previous_response_id, memory)
    items = tuple(resolve_references(request.input, memory))
    places = [(f"previous_response_id[{index}]", item) for index, item in enumerate(before)]
    spoken = parse_items([*places, *((f"input[{index}]", item) for index, item in enumerate(items))])
    missing = invalid_problem("`input` must hold a message or another item that says something.", "input")
    instructions = (request.instructions,) if request.instructions else ()
    system, drafts = split_system_texts(instructions, spoken.drafts, missing)
    check_limits(request)
    max_budget_usd = check_budget(request.max_budget_usd)
    offered = parse_tools(request)
    skipped = (
        *offered.ignored,
        *spoken.skipped,
        *list_without_effect(request),
        *find_unused_fields(fields, RESPONSES_FIELDS),
    )
    unmeant = check_ignored(skipped, strict=policy.strict)
    reasoning = request.reasoning
    summary = (reasoning.summary or reasoning.generate_summary) if reasoning else None
    if summary not in {None, *SUMMARIES}:
        raise invalid_problem(
            f"`reasoning.summary` must be auto, concise or detailed, not `{summary}`.", "reasoning.summary"
        )
    return ResponsesTurnRequest(
        model=request.model,
        request=request,
        previous_items=before,
        items=items,
        system=system,
        drafts=drafts,
        max_tokens=request.max_output_tokens,
        max_budget_usd=max_budget_usd,
        tools=offered,
        tool_set=offered.tool_set,
        schema=parse_answer_schema(request.text),
        effort=parse_effort(reasoning.effort, "reasoning.effort") if reasoning else None,
        store=request.store is not False,
        background=bool(request.background),
        stream=bool(request.stream),
        show_summaries=summary not in {None, "none"},
        include_encrypted=ENCRYPTED_CONTENT in (request.include or ()),
        ignored=(*ignored, *unmeant),
        raw_fields=decode_json(body, _raws),
    )


def _load_previous_items(response_id: str | None, memory: ResponseHistory) -> tuple[msgspec.Raw, ...]:
    if not response_id:
        return ()
    found = memory.get_conversation(response_id)
    if found is None:
        message = (
            f"Previous response with id '{response_id}' not found: it was not stored, or is kept no longer. Send its "
            "conversation as `input`."
        )
        raise Problem(400, "previous_response_not_found", message, param="previous_response_id")
    return tuple(found)


def resolve_references(sent: str | list[msgspec.Raw] | None, memory: ResponseHistory) -> Sequence[msgspec.Raw]:
    """The items of the input, with what references point at in their place. Raises Problem."""
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
    # All at once: what is kept is read through for them.
    found = memory.get_items(frozenset(references.values()))
    items: list[msgspec.Raw] = []
    for index, raw in enumerate(sent):
        item_id = references.get(index)
        if item_id is None:
            # Some clients put a text among the items.
            items.append(_build_user_message(raw) if bytes(raw).startswith(b'"') else raw)
        elif item_id in found:
            items.append(found[item_id])
        elif not item_id.startswith("rs_"):
            message = f"`input[{index}]`: no item with id `{item_id}` is kept here; send the item itself."
            raise invalid_problem(message, f"input[{index}].id", "item_not_found")
    return items


def _build_user_message(text: str | msgspec.Raw) -> msgspec.Raw:
    return msgspec.Raw(msgspec.json.encode({"type": "message", "role": "user", "content": text}))


def _decode_text(raw: msgspec.Raw | None) -> str | None:
    """A field's text; None where it has another value, or is not there."""
    value: object = msgspec.json.decode(raw) if raw else None
    return value if isinstance(value, str) else None


def check_limits(request: ResponsesRequest) -> None:
    """Check what has limits and closed lists. Raises Problem."""
    check_max_tokens(request.max_output_tokens, "max_output_tokens")
    if request.background and request.store is False:
        raise invalid_problem("`background` needs `store`: who does not wait for a response looks it up.", "background")
    if request.truncation not in {None, "auto", "disabled"}:
        raise invalid_problem(f"`truncation` must be auto or disabled, not `{request.truncation}`.", "truncation")
    if request.metadata and len(request.metadata) > MAX_METADATA_PAIRS:
        raise invalid_problem(
            f"`metadata` takes up to {MAX_METADATA_PAIRS} pairs, not {len(request.metadata)}.", "metadata"
        )
    verbosity = request.text.verbosity if request.text else None
    if verbosity not in {None, *VERBOSITIES}:
        raise invalid_problem(f"`text.verbosity` must be low, medium or high, not `{verbosity}`.", "text.verbosity")


def list_without_effect(request: ResponsesRequest) -> tuple[str, ...]:
    """What is supported elsewhere and means nothing in this request."""
    truncation = ("truncation",) if request.truncation == "auto" else ()
    verbosity = ("text.verbosity",) if request.text and request.text.verbosity else ()
    form = request.text.format if request.text else None
    described = ("text.format.description",) if form and is_description_lost(form.description, form.schema) else ()
    others = tuple(f"include.{each}" for each in request.include or () if each != ENCRYPTED_CONTENT)
    return (*truncation, *verbosity, *described, *others)


def parse_answer_schema(text: TextOptions | None) -> str | None:
    """The schema that the answer must meet, as text. Raises Problem."""
    form = (text and text.format) or TextFormat()
    match form.type:
        case "text":
            return None
        case "json_object":
            return '{"type":"object"}'
        case "json_schema":
            return read_answer_schema(form.schema, "text.format.schema")
        case other:
            where = "text.format.type"
            raise invalid_problem(f"`{where}` must be text, json_object or json_schema, not `{other}`.", where)
