"""Whose envelope an error has: each address speaks its own dialect, in its refusals too. Pure."""

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
    """An error of MCP's before the library has the message (https://www.jsonrpc.org/specification#error_object)."""
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

# Every other is OpenAI's.
RENDERERS: dict[str, ErrorRenderer] = {
    "messages": anthropic,
    "rest": lambda problem, _: rest(problem),
    "mcp": lambda problem, _: render_json_rpc_error(problem),
}
# Where clients of Anthropic's asked before there were messages: nothing is there but an error.
LEGACY_COMPLETE_PATH = "/v1/complete"
# The header that tells Anthropic's clients from OpenAI's where both ask at one address.
ANTHROPIC_HEADER = "anthropic-version"


def render_error(request: Request[Any, Any, Any], problem: Problem) -> bytes:
    """The JSON body of an error that answers `request`."""
    path = request.scope["path"]
    request_id = request.scope["state"].get(REQUEST_ID_KEY, "")
    if path.startswith("/v1/models") and ANTHROPIC_HEADER in request.headers:
        return anthropic(problem, request_id)
    return render_error_for_path(path, problem, request_id)


def render_error_for_path(path: str, problem: Problem, request_id: str) -> bytes:
    """The JSON body of an error that answers a request of which no more than the address is known."""
    place = path.partition("?")[0]
    write = RENDERERS.get("messages" if place == LEGACY_COMPLETE_PATH else find_dialect(place))
    return write(problem, request_id) if write else openai(problem)
