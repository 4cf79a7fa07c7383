"""The last answer of a connection, where no application answers: what was wrong with what came. Pure but for its sending.

Law: it is in the dialect of the address that was asked for, as far as that is known, and says that the connection ends.
"""

from litestar.types import Receive, Scope, Send

from api.core.problems import Problem
from api.dialects.error_rendering import render_error_for_path
from api.http.request_context import choose_request_id

MAX_HEAD_BYTES = 64 * 1024
MAX_HEADERS = 200

MALFORMED_REQUEST = Problem(400, "invalid_http", "This is no HTTP/1.1 request, or an ambiguous one.")
INVALID_HOST = Problem(400, "invalid_http", "A request of HTTP/1.1 has exactly one Host header.")
HEAD_TOO_LARGE = Problem(
    431, "head_too_large", f"The headers are more than {MAX_HEAD_BYTES // 1024} KiB, or more than {MAX_HEADERS}."
)
HEAD_TIMED_OUT = Problem(408, "request_too_slow", "The head of the request did not come in time.", retryable=True)
TOO_MANY_CONNECTIONS = Problem(
    503, "too_many_connections", "Too many connections. Try again.", retry_after=1, retryable=True
)


class EarlyResponse:
    """An application that has one answer, and closes the connection."""

    def __init__(self, problem: Problem) -> None:
        self._problem = problem

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002 # ASGI's form
        headers, body = render_early_response(self._problem, scope["path"])
        await send({"type": "http.response.start", "status": self._problem.status, "headers": headers})
        await send({"type": "http.response.body", "body": body, "more_body": False})


def render_early_response(problem: Problem, path: str) -> tuple[list[tuple[bytes, bytes]], bytes]:
    """The headers and the body of a connection's last answer."""
    body = render_error_for_path(path, problem, request_id := choose_request_id(None))
    headers = {
        "content-type": "application/json",
        "content-length": str(len(body)),
        "connection": "close",
        "x-request-id": request_id,
        **problem.build_headers(),
    }
    return [(name.encode(), value.encode()) for name, value in headers.items()], body
