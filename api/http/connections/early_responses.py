"""Early responses: errors that a connection sends itself, where no application answers. Pure but for the sending.

Invariants: the error is in the dialect of the requested address, as far as that is known. It announces that the
connection closes.
"""

from collections.abc import Callable

from litestar.types import Receive, Scope, Send
from uvicorn.protocols.http.httptools_impl import STATUS_LINE

from api.core.problems import Problem
from api.http.request_context import choose_request_id

MAX_HEAD_BYTES = 64 * 1024
MAX_HEADERS = 200

MALFORMED_REQUEST = Problem(400, "invalid_http", "Malformed or ambiguous HTTP/1.1 request.")
INVALID_HOST = Problem(400, "invalid_http", "An HTTP/1.1 request needs exactly one valid Host header.")
HEAD_TOO_LARGE = Problem(
    431, "head_too_large", f"The headers exceed {MAX_HEAD_BYTES // 1024} KiB or {MAX_HEADERS} in number."
)
HEAD_TIMED_OUT = Problem(408, "request_too_slow", "The request's headers did not arrive in time.", retryable=True)
TOO_MANY_CONNECTIONS = Problem(
    503, "too_many_connections", "Too many connections. Try again.", retry_after=1, retryable=True
)

# Renders an error as JSON, from the request's target and the request id.
type ErrorRenderer = Callable[[str, Problem, str], bytes]


class EarlyResponse:
    """An ASGI application that answers with one error and closes the connection."""

    def __init__(self, problem: Problem, render_error: ErrorRenderer) -> None:
        self._problem = problem
        self._render_error = render_error

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002 # ASGI's signature
        headers, body = _build_response(self._problem, scope["path"], self._render_error)
        await send({"type": "http.response.start", "status": self._problem.status, "headers": headers})
        await send({"type": "http.response.body", "body": body, "more_body": False})


def render_early_response(
    problem: Problem, path: str, render_error: ErrorRenderer, *, headers_only: bool = False
) -> bytes:
    """Returns the bytes of a complete HTTP response. headers_only: it answers HEAD."""
    headers, body = _build_response(problem, path, render_error)
    lines = b"".join(b"%b: %b\r\n" % header for header in headers)
    return STATUS_LINE[problem.status] + lines + b"\r\n" + (b"" if headers_only else body)


def _build_response(
    problem: Problem, path: str, render_error: ErrorRenderer
) -> tuple[list[tuple[bytes, bytes]], bytes]:
    body = render_error(path, problem, request_id := choose_request_id(None))
    headers = {
        "content-type": "application/json",
        "content-length": str(len(body)),
        "connection": "close",
        "x-request-id": request_id,
        **problem.build_headers(),
    }
    return [(name.encode(), value.encode()) for name, value in headers.items()], body
