"""The request's parameters in the document: those that are read, from the struct, and all others, from the table. Pure."""

from collections.abc import Mapping

from api.conversation.parameters import CHAT_PARAMETERS, Parameter, Policy
from api.openapi.structs import Json

MARK = "x-treatment"

MEANING = {
    "supported": "",
    "emulated": "",
    "ignored": "Without effect; the response names it in `x-ignored-parameters`.",
    "accepted": "Accepted, and means nothing here.",
    "rejected": "Refused, unless it asks for nothing.",
}
STRICT = "Refused (REJECT_UNSUPPORTED_PARAMS)."

OBJECTS = (
    *("moderation", "thinking", "provider", "usage", "prompt_cache_options"),
    *("access_programs", "background_options", "image"),
)
TYPES: dict[str, Json] = {
    "seed": {"type": ["integer", "null"]},
    "prediction": {"type": ["object", "null"]},
    "verbosity": {"enum": ["low", "medium", "high", None]},
    "metadata": {"type": ["object", "null"]},
    "store": {"type": ["boolean", "null"]},
    "context_management": {"type": ["array", "null"], "items": {"type": "object"}},
    "max_tool_calls": {"type": ["integer", "null"]},
    "stream_options": {"type": ["object", "null"]},
    "client_metadata": {"type": ["object", "null"]},
    # A number in legacy completions.
    "logprobs": {"type": ["boolean", "integer", "null"]},
    **{name: {"type": ["integer", "null"]} for name in ("top_k", "top_logprobs")},
    **{name: {"type": ["number", "null"]} for name in ("min_p", "top_a", "repetition_penalty")},
    **{name: {"type": ["array", "null"], "items": {"type": "string"}} for name in ("models", "transforms")},
    "plugins": {"type": ["array", "null"], "items": {"type": "object"}},
    **{name: {"type": ["object", "null"]} for name in OBJECTS},
}


def with_parameters(request: Json, policy: Policy, table: Mapping[str, Parameter] = CHAT_PARAMETERS) -> Json:
    """The schema of a request with every parameter of the table, in the table's order."""
    read: Json = request["properties"]
    properties: Json = {name: _parameter(name, what, read.get(name), policy) for name, what in table.items()}
    if "n" in properties:
        properties["n"] |= {"minimum": 1, "maximum": policy.max_choices}
    return {**request, "properties": read | properties}


def _parameter(name: str, what: Parameter, read: Json | None, policy: Policy) -> Json:
    treatment = "rejected" if policy.strict and what.treatment == "ignored" else what.treatment
    if read:
        return {**read, "description": _sentences(read["description"], what.note), MARK: treatment}
    meaning = STRICT if treatment != what.treatment else MEANING[treatment]
    return {**_type(name, what), "description": _sentences(meaning, what.note), MARK: treatment}


def _type(name: str, what: Parameter) -> Json:
    if what.range:
        low, high = what.range
        return {"type": ["number", "null"], "minimum": low, "maximum": high}
    if what.harmless and what.treatment == "rejected":
        return {"enum": [*what.harmless]}
    return TYPES.get(name, {"type": ["string", "null"]})


def _sentences(first: str, note: str) -> str:
    if not note or note.lower().rstrip(".") in first.lower():
        return first
    return f"{first} {note[0].upper()}{note[1:]}.".strip()
