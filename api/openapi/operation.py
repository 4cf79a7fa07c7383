"""What every operation of the OpenAPI document is made of. Pure."""

from typing import Any

from api.openapi.replies import headed
from api.openapi.structs import Json

REQUEST_ID: Json = {
    "name": "x-request-id",
    "in": "header",
    "description": "Your own id for this request, to find it again in the server's log; one is made otherwise.",
    "schema": {"type": "string", "pattern": "^[A-Za-z0-9._-]{1,128}$"},
}


def operation(tag: str, name: str, summary: str, description: str, **more: Any) -> Json:
    """An operation."""
    return {"tags": [tag], "operationId": name, "summary": summary, "description": description, **more}


def answer(description: str, content: Json, headers: tuple[str, ...] = ()) -> Json:
    """A response with a body. content: by media type."""
    return {"description": description, "headers": headed(headers), "content": content}


def json(schema: Json, examples: Json | None = None) -> Json:
    """A JSON body."""
    return {"application/json": {"schema": schema, **({"examples": examples} if examples else {})}}
