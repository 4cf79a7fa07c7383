"""Whose envelope an error has: each address speaks its own dialect, in its refusals too. Pure."""

from collections.abc import Callable
from typing import Any

import msgspec
from litestar import Request

from api.anthropic.encode import envelope as anthropic
from api.openai_answers import envelope as openai
from api.problems import Problem
from api.request_context import STATE_KEY
from api.rest.encode import envelope as rest


def json_rpc(problem: Problem) -> bytes:
    """An error of MCP's before any message was read (https://www.jsonrpc.org/specification#error_object)."""
    error = {"code": -32600, "message": problem.message, "data": {"code": problem.code}}
    return msgspec.json.encode({"jsonrpc": "2.0", "id": None, "error": error})


type Envelope = Callable[[Problem, str], bytes]

# The first prefix that fits; everything else is OpenAI's.
BY_PATH: tuple[tuple[str, Envelope], ...] = (
    ("/v1/messages", anthropic),
    ("/api/", lambda problem, _: rest(problem)),
    ("/mcp", lambda problem, _: json_rpc(problem)),
)
# The header that tells Anthropic's clients from OpenAI's where both ask at one address.
ANTHROPIC_HEADER = "anthropic-version"


def envelope(request: Request[Any, Any, Any], problem: Problem) -> bytes:
    """The JSON body of an error that answers `request`."""
    path = request.scope["path"]
    request_id = request.scope["state"].get(STATE_KEY, "")
    if path.startswith("/v1/models") and ANTHROPIC_HEADER in request.headers:
        return anthropic(problem, request_id)
    return by_path(path, problem, request_id)


def by_path(path: str, problem: Problem, request_id: str) -> bytes:
    """The JSON body of an error that answers a request of which no more than the address is known."""
    write = next((write for prefix, write in BY_PATH if path.startswith(prefix)), None)
    return write(problem, request_id) if write else openai(problem)
