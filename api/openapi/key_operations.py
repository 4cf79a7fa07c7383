"""The operations of keys and usage, for the OpenAPI document. Pure."""

from api.openapi import replies
from api.openapi.operation import REQUEST_ID, answer, json, operation
from api.openapi.replies import headed
from api.openapi.rest import refusals
from api.openapi.structs import Json, reference

RECORD: Json = {
    "description": "A key for chat, with limits.",
    "summary": "A new key",
    "value": {"name": "notes-app", "scopes": ["chat"], "requests_per_minute": 20, "usd_per_day": 5},
}
CHANGE: Json = {"description": "It can be let in again.", "summary": "Shut a key out", "value": {"disabled": True}}
NAME: Json = {
    "name": "name",
    "in": "path",
    "required": True,
    "description": "The key's name.",
    "schema": {"type": "string", "pattern": "^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$"},
    "example": "notes-app",
}
ERRORS = (400, 401, 403, 404, 409, 413, 415, 500, 503)
TITLES = {
    **replies.TITLES,
    400: "The request says something it may not; `detail` names the field",
    404: "There is no such key",
    409: "A key has that name already",
    503: "The database can't be used now; `detail` says what to do",
}
CSV: Json = {"text/csv": {"schema": {"type": "string", "description": "The rows, as a table."}}}


def _query(name: str, description: str, schema: Json) -> Json:
    return {"name": name, "in": "query", "description": description, "schema": schema}


QUERY: tuple[Json, ...] = (
    _query(
        "by",
        "What the sums are grouped by: one or more of key, model, dialect, day and hour, with commas between them.",
        {"type": "string", "pattern": "^(key|model|dialect|day|hour)(,(key|model|dialect|day|hour))*$"},
    ),
    _query("since", "The first moment: a date or a time. Thirty days before `until` if absent.", {"type": "string"}),
    _query("until", "The moment after the last. Now if absent.", {"type": "string"}),
    _query("key", "Only this key's jobs.", {"type": "string"}),
    _query("format", "`csv` for a table; so does `Accept: text/csv`.", {"enum": ["json", "csv"]}),
)


def paths() -> dict[str, Json]:
    """Every path of keys and usage, with its operations."""
    record = answer("The key.", json(reference("KeyRecord")))
    made = answer("The key, with itself in `key`: this once.", json(reference("KeyRecord")))
    none: Json = {"description": "It is removed.", "headers": headed(())}
    return {
        "/api/admin/keys": {
            "get": _of(
                "listKeys",
                "List the keys",
                "Every key, without itself.",
                {"200": answer("Them.", json(reference("KeyList")))},
            ),
            "post": _of(
                "createKey",
                "Make a key",
                "It is told in this answer and never again. It opens within a second on every host.",
                {"201": made},
                body=RECORD,
            ),
        },
        "/api/admin/keys/{name}": {
            "get": _of("getKey", "Look up a key", "Without the key itself.", {"200": record}, NAME),
            "patch": _of(
                "changeKey",
                "Change a key",
                "Only what is sent changes; null ends a limit.",
                {"200": record},
                NAME,
                body=CHANGE,
            ),
            "delete": _of("deleteKey", "Remove a key", "Its lines in the ledger stay.", {"204": none}, NAME),
        },
        "/api/admin/keys/{name}/rotate": {
            "post": _of("rotateKey", "Renew a key", "The old one ends at once.", {"200": made}, NAME),
        },
        "/api/usage": {
            "get": _of(
                "getUsage",
                "What was used?",
                "Sums over the ledger's lines, which are written about a second after a job ends.",
                {"200": answer("The sums.", {**json(reference("UsageReport")), **CSV})},
                *QUERY,
            ),
        },
        "/api/usage/me": {
            "get": _of(
                "getOwnUsage",
                "What has my key left?",
                "For every key, about itself.",
                {"200": answer("What it may do, and what is left of its limits.", json(reference("OwnUsage")))},
            ),
        },
    }


def _of(name: str, summary: str, description: str, answers: Json, *parameters: Json, body: Json | None = None) -> Json:
    sent: Json = {"requestBody": {"required": True, "content": json(reference("KeyFields"), {"usual": body})}}
    return operation(
        "Keys",
        name,
        summary,
        description,
        parameters=[*parameters, REQUEST_ID],
        responses={**answers, **refusals(ERRORS, TITLES)},
        **(sent if body else {}),
    )
