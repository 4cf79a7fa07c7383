"""The parameters of request bodies, from structs and tables, and those of paths and queries. Pure."""

from collections.abc import Mapping

from api.conversation.parameters import Parameter, Policy
from api.core.schema import Json

TREATMENT = "x-treatment"
MEANING = {
    "supported": "",
    "emulated": "",
    "ignored": "Ignored; the response lists it in `x-ignored-parameters`.",
    "accepted": "Accepted without effect.",
    "rejected": "Rejected, unless the value requests the default behaviour.",
}
STRICT = "Rejected (REJECT_UNSUPPORTED_PARAMS)."
TYPES = {
    **dict.fromkeys(
        ("prediction", "metadata", "stream_options", "client_metadata", "moderation", "thinking"), "object"
    ),
    **dict.fromkeys(("provider", "usage", "prompt_cache_options", "access_programs", "background_options"), "object"),
    **dict.fromkeys(("seed", "max_tool_calls", "top_k", "top_logprobs"), "integer"),
    **dict.fromkeys(("min_p", "top_a", "repetition_penalty"), "number"),
    **dict.fromkeys(("models", "transforms", "plugins", "context_management"), "array"),
    "image": "object",
    "store": "boolean",
}

_KEY_NAME: Json = {"type": "string", "pattern": "^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$"}
_USAGE_GROUPS = "(key|model|dialect|day|hour)"


def _query(name: str, description: str, **schema: object) -> Json:
    return {"name": name, "in": "query", "description": description, "schema": schema}


def _path(name: str, description: str, example: str, schema: Json) -> Json:
    return {
        "name": name,
        "in": "path",
        "required": True,
        "description": description,
        "schema": schema,
        "example": example,
    }


REQUEST_ID: Json = {
    "name": "x-request-id",
    "in": "header",
    "description": "Your id for this request, which the server's log contains. Default: the server generates an id.",
    "schema": {"type": "string", "pattern": "^[A-Za-z0-9._-]{1,128}$"},
}
PATH_PARAMETERS = {
    "model_id": _path("model_id", "The id of the model.", "sonnet", {"type": "string", "minLength": 1}),
    "response_id": _path("response_id", "The id of the response.", "resp_5d3f0c2a", {"type": "string", "minLength": 1}),
    "name": _path("name", "The name of the key.", "notes-app", _KEY_NAME),
}
QUERY_PARAMETERS: dict[str, tuple[Json, ...]] = {
    "getResponse": (
        _query("stream", "`true`: stream the events of a background response.", enum=["true", "false"]),
        _query(
            "starting_after",
            "With `stream`: the `sequence_number` of the last event that you received.",
            type="integer",
            minimum=0,
        ),
    ),
    "listInputItems": (
        _query("limit", "The maximum number of items.", type="integer", minimum=1, maximum=100, default=20),
        _query("order", "`desc`: newest first; `asc`: oldest first.", enum=["desc", "asc"], default="desc"),
        _query("after", "The id of the last item of the previous page.", type="string"),
    ),
    "getUsage": (
        _query(
            "by",
            "The fields by which the rows are grouped: one or more of key, model, dialect, day and hour, separated by commas.",
            type="string",
            pattern=f"^{_USAGE_GROUPS}(,{_USAGE_GROUPS})*$",
        ),
        _query(
            "since",
            "The start of the period, inclusive: a date or a time. Default: 30 days before `until`.",
            type="string",
        ),
        _query("until", "The end of the period, exclusive: a date or a time. Default: now.", type="string"),
        _query("key", "Count only jobs of the key with this name.", type="string"),
        _query("format", "The format of the report. `Accept: text/csv` also selects `csv`.", enum=["json", "csv"]),
    ),
}


def with_parameters(request: Json, table: Mapping[str, Parameter], policy: Policy) -> None:
    """Adds the treatment of every parameter in the table to the schema of a request."""
    properties: Json = request["properties"]
    for name, parameter in table.items():
        treatment = "rejected" if policy.strict and parameter.treatment == "ignored" else parameter.treatment
        field = properties.setdefault(name, _untyped(name, parameter))
        meaning = field.get("description") or (STRICT if treatment != parameter.treatment else MEANING[treatment])
        field |= {"description": _join(meaning, parameter.note), TREATMENT: treatment}
    if "n" in table:
        properties["n"] |= {"minimum": 1, "maximum": policy.max_choices}


def _untyped(name: str, parameter: Parameter) -> Json:
    """Returns the schema of a parameter that is not a field of a struct."""
    if parameter.range:
        low, high = parameter.range
        return {"type": ["number", "null"], "minimum": low, "maximum": high}
    if parameter.harmless and parameter.treatment == "rejected":
        return {"enum": [*parameter.harmless]}
    if name == "logprobs":
        # A number in legacy completions.
        return {"type": ["boolean", "integer", "null"]}
    if name == "verbosity":
        return {"enum": ["low", "medium", "high", None]}
    return {"type": [TYPES.get(name, "string"), "null"]}


def _join(meaning: str, note: str) -> str:
    if not note or note.lower().rstrip(".") in meaning.lower():
        return meaning
    return f"{meaning} {note[0].upper()}{note[1:]}.".strip()
