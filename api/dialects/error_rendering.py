"""Renders errors in the dialect of the request's address. Pure."""

from collections.abc import Callable
from typing import Any

import msgspec
from litestar import Request

from api.core.dialect_names import find_dialect
from api.core.problems import Problem
from api.core.request_state import REQUEST_ID_KEY
from api.dialects.anthropic.encode import render_error as anthropic
from api.dialects.mcp.messages import InvalidMessage
from api.dialects.openai_common import render_error as openai
from api.dialects.rest.encode import render_error as rest


def render_json_rpc_error(problem: Problem) -> bytes:
    """Renders an error of /mcp outside of the SDK (https://www.jsonrpc.org/specification#error_object)."""
    data = {"code": problem.code, **({"param": problem.param} if problem.param else {})}
    error = {"code": _to_json_rpc_code(problem), "message": problem.message, "data": data}
    return msgspec.json.encode(
        {"jsonrpc": "2.0", "id": problem.id if isinstance(problem, InvalidMessage) else None, "error": error}
    )


def _to_json_rpc_code(problem: Problem) -> int:
    if problem.code == "invalid_json":
        return -32700
    if problem.status >= 500:
        return -32603
    return -32602 if (problem.param or "").startswith("params") else -32600


type ErrorRenderer = Callable[[Problem, str], bytes]

# All other dialects render errors as OpenAI does.
RENDERERS: dict[str, ErrorRenderer] = {
    "messages": anthropic,
    "rest": lambda problem, _: rest(problem),
    "mcp": lambda problem, _: render_json_rpc_error(problem),
}
# Anthropic's former address, before /v1/messages. It only returns an error.
LEGACY_COMPLETE_PATH = "/v1/complete"
# The header that tells Anthropic's clients from OpenAI's at an address that both use.
ANTHROPIC_HEADER = "anthropic-version"


def render_error(request: Request[Any, Any, Any], problem: Problem) -> bytes:
    """Returns the JSON body of an error response to `request`."""
    path = request.scope["path"]
    request_id = request.scope["state"].get(REQUEST_ID_KEY, "")
    if path.startswith("/v1/models") and ANTHROPIC_HEADER in request.headers:
        return anthropic(problem, request_id)
    return render_error_for_path(path, problem, request_id)


def render_error_for_path(path: str, problem: Problem, request_id: str) -> bytes:
    """Returns the JSON body of an error response to a request of which only the address is known."""
    path = path.partition("?")[0]
    render = RENDERERS.get("messages" if path == LEGACY_COMPLETE_PATH else find_dialect(path))
    return render(problem, request_id) if render else openai(problem)
