"""The last answer of a connection, where no application answers: what was wrong with what came. Pure but for its sending.

Law: it is in the dialect of the address that was asked for, as far as that is known, and says that the connection ends.
"""

from litestar.types import Receive, Scope, Send

from api.core.problems import Problem
from api.dialects.error_rendering import by_path
from api.http.request_context import chosen_id

LARGEST_HEAD = 64 * 1024
MOST_HEADERS = 200

BAD = Problem(400, "invalid_http", "This is no HTTP/1.1 request, or an ambiguous one.")
BAD_HOST = Problem(400, "invalid_http", "A request of HTTP/1.1 has exactly one Host header.")
LARGE_HEAD = Problem(
    431, "head_too_large", f"The headers are more than {LARGEST_HEAD // 1024} KiB, or more than {MOST_HEADERS}."
)
SLOW_HEAD = Problem(408, "request_too_slow", "The head of the request did not come in time.", retryable=True)
TOO_MANY = Problem(503, "too_many_connections", "Too many connections. Try again.", retry_after=1, retryable=True)


class Refusal:
    """An application that has one answer, and closes the connection."""

    def __init__(self, problem: Problem) -> None:
        self._problem = problem

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002 # ASGI's form
        headers, body = said(self._problem, scope["path"])
        await send({"type": "http.response.start", "status": self._problem.status, "headers": headers})
        await send({"type": "http.response.body", "body": body, "more_body": False})


def said(problem: Problem, path: str) -> tuple[list[tuple[bytes, bytes]], bytes]:
    """The headers and the body of a connection's last answer."""
    body = by_path(path, problem, request_id := chosen_id(None))
    headers = {
        "content-type": "application/json",
        "content-length": str(len(body)),
        "connection": "close",
        "x-request-id": request_id,
        **problem.headers(),
    }
    return [(name.encode(), value.encode()) for name, value in headers.items()], body
