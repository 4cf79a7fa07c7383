"""The OpenAPI document (https://spec.openapis.org/oas/v3.1.1): Litestar's document plus the handlers' declarations.

Invariants: the document is generated from the code that it describes (routes, structs, tables, encoders).
"""

import importlib.metadata
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import msgspec
from litestar import Litestar
from litestar.handlers import HTTPRouteHandler
from litestar.routes import HTTPRoute
from msgspec import Struct

from api.accounting.request_admission import REQUIRES_ADMISSION
from api.agent.checks import AgentLimits
from api.auth.middleware import PUBLIC
from api.conversation.parameters import Parameter, Policy
from api.conversation.parts import Item, Part, ToolDefinition
from api.core.endpoint import ENDPOINT, Endpoint
from api.core.schema import Json, ref, schemas_of
from api.dialects.anthropic.blocks import BLOCKS, SOURCES
from api.dialects.anthropic.models import ErrorMessage, InputTool
from api.dialects.anthropic.parameters import MESSAGES_PARAMETERS
from api.dialects.openai_chat.models import ChatMessage, ToolCallIn
from api.dialects.openai_common import ErrorEnvelope
from api.dialects.openai_parameters import CHAT_PARAMETERS, COMPLETIONS_PARAMETERS, RESPONSES_PARAMETERS
from api.dialects.rest.encode import RestError
from api.openapi.example_answers import ANSWERS, STREAMS
from api.openapi.example_requests import REQUESTS
from api.openapi.parameters import PATH_PARAMETERS, QUERY_PARAMETERS, REQUEST_ID, with_parameters
from api.openapi.replies import ANSWERED, HEADERS, build_error_responses, list_error_statuses, list_errors, with_headers

JSON = "application/json"
DONE = "[DONE]"
# Structs that requests contain as undecoded JSON.
UNDECODED = (ChatMessage, ToolCallIn, Part, ToolDefinition, Item, InputTool, *BLOCKS, *SOURCES)
PARAMETERS: dict[str, Mapping[str, Parameter]] = {
    "ChatCompletionRequest": CHAT_PARAMETERS,
    "CompletionRequest": COMPLETIONS_PARAMETERS,
    "ResponsesRequest": RESPONSES_PARAMETERS,
    "MessagesRequest": MESSAGES_PARAMETERS,
}


class Documentation:
    """The document, built once from the routes and settings of a server."""

    def __init__(self, policy: Policy, limits: AgentLimits) -> None:
        self._policy = policy
        self._limits = limits
        self.document: Json = {}

    def build(self, app: Litestar) -> None:
        """Builds the document from the application's routes."""
        document = app.openapi_schema.to_schema()
        # A handler of several paths has them in a set.
        document["paths"] = dict(sorted(document["paths"].items()))
        endpoints: list[Endpoint] = []
        for path, method, handler in list_handlers(app):
            endpoint: Endpoint = handler.opt[ENDPOINT]
            endpoints.append(endpoint)
            _complete(document["paths"][path][method], path, handler, endpoint)
        requests = {endpoint.body for endpoint in endpoints if endpoint.body}
        answers: list[type[Struct]] = [ErrorEnvelope, ErrorMessage, RestError]
        for endpoint in endpoints:
            answers += [part for part in (endpoint.answer, endpoint.event) if isinstance(part, type)]
        document["components"] |= {
            "schemas": build_schemas(requests, answers, self._policy, self._limits),
            "headers": HEADERS,
            "responses": build_error_responses(),
        }
        self.document = document

    def encode(self) -> bytes:
        """Returns the document as JSON."""
        return msgspec.json.format(msgspec.json.encode(self.document), indent=1)


def list_handlers(app: Litestar) -> Iterator[tuple[str, str, HTTPRouteHandler]]:
    """Yields the path, method and handler of every operation."""
    for route in app.routes:
        if isinstance(route, HTTPRoute):
            for method, (handler, _) in route.route_handler_map.items():
                if method != "OPTIONS" and handler.resolve_include_in_schema():
                    yield route.path_format or "/", method.lower(), handler


def _complete(operation: Json, path: str, handler: HTTPRouteHandler, endpoint: Endpoint) -> None:
    """Adds what Litestar does not know about handlers that read and write JSON themselves."""
    name = operation["operationId"]
    summary, _, description = operation["description"].partition("\n\n")
    operation |= {"summary": summary.rstrip("."), "description": description or summary}
    declared = [parameter["name"] for parameter in operation.get("parameters", []) if parameter["in"] == "path"]
    parameters = [*(PATH_PARAMETERS[each] for each in declared), *QUERY_PARAMETERS.get(name, ())]
    if handler.opt.get(PUBLIC):
        operation["security"] = [{}, {"bearer": []}, {"key": []}] if path == "/health" else []
        errors = {str(status): _describe_success(name, endpoint, ()) for status in endpoint.errors}
    else:
        statuses = list_error_statuses(path, endpoint, has_parameters=bool(parameters))
        errors = list_errors(path, statuses)
        operation["parameters"] = [*parameters, REQUEST_ID]
    if endpoint.body:
        body = {"schema": ref(endpoint.body.__name__), "examples": REQUESTS[name]}
        operation["requestBody"] = {"required": True, "content": {JSON: body}}
    headers = ANSWERED if handler.opt.get(REQUIRES_ADMISSION) and "x-token-count" not in endpoint.headers else ()
    success = {str(handler.status_code): _describe_success(name, endpoint, headers)}
    rejects = endpoint.answer is None and handler.status_code == 200
    operation["responses"] = {**({} if rejects else success), **errors}


def _describe_success(name: str, endpoint: Endpoint, headers: tuple[str, ...]) -> Json:
    response: Json = {"description": "The answer.", "headers": with_headers((*headers, *endpoint.headers))}
    if endpoint.answer is None:
        return {**response, "description": "Success, without a body."}
    content: dict[str, Any] = {}
    if isinstance(endpoint.answer, str):
        content[endpoint.answer] = {"schema": {"type": "object" if endpoint.answer == JSON else "string"}}
    else:
        content[JSON] = {"schema": ref(endpoint.answer.__name__), "examples": ANSWERS.get(name, {})}
    if endpoint.csv:
        content["text/csv"] = {"schema": {"type": "string", "description": "The rows as CSV, with a header line."}}
    if endpoint.events:
        response["description"] = "The answer: one JSON object, or a stream of server-sent events."
        content["text/event-stream"] = {"schema": _describe_events(endpoint), "examples": STREAMS.get(name, {})}
    return {**response, "content": content}


def _describe_events(endpoint: Endpoint) -> Json:
    event = {"anyOf": [ref(endpoint.event.__name__), ref("ErrorEnvelope")]} if endpoint.event else {"type": "object"}
    values: list[Json] = [{"contentMediaType": JSON, "contentSchema": event}]
    if DONE in endpoint.events:
        values.append({"const": DONE})
    data: Json = {"type": "string", "description": "The data of the event.", "anyOf": values}
    return {"type": "object", "description": endpoint.events, "properties": {"data": data}, "required": ["data"]}


def build_schemas(
    requests: Iterable[type[Struct]], answers: Iterable[type[Struct]], policy: Policy, limits: AgentLimits
) -> dict[str, Json]:
    """Returns all schemas by name, for the server's settings."""
    schemas = schemas_of(*requests, *UNDECODED)
    for name, table in PARAMETERS.items():
        with_parameters(schemas[name], table, policy)
    schemas["ChatCompletionRequest"]["required"] = ["messages"]
    schemas["ChatMessage"]["required"] = ["role"]
    for name in ("ChatRequest", "CodeRequest", "AnalyzeRequest"):
        schemas[name]["properties"]["prompt"]["maxLength"] = limits.max_prompt
    written = schemas_of(*answers)
    for schema in written.values():
        _require_written_fields(schema)
    return schemas | written


def _require_written_fields(schema: Json) -> None:
    """Marks every field that is always written as required; a field that can be absent has no default in the schema."""
    properties = schema["properties"]
    schema["required"] = [
        name for name, field in properties.items() if name in schema["required"] or "default" in field
    ]
    for field in properties.values():
        field.pop("default", None)


def version() -> str:
    """Returns the installed version; 0 for code that is not installed."""
    try:
        return importlib.metadata.version("claude-api-server")
    except importlib.metadata.PackageNotFoundError:
        return "0"
